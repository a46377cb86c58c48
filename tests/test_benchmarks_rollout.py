"""The simulated canaries, in small: the judge keeps its word, and the rules beside it do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import rollout
from benchmarks.__main__ import main
from benchmarks.page.rollout import rollout as section
from benchmarks.results import Results


def test_counts_are_those_of_the_world() -> None:
    rng = np.random.default_rng(0)
    canary = rollout.drawn(rollout.PLANS["steps"], rollout.WORLDS["late"], 0.2, rng)
    n, bad, m, wrong = canary.sums[-1]
    assert n + m == pytest.approx(rollout.MOST, abs=300)
    assert bad / n == pytest.approx(0.05, abs=0.01)
    assert 0.13 < wrong / m < 0.2  # as the champion at first
    early = canary.sums[5]
    assert early[2] / (early[0] + early[2]) == pytest.approx(0.05, abs=0.03)
    assert sorted(set(canary.shares.tolist())) == [0.05, 0.25, 0.5]


def test_equal_models_stay_and_worse_ones_are_found() -> None:
    same = rollout.simulate("steps", "steady", 0.05, 40, 1)
    assert same["judge"]["failed"] <= 0.1
    assert same["judge"]["successful"] >= 0.9
    assert same["static 1.2"]["failed"] > 0.4
    assert same["z-test"]["failed"] > 0.15
    double = rollout.simulate("steps", "steady", 0.10, 30, 1)["judge"]
    assert double["failed"] == 1.0
    assert double["failed_requests"][0] <= 2100
    fourfold = rollout.simulate("steps", "steady", 0.20, 30, 1)["judge"]
    assert (fourfold["failed"], fourfold["failed_requests"][0] <= 900) == (1.0, True)


def test_the_command_writes_each_condition_once_and_the_page_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "CONDITIONS", (("steady", 0.2), ("users", 0.05)))
    path = tmp_path / "rollout.jsonl"
    options = ["rollout", "--runs", "3", "--plans", "half", "--results", str(path)]
    main(options)
    main(options)
    rows = Results(path).rows()
    assert [row["condition"]["world"] for row in rows] == ["steady"]
    assert "half, steady, errors 5% -> 20%, 3 canaries: taken back 100.0%" in capsys.readouterr().out
    assert "| steady | 20 % | 50 % | 3 | 100.0 % |" in section(rows)
