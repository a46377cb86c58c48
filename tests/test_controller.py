"""The controller on a real registry and database: verdicts, kills, people who move the champion, clocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from registry_models import make_model

from vermilion.errors import InputError, StoreError
from vermilion.serve import controller as controller_module
from vermilion.serve.controller import Controller
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home
from vermilion.world.registry import Registry
from vermilion.world.rollout import Answer, Arm, Count, Disagreement, Limit, Metric, Plan, Rollout
from vermilion.world.rollouts import NewRollout, Rollouts

NAME = "intents"
LIMITS: dict[Metric, Limit] = {"error": Limit(0.02), "wrong": Limit(0.05, needed=False)}
PLAN = Plan(shares=(0.1, 0.5), least=(50, 200), limits=LIMITS, most_requests=30_000)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """A home with three versions, the first of them champion, and workers whose requests are counts."""

    def __init__(self, folder: Path, models: list[Path], place: str | None = None) -> None:
        self.home = Home.open(folder, place, environment={})
        self.clock = Clock()
        self.registry, self.rollouts = Registry.open(self.home), Rollouts.open(self.home)
        for model in models:
            self.registry.add(NAME, model, by="ann")
        self.promote(1)
        self.controller = Controller(self.home, self.clock)
        self.rng = np.random.default_rng(0)
        self.sums: dict[tuple[int, Arm, Metric], list[int]] = {}

    def close(self) -> None:
        self.controller.stop()
        self.registry.close()
        self.rollouts.close()

    def promote(self, number: int) -> None:
        self.registry.promote(NAME, f"{NAME}@{number}", by="ann", why="by hand")

    def champion(self) -> int:
        return self.registry.resolve(NAME).number

    def start(self, **given: Any) -> Rollout:
        new = NewRollout(NAME, "canary", self.champion(), self.champion() % 3 + 1, PLAN)
        return self.rollouts.start(replace(new, **given), by="ann")

    def serve(self, n: int, errors: dict[Arm, float], metric: Metric = "error") -> None:
        """Let so many requests come to what runs now."""
        running = self.rollouts.current(NAME)
        if running is None:
            return
        other = n if running.kind == "shadow" else int(self.rng.binomial(n, running.share))
        own = n if running.kind == "shadow" else n - other
        served: dict[Arm, int] = {"champion": own, "challenger": other}
        for arm, some in served.items():
            sums = self.sums.setdefault((running.id, arm, metric), [0, 0])
            sums[0] += some
            sums[1] += int(self.rng.binomial(some, errors[arm]))
        counts = [
            Count(arm, what, *pair) for (one, arm, what), pair in self.sums.items() if one == running.id
        ]
        self.rollouts.add_counts("worker", {running.id: counts})

    def look(self, seconds: float = 1.0) -> list[str]:
        self.clock.now += seconds
        return self.controller.step()

    def until_it_ends(self, n: int, errors: dict[Arm, float], looks: int = 400) -> Rollout:
        for _ in range(looks):
            self.serve(n, errors)
            self.look()
            if self.rollouts.current(NAME) is None:
                break
        return self.rollouts.history(NAME)[-1]

    def another_process(self) -> None:
        """Kill the controller: the next one finds what was written down, and a lease that stands still."""
        for part in (self.controller._feedback, self.controller._rollouts, self.controller._registry):
            part.close()
        self.controller = Controller(self.home, self.clock)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [make_model(folder / f"{seed}", seed) for seed in range(3)]


@pytest.fixture
def service(tmp_path: Path, models: list[Path]) -> Iterator[Service]:
    made = Service(tmp_path / "home", models)
    yield made
    made.close()


def test_a_good_challenger_becomes_the_champion_by_its_steps(service: Service) -> None:
    started = service.start()
    found = service.until_it_ends(200, {"champion": 0.03, "challenger": 0.03})
    assert (found.state, service.champion(), found.step) == ("successful", 2, 1)
    assert "shown to be good enough: failed requests: challenger" in found.why
    kinds = [event.kind for event in service.rollouts.events(started.id)]
    assert kinds == ["started", "step", "successful", "moved"]
    assert service.registry.log(NAME)[-1].actor == "rollout controller"
    service.registry.verify_log()
    assert service.look() == []


def test_a_bad_challenger_is_taken_back_and_never_asked_again(service: Service) -> None:
    started = service.start()
    found = service.until_it_ends(200, {"champion": 0.05, "challenger": 0.3})
    assert (found.state, service.champion()) == ("failed", 1)
    assert found.why.startswith("more failed requests: challenger")
    assert {found.arm(f"{i}") for i in range(100)} == {"champion"}
    service.rollouts.add_counts("late worker", {started.id: [Count("challenger", "error", 9999, 0)]})
    assert service.look() == []
    assert service.rollouts.history(NAME)[-1] == found


def test_one_that_answers_nothing_is_taken_back_at_once_unless_nobody_answers(service: Service) -> None:
    service.start()
    service.serve(190, {"champion": 0.0, "challenger": 1.0})
    assert "of the challenger's first" in service.look()[0] or "more failed requests" in service.look()[0]
    service.start()
    service.rollouts.add_counts("w", {2: [Count("challenger", "error", 25, 25)]})
    assert service.look() == [
        "rollout 2 of intents: failed: all of the challenger's first 25 requests failed"
    ]
    service.start()
    counts = [Count("champion", "error", 200, 200), Count("challenger", "error", 25, 25)]
    service.rollouts.add_counts("w", {3: counts})
    assert service.look() == []  # the fault is not the challenger's


def test_without_requests_nothing_is_promoted_and_in_the_end_it_is_inconclusive(service: Service) -> None:
    service.start(plan=replace(PLAN, most_seconds=60.0))
    for _ in range(3):
        assert service.look(4.0) == []
    service.rollouts.add_counts("w", {1: [Count("champion", "error", 20_000, 0)]})
    assert service.look(4.0) == []  # the challenger still had none
    for _ in range(20):
        service.look(4.0)
    found = service.rollouts.history(NAME)[-1]
    assert (found.state, found.step, service.champion()) == ("inconclusive", 0, 1)
    assert "0.0 hours in service, as long as planned" in found.why


def test_as_many_requests_as_planned_end_it(service: Service) -> None:
    service.start(plan=replace(PLAN, most_requests=3000))
    found = service.until_it_ends(500, {"champion": 0.05, "challenger": 0.06})
    assert (found.state, service.champion()) == ("inconclusive", 1)


def test_a_kill_between_verdict_and_move_is_made_good(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    service.start()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", die)
        with pytest.raises(Killed):
            service.until_it_ends(200, {"champion": 0.03, "challenger": 0.01})
    assert (service.rollouts.history(NAME)[-1].state, service.champion()) == ("successful", 1)
    service.another_process()
    assert service.look() == []  # the dead one's lease does not stand still for long enough yet
    assert service.look(11.0) == ["rollout 1 of intents: intents@2 is the champion"]
    assert service.champion() == 2
    with monkeypatch.context() as patch:  # and the other way round: moved, but not noted
        patch.setattr(Registry, "promote", die)
        with service.rollouts._database.write() as connection:
            connection.exec_driver_sql("UPDATE vermilion_rollouts SET to_move = 1")
        assert service.look() == ["rollout 1 of intents: intents@2 is the champion"]


def test_whoever_moves_the_champion_by_hand_is_not_overruled(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.start()
    service.promote(3)
    assert service.look() == ["rollout 1 of intents: stopped: the champion is intents@3 now, not intents@1"]
    service.start()
    promote = Registry.promote

    def late(self: Registry, *given: Any, **named: Any) -> Any:
        promote(self, NAME, f"{NAME}@2", by="ann", why="just before")
        return promote(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", late)
        found = service.until_it_ends(200, {"champion": 0.03, "challenger": 0.01})
    assert (found.state, service.champion()) == ("successful", 2)
    assert "not moved" in service.rollouts.events(found.id)[-1].body["how"]


def test_a_challenger_that_was_taken_out_ends_its_rollout(service: Service) -> None:
    service.start(challenger=3)
    service.registry.remove(f"{NAME}@3", by="ann", why="wrong data")
    assert "stopped: intents: expected version 3, found versions 2, 1" in service.look()[0]


def test_a_clock_that_jumps_changes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.start(plan=replace(PLAN, most_seconds=3600.0))
    service.look()
    service.look(1e9)  # suspended for years: no time in service
    assert service.rollouts.current(NAME) is not None
    service.look(-1e9)  # even a clock that should not go back
    for module in (controller_module,):
        assert not hasattr(module, "datetime")
    monkeypatch.setattr("time.time", lambda: 0.0)
    found = service.until_it_ends(200, {"champion": 0.03, "challenger": 0.01})
    assert (found.state, service.champion()) == ("successful", 2)


def test_what_was_found_survives_the_controller(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "SAVE_SECONDS", 0.0)
    service.start()
    errors: dict[Arm, float] = {"champion": 0.05, "challenger": 0.10}
    for _ in range(12):
        service.serve(60, errors)
        service.look()
    before = service.controller._known[1]
    service.another_process()
    service.look(1.0)
    service.look(11.0)
    after = service.controller._known[1]
    assert after.evidence.worse.log_evidence == pytest.approx(before.evidence.worse.log_evidence, abs=1e-6)
    assert after.seconds == before.seconds


def test_only_one_of_two_controllers_judges(service: Service) -> None:
    service.start()
    other = Controller(service.home, service.clock)
    try:
        for _ in range(60):
            service.serve(200, {"champion": 0.05, "challenger": 0.4})
            service.look()
            assert other.step() == []
    finally:
        other.stop()
    assert service.rollouts.history(NAME)[-1].state == "failed"


def test_one_that_was_held_up_writes_nothing_any_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.start()
    service.look()
    other = Controller(service.home, service.clock)
    other.step()
    service.rollouts.add_counts("w", {1: [Count("challenger", "error", 25, 25)]})
    totals = Rollouts.totals

    def taken_over(self: Rollouts, number: int) -> Any:
        if self is service.controller._rollouts:
            other.step()  # sees where the lease stands
            service.clock.now += 11
            other.step()
        return totals(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Rollouts, "totals", taken_over)
        with pytest.raises(StoreError, match="another process judges"):
            service.look()
    other.stop()
    assert [event.kind for event in service.rollouts.events(1)] == ["started", "failed"]


def test_a_shadow_fails_where_it_differs_too_often_and_moves_nothing(service: Service) -> None:
    plan = replace(PLAN, shares=(1.0,), least=(100,), disagreement=0.05)
    for share, state in ((0.2, "failed"), (0.01, "successful")):
        service.start(kind="shadow", plan=plan)
        for _ in range(100):
            service.serve(100, {"champion": 0.01, "challenger": 0.01})
            service.serve(100, {"champion": 0.0, "challenger": share}, "disagree")
            service.look()
            if service.rollouts.current(NAME) is None:
                break
        assert (service.rollouts.history(NAME)[-1].state, service.champion()) == (state, 1)


def test_a_shadow_is_judged_by_who_was_right(service: Service) -> None:
    started = service.start(kind="shadow", plan=replace(PLAN, shares=(1.0,), least=(100,)))
    with Feedback.open(service.home) as feedback:
        ids = [feedback.ids.new() for _ in range(40)]
        service.rollouts.add_disagreements(started.id, [Disagreement(one, "fee", "loss") for one in ids])
        for one in ids:
            feedback.add(one, "fee", key="k")
        service.serve(2000, {"champion": 0.0, "challenger": 0.0})
        for _ in range(4):
            told = service.look(5.0)
            if told:
                break
    assert "more settled disagreements in which the champion was right: challenger 40 of 40" in told[0]


def test_feedback_takes_back_a_challenger_that_is_wrong_more_often(service: Service) -> None:
    started = service.start()
    service.rollouts.add_counts("w", {started.id: [Count("champion", "error", 500, 0)]})
    with Feedback.open(service.home) as feedback:
        for turn in range(12):
            for i in range(20):
                one, arm = feedback.ids.new(), ("champion", "challenger")[i % 2]
                service.rollouts.add_answers(started.id, [Answer(one, arm, "fee")])  # type: ignore[arg-type]
                feedback.add(one, "loss" if arm == "challenger" and i % 4 else "fee", key="k")
            told = service.look(5.0)
            if told:
                break
            assert turn < 11
    assert "more answers that feedback calls wrong" in told[0]


def test_an_ab_test_moves_nothing_and_gives_an_interval(service: Service) -> None:
    service.start(kind="ab", plan=Plan(shares=(0.5,), least=(1,), limits=LIMITS, most_requests=6000))
    found = service.until_it_ends(400, {"champion": 0.05, "challenger": 0.25})
    assert (found.state, service.champion()) == ("stopped", 1)
    assert "6," in found.why
    from vermilion.serve.evidence import Evidence

    text = service.rollouts.progress(found.id).evidence
    assert text is not None
    low, high = Evidence.loads(text, found).difference("error", 0.05) or (0, 0)
    assert 0.1 < low < 0.2 < high < 0.35


def test_a_thread_looks_by_itself_and_gives_the_lease_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_module, "SECONDS", 0.01)
    looked = threading.Event()
    step = Controller.step

    def told(self: Controller) -> list[str]:
        done = step(self)
        if done:
            looked.set()
        return done

    monkeypatch.setattr(Controller, "step", told)
    service.start()
    service.rollouts.add_counts("w", {1: [Count("challenger", "error", 25, 25)]})
    service.controller.start()
    assert looked.wait(60)
    service.controller.stop()
    service.controller = Controller(service.home, service.clock)
    service.start()
    service.rollouts.add_counts("w", {2: [Count("challenger", "error", 25, 25)]})
    assert "failed" in service.look()[0]  # no wait for the lease


class Machine(RuleBasedStateMachine):
    """People, workers, controllers and clocks in any order."""

    models: list[Path]
    folder: Path
    made = 0

    @initialize()
    def begin(self) -> None:
        Machine.made += 1
        self.service = Service(self.folder / f"home{Machine.made}", self.models)
        self.failed: set[int] = set()

    def teardown(self) -> None:
        if hasattr(self, "service"):
            self.service.close()

    @rule(kind=st.sampled_from(["canary", "canary", "shadow", "ab"]))
    def start(self, kind: str) -> None:
        running = self.service.rollouts.current(NAME)
        try:
            self.service.start(
                kind=kind, plan=replace(PLAN, shares=(0.2, 0.5), least=(20, 40), most_requests=9000)
            )
        except InputError:
            assert running is not None
        else:
            assert running is None

    @rule(n=st.sampled_from([0, 5, 300, 2000]), bad=st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    def requests(self, n: int, bad: float) -> None:
        self.service.serve(n, {"champion": 0.02, "challenger": bad})

    @rule(n=st.integers(1, 6), seconds=st.sampled_from([0.0, 1.0, 12.0, -500.0, 1e6]))
    def look(self, n: int, seconds: float) -> None:
        before = {one.id: one for one in self.service.rollouts.history()}
        champion = self.service.champion()
        for _ in range(n):
            self.service.serve(400, {"champion": 0.02, "challenger": 0.0})
            self.service.look(seconds)
        after = {one.id: one for one in self.service.rollouts.history()}
        if self.service.champion() != champion:
            (new,) = [
                one
                for one in after.values()
                if one.state == "successful" and before[one.id].state == "running"
            ]
            assert (new.kind, new.champion, new.challenger) == ("canary", champion, self.service.champion())

    @rule()
    def kill(self) -> None:
        self.service.another_process()

    @rule(number=st.integers(1, 3))
    def promote_by_hand(self, number: int) -> None:
        self.service.promote(number)

    @precondition(lambda self: self.service.rollouts.current(NAME) is not None)
    @rule()
    def stop(self) -> None:
        self.service.rollouts.stop(NAME, by="ann", why="")

    @invariant()
    def all_is_well(self) -> None:
        if not hasattr(self, "service"):
            return
        rollouts = self.service.rollouts
        past = rollouts.history()
        assert sum(one.state == "running" for one in past) <= 1
        assert self.service.champion() in {version.number for version in self.service.registry.versions(NAME)}
        for one in past:
            if one.state == "successful" and one.kind == "canary":
                totals = rollouts.totals(one.id)
                assert min(totals[arm, "error"][0] for arm in ("champion", "challenger")) >= sum(
                    one.plan.least
                )
            if one.state == "failed":
                self.failed.add(one.id)
            if one.id in self.failed:
                assert one.state == "failed"
            if one.state != "running":
                assert {one.arm(f"{key}") for key in range(20)} == {"champion"}


def test_any_order_of_events_leaves_a_sound_service(models: list[Path], tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Machine.models, Machine.folder, Machine.made = models, tmp_path, 0
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=5, stateful_step_count=20, deadline=None, derandomize=True)
    )
