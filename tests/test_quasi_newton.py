"""The search finds minima, uses what an earlier one learned, and ends where nothing more can be gained."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.quasi_newton import MEMORY, Function, Point, search
from vermilion.types import FloatArray


def quartic(scales: FloatArray, shift: float = 0.0) -> Function:
    """Return a convex function that is no parabola, lowest (1) at `shift` everywhere."""

    def function(x: FloatArray) -> tuple[float, FloatArray]:
        away = x - shift
        return float(1 + scales @ (away**2 + away**4)), scales * (2 * away + 4 * away**3)

    return function


def at(function: Function, x: FloatArray) -> Point:
    """Return the function's point there."""
    return Point(x, *function(x))


SCALES = np.geomspace(0.1, 100, 20)


@pytest.mark.parametrize("start", [0.1, 1.0, 30.0])
def test_it_finds_the_minimum(start: float) -> None:
    function = quartic(SCALES)
    found = search(function, at(function, np.full(20, start)), tol=1e-14, max_iter=500)
    assert found.converged
    np.testing.assert_allclose(found.point.x, 0, atol=1e-4)
    assert found.point.value == function(found.point.x)[0]
    assert len(found.pairs) <= MEMORY


def test_what_was_learned_saves_steps() -> None:
    function, moved = quartic(SCALES), quartic(SCALES, shift=0.01)
    before = search(function, at(function, np.ones(20)), tol=1e-12, max_iter=500)
    start = at(moved, before.point.x)
    with_pairs = search(moved, start, before.pairs, tol=1e-9, max_iter=500)
    without = search(moved, start, tol=1e-9, max_iter=500)
    assert with_pairs.n_iter < without.n_iter


def test_at_the_minimum_it_stops() -> None:
    function = quartic(SCALES)
    found = search(function, at(function, np.zeros(20)), tol=1e-9, max_iter=50)
    assert found.converged
    assert found.n_iter == 1
    assert np.array_equal(found.point.x, np.zeros(20))


def test_too_few_steps_are_no_end() -> None:
    function = quartic(SCALES)
    found = search(function, at(function, np.ones(20)), tol=1e-12, max_iter=2)
    assert not found.converged
    assert found.n_iter == 2
    assert found.point.value < function(np.ones(20))[0]


def test_single_precision_comes_to_an_end() -> None:
    function = quartic(SCALES.astype(np.float32))
    found = search(function, at(function, np.ones(20, dtype=np.float32)), tol=1e-7, max_iter=500)
    assert found.converged
    assert found.point.x.dtype == np.float32
    assert found.point.value < 1 + 1e-5
