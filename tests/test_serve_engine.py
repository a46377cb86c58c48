"""A batch's answer: rules, arms and failures, with real models and no process around them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import make_model

from vermilion.errors import ModelError
from vermilion.serve.arms import Arms
from vermilion.serve.batching import Job, Piece
from vermilion.serve.engine import Engine
from vermilion.serve.live import Address, Live, Served, Shelf, Snapshot
from vermilion.serve.rules import Rules
from vermilion.serve.settings import ServeSettings
from vermilion.serve.snapshots import RegistryName
from vermilion.serve.tally import Tally
from vermilion.world import predictor
from vermilion.world.home import Home
from vermilion.world.models import load_model
from vermilion.world.registry import Registry
from vermilion.world.rollout import Plan, Rollout
from vermilion.world.rollouts import NewRollout, Rollouts
from vermilion.world.rule_book import Outcome, RuleBook, When, WrittenRule

CARD, REFUND = "where is my card?", "please refund my payment"


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def versions(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, Served]:
    """Give two versions that say the same in words of their own."""
    folder = tmp_path_factory.mktemp("versions")
    found = []
    for number, labels in enumerate((("card", "refund", "pin"), ("CARD", "refund", "PIN")), start=1):
        model = load_model(make_model(folder / str(number), labels))
        found.append(shelf.take(Address("intents", number, str(number) * 64), lambda model=model: model))  # type: ignore[misc]
    return found[0], found[1]


def rollout(kind: Any, *, share: float = 1.0, both: float = 0.0) -> Rollout:
    plan = Plan(shares=(share,), least=(1,), both=both)
    return Rollout(1, "intents", kind, 1, 2, plan, "epoch")


class Counted(Tally):
    """A tally on a real database."""

    def totals(self) -> dict[Any, Any]:
        self.flush()
        return self._rollouts.totals(1)


@pytest.fixture
def tally(tmp_path: Path) -> Counted:
    rollouts = Rollouts.open(Home.open(tmp_path / "home", environment={}))
    rollouts.start(NewRollout("intents", "canary", 1, 2, Plan()), by="tests")
    return Counted(rollouts)


def ask(snapshot: Snapshot, arms: Arms, *texts: str, key: str = "k") -> Job:
    """Return a job that an engine has answered, in two pieces where there are several texts."""
    loop = asyncio.new_event_loop()
    job = Job(texts, 5, key, loop.create_future(), time.monotonic() + 60)
    loop.close()
    numbers = itertools.count()
    engine = Engine(lambda: snapshot, lambda: f"d{next(numbers)}", arms)
    half = max(1, len(texts) // 2)
    engine.answer([Piece(job, 0, half)])
    if half < len(texts) and job.dropped is None:
        engine.answer([Piece(job, half, len(texts))])
    return job


def labels(job: Job) -> list[Any]:
    return [one.said["label"] for one in job.decisions]


def ruled(served: Served, before: Sequence[WrittenRule] = (), after: Sequence[WrittenRule] = ()) -> Snapshot:
    rules = Rules(RuleBook(tuple(before), tuple(after)))
    return Snapshot(Served(served.address, served.model, served.encoder, rules))


def test_rules_before_the_model_decide_alone(versions: tuple[Served, Served]) -> None:
    law = WrittenRule("law", "asks", When(keywords=("card",)), Outcome("review"), line=1)
    vip = WrittenRule("vip", "pays", When(keywords=("refund",)), Outcome("label", "pin"), line=2)
    job = ask(ruled(versions[0], [law, vip]), Arms(), CARD, REFUND, "I forgot my pin code")
    assert labels(job) == [None, "pin", "pin"]
    assert [one.by for one in job.decisions] == ["rule:law", "rule:vip", "model"]
    assert [one.abstained for one in job.decisions] == [True, False, False]
    assert [one.said["confidence"] is None for one in job.decisions] == [True, True, False]
    assert job.decisions[0].answer("7", 5)["candidates"] == []


def test_rules_after_the_model_see_what_it_says(versions: tuple[Served, Served]) -> None:
    unsure = WrittenRule("unsure", "careful", When(confidence_below=0.999999), Outcome("refuse"), line=1)
    job = ask(ruled(versions[0], after=[unsure]), Arms(), CARD)
    (one,) = job.decisions
    assert (one.said["label"], one.abstained, one.by) == (None, True, "rule:unsure")
    assert one.said["candidates"][0]["label"] == "card"


def test_one_version_answers_a_request_though_the_snapshot_is_replaced(
    versions: tuple[Served, Served],
) -> None:
    loop = asyncio.new_event_loop()
    job = Job((CARD, CARD), 5, "k", loop.create_future(), time.monotonic() + 60)
    loop.close()
    snapshots = iter([Snapshot(versions[0]), Snapshot(versions[1])])
    engine = Engine(lambda: next(snapshots), lambda: "d", Arms())
    engine.answer([Piece(job, 0, 1)])
    engine.answer([Piece(job, 1, 2)])
    assert labels(job) == ["card", "card"]
    assert job.served is versions[0]


def test_a_canary_answers_its_share_and_both_are_counted(
    versions: tuple[Served, Served], tally: Counted
) -> None:
    snapshot = Snapshot(*versions, rollout("canary", share=0.5))
    arms = Arms(tally)
    jobs = [ask(snapshot, arms, CARD, key=f"key {number}") for number in range(40)]
    arms.answered(jobs)
    for job in jobs:
        assert labels(job) == [{"champion": "card", "challenger": "CARD"}[job.arm]]
    told = tally.totals()
    count = sum(job.arm == "challenger" for job in jobs)
    assert 0 < count < 40
    assert told["challenger", "error"] == (count, 0)
    assert told["champion", "error"] == (40 - count, 0)


def test_a_shadow_answers_nobody_and_is_compared(versions: tuple[Served, Served], tally: Counted) -> None:
    snapshot, arms = Snapshot(*versions, rollout("shadow")), Arms(tally)
    jobs = [ask(snapshot, arms, CARD), ask(snapshot, arms, REFUND, key="another")]
    arms.answered(jobs)
    assert [labels(job) for job in jobs] == [["card"], ["refund"]]
    told = tally.totals()
    assert told["challenger", "disagree"] == (2, 1)
    assert told["challenger", "error"] == (2, 0)
    assert told["challenger", "slow"] == (2, 0)


def broken_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one version fail whenever it is asked."""
    real = predictor.decisions

    def decisions(model: Any, *further: Any) -> Any:
        if model is served.model:
            raise RuntimeError("broken")
        return real(model, *further)

    monkeypatch.setattr("vermilion.serve.engine.decisions", decisions)


def test_a_challenger_that_fails_costs_nobody_an_answer(
    versions: tuple[Served, Served], tally: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_for(versions[1], monkeypatch)
    arms = Arms(tally)
    job = ask(Snapshot(*versions, rollout("canary")), arms, CARD)
    arms.answered([job])
    assert (labels(job), job.arm, job.dropped) == (["card"], "champion", None)
    assert tally.totals()["challenger", "error"] == (1, 1)


def test_a_shadow_that_fails_is_counted_and_nobody_notices(
    versions: tuple[Served, Served], tally: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_for(versions[1], monkeypatch)
    arms = Arms(tally)
    job = ask(Snapshot(*versions, rollout("shadow")), arms, CARD)
    arms.answered([job])
    assert labels(job) == ["card"]
    assert tally.totals()["challenger", "error"] == (1, 1)


def test_a_text_that_cannot_be_answered_harms_no_other(
    versions: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = versions[0].encoder

    class Fragile:
        name, digest, dimension = encoder.name, encoder.digest, encoder.dimension

        def encode(self, texts: Sequence[str]) -> Any:
            if "poison" in texts:
                raise RuntimeError("poison")
            return encoder.encode(texts)

    served = Served(versions[0].address, versions[0].model, Fragile())
    loop = asyncio.new_event_loop()
    jobs = [
        Job((text,), 5, "k", loop.create_future(), time.monotonic() + 60) for text in (CARD, "poison", REFUND)
    ]
    loop.close()
    engine = Engine(lambda: Snapshot(served), lambda: "d", Arms())
    engine.answer([Piece(job, 0, 1) for job in jobs])
    assert [job.dropped is None for job in jobs] == [True, False, True]
    assert [labels(job) for job in (jobs[0], jobs[2])] == [["card"], ["refund"]]


class Source:
    """A source that gives what it is told to."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot: Snapshot | Exception = snapshot
        self.number = 0

    def generation(self) -> object:
        return self.number

    def load(self) -> Snapshot:
        if isinstance(self.snapshot, Exception):
            raise self.snapshot
        return self.snapshot


def test_what_cannot_be_loaded_leaves_the_old_one_and_is_told_once(versions: tuple[Served, Served]) -> None:
    told: list[tuple[str, str]] = []
    source = Source(Snapshot(versions[0]))
    live = Live(source, lambda event, line: told.append((event, line)))
    source.snapshot, source.number = ModelError("damaged"), 1
    assert [live.look(), live.look()] == [False, False]
    assert told == [("refused", "refused, intents@1 stays: damaged")]
    source.snapshot = Snapshot(versions[1])
    assert live.look()
    assert live.snapshot.champion is versions[1]
    assert told[1] == ("swapped", "intents@1 -> intents@2")
    assert live.look()
    assert len(told) == 2


@pytest.mark.parametrize("change", [{"encoder": "pairs:static"}, {"task": "multi-label"}])
def test_another_kind_of_model_is_refused(
    versions: tuple[Served, Served], shelf: Shelf, tmp_path: Path, change: dict[str, str]
) -> None:
    model = load_model(make_model(tmp_path / "other", **change))
    other = shelf.take(Address("intents", 3, "3" * 64), lambda: model)
    told: list[str] = []
    source = Source(Snapshot(versions[0]))
    live = Live(source, lambda event, _: told.append(event))
    source.snapshot, source.number = Snapshot(other), 1
    assert not live.look()
    assert (told, live.snapshot.champion) == (["refused"], versions[0])


def test_versions_share_an_encoder_and_the_least_used_goes(
    shelf: Shelf, versions: tuple[Served, Served]
) -> None:
    assert versions[0].encoder is versions[1].encoder
    model = versions[0].model
    small = Shelf()
    first = small.take(Address("a", 1, "1"), lambda: model)
    assert small.take(Address("a", 1, "1"), lambda: model) is first
    for number in range(2, 6):
        small.take(Address("a", number, str(number)), lambda: replace(model))
    assert small.take(Address("a", 1, "1"), lambda: model) is not first


def test_a_rollout_of_the_registry_becomes_a_snapshot(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", environment={})
    with Registry.open(home) as registry:
        for number in (1, 2):
            registry.add("intents", make_model(tmp_path / str(number), (f"a{number}", "b", "c")), by="tests")
        registry.promote("intents", "intents@1", by="tests", why="a test")
    source = RegistryName(ServeSettings("intents", home), Shelf())
    try:
        before = source.generation()
        assert source.load().challenger is None
        start(home)
        assert source.generation() != before
        snapshot = source.load()
        assert snapshot.challenger is not None
        assert (snapshot.champion.address.number, snapshot.challenger.address.number) == (1, 2)
    finally:
        source.close()


def start(home: Home) -> None:
    with Rollouts.open(home) as rollouts:
        rollouts.start(NewRollout("intents", "canary", 1, 2, Plan()), by="tests")
