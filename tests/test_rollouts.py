"""Rollouts in real databases: one a name, counts that may be written twice, a lease that knows no clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vermilion.errors import InputError, StoreError
from vermilion.serve.tally import Tally
from vermilion.world.home import Home
from vermilion.world.registry import Registry
from vermilion.world.rollout import Answer, Count, Disagreement, Limit, Plan, Rollout, one_label
from vermilion.world.rollouts import NewRollout, Progress, Rollouts
from vermilion.world.rollouts_lease import LeaseLostError

NEW = NewRollout("intents", "canary", 1, 2, Plan())


@pytest.fixture
def home(tmp_path: Path, place: str) -> Home:
    return Home.open(tmp_path / "home", place, environment={})


@pytest.fixture
def rollouts(home: Home) -> Iterator[Rollouts]:
    with Rollouts.open(home) as opened:
        yield opened


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_started_is_there_again(home: Home, rollouts: Rollouts) -> None:
    plan = Plan(
        (0.1, 0.4), (5, 6), {"error": Limit(0.1, 0.01), "wrong": Limit(0.2, needed=False)}, disagreement=0.1
    )
    started = rollouts.start(replace(NEW, plan=plan), by="ann", why="faster")
    with Rollouts.open(home) as again:
        assert again.current("intents") == started == again.get(started.id)
        assert (started.plan, started.why, started.step) == (plan, "faster", 0)
        assert again.generations() == {"intents": 1}
        assert again.current("other") is None
    with pytest.raises(InputError, match="a rollout's number"):
        rollouts.get(99)


def test_one_runs_at_a_time_even_when_many_start_at_once(rollouts: Rollouts) -> None:
    gate = threading.Barrier(8)

    def start(number: int) -> str:
        gate.wait()
        try:
            rollouts.start(replace(NEW, challenger=number), by="ann")
        except InputError as error:
            return str(error)
        return "started"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, range(2, 10)))
    assert found.count("started") == 1
    assert sum("no rollout that is running" in line for line in found) == 7
    assert len(rollouts.history()) == 1


def test_stopping_is_for_good_and_stands_in_the_audit_log(home: Home, rollouts: Rollouts) -> None:
    rollouts.start(NEW, by="ann")
    stopped = rollouts.stop("intents", by="bob", why="enough")
    assert (stopped.state, stopped.why, stopped.ended_at > "") == ("stopped", "enough", True)
    assert {stopped.arm(f"key {i}") for i in range(200)} == {"champion"}
    with pytest.raises(InputError, match="none; see vermilion rollout history"):
        rollouts.stop("intents", by="bob", why="again")
    assert rollouts.start(NEW, by="ann").id != stopped.id
    with Registry.open(home) as registry:
        told = [(entry.actor, entry.action) for entry in registry.log("intents")]
        registry.verify_log()
    assert told == [("ann", "start canary"), ("bob", "end canary: stopped"), ("ann", "start canary")]


def test_counts_written_twice_or_late_count_once(rollouts: Rollouts) -> None:
    number = rollouts.start(NEW, by="ann").id
    early, late = Count("champion", "error", 10, 1), Count("champion", "error", 25, 3)
    for one in (early, late, late, early):  # the early writing was held up, and came last
        rollouts.add_counts("worker a", {number: [one]})
    rollouts.add_counts("worker b", {number: [early, Count("challenger", "error", 2, 2)]})
    rollouts.add_counts("worker b", {})
    assert rollouts.totals(number) == {("champion", "error"): (35, 4), ("challenger", "error"): (2, 2)}


def test_a_tally_loses_nothing_between_threads_and_restarts(rollouts: Rollouts) -> None:
    number = rollouts.start(NEW, by="ann").id

    def count(tally: Tally, part: int) -> None:
        for i in range(500):
            tally.note(number, "champion", "error", i % 5 == part)

    for _ in range(2):  # a worker, and the one that takes its place
        tally = Tally(rollouts, seconds=0.01)
        tally.start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, [tally] * 4, range(4)))
        tally.stop()
        tally.flush()
    assert rollouts.totals(number) == {("champion", "error"): (4000, 800)}


def test_a_tally_keeps_its_counts_while_the_database_refuses(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = rollouts.start(NEW, by="ann").id
    tally = Tally(rollouts)
    tally.note(number, "champion", "error", True)

    def refuse(*_: object) -> None:
        raise StoreError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "add_counts", refuse)
        with pytest.raises(StoreError):
            tally.flush()
    tally.note(number, "champion", "error", False)
    tally.flush()
    assert rollouts.totals(number) == {("champion", "error"): (2, 1)}


def test_feedback_settles_answers_and_disagreements(rollouts: Rollouts) -> None:
    number = rollouts.start(NEW, by="ann").id
    tally = Tally(rollouts)
    for i, arm in enumerate(("champion", "champion", "challenger")):
        tally.answered(number, Answer(f"d{i}", arm, "fee"))  # type: ignore[arg-type]
    tally.differ(number, Disagreement("d1", "fee", "refund"))
    tally.differ(number, Disagreement("d1", "fee", "refund"))
    tally.flush()
    rollouts.settle({"d0": "fee", "d1": "refund", "d2": "loss", "unknown": "fee"}, 7)
    assert rollouts.totals(number) == {("champion", "wrong"): (2, 1), ("challenger", "wrong"): (1, 1)}
    assert rollouts.disagreements(number) == [Disagreement("d1", "fee", "refund", "refund")]
    assert (rollouts.settled(number), rollouts.mark()) == ((0, 1), 7)
    rollouts.settle({"d1": "fee"}, 8)  # somebody thought again
    assert (rollouts.settled(number), rollouts.mark()) == ((1, 0), 8)
    assert one_label(["b", "a"]) == one_label(("a", "b", "a"))


def test_the_lease_goes_on_only_when_it_stands_still(rollouts: Rollouts) -> None:
    clock = Clock()
    first, second = rollouts.lease("first", clock), rollouts.lease("second", clock)
    assert first.hold()
    for _ in range(5):
        clock.now += 9
        assert not second.hold()
        assert first.hold()
    clock.now += 9
    assert not second.hold()
    clock.now += 11  # the first was suspended
    assert second.hold()
    assert not first.hold()
    number = rollouts.start(NEW, by="ann").id
    with pytest.raises(LeaseLostError, match="another process judges"):
        rollouts.save(first, number, Progress(1.0, "{}"))
    rollouts.save(second, number, Progress(2.0, "{}"))
    assert rollouts.progress(number).seconds == 2.0
    second.release()
    assert first.hold()


def test_many_who_want_a_free_lease_get_it_once(rollouts: Rollouts) -> None:
    leases = [rollouts.lease(f"holder {i}") for i in range(8)]
    gate = threading.Barrier(8)

    def hold(number: int) -> bool:
        gate.wait()
        return leases[number].hold()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hold, range(8))) == 1


def test_a_decision_is_made_once(rollouts: Rollouts) -> None:
    started = rollouts.start(NEW, by="ann")
    lease = rollouts.lease("judge")
    assert lease.hold()
    assert rollouts.advance(lease, started, "enough")
    assert not rollouts.advance(lease, started, "enough")  # it is one step further than it was read
    assert rollouts.current("intents") == replace(started, step=1)
    assert rollouts.end(lease, started, "failed", "errors")
    assert not rollouts.end(lease, started, "successful", "late")
    assert not rollouts.advance(lease, replace(started, step=1), "late")
    found = rollouts.history("intents")[-1]
    assert (found.state, found.why, rollouts.to_move()) == ("failed", "errors", [])
    assert [event.kind for event in rollouts.events(started.id)] == ["started", "step", "failed"]
    assert rollouts.generation("intents") == 3


def test_keys_stay_with_the_challenger_from_step_to_step_and_change_with_the_rollout(
    rollouts: Rollouts,
) -> None:
    keys = [f"request {i}" for i in range(4000)]

    def answered(rollout: Rollout) -> set[str]:
        return {key for key in keys if rollout.arm(key) == "challenger"}

    first = rollouts.start(NEW, by="ann")
    small, large = answered(first), answered(replace(first, step=2))
    assert small < large
    assert len(small) == pytest.approx(200, abs=45)
    assert len(large) == pytest.approx(2000, abs=100)
    rollouts.stop("intents", by="ann", why="")
    other = answered(rollouts.start(NEW, by="ann"))
    assert len(small & other) < 30


def test_a_shadow_answers_nobody_and_sees_its_share() -> None:
    plan = Plan(shares=(0.25,), least=(1,))
    rollout = Rollout(1, "n", "shadow", 1, 2, plan, "epoch")
    keys = [f"{i}" for i in range(2000)]
    assert {rollout.arm(key) for key in keys} == {"champion"}
    assert sum(map(rollout.asks_both, keys)) == pytest.approx(500, abs=60)
    assert not any(map(replace(rollout, state="stopped").asks_both, keys))
    canary = replace(rollout, kind="canary", plan=replace(plan, both=0.5))
    both = [key for key in keys if canary.asks_both(key)]
    assert sum(canary.arm(key) == "challenger" for key in both) == pytest.approx(len(both) / 4, abs=50)
    assert rollout.arm("\ud800") == "champion"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shares": ()}, "shares: expected rising shares"),
        ({"shares": (0.5, 0.2), "least": (1, 1)}, "rising shares"),
        ({"shares": (0.5, 1.5), "least": (1, 1)}, "rising shares"),
        ({"shares": (float("nan"),), "least": (1,)}, "rising shares"),
        ({"least": (1,)}, "least: expected as many as shares"),
        ({"least": (0, 1, 1)}, "whole numbers from 1"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"disagreement": 1.0}, "disagreement"),
        ({"most_requests": 100}, "enough for all steps"),
        ({"most_seconds": float("nan")}, "seconds over 0"),
        ({"slow_ms": float("inf")}, "milliseconds"),
        ({"limits": {"disagree": Limit(0.1)}}, "error, slow, wrong"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Plan(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("margin", "slack"), [(0.0, 0.0), (0.1, 0.1), (1.1, 0.0), (float("nan"), 0.0), (0.1, -0.1)]
)
def test_limits_that_make_no_sense_are_refused(margin: float, slack: float) -> None:
    with pytest.raises(InputError):
        Limit(margin, slack)


def test_a_version_is_no_challenger_of_itself() -> None:
    with pytest.raises(InputError, match="intents@1 twice"):
        replace(NEW, challenger=1)
