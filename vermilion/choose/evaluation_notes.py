"""What a reader must know before he believes the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.judged_tree import OnePath
from vermilion.types import IntArray, Texts

FEW_TEXTS, FEW_OF_A_LABEL = 100, 5


def notes(judged: Judged, classes: IntArray, texts: Texts, *, learned_from: bool) -> Iterator[str]:
    """Yield what a reader must know, one sentence each.

    Parameters
    ----------
    judged : Judged
    classes : ndarray of int
        The numbers of the labels that the model learned from texts of their own.
    texts : Texts
        The test, as it was read.
    learned_from : bool
        Whether the model was learned from this very file.
    """
    if learned_from:
        yield "The model was learned from this very file: its figures say nothing about new texts."
    if len(judged) < FEW_TEXTS:
        yield f"Only {counted(len(judged), 'text')}: believe the intervals rather than the values."
    if twice := at_odds(texts):
        yield f"{counted(twice, 'text')} more than once with different labels: no model has all of these rows right."
    yield from _of_labels(judged, classes)
    if isinstance(judged, OneLabel):
        yield from _of_queries(judged)
    if none := len(judged) - int(judged.given.sum()):
        yield f"{counted(none, 'text')} got no label; where one is true, that is counted as wrong."


def at_odds(texts: Texts) -> int:
    """Return how many texts come more than once and not with the same labels each time.

    Examples
    --------
    >>> at_odds(Texts(("0", "1", "2"), ("hi", "hi", "bye"), (("a",), ("b",), ("b",))))
    1
    """
    seen: dict[str, set[frozenset[str]]] = {}
    for text, names in zip(texts.texts, texts.labels or (), strict=True):
        seen.setdefault(text, set()).add(frozenset(names))
    return sum(len(kinds) > 1 for kinds in seen.values())


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "text"), counted(1234, "text")
    ('1 text', '1,234 texts')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _of_labels(judged: Judged, classes: IntArray) -> Iterator[str]:
    true = judged.label_figures().tally().true
    there = true > 0
    absent = len(classes) - int(there[classes].sum())
    if absent:
        found = f"{absent:,} of the model's {len(classes):,} labels have no text here"
        yield f"{found}; averages leave them out unless they were predicted."
    few = int((there & (true < FEW_OF_A_LABEL)).sum())
    if few and there.sum() > 1:
        own = "its own figures say" if few == 1 else "their own figures say"
        yield f"{counted(few, 'label')} with fewer than {FEW_OF_A_LABEL} texts: {own} little."
    groups = np.setdiff1d(np.flatnonzero(there), classes)
    if isinstance(judged, OnePath) and len(groups):
        rows = counted(int(true[groups].sum()), "text")
        yield f"{rows} with a group for a label, of which the model knows only the labels under it."


def _of_queries(judged: OneLabel) -> Iterator[str]:
    """Yield which queries retrieval figures are of, where they are not of all, or not worth much."""
    if judged.queries is None or judged.positive is None:
        return
    numbers, queries = np.unique(judged.queries, return_inverse=True)
    candidates = np.bincount(queries)
    relevant = np.bincount(queries, judged.true == judged.positive) > 0
    if not relevant.all():
        which = f"{int(relevant.sum()):,} of {len(numbers):,} queries"
        yield f"{which} have a relevant candidate: figures of queries are of these alone."
    if alone := int((relevant & (candidates == 1)).sum()):
        which = (
            f"{alone:,} of the {int(relevant.sum()):,} queries with a relevant candidate have no other one"
        )
        yield f"{which}: it comes first whatever the model says."
