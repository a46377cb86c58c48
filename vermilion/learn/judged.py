"""Texts whose labels are known, and what a model says of them: all that figures of a test are made from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vermilion.learn import metrics_rows as rows_of
from vermilion.learn.bootstrap import Ratios, Statistic
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.metrics_ranking import OneVsRest
from vermilion.learn.metrics_tree import Level
from vermilion.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Judged(ABC):
    """What all kinds of labels share; each kind says what a row's labels are, and which figures it has.

    Attributes
    ----------
    true, predicted : ndarray of shape (n, ...)
        Of each row; `OneLabel` and `SeveralLabels` say how.
    proba : ndarray of shape (n, K)
        A column for each label.
    """

    true: NDArray[Any]
    predicted: NDArray[Any]
    proba: FloatArray

    def __len__(self) -> int:
        return len(self.proba)

    @property
    def right(self) -> BoolArray:
        """Rows whose labels are all right, shape (n,)."""
        same = (self.true == self.predicted).reshape(len(self), -1)
        return np.asarray(same.all(axis=1))

    @property
    @abstractmethod
    def given(self) -> BoolArray:
        """Rows that were given a label, shape (n,)."""

    @property
    @abstractmethod
    def confidence(self) -> FloatArray:
        """How sure the model is of what it predicted, shape (n,)."""

    @property
    @abstractmethod
    def indicator(self) -> BoolArray:
        """Which labels are true of each row, shape (n, K)."""

    @abstractmethod
    def carries(self, number: int) -> BoolArray:
        """Return of which rows a label is true, shape (n,)."""

    @abstractmethod
    def claims(self) -> tuple[FloatArray, BoolArray]:
        """Return the probabilities that are held to their word, and whether what they speak of happened.

        Both of shape (n,), or (n, K) where each label is a claim of its own.
        """

    @abstractmethod
    def mixed(self) -> csr_array:
        """Return which labels are taken for which, shape (K, K), sparse."""

    @abstractmethod
    def label_figures(self) -> LabelFigures:
        """Return what is counted label by label."""

    @abstractmethod
    def row_figures(self) -> Ratios:
        """Return the means of what each row is worth."""

    def statistics(self) -> list[Statistic]:
        """Return all that is to be measured on the rows."""
        calibration = CalibrationError(rows_of.calibration_gaps(*self.claims()))
        return [self.row_figures(), self.label_figures(), self.areas().figures, calibration]

    @abstractmethod
    def few(self) -> tuple[list[Statistic], tuple[str, ...]]:
        """Return the names of the few figures that groups of rows are compared by, and what gives them."""

    @property
    def looked_for(self) -> int | None:
        """The one label that a test is about; None where all labels count alike."""
        return None

    def areas(self) -> OneVsRest:
        """Return how well each label's probabilities order the rows."""
        return OneVsRest.of(self.proba, self.true)

    @property
    def together(self) -> IntArray | None:
        """Which rows depend on each other, as numbers of groups, shape (n,); None where each stands for itself."""
        return None

    @property
    def placed(self) -> BoolArray:
        """Rows whose labels are true as far as they go, shape (n,): all that are right, and in a tree some more."""
        return self.right

    def levels(self) -> tuple[Level, ...]:
        """Return how many rows each level of the labels has; none where labels have no parents."""
        return ()

    def by_query(self) -> dict[str, FloatArray]:
        """Return figures of queries, each of shape (n_queries,); none where rows are no candidates of queries."""
        return {}

    def at(self, rows: IntArray | BoolArray) -> Self:
        """Return some of the rows."""
        own = self.true[rows], self.predicted[rows], self.proba[rows]
        return replace(self, true=own[0], predicted=own[1], proba=own[2])


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The expected calibration error over equal-width bins of probability; a `Statistic` of the bootstrap.

    Attributes
    ----------
    gaps : ndarray of shape (n, bins)
        As of `metrics_rows.calibration_gaps`.
    """

    gaps: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        return ("ece",)

    @property
    def sizes(self) -> FloatArray:
        return np.array([float(len(self.gaps))])

    def at(self, weights: FloatArray) -> FloatArray:
        """Return the error, shape (b, 1)."""
        error: FloatArray = np.abs(weights @ self.gaps).sum(axis=1) / weights.sum(axis=1)
        return error[:, None]
