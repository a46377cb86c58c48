"""Rows of one label each: of many, or of two of which one is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vermilion.learn import metrics_rows as rows_of
from vermilion.learn.bootstrap import Ratios, Statistic
from vermilion.learn.judged import Judged
from vermilion.learn.metrics_confusion import confusion_matrix
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.metrics_ranking import OneVsRest
from vermilion.learn.metrics_retrieval import query_figures
from vermilion.types import BoolArray, FloatArray, IntArray

TOP = (3, 5, 10)


@dataclass(frozen=True)
class OneLabel(Judged):
    """Rows of one label each; `true` and `predicted` are numbers of shape (n,), -1 for none. Rows of `proba` sum to 1.

    Attributes
    ----------
    positive : int or None
        Of two labels, the one that is looked for.
    queries : ndarray of int, shape (n,), or None
        Which query each row is a candidate for; where there is a `positive`, it says which candidates are relevant.

    Examples
    --------
    >>> proba = np.array([[0.8, 0.2], [0.3, 0.7]])
    >>> judged = OneLabel(np.array([0, 0]), np.array([0, -1]), proba)
    >>> judged.right.tolist(), judged.given.tolist(), judged.confidence.tolist()
    ([True, False], [True, False], [0.8, 0.0])
    """

    positive: int | None = None
    queries: IntArray | None = None

    @property
    def given(self) -> BoolArray:
        """Rows that were given a label, shape (n,)."""
        return np.asarray(self.predicted >= 0)

    @property
    def confidence(self) -> FloatArray:
        """How likely what was predicted is, shape (n,); 0 for none."""
        own = np.take_along_axis(self.proba, np.maximum(self.predicted, 0)[:, None], axis=1)[:, 0]
        return np.where(self.given, own, 0.0)

    @property
    def indicator(self) -> BoolArray:
        """Which labels are true of each row, shape (n, K)."""
        matrix: BoolArray = self.true[:, None] == np.arange(self.proba.shape[1])
        return matrix

    def carries(self, number: int) -> BoolArray:
        """Return of which rows a label is true, shape (n,)."""
        return np.asarray(self.true == number)

    def claims(self) -> tuple[FloatArray, BoolArray]:
        """Return how likely each row's likeliest label is, and whether it is the true one, both of shape (n,)."""
        return self.proba.max(axis=1), np.asarray(self.proba.argmax(axis=1) == self.true)

    def mixed(self) -> csr_array:
        """Return which labels are taken for which, shape (K, K), sparse."""
        return confusion_matrix(self.true, self.predicted, self.proba.shape[1])

    def label_figures(self) -> LabelFigures:
        """Return what is counted label by label."""
        return LabelFigures.of_numbers(self.true, self.predicted, self.proba.shape[1])

    def row_figures(self) -> Ratios:
        """Return the means of what each row is worth."""
        proba, y = self.proba, self.true
        rank, n_labels = rows_of.ranks(proba, y), proba.shape[1]
        columns: dict[str, NDArray[Any]] = {"accuracy": self.right}
        columns |= {f"top_{k}_accuracy": rank <= k for k in TOP if k < n_labels}
        columns |= {"mrr": 1 / rank} if n_labels > 2 else {}
        columns |= {"log_loss": rows_of.log_losses(proba, y), "brier": rows_of.brier_scores(proba, y)}
        return Ratios.means(columns)

    def statistics(self) -> list[Statistic]:
        """Return all that is to be measured on the rows."""
        return [*Judged.statistics(self), *self._of_positive()]

    def few(self) -> tuple[list[Statistic], tuple[str, ...]]:
        """Return the names of the few figures that groups of rows are compared by, and what gives them."""
        of_positive = self._of_positive()
        names = ("accuracy", *(of_positive[0].names if of_positive else ("f1_macro",)))
        return [Ratios.means({"accuracy": self.right}), self.label_figures(), *of_positive], names

    @property
    def looked_for(self) -> int | None:
        """Of two labels, the one that is looked for."""
        return self.positive

    def areas(self) -> OneVsRest:
        """Return how well each label's probabilities order the rows; of two labels, those of the one looked for."""
        columns = None if self.positive is None else np.array([self.positive])
        return OneVsRest.of(self.proba, self.true, columns)

    @property
    def together(self) -> IntArray | None:
        """Which rows are candidates of one query: they have a text in common."""
        return self.queries

    def by_query(self) -> dict[str, FloatArray]:
        """Return how well the candidates of each query are ordered, each of shape (n_queries,)."""
        if self.queries is None or self.positive is None:
            return {}
        return query_figures(self.queries, self.true == self.positive, self.proba[:, self.positive])

    def at(self, rows: IntArray | BoolArray) -> Self:
        """Return some of the rows."""
        found = Judged.at(self, rows)
        return found if self.queries is None else replace(found, queries=self.queries[rows])

    def _of_positive(self) -> list[Ratios]:
        """Return precision, recall and F1 of the label that is looked for, where there is one."""
        if self.positive is None:
            return []
        true, predicted = ((part == self.positive).astype(np.float64) for part in (self.true, self.predicted))
        both = true * predicted
        above, below = (both, both, 2 * both), (predicted, true, predicted + true)
        return [Ratios(("precision", "recall", "f1"), np.column_stack(above), np.column_stack(below))]
