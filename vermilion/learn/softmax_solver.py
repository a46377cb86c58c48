"""The optimisation behind multinomial logistic regression: L-BFGS on a preconditioned problem, in blocks of rows.

The Hessian of the loss is close to `c X'WX` for every class, plus the penalty (Böhning, 1992). In coordinates in
which that matrix is the identity L-BFGS needs 10 to 15 steps where it needs 50 in the plain ones, and with
hundreds of classes a step is all that costs (docs/design/solver.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from vermilion.learn.quasi_newton import Found, Pair, Point, search
from vermilion.learn.threads import in_order
from vermilion.types import FloatArray, IntArray

# Rows of a block times classes: 2 MiB of float32, which a core's own cache holds; memory does not grow with rows.
BLOCK_CELLS = 500_000
# Keeps the intercept's direction, which is not penalised, away from a zero on the diagonal.
RIDGE = 1e-6
# Features beyond which triangular coordinates are taken: they serve as well, and cost a tenth. Pairs have as many.
WIDE = 1024


@dataclass(frozen=True, slots=True)
class Objective:
    """`sum of weighted log losses + |coef|^2 / (2 C)` over weights `W` of shape (K, d + 1), intercept last.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    codes : ndarray of int, shape (n,)
    sample_weight : ndarray of shape (n,)
    penalty : ndarray of shape (d + 1,)
        1 / C for each feature, 0 for the intercept.
    n_classes : int
    threads : int
        That share the blocks. Sums go by block, so the result does not depend on it.
    """

    X: FloatArray
    codes: IntArray
    sample_weight: FloatArray
    penalty: FloatArray
    n_classes: int
    threads: int = 1

    def __call__(self, W: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss at W and its gradient, shape (K, d + 1)."""
        loss = 0.5 * float(np.einsum("kd,kd,d->", W, W, self.penalty, dtype=np.float64))
        gradient = W * self.penalty

        def of_block(rows: slice) -> tuple[float, FloatArray, FloatArray]:
            part, residuals = self._residuals(W, rows)
            return part, residuals.T @ self.X[rows], residuals.sum(axis=0)

        for part, slopes, intercepts in in_order(of_block, self._blocks(), self.threads):
            loss += part
            gradient[:, :-1] += slopes
            gradient[:, -1] += intercepts
        return loss, gradient

    def only(self, rows: IntArray) -> Objective:
        """Return that of some of the rows."""
        weight = self.sample_weight[rows]
        return Objective(self.X[rows], self.codes[rows], weight, self.penalty, self.n_classes, self.threads)

    def _blocks(self) -> Iterator[slice]:
        size = max(BLOCK_CELLS // self.n_classes, 1)
        return (slice(start, start + size) for start in range(0, len(self.X), size))

    def _residuals(self, W: FloatArray, rows: slice) -> tuple[float, FloatArray]:
        """Return the loss of a block and its weighted probabilities minus targets, shape (m, K)."""
        codes, weight = self.codes[rows], self.sample_weight[rows]
        logits = self.X[rows] @ W[:, :-1].T
        logits += W[:, -1]
        logits -= logits.max(axis=1, keepdims=True)
        places = np.arange(len(codes))
        own = logits[places, codes]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        loss = float(weight @ (np.log(total) - own))
        logits *= (weight / total)[:, None]
        logits[places, codes] -= weight
        return loss, logits

    def curvature(self) -> FloatArray:
        """Return the matrix, shape (d + 1, d + 1), that stands for every class's block of the Hessian."""
        d = self.X.shape[1]
        gram = np.zeros((d + 1, d + 1), dtype=np.float64)
        for rows in self._blocks():
            weighted = self.X[rows] * self.sample_weight[rows, None]
            gram[:-1, :-1] += weighted.T @ self.X[rows]
            gram[:-1, -1] += weighted.sum(axis=0)
        gram[-1, :-1] = gram[:-1, -1]
        gram[-1, -1] = self.sample_weight.sum()
        return gram / self.n_classes + np.diag(self.penalty.astype(np.float64) + RIDGE)


@dataclass(frozen=True, slots=True)
class Solution:
    """The weights that a search found, and what a later one on more rows may begin with.

    Attributes
    ----------
    weights : ndarray of shape (K, d + 1)
    n_iter : int
    converged : bool
    found : Found
        In coordinates `weights @ root`.
    root, inverse : ndarray of shape (d + 1, d + 1)
        To those coordinates, and back.
    """

    weights: FloatArray
    n_iter: int
    converged: bool
    found: Found
    root: FloatArray
    inverse: FloatArray

    def among(self, place: IntArray, n_classes: int) -> Solution:
        """Return what is known of the curvature among more classes, old ones at their new places.

        The gradient there is not known: every row has a part in every class's.
        """

        def widened(array: FloatArray) -> FloatArray:
            wide = np.zeros((n_classes, array.shape[1]), dtype=array.dtype)
            wide[place] = array
            return wide

        pairs = tuple(Pair(widened(pair.step), widened(pair.change)) for pair in self.found.pairs)
        return replace(self, weights=widened(self.weights), found=replace(self.found, pairs=pairs))


def minimise(
    objective: Objective,
    start: FloatArray,
    max_iter: int,
    tol: float,
    *,
    before: Solution | None = None,
    added: Objective | None = None,
) -> Solution:
    """Minimise the objective from `start`.

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (K, d + 1)
    max_iter : int
        The most steps of L-BFGS.
    tol : float
        Stop where a step is expected to take less than this share off the loss.
    before : Solution, optional
        Of the same classes, features and penalty on nearly these rows: its coordinates and curvature are used.
    added : Objective, optional
        The rows alone that are new since `before`, where all others are the same and `start` is its weights: the
        loss and the gradient there are known but for these. Its penalty is not looked at.

    Examples
    --------
    >>> X, codes = np.array([[1.0], [-1.0]]), np.array([0, 1])
    >>> problem = Objective(X, codes, np.ones(2), np.array([0.1, 0.0]), 2)
    >>> found = minimise(problem, np.zeros((2, 2)), 50, 1e-9)
    >>> W = found.weights
    >>> found.converged, bool(W[0, 0] > 0), bool(abs(W[0, 0] + W[1, 0]) < 1e-6)
    (True, True, True)
    """
    root, inverse = (before.root, before.inverse) if before else _coordinates(objective, start.dtype)

    def transformed(point: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = objective(point @ inverse)
        return loss, gradient @ inverse.T

    if before and added:
        first = before.found.point
        loss, gradient = replace(added, penalty=np.zeros_like(added.penalty))(start)
        first = Point(first.x, first.value + loss, first.gradient + gradient @ inverse.T)
    else:
        x = start @ root
        first = Point(x, *transformed(x))
    pairs = before.found.pairs if before else ()
    found = search(transformed, first, pairs, tol=tol, max_iter=max_iter)
    return Solution(found.point.x @ inverse, found.n_iter, found.converged, found, root, inverse)


def _coordinates(objective: Objective, dtype: np.dtype[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the way to coordinates in which the curvature is close to the identity, and the way back."""
    curvature = objective.curvature()
    if len(curvature) > WIDE:
        root = np.linalg.cholesky(curvature)
        back = solve_triangular(root, np.eye(len(root)), lower=True, check_finite=False)
        return root.astype(dtype), back.astype(dtype)
    values, vectors = np.linalg.eigh(curvature)
    roots = np.sqrt(values)
    return (vectors * roots).astype(dtype), (vectors / roots).T.astype(dtype)
