"""Runs, models and errors where a text may have several labels, from files to files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.config import RunSettings
from vermilion.errors import InputError
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.red.files import run_files
from vermilion.red.progress import Silent
from vermilion.red.request import Request
from vermilion.red.several_run import SeveralResult
from vermilion.types import BoolArray
from vermilion.world.models import load_model
from vermilion.world.predictor import Predictor

TOPICS = {
    "card": "my card is lost",
    "fee": "why this fee",
    "app": "the app crashes",
    "travel": "going abroad soon",
}
MORE = (
    "please",
    "today",
    "again",
    "hello there",
    "thank you",
    "as I said",
    "help",
    "urgent",
    "now",
    "once more",
)


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Return texts that are made of their topics, some of two or of none."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[str]] = {}
    while len(rows) < count:
        own = [name for name in TOPICS if rng.random() < 0.35]
        words = [TOPICS[name] for name in own] + rng.choice(MORE, size=3, replace=False).tolist()
        rows.setdefault(" ".join(words), own)
    return [{"text": text, "labels": own} for text, own in rows.items()]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows as JSON Lines; return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def plain_head(Y: BoolArray, kind: str = "auto", seed: int = 0) -> dict[str, OneVsRestHead]:
    """Return one head in place of those to compare, which takes most of a small run's time."""
    return {"one-vs-rest": OneVsRestHead(C=10.0)}


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A labelled file with empty lists, a pool, and the pool's gold."""
    gold = rows_of(60, seed=1)
    write(tmp_path / "gold.jsonl", gold)
    pool = write(tmp_path / "pool.jsonl", [{"text": row["text"]} for row in gold])
    return Request(write(tmp_path / "labelled.jsonl", rows_of(40, seed=0)), pool, tmp_path / "out")


def go(request: Request, **changed: Any) -> SeveralResult:
    """Run with a simulated expert."""
    settings = RunSettings(encoder="static", expert=f"oracle:{request.out.parent / 'gold.jsonl'}", rounds=2)
    result = run_files(request, replace(settings, **changed), Silent(), lambda plan: True)
    assert isinstance(result, SeveralResult)
    return result


def test_a_run_leaves_decisions_an_audit_and_a_model(request_: Request, tmp_path: Path) -> None:
    result = go(request_)
    decisions = [json.loads(line) for line in (request_.out / "decisions.jsonl").read_text().splitlines()]
    gold = {row["text"]: set(row["labels"]) for row in rows_of(60, seed=1)}
    for row in decisions:
        assert set(row["confirmed"]) <= set(row["labels"]) & gold[row["text"]]
        assert not set(row["refused"]) & (set(row["labels"]) | gold[row["text"]])
        asked = bool(row["confirmed"] or row["refused"])
        assert (row["source"] in ("verified", "corrected")) == asked
    summary = json.loads((request_.out / "summary.json").read_text())
    assert summary["task"] == "multi-label"
    assert summary["calls"] == sum(len(row["confirmed"]) + len(row["refused"]) for row in decisions) == 12
    unlabelled = [row for row in decisions if row["source"] != "given"]
    right = np.mean([set(row["labels"]) == gold[row["text"]] for row in unlabelled])
    assert summary["gold"]["agreement"] == pytest.approx(right)
    assert summary["certificate"]["n"] == len((request_.out / "audit.jsonl").read_text().splitlines())
    model = load_model(request_.out / "model")
    assert (model.task, len(model.labels)) == ("multi-label", 4)
    texts = [row["text"] for row in unlabelled]
    proba = model.predict_proba(Predictor.load(request_.out / "model").encoder.encode(texts))
    np.testing.assert_allclose(proba, result.outcome.proba, atol=1e-4)
    np.testing.assert_array_equal(model.decide(proba), model.rule.decide(result.outcome.proba))


def test_the_same_command_asks_nothing_more(request_: Request) -> None:
    first, second = go(request_), go(request_)
    assert second.decisions == first.decisions
    assert second.summary.calls == first.summary.calls
    with pytest.raises(InputError, match="another seed"):
        go(request_, seed=1)


def test_a_text_that_is_given_keeps_its_labels(request_: Request, tmp_path: Path) -> None:
    known = rows_of(40, seed=0)[:2]
    gold = [*known, *rows_of(30, seed=1)]
    write(tmp_path / "gold.jsonl", gold)
    write(tmp_path / "pool.jsonl", [{"text": row["text"]} for row in gold])
    rows = go(request_).decisions[:2]
    assert [(row["labels"], row["source"]) for row in rows] == [
        (sorted(row["labels"]), "given") for row in known
    ]


@pytest.mark.parametrize("changed", [{"head": "flat"}, {"uncertainty": "entropy"}, {"out_of_scope": 0.1}])
def test_what_only_labels_that_exclude_each_other_have_is_refused(
    request_: Request, changed: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="found several labels a text; leave it out"):
        go(request_, **changed)


def test_gold_must_have_every_pool_text(request_: Request, tmp_path: Path) -> None:
    write(tmp_path / "gold.jsonl", rows_of(60, seed=1)[1:])
    with pytest.raises(InputError, match=r"expected gold labels for each pool text, found none for .*row 1"):
        go(request_)


def test_a_row_without_a_label_among_rows_with_one_is_refused(request_: Request, tmp_path: Path) -> None:
    rows = [row for row in rows_of(40, seed=0) if len(row["labels"]) == 1]
    write(tmp_path / "labelled.jsonl", [*rows, {"text": "nothing", "labels": []}])
    with pytest.raises(
        InputError, match=r"expected one label a row, found none; add its label, or say --task"
    ):
        go(request_)
    assert go(request_, task="multi-label").summary.task == "multi-label"


def test_a_run_does_not_go_on_as_one_with_one_label_a_text(request_: Request, tmp_path: Path) -> None:
    write(tmp_path / "labelled.jsonl", [row for row in rows_of(40, seed=0) if len(row["labels"]) == 1])
    go(request_, expert="none", task="multi-label")
    with pytest.raises(InputError, match="another task"):
        go(request_, expert="none")
