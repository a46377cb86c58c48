"""The benchmark of out-of-scope texts: how pools are mixed, and what the page shows of the results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from problems import texts_of

from benchmarks.out_of_scope import NOWHERE, SET, Wanted, foreign_texts, mixed
from benchmarks.page.out_of_scope import out_of_scope
from benchmarks.results import Row
from benchmarks.tasks import Split
from vermilion.types import Label

WANTED = Wanted(share=0.2, rate=0.05, a_label=1, seed=0, asked=0.15, error=0.05, most_pool=None)
FOREIGN = [f"foreign {place}" for place in range(30)]


def parts() -> Split:
    pool = [f"text {place}" for place in range(40)]
    gold = {text: "ab"[place % 2] for place, text in enumerate(pool)}
    return Split(
        texts_of(["x", "y"], ["a", "b"]), texts_of(pool), texts_of([]), (Label("a"), Label("b")), gold
    )


def test_a_pool_is_mixed_with_texts_whose_gold_is_no_label() -> None:
    job = mixed(WANTED, parts(), FOREIGN)
    assert job.gold is not None
    foreign = [text for text in job.pool.texts if job.gold[text] == NOWHERE]
    assert len(foreign) == 10
    assert len(job.pool) == len(set(job.pool.texts)) == 50
    # Not all at the end: a run must not learn from the order.
    assert any(text in foreign for text in job.pool.texts[:25])
    assert mixed(WANTED, parts(), FOREIGN) == job
    assert mixed(replace(WANTED, seed=1), parts(), FOREIGN) != job


def test_a_share_of_nothing_leaves_the_pool_as_it_is() -> None:
    job = mixed(replace(WANTED, share=0.0), parts(), FOREIGN)
    assert sorted(job.pool.texts) == sorted(parts().pool.texts)


def test_a_text_that_is_in_the_pool_is_not_out_of_scope() -> None:
    job = mixed(WANTED, parts(), ["text 3", *FOREIGN[:9]])
    assert job.gold is not None
    assert job.gold["text 3"] == "b"
    assert len(job.pool) == 49


def test_out_of_scope_texts_count_once(tmp_path: Path) -> None:
    (tmp_path / SET).mkdir()
    for name, texts in (("test", ["one", "two"]), ("val", ["two"]), ("train", ["three"])):
        lines = "".join(json.dumps({"text": text, "label": "oos"}) + "\n" for text in texts)
        (tmp_path / SET / f"oos_{name}.jsonl").write_text(lines, encoding="utf-8")
    assert foreign_texts(tmp_path) == ["one", "two", "three"]


def run_row(**figures: Any) -> Row:
    found = {
        "pool": 50,
        "agreement_gold": 0.91,
        "agreement_expert": 0.93,
        "certificate": [0.94, 0.9],
        "holds": True,
        "found": 0.8,
        "false_alarms": 0.04,
        "told": {"refused": {"share": 0.18, "lower": 0.12, "upper": 0.25}},
    }
    return {"condition": WANTED.condition(), "figures": found | figures}


def test_the_page_shows_scores_and_runs() -> None:
    one = {"labels_left_out": 0.92, "auroc": 0.974, "false_alarms": 0.05, "found": 0.87}
    scores: Row = {
        "condition": {"measured": "scores", "set": SET, "a_label": 30, "seed": 0},
        "figures": {"chosen": "logit", "scores": {"logit": one, "energy": one | {"labels_left_out": None}}},
    }
    page = out_of_scope([scores, run_row()])
    assert "| 30 | 0 | logit (chosen) | 0.920 | 0.974 | 87.0 % | 5.0 % |" in page
    assert "| 30 | 0 | energy | – | 0.974 |" in page
    assert (
        "| 20.0 % of 50 | 5.0 % | 0 | 91.0 % | 90.0 % | 93.0 % | 80.0 % | 4.0 % | 18.0 % (12.0 % to 25.0 %) |"
        in page
    )
    assert "simulated expert" in page


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({"certificate": None, "holds": None}, "| 91.0 % | – | 93.0 % |"),
        ({"certificate": [0.97, 0.95], "holds": False}, "| 95.0 % (too high) |"),
        ({"found": None, "told": {"refused": None}}, "| – | 4.0 % | – |"),
    ],
)
def test_what_was_withheld_or_failed_is_shown(figures: dict[str, Any], shown: str) -> None:
    assert shown in out_of_scope([run_row(**figures)])
