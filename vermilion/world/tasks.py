"""What kind of task labelled texts pose: inferred from them, or named and then checked against them."""

from __future__ import annotations

from collections.abc import Sequence

from vermilion.config import TASK_CHOICES
from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.pairs import is_pair


def infer_task(labelled: Texts, labels: Sequence[Label], named: str = "auto") -> str:
    """Return the task that labelled texts pose: binary, multi-class, multi-label or hierarchical.

    Several labels on one row make it multi-label, and then a row may have none; parents among the labels make it
    hierarchical; two labels binary. That rows are pairs of texts changes nothing about what their labels are.

    Parameters
    ----------
    labelled : Texts
    labels : sequence of Label
        All that may be learned; where some are groups of others, with those.
    named : str
        One of TASK_CHOICES; "pairs" says what the rows are, and leaves the rest to be inferred.

    Raises
    ------
    InputError
        The data do not have what was named.

    Examples
    --------
    >>> texts = Texts(("0", "1"), ("x", "y"), (("a",), ("a", "b")))
    >>> infer_task(texts, [Label("a"), Label("b")])
    'multi-label'
    >>> infer_task(texts, [Label("a"), Label("b")], "binary")
    Traceback (most recent call last):
    vermilion.errors.InputError: --task binary: expected one label a row, found 'a' + 'b' in row 2 of texts;
    leave --task out, or mend the row
    """
    if named not in TASK_CHOICES:
        raise InputError(f"one of {', '.join(TASK_CHOICES)}", repr(named), "--task", "give one of them")
    if named == "pairs":
        _refuse_single_texts(labelled)
    several = _row_with_several(labelled)
    empty = _row_without(labelled)
    if empty is not None and several is None and named != "multi-label":
        raise _none(labelled, empty)
    grouped = any(label.parent is not None for label in labels)
    if named in ("auto", "pairs"):
        plain = "binary" if len(labels) == 2 else "multi-class"
        return "multi-label" if several is not None else "hierarchical" if grouped else plain
    if several is not None and named != "multi-label":
        raise _several(labelled, several, named)
    if named == "hierarchical" and not grouped:
        raise InputError("labels with a parent", "none", "--task hierarchical", "name parents in --labels")
    if named == "binary" and len(labels) != 2:
        raise InputError("two labels", f"{len(labels)}", "--task binary", "leave --task out")
    return named


def _row_with_several(labelled: Texts) -> int | None:
    rows = enumerate(labelled.labels or ())
    return next((place for place, names in rows if len(names) > 1), None)


def _row_without(labelled: Texts) -> int | None:
    return next((place for place, names in enumerate(labelled.labels or ()) if not names), None)


def _none(labelled: Texts, place: int) -> InputError:
    row = labelled.rows[place] if labelled.rows else place + 1
    where = f"{labelled.source or 'texts'}, row {row}"
    cure = "add its label, or say --task multi-label, where a text may have none"
    return InputError("one label a row", "none", where, cure)


def _several(labelled: Texts, place: int, named: str) -> InputError:
    assert labelled.labels is not None
    row = labelled.rows[place] if labelled.rows else place + 1
    found = " + ".join(f"'{name}'" for name in labelled.labels[place])
    return InputError(
        "one label a row",
        f"{found} in row {row} of {labelled.source or 'texts'}",
        f"--task {named}",
        "leave --task out, or mend the row",
    )


def _refuse_single_texts(labelled: Texts) -> None:
    if not all(map(is_pair, labelled.texts)):
        raise InputError(
            "columns text_a and text_b",
            "one text a row",
            "--task pairs",
            "name both columns, or leave --task out",
        )
