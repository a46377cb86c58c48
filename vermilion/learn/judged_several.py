"""Rows of any number of labels each, none included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from vermilion.learn import metrics_rows as rows_of
from vermilion.learn.bootstrap import Ratios, Statistic
from vermilion.learn.judged import Judged
from vermilion.learn.metrics_confusion import mixed_up
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.types import BoolArray, FloatArray


@dataclass(frozen=True)
class SeveralLabels(Judged):
    """Rows of any number of labels; `true` and `predicted` are indicator matrices of shape (n, K).

    Examples
    --------
    >>> true, said = np.array([[True, True], [False, False]]), np.array([[True, False], [False, False]])
    >>> judged = SeveralLabels(true, said, np.array([[0.9, 0.4], [0.2, 0.1]]))
    >>> judged.right.tolist(), judged.given.tolist(), judged.confidence.tolist()
    ([False, True], [True, False], [0.6, 0.8])
    """

    @property
    def given(self) -> BoolArray:
        """Rows that were given a label, shape (n,)."""
        return np.asarray(self.predicted.any(axis=1))

    @property
    def confidence(self) -> FloatArray:
        """How likely the least certain decision on each row is, shape (n,)."""
        sure: FloatArray = np.where(self.predicted, self.proba, 1 - self.proba).min(axis=1)
        return sure

    @property
    def indicator(self) -> BoolArray:
        """Which labels are true of each row, shape (n, K)."""
        return self.true

    def carries(self, number: int) -> BoolArray:
        """Return of which rows a label is true, shape (n,)."""
        return np.asarray(self.true[:, number])

    def claims(self) -> tuple[FloatArray, BoolArray]:
        """Return how likely each label is and whether it is true, both of shape (n, K)."""
        return self.proba, self.true

    def mixed(self) -> csr_array:
        """Return which labels are predicted beside which missing ones, shape (K, K), sparse."""
        return mixed_up(self.true, self.predicted)

    def label_figures(self) -> LabelFigures:
        """Return what is counted label by label."""
        return LabelFigures.of_matrices(self.true, self.predicted)

    def row_figures(self) -> Ratios:
        """Return the means of what each row is worth."""
        return Ratios.means(
            {
                "subset_accuracy": self.right,
                "hamming_loss": (self.true != self.predicted).mean(axis=1),
                "lrap": rows_of.ranking_precisions(self.proba, self.true),
                "mrr": rows_of.reciprocal_ranks(self.proba, self.true),
                "log_loss": rows_of.mean_log_losses(self.proba, self.true),
                "brier": rows_of.mean_brier_scores(self.proba, self.true),
            }
        )

    def few(self) -> tuple[list[Statistic], tuple[str, ...]]:
        """Return the names of the few figures that groups of rows are compared by, and what gives them."""
        found: list[Statistic] = [Ratios.means({"subset_accuracy": self.right}), self.label_figures()]
        return found, ("subset_accuracy", "f1_micro", "f1_macro")
