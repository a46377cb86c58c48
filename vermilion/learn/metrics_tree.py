"""How right labels are where labels have parents: a label near the true one is better than one far off."""

from __future__ import annotations

from collections.abc import Sequence

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
    above = ancestors(parents)
    level = depths(above)
    deepest = int(level.max())
    # The label above each label at each level; -1 where it does not go so deep.
    at_level = np.full((len(parents) + 1, deepest), -1)
    label, up = np.nonzero(above)
    at_level[label, level[up] - 1] = up
    reaches = at_level[true] >= 0
    right = (at_level[true] == at_level[predicted]) & reaches
    names = tuple(f"accuracy_level_{number}" for number in range(1, deepest + 1))
    return Ratios(names, right.astype(np.float64), reaches.astype(np.float64))
