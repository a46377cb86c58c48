"""`vermilion rollout` as people type it, on a real home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Ended, vermilion
from registry_models import make_model

from vermilion.serve.controller import Controller
from vermilion.world.home import Home
from vermilion.world.rollout import Count, Disagreement
from vermilion.world.rollouts import Rollouts


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [make_model(folder / f"model{number}", number) for number in (1, 2)]


@pytest.fixture(autouse=True)
def rollouts(tmp_path: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Rollouts]:
    """Give the rollouts of a home with two versions of `intent`, the first of them champion."""
    monkeypatch.setenv("VERMILION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VERMILION_DATABASE", raising=False)
    monkeypatch.chdir(tmp_path)
    for folder in models:
        assert vermilion("models", "add", "intent", str(folder)).code == 0
    assert vermilion("models", "promote", "intent@1").code == 0
    with Rollouts.open(Home.open()) as opened:
        yield opened


def rollout(*argv: str) -> Ended:
    """Run a command that is to succeed."""
    ended = vermilion("rollout", *argv)
    assert ended.code == 0, ended.err
    return ended


def told(*argv: str) -> Any:
    return json.loads(rollout(*argv, "--json").out)


def refused(*argv: str) -> str:
    """Run a command that is to fail; return its one line."""
    ended = vermilion("rollout", *argv)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("vermilion: ")
    assert ended.err.count("\n") == 1
    return ended.err


def test_a_canary_from_its_start_to_its_end(rollouts: Rollouts) -> None:
    started = rollout("canary", "intent", "--challenger", "2", "--why", "faster", "--by", "ann").out
    assert "step 1 of 3 (5% -> 25% -> 50%)" in started
    assert "Next: vermilion rollout status intent" in started
    assert "none yet" in rollout("status", "intent").out
    counts = [Count("champion", "error", 400, 8), Count("challenger", "error", 25, 25)]
    rollouts.add_counts("worker", {1: counts})
    controller = Controller(Home.open())
    assert "failed" in controller.step()[0]
    controller.stop()
    shown = rollout("status", "intent").out
    assert "failed: all of the challenger's first 25 requests failed" in shown
    assert "8 of 400 (" in shown
    assert "started by ann: faster" in shown
    found = told("status", "intent")
    assert (found["state"], found["challenger"], found["findings"][0]["challenger"]) == (
        "failed",
        "intent@2",
        [25, 25],
    )
    assert [one["state"] for one in told("history")] == ["failed"]
    assert "1 rollouts" in rollout("history", "intent").out


def test_plans_are_what_was_typed() -> None:
    plan = told("canary", "intent", "--challenger", "intent@2", "--steps", "0.1,0.5", "--least", "5,6")[
        "plan"
    ]
    assert (plan["shares"], plan["least"], plan["limits"]["wrong"]["needed"]) == ([0.1, 0.5], [5, 6], False)
    told("stop", "intent", "--why", "typo")
    given = ["--both", "0.2", "--max-disagreement", "0.1", "--wrong-margin", "0.03", "--slow-ms", "50"]
    plan = told("canary", "intent", "--challenger", "2", *given, "--max-hours", "2", "--margin", "0.04")[
        "plan"
    ]
    assert (plan["both"], plan["disagreement"], plan["slow_ms"], plan["most_seconds"]) == (0.2, 0.1, 50, 7200)
    assert plan["limits"]["wrong"] == {"margin": 0.03, "slack": 0.0, "needed": True}
    assert plan["limits"]["error"]["margin"] == 0.04
    told("stop", "intent")
    shadow = told("shadow", "intent", "--challenger", "2", "--share", "0.5", "--max-disagreement", "0.02")
    assert (shadow["kind"], shadow["plan"]["shares"], shadow["plan"]["disagreement"]) == (
        "shadow",
        [0.5],
        0.02,
    )
    told("stop", "intent")
    assert told("ab", "intent", "--challenger", "2", "--max-requests", "99")["plan"]["most_requests"] == 99
    assert rollout("stop", "intent").out == "rollout 4 is stopped; intent@1 answers all\n"


def test_disagreements_go_where_they_can_be_labelled(rollouts: Rollouts, tmp_path: Path) -> None:
    told("shadow", "intent", "--challenger", "2")
    rollouts.add_disagreements(1, [Disagreement("d1", "fee", "loss"), Disagreement("d2", "fee", "refund")])
    rollouts.settle({"d1": "fee"}, 1)
    (line,) = rollout("disagreements", "intent").out.splitlines()
    assert json.loads(line) == {"decision": "d2", "champion": "fee", "challenger": "refund", "right": None}
    assert "2 disagreements" in rollout("disagreements", "intent", "--all", "--out", "some.jsonl").out
    assert len((tmp_path / "some.jsonl").read_text().splitlines()) == 2
    assert "a file to write to" in refused("disagreements", "intent", "--out", "no/where.jsonl")


def test_an_ab_test_shows_the_difference(rollouts: Rollouts) -> None:
    told("ab", "intent", "--challenger", "2")
    controller = Controller(Home.open())
    for n in range(1, 30):
        counts = [Count("champion", "error", 100 * n, n), Count("challenger", "error", 100 * n, 20 * n)]
        rollouts.add_counts("worker", {1: counts})
        controller.step()
    controller._known[1] = controller._known[1].__class__(controller._known[1].evidence, 30.0, -1e9)
    controller.step()  # writes down what was found
    controller.stop()
    low, high = told("status", "intent")["findings"][0]["difference"]
    assert 0.1 < low < 0.19 < high < 0.3
    assert " to +2" in rollout("status", "intent").out


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("canary", "intent", "--challenger", "9"), "expected version 9"),
        (("canary", "intent", "--challenger", "1"), "intent@1 twice"),
        (("canary", "other", "--challenger", "1"), "other"),
        (("canary", "intent", "--challenger", "other@1"), "other"),
        (("canary", "intent", "--challenger", "2", "--steps", "5%"), "--steps: expected numbers with commas"),
        (("canary", "intent", "--challenger", "2", "--steps", "0.5,0.1"), "rising shares"),
        (("canary", "intent", "--challenger", "2", "--steps", "0.5"), "as many as shares"),
        (("canary", "intent", "--challenger", "2", "--margin", "0"), "slack < margin"),
        (("canary", "intent", "--challenger", "2", "--max-disagreement", "0.1"), "--both"),
        (("ab", "intent", "--challenger", "2", "--share", "nan"), "rising shares"),
        (("shadow", "intent", "--challenger", "2", "--alpha", "2"), "alpha"),
        (("status", "intent"), "a name that has had a rollout"),
        (("disagreements", "intent"), "a name that has had a rollout"),
        (("stop", "intent"), "a rollout that is running"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(argv: tuple[str, ...], line: str) -> None:
    assert line in refused(*argv)


def test_two_at_once_are_refused() -> None:
    told("ab", "intent", "--challenger", "2")
    assert "end it first: vermilion rollout stop intent" in refused("canary", "intent", "--challenger", "2")
