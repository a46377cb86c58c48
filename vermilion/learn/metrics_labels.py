"""What labels predicted are worth, counted label by label: precision, recall, F1 and their averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from vermilion.learn.bootstrap import Estimate
from vermilion.learn.paired import wilson
from vermilion.types import BoolArray, FloatArray, IntArray

AVERAGES = ("micro", "macro", "weighted")
DELTA = 0.025


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labels of rows, as pairs of a row's number and a label's: a sparse matrix of ones."""

    rows: IntArray
    labels: IntArray

    @classmethod
    def of_numbers(cls, numbers: IntArray) -> Self:
        """Return the pairs of one label a row, shape (n,); -1 is none."""
        rows = np.flatnonzero(numbers >= 0)
        return cls(rows, numbers[rows])

    @classmethod
    def of_matrix(cls, matrix: BoolArray) -> Self:
        """Return the pairs of an indicator matrix, shape (n, K)."""
        return cls(*np.nonzero(matrix))

    def totals(self, weights: FloatArray, n_labels: int) -> FloatArray:
        """Return the weight of each label, shape (b, K), for weights of rows, shape (b, n)."""
        shape = (n_labels, weights.shape[1])
        ones = csr_array((np.ones(len(self.rows)), (self.labels, self.rows)), shape)
        totals: FloatArray = (ones @ weights.T).T
        return totals


@dataclass(frozen=True, slots=True)
class Tally:
    """Of each label, how often it was right, true and predicted; all of shape (..., K)."""

    right: FloatArray
    true: FloatArray
    predicted: FloatArray

    @property
    def precision(self) -> FloatArray:
        """Share of what was predicted that is right; nan where nothing was."""
        return _share(self.right, self.predicted)

    @property
    def recall(self) -> FloatArray:
        """Share of what is true that was predicted; nan where nothing is."""
        return _share(self.right, self.true)

    @property
    def f1(self) -> FloatArray:
        """Harmonic mean of the two; nan where a label neither is true nor was predicted."""
        return _share(2 * self.right, self.true + self.predicted)

    @property
    def occurs(self) -> BoolArray:
        """Labels that are true or predicted somewhere: those that averages go over, as in scikit-learn."""
        there: BoolArray = (self.true + self.predicted) > 0
        return there

    def averages(self) -> FloatArray:
        """Return precision, recall and F1 by micro, macro and weighted average, shape (..., 9).

        Averages go over labels that occur. In macro and weighted ones a label counts 0 where its own figure has nothing
        below the line, as with scikit-learn's `zero_division=0`.
        """
        parts = (self.right, self.true, self.predicted)
        total = Tally(*(part.sum(axis=-1, keepdims=True) for part in parts))
        count = self.occurs.sum(axis=-1)
        found = []
        for own, overall in (
            (self.precision, total.precision),
            (self.recall, total.recall),
            (self.f1, total.f1),
        ):
            known = np.nan_to_num(own)
            weighted = _share((known * self.true).sum(axis=-1), total.true[..., 0])
            found += [overall[..., 0], _share(known.sum(axis=-1), count), weighted]
        return np.stack(found, axis=-1)

    def balanced_accuracy(self) -> FloatArray:
        """Return the mean recall of the labels that are true somewhere, shape (...)."""
        there = self.true > 0
        return _share(np.where(there, np.nan_to_num(self.recall), 0.0).sum(axis=-1), there.sum(axis=-1))


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Averages over labels of rows that may count several times; a `Statistic` of the bootstrap.

    Attributes
    ----------
    true, predicted, right : Pairs
    n_rows, n_labels : int
    single : bool
        Whether rows have one label each: then there are balanced accuracy and Matthews' correlation, too.
    """

    true: Pairs
    predicted: Pairs
    right: Pairs
    n_rows: int
    n_labels: int
    single: bool

    @classmethod
    def of_numbers(cls, true: IntArray, predicted: IntArray, n_labels: int) -> Self:
        """Return the figures of one label a row; -1 is none."""
        right = Pairs.of_numbers(np.where(true == predicted, true, -1))
        pairs = Pairs.of_numbers(true), Pairs.of_numbers(predicted)
        return cls(*pairs, right, len(true), n_labels, True)

    @classmethod
    def of_matrices(cls, true: BoolArray, predicted: BoolArray) -> Self:
        """Return the figures of any number of labels a row, as indicator matrices of shape (n, K)."""
        right = Pairs.of_matrix(true & predicted)
        pairs = Pairs.of_matrix(true), Pairs.of_matrix(predicted)
        return cls(*pairs, right, len(true), true.shape[1], False)

    @property
    def names(self) -> tuple[str, ...]:
        averages = tuple(f"{what}_{how}" for what in ("precision", "recall", "f1") for how in AVERAGES)
        return averages + (("balanced_accuracy", "mcc") if self.single else ())

    @property
    def sizes(self) -> FloatArray:
        """A macro-average over K labels is worth `K**2 / sum(1 / n_k)` rows: what its variance says."""
        own = self.tally().true
        own = own[own > 0]
        macro = len(own) ** 2 / (1 / own).sum() if len(own) else np.inf
        sizes = [float(self.n_rows), macro, float(self.n_rows)] * 3
        return np.array(sizes + [macro, float(self.n_rows)] * self.single)

    def tally(self, weights: FloatArray | None = None) -> Tally:
        """Return the counts of each label."""
        pairs = (self.right, self.true, self.predicted)
        if weights is None:
            return Tally(*(own.totals(np.ones((1, self.n_rows)), self.n_labels)[0] for own in pairs))
        return Tally(*(own.totals(weights, self.n_labels) for own in pairs))

    def at(self, weights: FloatArray) -> FloatArray:
        """Return the figures in the order of `names`, shape (b, m)."""
        tally = self.tally(weights)
        averages = tally.averages()
        if not self.single:
            return averages
        own = tally.balanced_accuracy(), matthews(tally, weights.sum(axis=-1))
        return np.column_stack([averages, *own])


def matthews(tally: Tally, n: FloatArray | float) -> FloatArray:
    """Return Matthews' correlation of several labels; nan where only one is true, or one predicted.

    Gorodkin (2004), Comparing two K-category assignments by a K-category correlation coefficient. Rows that have no
    label predicted count as a label of their own. scikit-learn returns 0 where this is not defined.

    Parameters
    ----------
    tally : Tally
        Of shape (..., K).
    n : float or ndarray of shape (...)
        The rows.

    Examples
    --------
    >>> tally = Tally(np.array([2.0, 1.0]), np.array([2.0, 2.0]), np.array([3.0, 1.0]))
    >>> matthews(tally, 4).round(3).item()
    0.577
    """
    none = n - tally.predicted.sum(axis=-1)
    spread_true = n**2 - (tally.true**2).sum(axis=-1)
    spread_predicted = n**2 - (tally.predicted**2).sum(axis=-1) - none**2
    together = tally.right.sum(axis=-1) * n - (tally.true * tally.predicted).sum(axis=-1)
    return _share(np.asarray(together), np.sqrt(np.maximum(spread_true * spread_predicted, 0.0)))


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's figures.

    Attributes
    ----------
    label : int
    support, predicted, right : int
        Rows where it is true, where it was predicted, and both.
    precision, recall, f1 : Estimate
        With Wilson's intervals: all three are shares, or grow with one.
    """

    label: int
    support: int
    predicted: int
    right: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


def label_scores(tally: Tally) -> tuple[LabelScore, ...]:
    """Return the figures of each label that occurs, in their order.

    F1 is `2 q / (1 + q)` of the share `q = right / (true or predicted)`, so Wilson's bounds of `q` give its own.

    Examples
    --------
    >>> score = label_scores(Tally(np.array([8.0]), np.array([10.0]), np.array([8.0])))[0]
    >>> round(score.recall.lower, 3), round(score.f1.value, 3), round(score.f1.lower, 3)
    (0.49, 0.889, 0.658)
    """
    found = []
    for number in np.flatnonzero(tally.occurs):
        right, true, predicted = (int(part[number]) for part in (tally.right, tally.true, tally.predicted))
        either = _proportion(right, true + predicted - right, "")
        found.append(
            LabelScore(
                int(number),
                true,
                predicted,
                right,
                _proportion(right, predicted, "never predicted"),
                _proportion(right, true, "no text carries it"),
                _doubled(either),
            )
        )
    return tuple(found)


def _doubled(share: Estimate) -> Estimate:
    """Return `2 q / (1 + q)` of a share and of its bounds."""
    value, lower, upper = (
        None if q is None else 2 * q / (1 + q) for q in (share.value, share.lower, share.upper)
    )
    return Estimate(value, lower, upper, share.reason)


def _proportion(count: int, n: int, reason: str) -> Estimate:
    if not n:
        return Estimate(None, None, None, reason)
    lower, upper = wilson(count / n, n, DELTA)
    return Estimate(count / n, lower, upper)


def _share(above: FloatArray, below: FloatArray) -> FloatArray:
    share: FloatArray = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return share
