"""Where it goes wrong: shares of the wrong decisions, and the pairs of labels that are most often confused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.page.tables import markdown
from benchmarks.results import Row

HEAD = (
    "set",
    "wrong decisions (simulated expert)",
    "how many",
    "likely the data's own error",
    "by the classifier",
    "by neighbours",
    "truth in second place",
)
SHARES = ("likely_the_data", "by_classifier", "by_neighbours", "truth_second")
KINDS = {
    "worst": "the model's own that it was surest of",
    "own": "all of the model's own",
    "expert": "mistakes of the simulated expert: the rule's false alarms",
}
TOLD = (
    "A decision is wrong where it differs from gold. It is put down to the data where a classifier that was"
    " cross-validated on the gold labels, and most of the ten nearest other texts, both agree with the decision."
    " Mistakes of the simulated expert are no errors of the data: their share is how easily that rule is deceived."
    " The texts are written to `build/benchmarks/worst`, since the data sets are not ours to publish."
)


def worst(rows: Sequence[Row]) -> str:
    """Return the shares of each set, and its pairs."""
    table = markdown(HEAD, (cells for row in rows for cells in _set(row)))
    return "\n\n".join([TOLD, table, *map(_pairs, rows)])


def _set(row: Row) -> list[list[str]]:
    found = row["figures"]
    return [
        [row["condition"]["set"], told, f"{found[kind]['count']:,}", *_shares(found[kind])]
        for kind, told in KINDS.items()
    ]


def _shares(found: dict[str, Any]) -> list[str]:
    return [f"{100 * found[share]:.0f} %" if share in found else "-" for share in SHARES]


def _pairs(row: Row) -> str:
    found, known = row["figures"], row["condition"]
    wrong = sum(found["wrong"].values())
    pairs = "; ".join(f"`{decided}` for `{gold}` {count}" for decided, gold, count in found["pairs"])
    return (
        f"{known['set']}, {known['a_label']} a label, simulated expert wrong in {100 * known['error']:.0f} %:"
        f" {wrong:,} of {found['pool']:,} decisions differ from gold. Most often taken by the model: {pairs or '-'}."
    )
