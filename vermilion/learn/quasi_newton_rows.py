"""L-BFGS for many independent problems at once, one a row: each has its own step length and its own end.

One search over all of them together (`quasi_newton.search`) would have one line search and one tolerance: the labels
with most texts would decide when those with few are solved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from vermilion.learn.quasi_newton import DECREASE, LEAST_CURVATURE, LONGEST, MEMORY, MOST_CUTS, SHORTEST
from vermilion.types import BoolArray, FloatArray, IntArray

# Takes points of shape (m, p) and the numbers of their problems; returns values, shape (m,), and gradients (m, p).
RowsFunction = Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class RowsFound:
    """Where the searches ended.

    Attributes
    ----------
    x : ndarray of shape (m, p)
    n_iter : int
        Of the longest search.
    converged : ndarray of bool, shape (m,)
        False where `max_iter` came first.
    """

    x: FloatArray
    n_iter: int
    converged: BoolArray


@dataclass(slots=True)
class _Curvature:
    """What the last steps told of the curvature of each problem still searched."""

    steps: list[FloatArray] = field(default_factory=list)
    changes: list[FloatArray] = field(default_factory=list)

    def learn(self, step: FloatArray, change: FloatArray) -> None:
        """Take a step and the change of the gradient along it; rows where they are mere rounding count for nothing."""
        noise = _dot(step, change) <= LEAST_CURVATURE * _dot(change, change)
        step[noise] = change[noise] = 0
        self.steps, self.changes = [*self.steps, step][-MEMORY:], [*self.changes, change][-MEMORY:]

    def only(self, kept: BoolArray) -> None:
        """Forget the problems that are solved."""
        self.steps = [step[kept] for step in self.steps]
        self.changes = [change[kept] for change in self.changes]

    def direction(self, gradient: FloatArray) -> FloatArray:
        """Return minus the gradients times the inverse Hessians (two-loop recursion, row by row)."""
        direction = -gradient
        shares = []
        for step, change, inverse in self._pairs():
            share = inverse * _dot(step, direction)
            direction -= share[:, None] * change
            shares.append(share)
        if self.steps:
            step, change = self.steps[-1], self.changes[-1]
            squares = _dot(change, change)
            scale = np.divide(_dot(step, change), squares, where=squares > 0, out=np.ones_like(squares))
            direction *= scale[:, None]
        for (step, change, inverse), share in zip(
            reversed(list(self._pairs())), reversed(shares), strict=True
        ):
            direction += (share - inverse * _dot(change, direction))[:, None] * step
        return direction

    def _pairs(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Yield step, change and one over their product (0 where the row has no such pair), the latest first."""
        for step, change in zip(reversed(self.steps), reversed(self.changes), strict=True):
            product = _dot(step, change)
            yield step, change, np.divide(1, product, where=product > 0, out=np.zeros_like(product))


def search_rows(function: RowsFunction, start: FloatArray, *, tol: float, max_iter: int) -> RowsFound:
    """Minimise smooth convex functions by L-BFGS (Liu and Nocedal, 1989), each at least one step.

    A search ends where its next step is expected to take less than `tol` of its value off; the others go on without
    it.

    Parameters
    ----------
    function : callable
        Takes points, shape (m, p), and which problems they are of; returns values, which are positive, and gradients.
    start : ndarray of shape (K, p)
    tol : float
    max_iter : int

    Examples
    --------
    >>> def bowls(x, numbers):
    ...     curved = np.array([[1.0, 9.0], [4.0, 1.0]])[numbers]
    ...     return 1 + (curved * x * x).sum(axis=1), 2 * curved * x
    >>> found = search_rows(bowls, np.array([[3.0, 1.0], [1.0, 1.0]]), tol=1e-9, max_iter=50)
    >>> found.converged.tolist(), bool(np.abs(found.x).max() < 1e-3)
    ([True, True], True)
    """
    x = start.copy()
    converged = np.zeros(len(x), dtype=np.bool_)
    active = np.arange(len(x))
    values, gradients = function(x, active)
    curvature = _Curvature()
    n_iter = 0
    while len(active) and n_iter < max_iter:
        direction = curvature.direction(gradients)
        slopes = _dot(gradients, direction)
        going = slopes < 0 if n_iter == 0 else -slopes / 2 >= tol * values
        step, new_values, new_gradients, moved = _step(
            function, x[active], active, (values, gradients), (direction, slopes), going
        )
        x[active] += step
        curvature.learn(step, new_gradients - gradients)
        values, gradients = new_values, new_gradients
        n_iter += 1
        if not moved.all():
            converged[active[~moved]] = True
            active, values, gradients = active[moved], values[moved], gradients[moved]
            curvature.only(moved)
    return RowsFound(x, n_iter, converged)


def _step(
    function: RowsFunction,
    x: FloatArray,
    numbers: IntArray,
    here: tuple[FloatArray, FloatArray],
    way: tuple[FloatArray, FloatArray],
    going: BoolArray,
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Return the steps, the values and gradients after them, and which rows moved; a step too long is cut."""
    (values, gradients), (direction, slopes) = (here[0].copy(), here[1].copy()), way
    steps, moved = np.zeros_like(x), np.zeros(len(x), dtype=np.bool_)
    trying, lengths = np.flatnonzero(going), np.ones(int(going.sum()))
    for _ in range(MOST_CUTS):
        if not len(trying):
            break
        tried = lengths[:, None].astype(x.dtype) * direction[trying]
        found, slope_there = function(x[trying] + tried, numbers[trying])
        enough = found <= here[0][trying] + DECREASE * lengths * slopes[trying]
        rows = trying[enough]
        steps[rows], values[rows], gradients[rows] = tried[enough], found[enough], slope_there[enough]
        moved[rows] = True
        trying, lengths, found = trying[~enough], lengths[~enough], found[~enough]
        # Where the parabola through both values and the slope is lowest.
        rise = np.maximum(2 * (found - here[0][trying] - slopes[trying] * lengths), np.finfo(np.float64).tiny)
        lengths = lengths * np.clip(-slopes[trying] * lengths / rise, SHORTEST, LONGEST)
    return steps, values, gradients, moved


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    products: FloatArray = np.einsum("ij,ij->i", a, b)
    return products
