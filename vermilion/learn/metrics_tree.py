"""How right labels are where labels have parents: a label near the true one is better than one far off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from vermilion.learn.bootstrap import Ratios
from vermilion.types import BoolArray, FloatArray, IntArray

NAMES = ("hierarchical_precision", "hierarchical_recall", "hierarchical_f1")


def ancestors(parents: Sequence[int]) -> BoolArray:
    """Return which labels stand above each label, itself included, shape (K, K).

    Parameters
    ----------
    parents : sequence of int
        The number of each label's parent; -1 at the top.

    Examples
    --------
    >>> ancestors([-1, 0, 1]).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    above = np.eye(len(parents), dtype=np.bool_)
    at = np.asarray(parents)
    numbers = np.arange(len(parents))
    current = at.copy()
    while (going := current >= 0).any():
        above[numbers[going], current[going]] = True
        current[going] = at[current[going]]
    return above


def depths(above: BoolArray) -> IntArray:
    """Return the level of each label, 1 at the top, shape (K,)."""
    found: IntArray = above.sum(axis=1)
    return found


def tree_figures(true: IntArray, predicted: IntArray, above: BoolArray) -> Ratios:
    """Return hierarchical precision, recall and F1.

    Labels are compared with all that stand above them: precision is the share of what was predicted, groups included,
    that is true. Kiritchenko et al. (2006), Learning and evaluation in the presence of class hierarchies; as compared
    with other measures by Kosmopoulos et al. (2015), Evaluation measures for hierarchical classification.

    Parameters
    ----------
    true, predicted : ndarray of int, shape (n,)
        Label numbers; -1 is none.
    above : ndarray of bool, shape (K, K)
        As of `ancestors`; a label may have several parents.

    Examples
    --------
    >>> figures = tree_figures(np.array([2]), np.array([1]), ancestors([-1, 0, 1]))
    >>> figures.at(np.ones((1, 1))).round(3).tolist()
    [[1.0, 0.667, 0.8]]
    """
    sets = np.vstack([above, np.zeros(above.shape[1], dtype=np.bool_)])  # the last row, -1, has no labels
    sizes = sets.sum(axis=1).astype(np.float64)
    shared = _shared(sets, true, predicted)
    sums = sizes[predicted], sizes[true], sizes[predicted] + sizes[true]
    return Ratios(NAMES, np.column_stack([shared, shared, 2 * shared]), np.column_stack(sums))


def _shared(sets: BoolArray, true: IntArray, predicted: IntArray) -> FloatArray:
    """Return how many labels two sets have in common, each different pair of sets counted once."""
    pairs, place = np.unique(np.column_stack([true, predicted]), axis=0, return_inverse=True)
    counts = (sets[pairs[:, 0]] & sets[pairs[:, 1]]).sum(axis=1).astype(np.float64)
    shared: FloatArray = counts[place.ravel()]
    return shared


def level_accuracy(true: IntArray, predicted: IntArray, parents: Sequence[int]) -> Ratios:
    """Return how often the label is right at each level, 1 at the top, of the rows whose true label reaches it.

    A prediction that stops above a level is wrong there.

    Examples
    --------
    >>> figures = level_accuracy(np.array([1, 2]), np.array([2, 2]), [-1, 0, 0])
    >>> dict(zip(figures.names, figures.at(np.ones((1, 2)))[0].tolist()))
    {'accuracy_level_1': 1.0, 'accuracy_level_2': 0.5}
    """
    told = Levels.of(true, predicted, parents)
    return told.shares("accuracy_level", told.reaches)


def level_precision(true: IntArray, predicted: IntArray, parents: Sequence[int]) -> Ratios:
    """Return how often the label is right at each level, 1 at the top, of the rows that were placed so deep.

    Examples
    --------
    >>> figures = level_precision(np.array([1, 2, 2]), np.array([2, 2, 0]), [-1, 0, 0])
    >>> dict(zip(figures.names, figures.at(np.ones((1, 3)))[0].tolist()))
    {'precision_level_1': 1.0, 'precision_level_2': 0.5}
    """
    told = Levels.of(true, predicted, parents)
    return told.shares("precision_level", told.placed)


@dataclass(frozen=True, slots=True)
class Level:
    """How many rows have a label at a level, 1 at the top, how many were placed there, and of how many both agree."""

    number: int
    texts: int
    placed: int
    right: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Rows at each level of a tree, 1 at the top; all of shape (n, n_levels).

    Attributes
    ----------
    reaches : ndarray of bool
        Rows whose true label goes so deep.
    placed : ndarray of bool
        Rows whose predicted label does.
    right : ndarray of bool
        Rows of which the two agree there.
    """

    reaches: BoolArray
    placed: BoolArray
    right: BoolArray

    @classmethod
    def of(cls, true: IntArray, predicted: IntArray, parents: Sequence[int]) -> Self:
        """Return the levels of rows; a label of -1 reaches none."""
        above = ancestors(parents)
        level = depths(above)
        # The label above each label at each level; -1 where it does not go so deep.
        at_level = np.full((len(parents) + 1, int(level.max())), -1)
        label, up = np.nonzero(above)
        at_level[label, level[up] - 1] = up
        reaches, placed = at_level[true] >= 0, at_level[predicted] >= 0
        return cls(reaches, placed, (at_level[true] == at_level[predicted]) & reaches)

    def counts(self) -> tuple[Level, ...]:
        """Return how many rows each level has."""
        parts = (part.sum(axis=0).tolist() for part in (self.reaches, self.placed, self.right))
        return tuple(Level(place + 1, *own) for place, own in enumerate(zip(*parts, strict=True)))

    def shares(self, name: str, among: BoolArray) -> Ratios:
        """Return the share of rows that are right at each level, of those among which it is to be counted."""
        names = tuple(f"{name}_{number}" for number in range(1, among.shape[1] + 1))
        return Ratios(names, self.right.astype(np.float64), among.astype(np.float64))
