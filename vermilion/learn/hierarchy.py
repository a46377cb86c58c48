"""Labels that stand under others: what a group is as likely as, and how far down a text can be placed.

Labels are numbered, and `parents` has the number of each one's parent, -1 at the top. A class is a label that texts
have by themselves: a leaf, or a group with examples of its own. Only classes have probabilities that are learned; a
group is as likely as all classes under it together, itself included, so no label is likelier than the one above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from vermilion.types import BoolArray, FloatArray, IntArray

# Rows times labels that are looked at at once: the masses of more would not fit into the memory of a small machine.
CELLS = 20_000_000


def numbered(names: Sequence[str], above: Sequence[str | None]) -> IntArray:
    """Return the number of each label's parent, -1 at the top, shape (K,).

    Raises
    ------
    ValueError
        A parent is no label, or is its own ancestor.

    Examples
    --------
    >>> numbered(["cards", "lost_card", "rent"], [None, "cards", None]).tolist()
    [-1, 0, -1]
    """
    place = {name: number for number, name in enumerate(names)}
    if unknown := [name for name in above if name is not None and name not in place]:
        raise ValueError(f"the parent {unknown[0]!r} is no label")
    parents = np.array([-1 if name is None else place[name] for name in above], dtype=np.int64)
    levels(parents)
    return parents


def levels(parents: Sequence[int] | IntArray) -> tuple[IntArray, ...]:
    """Return the labels of each level, from the top.

    Raises
    ------
    ValueError
        A label does not hang from the top: its ancestors form a circle, or one of them is no label.

    Examples
    --------
    >>> [level.tolist() for level in levels([-1, 0, 0, 2])]
    [[0], [1, 2], [3]]
    """
    above = np.asarray(parents, dtype=np.int64)
    found = [np.flatnonzero(above == -1)]
    while len(below := np.flatnonzero(np.isin(above, found[-1]))):
        found.append(below)
    if sum(map(len, found)) != len(above):
        lost = np.setdiff1d(np.arange(len(above)), np.concatenate(found)).tolist()
        raise ValueError(f"labels {lost[:5]} do not hang from the top")
    return tuple(found)


def masses(proba: FloatArray, parents: Sequence[int] | IntArray) -> FloatArray:
    """Return the probability of each label with all that stands under it, float64, shape (n, K).

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Of each class by itself; 0 for groups without examples of their own.
    parents : sequence of int, shape (K,)

    Examples
    --------
    >>> masses(np.array([[0.1, 0.4, 0.2, 0.3]]), [-1, 0, 0, -1]).round(2).tolist()
    [[0.7, 0.4, 0.2, 0.3]]
    """
    above, mass = np.asarray(parents), np.array(proba, dtype=np.float64)
    for level in reversed(levels(parents)[1:]):
        # One sorted pass a level: labels of one parent stand together, and are added up at once.
        order = level[np.argsort(above[level], kind="stable")]
        owners, starts = np.unique(above[order], return_index=True)
        mass[:, owners] += np.add.reduceat(mass[:, order], starts, axis=1)
    return mass


@dataclass(frozen=True, slots=True)
class Ways:
    """For each row the way down the tree by the likeliest label at each step, to a class.

    It ends at a leaf, or at a group that is likelier by its own examples than any label under it.

    Attributes
    ----------
    steps : ndarray of int, shape (n, n_levels)
        The labels on the way down; where it ends early, the last one again.
    mass : ndarray of float, shape (n, n_levels)
        How likely those are, with all that stands under them; -1 past the end.
    """

    steps: IntArray
    mass: FloatArray

    @classmethod
    def of(cls, proba: FloatArray, parents: Sequence[int] | IntArray) -> Self:
        """Find the ways of rows of probabilities, shape (n, K)."""
        rows = max(1, CELLS // max(1, proba.shape[1]))
        starts = range(0, max(1, len(proba)), rows)
        parts = [_down(proba[start : start + rows], parents) for start in starts]
        steps, mass = (np.concatenate(some) for some in zip(*parts, strict=True))
        return cls(steps, mass)

    def placed(self, least: float) -> IntArray:
        """Return one label for each row, as deep as it is sure enough, shape (n,).

        The deepest label on the way down that is at least so likely; the one at the top where none is.

        Parameters
        ----------
        least : float
            0 always goes down to a class.

        Examples
        --------
        >>> proba = np.array([[0.0, 0.3, 0.3, 0.4], [0.0, 0.6, 0.1, 0.3]])
        >>> ways = Ways.of(proba, [-1, 0, 0, -1])
        >>> ways.placed(0.0).tolist(), ways.placed(0.5).tolist()
        ([1, 1], [0, 1])
        """
        # Masses fall on the way down, so as many steps are sure enough as reach `least`.
        depth = np.maximum((self.mass >= max(least, 0.0)).sum(axis=1), 1) - 1
        label: IntArray = self.steps[np.arange(len(depth)), depth]
        return label


def _down(proba: FloatArray, parents: Sequence[int] | IntArray) -> tuple[IntArray, FloatArray]:
    """Return the labels on the way down and how likely they are, both of shape (n, n_levels)."""
    above, mass, (first, *below) = np.asarray(parents), masses(proba, parents), levels(parents)
    rows = np.arange(len(proba))
    steps = [first[mass[:, first].argmax(axis=1)]]
    reached = [mass[rows, steps[0]]]
    for level in below:
        # Of the labels at this level only the children of where a row stands come into question.
        inside = np.where(above[level][None, :] == steps[-1][:, None], mass[:, level], -1.0)
        best = inside.argmax(axis=1)
        going = (inside[rows, best] >= proba[rows, steps[-1]]) & (reached[-1] >= 0)
        reached.append(np.where(going, inside[rows, best], -1.0))
        steps.append(np.where(going, level[best], steps[-1]))
    return np.stack(steps, axis=1), np.stack(reached, axis=1)


def paths(labels: IntArray, parents: Sequence[int] | IntArray) -> BoolArray:
    """Return which labels each row has: its own and all above it, shape (n, K).

    Examples
    --------
    >>> paths(np.array([2, 0]), [-1, 0, 1]).astype(int).tolist()
    [[1, 1, 1], [1, 0, 0]]
    """
    above = np.asarray(parents)
    chosen = np.zeros((len(labels), len(above)), dtype=np.bool_)
    at, rows = labels.copy(), np.arange(len(labels))
    while len(rows):
        chosen[rows, at] = True
        at = above[at]
        rows, at = rows[at >= 0], at[at >= 0]
    return chosen


@dataclass(frozen=True, slots=True)
class Backoff:
    """What one value of `least` gives on rows whose labels are known.

    Attributes
    ----------
    least : float
    right : float
        Share of rows whose label is the true one or stands above it.
    deep : float
        Share of rows that were placed as deep as their true label, or deeper.
    precision, recall, f1 : float
        Hierarchical: of all labels on the predicted paths the share that is on the true ones, of the true ones the
        share that is predicted, and their harmonic mean (Kiritchenko et al., 2006).
    wrong, missing : float
        Labels a row that are predicted and not true, and true and not predicted.
    """

    least: float
    right: float
    deep: float
    precision: float
    recall: float
    f1: float
    wrong: float
    missing: float


def backoffs(
    proba: FloatArray, y: IntArray, parents: Sequence[int] | IntArray, grid: Sequence[float] | None = None
) -> tuple[Backoff, ...]:
    """Return what each value of `least` gives, on probabilities of rows that were held out.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Calibrated; n from 1.
    y : ndarray of int, shape (n,)
        True labels.
    parents : sequence of int, shape (K,)
    grid : sequence of float, optional
        By default 0 to 0.99 in hundredths.

    Examples
    --------
    >>> proba = np.array([[0.0, 0.6, 0.4], [0.0, 0.9, 0.1]])
    >>> [(b.least, b.right, b.f1) for b in backoffs(proba, np.array([2, 1]), [-1, 0, 0], [0.0, 0.7])]
    [(0.0, 0.5, 0.75), (0.7, 1.0, 0.857...)]
    """
    values = np.arange(100) / 100 if grid is None else np.asarray(grid, dtype=np.float64)
    ways, above = Ways.of(proba, parents), paths(np.arange(len(parents)), parents)
    return tuple(_backoff(float(least), ways.placed(float(least)), y, above) for least in values)


def _backoff(least: float, label: IntArray, y: IntArray, above: BoolArray) -> Backoff:
    said, true = above[label], above[y]
    shared, n = int((said & true).sum()), len(y)
    told, meant = int(said.sum()), int(true.sum())
    return Backoff(
        least,
        float(above[y, label].mean()),
        float((said.sum(axis=1) >= true.sum(axis=1)).mean()),
        shared / told,
        shared / meant,
        2 * shared / (told + meant),
        (told - shared) / n,
        (meant - shared) / n,
    )


def best_backoff(found: Sequence[Backoff], loss: Callable[[Backoff], float]) -> Backoff:
    """Return the one with the smallest loss; of equals the one that places rows deepest.

    Examples
    --------
    >>> proba = np.array([[0.0, 0.6, 0.4], [0.0, 0.9, 0.1]])
    >>> found = backoffs(proba, np.array([2, 1]), [-1, 0, 0], [0.0, 0.7, 0.95])
    >>> best_backoff(found, lambda one: -one.f1).least
    0.7
    """
    return min(found, key=lambda one: (loss(one), one.least))
