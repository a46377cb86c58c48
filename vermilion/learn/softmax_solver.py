"""The optimisation behind multinomial logistic regression: L-BFGS on a preconditioned problem, in blocks of rows.

The Hessian of the loss is close to `c X'WX` for every class, plus the penalty (Böhning, 1992). In coordinates in
which that matrix is the identity L-BFGS needs 10 to 15 steps where it needs 50 in the plain ones, and with
hundreds of classes a step is all that costs (docs/design/solver.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from vermilion.types import FloatArray, IntArray

# Rows of a block times classes: 16 MiB of float32, so that memory does not grow with the rows.
BLOCK_CELLS = 4_000_000
MEMORY = 10
# Keeps the intercept's direction, which is not penalised, away from a zero on the diagonal.
RIDGE = 1e-6


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
    """

    X: FloatArray
    codes: IntArray
    sample_weight: FloatArray
    penalty: FloatArray
    n_classes: int

    def __call__(self, W: FloatArray) -> tuple[float, FloatArray]:
        """Return the loss at W and its gradient, shape (K, d + 1)."""
        loss = 0.5 * float(np.einsum("kd,kd,d->", W, W, self.penalty, dtype=np.float64))
        gradient = W * self.penalty
        for rows in self._blocks():
            part, residuals = self._residuals(W, rows)
            loss += part
            gradient[:, :-1] += residuals.T @ self.X[rows]
            gradient[:, -1] += residuals.sum(axis=0)
        return loss, gradient

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


def minimise(
    objective: Objective, start: FloatArray, max_iter: int, tol: float
) -> tuple[FloatArray, int, bool]:
    """Minimise the objective from `start`.

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (K, d + 1)
    max_iter : int
        The most steps of L-BFGS.
    tol : float
        Stop where a step takes less than this share off the loss.

    Returns
    -------
    weights : ndarray of shape (K, d + 1)
    n_iter : int
    converged : bool
        False where `max_iter` came first.

    Examples
    --------
    >>> X, codes = np.array([[1.0], [-1.0]]), np.array([0, 1])
    >>> problem = Objective(X, codes, np.ones(2), np.array([0.1, 0.0]), 2)
    >>> weights, n_iter, converged = minimise(problem, np.zeros((2, 2)), 50, 1e-9)
    >>> converged, bool(weights[0, 0] > 0), bool(abs(weights[0, 0] + weights[1, 0]) < 1e-6)
    (True, True, True)
    """
    values, vectors = np.linalg.eigh(objective.curvature())
    root, inverse = vectors * np.sqrt(values), (vectors / np.sqrt(values)).T
    dtype, shape = start.dtype, start.shape
    to_weights = inverse.astype(dtype)

    def preconditioned(flat: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = objective(flat.reshape(shape).astype(dtype) @ to_weights)
        return loss, (gradient @ to_weights.T).ravel().astype(np.float64)

    first = (start @ root.astype(dtype)).ravel().astype(np.float64)
    known = preconditioned(first)
    # L-BFGS begins with a step of length one. In these units that is a full Newton step of the model above.
    scale = max(float(np.linalg.norm(known[1])), np.finfo(np.float64).tiny)

    def scaled(flat: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = known if np.array_equal(flat, first / scale) else preconditioned(flat * scale)
        return loss, gradient * scale

    options = {"maxiter": max_iter, "maxcor": MEMORY, "ftol": tol, "gtol": 0.0, "maxfun": 10 * max_iter}
    found = minimize(scaled, first / scale, jac=True, method="L-BFGS-B", options=options)
    weights = (found.x * scale).reshape(shape).astype(dtype) @ to_weights
    return weights, int(found.nit), bool(found.nit < max_iter)
