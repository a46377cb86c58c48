"""The simulation of certificates, in small: it finds that they hold, and would find it if they did not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import guarantees
from benchmarks.__main__ import main
from benchmarks.page.guarantees import guarantees as section
from benchmarks.results import Results
from vermilion.learn.certificate import Bounds


def test_the_expert_errs_as_often_as_told_and_the_model_gets_better() -> None:
    rng = np.random.default_rng(0)
    pools = [
        guarantees.Pool.made(guarantees.CONFIDENCES["calibrated"], 0.15, worse, rng) for worse in (0.03, 0.0)
    ]
    assert [1 - pool.expert.mean() for pool in pools] == pytest.approx([0.15, 0.15], abs=0.02)
    assert pools[0].right.mean() < pools[1].right.mean()
    assert pools[1].agrees.mean() == pytest.approx(pools[1].right.mean() * 0.85, abs=0.02)
    assert pools[1].drawn(60, rng).sum() == 60


@pytest.mark.parametrize("error", [0.0, 0.15])
def test_certificates_hold_and_the_accepted_err_seldom_too_often(error: float) -> None:
    found = guarantees.simulate("calibrated", error, 200, 100, 1)
    assert found["held"] >= 0.95 - 3.1 * (0.95 * 0.05 / 100) ** 0.5
    assert found["too_many_errors"] <= 0.05 + 3.1 * (0.95 * 0.05 / 100) ** 0.5
    assert found["below"] < found["below_clopper_pearson"]


def test_a_bound_that_promises_too_much_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(agreed: np.ndarray, *_: object) -> Bounds:
        return Bounds(agreed.mean(), agreed.mean(), 1.0, len(agreed), "the sample's share")

    monkeypatch.setattr(guarantees, "share_right", mean)
    assert guarantees.simulate("of no use", 0.05, 100, 60, 0)["held"] < 0.6


def test_the_command_writes_each_condition_once_and_the_page_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "guarantees.jsonl"
    options = [
        "guarantees",
        "--runs",
        "4",
        "--sizes",
        "60",
        "100",
        "--errors",
        "0.05",
        "--results",
        str(path),
    ]
    options += ["--confidences", "calibrated", "of no use"]
    main(options)
    main(options)
    rows = Results(path).rows()
    assert len(rows) == 4
    assert "confidence of no use, expert 5% wrong, 100 answers, 4 runs: held" in capsys.readouterr().out
    table = section(rows)
    assert table.count("\n| 5 % |") == 2
    assert "| 5 % | 60 | 8 |" in table
