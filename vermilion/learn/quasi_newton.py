"""L-BFGS that remembers: a later search on nearly the same function begins with what the one before has learned.

SciPy's begins every search anew, and tells neither the gradient where it stopped nor the curvature it saw. With
both a classifier that gets 500 more rows is at its new optimum after one pass over the rows, not after twelve
(docs/design/solver.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.types import FloatArray

Function = Callable[[FloatArray], tuple[float, FloatArray]]

MEMORY = 10
# Sufficient decrease (Armijo), and how far a step that is too long is cut at once.
DECREASE, SHORTEST, LONGEST = 1e-4, 0.1, 0.5
MOST_CUTS = 20
# A pair of vectors with less curvature than that is noise of rounding.
LEAST_CURVATURE = 1e-10


@dataclass(frozen=True, slots=True)
class Point:
    """A place, the function there, and its gradient."""

    x: FloatArray
    value: float
    gradient: FloatArray


@dataclass(frozen=True, slots=True)
class Pair:
    """What one step told of the curvature: the step, the change of the gradient along it."""

    step: FloatArray
    change: FloatArray

    @property
    def curvature(self) -> float:
        """Their product."""
        return float(np.vdot(self.step, self.change))


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search ended, and what a later one may begin with.

    Attributes
    ----------
    point : Point
    pairs : tuple of Pair
        The latest, at most `MEMORY`.
    n_iter : int
    converged : bool
        False where `max_iter` came first.
    """

    point: Point
    pairs: tuple[Pair, ...]
    n_iter: int
    converged: bool


def search(
    function: Function, start: Point, pairs: Sequence[Pair] = (), *, tol: float, max_iter: int
) -> Found:
    """Minimise a smooth convex function by L-BFGS (Liu and Nocedal, 1989), at least one step of it.

    It stops where a step is expected to take less than `tol` of the value off. The expectation is half the slope
    along the step, which is right where the curvature is known; so no pass is spent on a step that gains nothing.

    Parameters
    ----------
    function : callable
        Takes an array, returns the value, which is positive, and the gradient.
    start : Point
    pairs : sequence of Pair
        Of an earlier search on nearly this function.

    Examples
    --------
    >>> def bowl(x):
    ...     return float(1 + x @ (x * [1, 9])), 2 * x * [1, 9]
    >>> x = np.array([3.0, 1.0])
    >>> found = search(bowl, Point(x, *bowl(x)), tol=1e-9, max_iter=50)
    >>> found.converged, bool(np.abs(found.point.x).max() < 1e-3)
    (True, True)
    """
    point, known = start, list(pairs)
    for n_iter in range(max_iter):
        direction = _direction(point.gradient, known)
        slope = float(np.vdot(point.gradient, direction))
        if n_iter and -slope / 2 < tol * point.value:
            return Found(point, tuple(known), n_iter, converged=True)
        following = _step(function, point, direction, slope)
        if following is None:
            return Found(point, tuple(known), max(n_iter, 1), converged=True)
        pair = Pair(following.x - point.x, following.gradient - point.gradient)
        if pair.curvature > LEAST_CURVATURE * float(np.vdot(pair.change, pair.change)):
            known = [*known, pair][-MEMORY:]
        point = following
    return Found(point, tuple(known), max_iter, converged=False)


def _direction(gradient: FloatArray, pairs: Sequence[Pair]) -> FloatArray:
    """Return minus the gradient times the inverse Hessian as the pairs tell it (two-loop recursion)."""
    direction = -gradient
    shares = []
    for pair in reversed(pairs):
        share = np.vdot(pair.step, direction) / pair.curvature
        direction -= share * pair.change
        shares.append(share)
    if pairs:
        last = pairs[-1]
        direction *= last.curvature / float(np.vdot(last.change, last.change))
    for pair, share in zip(pairs, reversed(shares), strict=True):
        direction += (share - np.vdot(pair.change, direction) / pair.curvature) * pair.step
    return direction


def _step(function: Function, point: Point, direction: FloatArray, slope: float) -> Point | None:
    """Return the point one step ahead, cut until the value falls enough; None where no step lowers it."""
    if slope >= 0:
        return None
    length = 1.0
    for _ in range(MOST_CUTS):
        x = point.x + point.x.dtype.type(length) * direction
        value, gradient = function(x)
        if value <= point.value + DECREASE * length * slope:
            return Point(x, value, gradient)
        # Where the parabola through both values and the slope is lowest.
        lowest = -slope * length / (2 * (value - point.value - slope * length))
        length *= min(max(lowest, SHORTEST), LONGEST)
    return None
