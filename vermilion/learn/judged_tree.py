"""Rows of one label each, which may stand under others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from vermilion.learn.bootstrap import Ratios, Statistic
from vermilion.learn.hierarchy import masses
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.metrics_confusion import confusion_matrix
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.metrics_ranking import OneVsRest
from vermilion.learn.metrics_tree import (
    Level,
    Levels,
    ancestors,
    depths,
    level_accuracy,
    level_precision,
    tree_figures,
)
from vermilion.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class OnePath(OneLabel):
    """Rows of one label each, with all that stands above it. A row may be placed at a group above its true label.

    Attributes
    ----------
    parents : tuple of int
        The parent of each label, -1 at the top. Columns of `proba` are of labels by themselves: 0 for groups without
        examples of their own.

    Examples
    --------
    >>> proba = np.array([[0.0, 0.5, 0.4, 0.1], [0.0, 0.1, 0.1, 0.8]])
    >>> judged = OnePath(np.array([1, 2]), np.array([0, 3]), proba, parents=(-1, 0, 0, -1))
    >>> judged.right.tolist(), judged.placed.tolist(), judged.confidence.round(1).tolist()
    ([False, False], [True, False], [0.9, 0.8])
    """

    parents: tuple[int, ...] = ()

    @property
    def placed(self) -> BoolArray:
        """Rows whose label is the true one or stands above it, shape (n,)."""
        return np.asarray(self.given & self._above[self.true, self.predicted])

    @property
    def confidence(self) -> FloatArray:
        """How likely what was predicted is, with all that stands under it, shape (n,); 0 for none."""
        own = np.take_along_axis(self._mass, np.maximum(self.predicted, 0)[:, None], axis=1)[:, 0]
        return np.where(self.given, own, 0.0)

    def claims(self) -> tuple[FloatArray, BoolArray]:
        """Return how likely each row's predicted label is, with all under it, and whether the row is rightly placed."""
        return self.confidence, self.placed

    def mixed(self) -> csr_array:
        """Return which labels are taken for which, shape (K, K), sparse. A group above the true label is no mistake."""
        backed_off = self.placed & ~self.right
        return confusion_matrix(self.true, np.where(backed_off, -1, self.predicted), self.proba.shape[1])

    def label_figures(self) -> LabelFigures:
        """Return what is counted label by label; a group that is true of no row by itself is none of the labels."""
        groups = np.setdiff1d(self.parents, self.true)
        predicted = np.where(np.isin(self.predicted, groups), -1, self.predicted)
        return LabelFigures.of_numbers(self.true, predicted, self.proba.shape[1])

    def row_figures(self) -> Ratios:
        """Return the means of what each row is worth."""
        return OneLabel.row_figures(replace(self, proba=self._told_apart()))

    def statistics(self) -> list[Statistic]:
        """Return all that is to be measured on the rows."""
        told = self.true, self.predicted
        return [
            *OneLabel.statistics(self),
            self._placements(),
            tree_figures(*told, self._above),
            level_accuracy(*told, self.parents),
            level_precision(*told, self.parents),
        ]

    def few(self) -> tuple[list[Statistic], tuple[str, ...]]:
        """Return the names of the few figures that groups of rows are compared by, and what gives them."""
        exact = Ratios.means({"accuracy": self.right})
        found: list[Statistic] = [
            exact,
            self._placements(),
            tree_figures(self.true, self.predicted, self._above),
        ]
        return found, ("hierarchical_f1", "placed_right", "placed_deep", "accuracy")

    def levels(self) -> tuple[Level, ...]:
        """Return how many rows each level of the tree has."""
        return Levels.of(self.true, self.predicted, self.parents).counts()

    def areas(self) -> OneVsRest:
        """Return how well each label's probabilities order the rows; of labels that have probabilities of their own."""
        return OneVsRest.of(self.proba, self.true, np.flatnonzero(self.proba.any(axis=0)))

    @cached_property
    def _above(self) -> BoolArray:
        return ancestors(self.parents)

    @cached_property
    def _mass(self) -> FloatArray:
        wide = np.zeros((len(self), len(self.parents)))
        wide[:, : self.proba.shape[1]] = self.proba
        return masses(wide, self.parents)

    def _placements(self) -> Ratios:
        level = np.append(depths(self._above), 0)  # the last one, -1, is none
        deep = level[self.predicted] >= level[self.true]
        return Ratios.means({"placed_right": self.placed, "placed_deep": deep})

    def _told_apart(self) -> FloatArray:
        """Return probabilities in which a group without examples of its own is one label on the rows it is true of."""
        proba = self.proba.copy()
        for group in np.setdiff1d(self.true, np.flatnonzero(proba.any(axis=0))).tolist():
            rows = np.flatnonzero(self.true == group)
            under = np.flatnonzero(self._above[: proba.shape[1], group])
            proba[np.ix_(rows, under)] = 0
            proba[rows, group] = self._mass[rows, group]
        return proba


def in_tree(judged: OneLabel, numbers: IntArray, tree: OnePath) -> OnePath:
    """Return what another model says of the rows of a tree, its labels numbered as there.

    It may know fewer of the labels, and none of the groups.

    Parameters
    ----------
    judged : OneLabel
        Of the same rows.
    numbers : ndarray of int, shape (K,)
        The number in the tree of each of its labels.
    tree : OnePath
    """
    proba = np.zeros((len(judged), tree.proba.shape[1]), dtype=judged.proba.dtype)
    proba[:, numbers] = judged.proba
    predicted = np.append(numbers, -1)[judged.predicted]
    return OnePath(tree.true, predicted, proba, None, tree.queries, tree.parents)
