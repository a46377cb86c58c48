"""The queue: bounded in texts, in batches, fair to short requests, rid of those who have gone."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from vermilion.serve.batching import ClosingError, FullError, GoneError, Job, LateError, Piece, Queue


@pytest.fixture
def dropped() -> list[Job]:
    return []


def job(count: int, *, deadline: float = 60.0, **more: Any) -> Job:
    loop = asyncio.new_event_loop()
    done: asyncio.Future[Job] = loop.create_future()
    loop.close()
    return Job(
        [f"text {number}" for number in range(count)], 5, "key", done, time.monotonic() + deadline, **more
    )


def sizes(pieces: list[Piece]) -> list[int]:
    return [len(piece.texts) for piece in pieces]


def test_all_that_waits_is_one_batch(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    for _ in range(5):
        queue.put(job(1))
    assert queue.waiting == 5
    assert sizes(queue.take(32)) == [1] * 5
    assert queue.waiting == 0


def test_a_long_request_lets_the_short_ones_through(dropped: list[Job]) -> None:
    queue = Queue(1000, dropped.append)
    long, short = job(100), job(1)
    queue.put(long)
    queue.put(short)
    assert [piece.job for piece in queue.take(32)] == [long]
    second = queue.take(32)
    assert [piece.job for piece in second] == [short, long]
    assert sizes(second) == [1, 31]
    taken = [
        text
        for piece in (*second, *queue.take(32), *queue.take(32))
        if piece.job is long
        for text in piece.texts
    ]
    assert taken == list(long.texts[32:])


def test_full_is_told_with_the_time_that_the_rate_gives(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    queue.note(50, 1.0)
    queue.put(job(90))
    queue.put(job(10))
    with pytest.raises(FullError) as error:
        queue.put(job(100))
    assert error.value.seconds == 2
    queue.put(job(1, probe=True))


def test_who_has_gone_and_who_is_late_are_left_out(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    gone, late, there = job(3), job(4, deadline=-1.0), job(2)
    for one in (gone, late, there):
        queue.put(one)
    gone.dropped = GoneError()
    assert [piece.job for piece in queue.take(32)] == [there]
    assert dropped == [gone, late]
    assert isinstance(late.dropped, LateError)
    assert queue.waiting == 0


def test_a_request_that_was_begun_is_never_late(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    one = job(3)
    queue.put(one)
    assert sizes(queue.take(2)) == [2]
    one.deadline = time.monotonic() - 1
    assert sizes(queue.take(2)) == [1]


def test_closing_lets_what_is_in_come_out_and_nothing_in(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    queue.put(job(3))
    queue.close()
    with pytest.raises(ClosingError):
        queue.put(job(1))
    assert sizes(queue.take(2)) == [2]
    assert sizes(queue.take(2)) == [1]
    assert queue.take(2) == []


def test_who_waits_for_work_is_woken(dropped: list[Job]) -> None:
    queue = Queue(100, dropped.append)
    found: list[list[Piece]] = []
    thread = threading.Thread(target=lambda: found.append(queue.take(8)))
    thread.start()
    queue.put(job(1))
    thread.join(10)
    assert sizes(found[0]) == [1]
