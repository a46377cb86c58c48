"""Texts that no label fits: how well they are told, and what runs made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.page.tables import markdown
from benchmarks.results import Row

SCORES_HEAD = (
    "labelled a label",
    "seed",
    "score",
    "labels left out",
    "out-of-scope texts",
    "flagged",
    "false alarms",
)
RUNS_HEAD = (
    "out of scope",
    "rate",
    "seed",
    "agreement with gold (simulated expert)",
    "certified",
    "agreement with the simulated expert",
    "out of scope without a label",
    "in scope without a label",
    "share estimated by random answers",
)
SCORES_TOLD = (
    "AUROC on labels that were left out of the labelled texts, by which the score is chosen, and on the out-of-scope"
    " texts of CLINC150, beside its test split. *Flagged* and *false alarms* are shares of both at a rate of 5 %."
)
RUNS_TOLD = (
    'Runs on CLINC150 whose pool is mixed with its out-of-scope texts; the simulated expert answers "none of these"'
    " about them, but for its mistakes. *Certified* is the lower bound of agreement with the expert."
)


def out_of_scope(rows: Sequence[Row]) -> str:
    """Return a table of the scores, and one of the runs."""
    scores = [row for row in rows if row["condition"]["measured"] == "scores"]
    runs = [row for row in rows if row["condition"]["measured"] == "run"]
    parts = []
    if scores:
        parts += [SCORES_TOLD, markdown(SCORES_HEAD, (line for row in scores for line in _scores(row)))]
    if runs:
        parts += [RUNS_TOLD, markdown(RUNS_HEAD, (_run(row["condition"], row["figures"]) for row in runs))]
    return "\n\n".join(parts)


def _scores(row: Row) -> list[list[str]]:
    known, found = row["condition"], row["figures"]
    return [
        [
            str(known["a_label"]),
            str(known["seed"]),
            name + (" (chosen)" if name == found["chosen"] else ""),
            _number(one["labels_left_out"]),
            _number(one["auroc"]),
            _percent(one["found"]),
            _percent(one["false_alarms"]),
        ]
        for name, one in found["scores"].items()
    ]


def _run(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    refused = (found["told"] or {}).get("refused")
    certified = found["certificate"]
    share = (
        "–"
        if not refused
        else f"{_percent(refused['share'])} ({_percent(refused['lower'])} to {_percent(refused['upper'])})"
    )
    return [
        f"{_percent(known['share'])} of {found['pool']:,}",
        "none" if known["rate"] is None else _percent(known["rate"]),
        str(known["seed"]),
        _percent(found["agreement_gold"]),
        "–" if certified is None else _percent(certified[1]) + ("" if found["holds"] else " (too high)"),
        _percent(found["agreement_expert"]),
        _percent(found["found"]),
        _percent(found["false_alarms"]),
        share,
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
