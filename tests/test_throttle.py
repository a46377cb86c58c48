from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest

from vermilion.world.throttle import LONGEST_WAIT, Throttle, retry_after


def test_one_more_after_each_window_of_successes_up_to_the_most() -> None:
    throttle = Throttle(start=4, most=6)
    limits = []
    for _ in range(20):
        throttle.succeeded()
        limits.append(throttle.limit)
    assert limits == [4, 4, 4, *5 * [5], *12 * [6]]


def test_an_overload_halves_and_a_burst_of_them_halves_once() -> None:
    throttle = Throttle(start=32)
    burst = [throttle.epoch] * 32
    for epoch in burst:
        throttle.overloaded(epoch)
    assert throttle.limit == 16
    for _ in range(10):
        throttle.overloaded(throttle.epoch)
    assert throttle.limit == 1


def test_an_overload_begins_a_new_window() -> None:
    throttle = Throttle(start=4)
    for _ in range(3):
        throttle.succeeded()
    throttle.overloaded(throttle.epoch)
    throttle.succeeded()
    assert throttle.limit == 2
    throttle.succeeded()
    assert throttle.limit == 3


def test_no_more_than_the_limit_are_ever_at_work_and_all_get_their_turn() -> None:
    seen: list[tuple[int, int]] = []

    async def work(throttle: Throttle, number: int) -> None:
        async with throttle.slot() as epoch:
            seen.append((throttle.active, throttle.limit))
            await asyncio.sleep(0)
            if number % 7 == 0:
                throttle.overloaded(epoch)
            else:
                throttle.succeeded()

    async def run() -> Throttle:
        throttle = Throttle(start=4, most=8)
        await asyncio.gather(*(work(throttle, number) for number in range(100)))
        return throttle

    throttle = asyncio.run(run())
    assert len(seen) == 100
    assert all(active <= limit for active, limit in seen)
    assert throttle.active == 0


def test_a_cancelled_waiter_does_not_take_its_turn_with_it() -> None:
    async def run() -> list[str]:
        throttle, order = Throttle(start=1), []

        async def hold(name: str) -> None:
            async with throttle.slot():
                order.append(name)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(hold(name)) for name in "abc"]
        await asyncio.sleep(0)  # a is at work, b and c wait
        await tasks[0]
        tasks[1].cancel()  # woken, but cancelled before it runs
        await asyncio.wait_for(tasks[2], 5)
        return order

    assert asyncio.run(run())[-1] == "c"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("99999", LONGEST_WAIT),
        ("inf", LONGEST_WAIT),
        ("nan", None),
        ("", None),
        (None, None),
        ("in a while", None),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(900_000, usegmt=True), 0.0),
        (formatdate(9_000_000, usegmt=True), LONGEST_WAIT),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=1_000_000.0) == seconds
