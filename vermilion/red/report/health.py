"""What the report says of a run's labels: those that starve, those to merge or split, texts labelled wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vermilion.page.figures import Table
from vermilion.red import wording

WHY = {
    "few texts": "hardly any text is known to have it",
    "low recall": "its texts are mostly taken for others",
    "hardly used": "hardly any text was decided for it",
}


@dataclass(frozen=True, slots=True)
class HealthSection:
    """The report's section on the labels: one line, and a table of each kind of finding."""

    line: str
    tables: tuple[Table, ...]


def health_section(health: dict[str, Any]) -> HealthSection:
    """Return the section's content, from `health` in summary.json.

    Examples
    --------
    >>> found = {"starving": 0, "suspects": 0, "merge": 0, "split": 0}
    >>> parts = {"starving": [], "suspects": [], "merge": [], "split": []}
    >>> health_section({"texts": 9, "found": found, "expected_precision": None, **parts}).line
    'Judged by 9 texts whose label is known: nothing stands out.'
    """
    makers = (_merge, _split, _suspects, _starving)
    tables = tuple(table for table in (maker(health) for maker in makers) if table.rows)
    return HealthSection(_line(health), tables)


def _line(health: dict[str, Any]) -> str:
    kinds = (
        ("merge", "pair to merge", "pairs to merge"),
        ("split", "label to split", "labels to split"),
        ("suspects", "text probably labelled wrongly", "texts probably labelled wrongly"),
        ("starving", "label that starves", "labels that starve"),
    )
    found = [(health["found"][kind], one, many) for kind, one, many in kinds]
    told = [f"{wording.count(n)} {one if n == 1 else many}" for n, one, many in found if n]
    said = ", ".join(told) or "nothing stands out"
    return f"Judged by {wording.counted(health['texts'], 'text')} whose label is known: {said}."


def _merge(health: dict[str, Any]) -> Table:
    rows = [
        (" / ".join(one["labels"]), wording.count(one["texts"]), wording.percent(one["told_apart"]))
        for one in health["merge"]
    ]
    return Table.of("Labels that cannot be told apart", ("Labels", "Texts", "Told apart"), rows)


def _split(health: dict[str, Any]) -> Table:
    rows = [
        (one["label"], *(wording.count(size) for size in one["sizes"]), f"{one['separation']:.2f}")
        for one in health["split"]
    ]
    return Table.of("Labels that are two", ("Label", "Larger half", "Smaller half", "Silhouette"), rows)


def _suspects(health: dict[str, Any]) -> Table:
    rows = tuple(
        (one["text"], one["label"], one["suggested"], wording.percent(one["wrong"]))
        for one in health["suspects"]
    )
    caption = "Texts whose label is probably wrong, the surest first"
    if health["expected_precision"] is not None:
        caption += f"; {wording.percent(health['expected_precision'])} of all found are expected to be"
    columns = (("Text", False), ("Label", False), ("Rather", False), ("Probability", True))
    return Table(caption, columns, rows)


def _starving(health: dict[str, Any]) -> Table:
    rows = tuple(
        (one["label"], WHY[one["why"]], wording.count(one["known"]), wording.count(one["decided"]))
        for one in health["starving"]
    )
    columns = (("Label", False), ("Why", False), ("Known texts", True), ("Decided", True))
    return Table("Labels that starve", columns, rows)
