"""Which labels are taken for which: the readable part of a confusion matrix of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from vermilion.types import BoolArray, IntArray

MOST_CELLS = 30
MOST_GROUPS = 20
# A pair of labels belongs to a group where at least this share of the rarer label's texts is mixed up between the two.
LEAST_MIXED = 0.1
LEAST_TIMES = 2


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a label was taken for another, and what share of its texts that is."""

    true: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ConfusedGroup:
    """Labels that are mostly mixed up among themselves.

    Attributes
    ----------
    labels : tuple of int
        The ones with the most errors within the group first.
    errors : int
        Texts of these labels that got another label of the group.
    texts : int
        Texts of these labels.
    """

    labels: tuple[int, ...]
    errors: int
    texts: int


@dataclass(frozen=True, slots=True)
class Confusions:
    """What a confusion matrix says, without its mostly empty cells.

    Attributes
    ----------
    labels : int
        Rows and columns of the whole matrix.
    errors : int
        Texts with a wrong label; those that got none are not among them.
    pairs : tuple of Confusion
        The commonest first.
    groups : tuple of ConfusedGroup
        Those with the most errors first.
    """

    labels: int
    errors: int
    pairs: tuple[Confusion, ...]
    groups: tuple[ConfusedGroup, ...]


def confusion_matrix(true: IntArray, predicted: IntArray, n_labels: int) -> csr_array:
    """Return how often each label (row) got each label (column), as a sparse matrix of shape (K, K).

    Rows of -1, those without a predicted label, are left out.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, -1]), 2).toarray().tolist()
    [[1, 1], [0, 0]]
    """
    kept = predicted >= 0
    cells = np.ones(int(kept.sum()), dtype=np.int64), (true[kept], predicted[kept])
    matrix = csr_array(cells, (n_labels, n_labels))
    matrix.sum_duplicates()
    return matrix


def confusions(matrix: csr_array, support: Sequence[int] | IntArray, most: int = MOST_CELLS) -> Confusions:
    """Return the commonest confusions, and the groups of labels that are mixed up.

    A group is what hangs together by pairs of which a tenth of the rarer label's texts are mixed up, at least twice.

    Parameters
    ----------
    matrix : sparse array of shape (K, K)
        As from `confusion_matrix`.
    support : array-like of shape (K,)
        Texts of each label.

    Examples
    --------
    >>> found = confusions(csr_array(np.array([[5, 3, 0], [2, 5, 0], [0, 0, 9]])), [8, 7, 9])
    >>> found.pairs[0], found.groups
    (Confusion(true=0, predicted=1, count=3, share=0.375), (ConfusedGroup(labels=(0, 1), errors=5, texts=15),))
    """
    cells, texts = matrix.tocoo(), np.asarray(support)
    wrong = cells.row != cells.col
    true, predicted, count = cells.row[wrong], cells.col[wrong], cells.data[wrong]
    first = np.lexsort((predicted, true, -count))[:most]
    pairs = tuple(
        Confusion(int(true[at]), int(predicted[at]), int(count[at]), float(count[at] / texts[true[at]]))
        for at in first
    )
    groups = _groups(csr_array((count, (true, predicted)), matrix.shape), texts)
    return Confusions(matrix.shape[0], int(count.sum()), pairs, groups[:MOST_GROUPS])


def _groups(errors: csr_array, texts: IntArray) -> tuple[ConfusedGroup, ...]:
    mixed = (errors + errors.T).tocoo()
    rarer = np.minimum(np.maximum(texts[mixed.row], 1), np.maximum(texts[mixed.col], 1))
    strong = (mixed.data >= LEAST_TIMES) & (mixed.data >= LEAST_MIXED * rarer)
    linked = csr_array((mixed.data[strong], (mixed.row[strong], mixed.col[strong])), errors.shape)
    count, group = connected_components(linked, directed=False)
    cells = errors.tocoo()
    within = group[cells.row] == group[cells.col]
    row, col, times = cells.row[within], cells.col[within], cells.data[within]
    busy = np.bincount(row, times, len(texts)) + np.bincount(col, times, len(texts))
    totals = np.bincount(group[row], times, count), np.bincount(group, texts, count)
    members = np.split(np.lexsort((-busy, group)), np.cumsum(np.bincount(group, minlength=count))[:-1])
    found = [
        ConfusedGroup(tuple(labels.tolist()), int(own), int(held))
        for labels, own, held in zip(members, *totals, strict=True)
        if len(labels) > 1
    ]
    return tuple(sorted(found, key=lambda own: -own.errors))


def mixed_up(true: BoolArray, predicted: BoolArray) -> csr_array:
    """Return how often a label was predicted beside a missing one, where rows may have several labels.

    A row in which label i was missed and label j was wrongly predicted counts once for that pair.

    Examples
    --------
    >>> mixed_up(np.array([[True, False, True]]), np.array([[True, True, False]])).toarray().tolist()
    [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    """
    missed, extra = (csr_array((own).astype(np.int64)) for own in (true & ~predicted, predicted & ~true))
    return csr_array(missed.T @ extra)
