"""The optimisation behind one-vs-rest logistic regression: all labels at once, in blocks of rows.

At the start a label with a share s of the rows has the Hessian `s (1 - s) X'X` plus the penalty, so one generalised
eigendecomposition of X'X and the penalty gives coordinates in which every label's is diagonal, whatever its share and
its C; scaled by the diagonal, it is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import eigh

from vermilion.learn.quasi_newton_rows import search_rows
from vermilion.learn.softmax_solver import BLOCK_CELLS
from vermilion.learn.threads import in_order
from vermilion.types import BoolArray, FloatArray, IntArray

# Keeps the intercept's direction, which is not penalised, away from a zero.
RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class SigmoidObjective:
    """`sum of weighted log losses + |coef|^2 / (2 C)` of each label, over weights of shape (K, d + 1), intercept last.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of bool, shape (n, K)
    sample_weight : ndarray of shape (n,)
    C : ndarray of shape (K,)
    threads : int
        That share the blocks. Sums go by block, so the result does not depend on it.
    known : ndarray of bool, shape (n, K), or None
        Where it is not known whether a row has a label, the row says nothing of that label. None: all is known.
    """

    X: FloatArray
    Y: BoolArray
    sample_weight: FloatArray
    C: FloatArray
    threads: int = 1
    known: BoolArray | None = None

    def __call__(self, W: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the loss of these labels at their weights, shape (m,), and its gradient, shape (m, d + 1)."""
        inverse = (1 / self.C[labels]).astype(W.dtype)
        loss = 0.5 * np.einsum("kd,kd,k->k", W[:, :-1], W[:, :-1], inverse, dtype=np.float64)
        gradient = W * inverse[:, None]
        gradient[:, -1] = 0
        whole = len(labels) == self.Y.shape[1]

        def of_block(rows: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
            held, heed = (
                cells if cells is None or whole else cells[:, labels] for cells in self._cells(rows)
            )
            assert held is not None
            part, residuals = self._residuals(W, rows, held, heed)
            return part, residuals.T @ self.X[rows], residuals.sum(axis=0)

        for part, slopes, intercepts in in_order(of_block, self._blocks(len(labels)), self.threads):
            loss += part
            gradient[:, :-1] += slopes
            gradient[:, -1] += intercepts
        return loss, gradient

    def only(self, labels: IntArray) -> SigmoidObjective:
        """Return that of some of the labels."""
        known = None if self.known is None else self.known[:, labels]
        return replace(self, Y=self.Y[:, labels], C=self.C[labels], known=known)

    def _cells(self, rows: slice) -> tuple[BoolArray, BoolArray | None]:
        return self.Y[rows], None if self.known is None else self.known[rows]

    def _blocks(self, columns: int) -> Iterator[slice]:
        size = max(BLOCK_CELLS // max(columns, 1), 1)
        return (slice(start, start + size) for start in range(0, len(self.X), size))

    def _residuals(
        self, W: FloatArray, rows: slice, held: BoolArray, known: BoolArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of a block by label, and its weighted probabilities minus targets, shape (rows, m)."""
        weight = self.sample_weight[rows]
        logits = self.X[rows] @ W[:, :-1].T
        logits += W[:, -1]
        np.negative(logits, where=held, out=logits)  # now the larger, the more wrong
        small = np.exp(-np.abs(logits))
        losses = np.log1p(small) + np.maximum(logits, 0)
        wrong = np.where(logits >= 0, 1, small) / (1 + small)
        if known is not None:
            losses *= known
            wrong *= known
        loss = weight @ losses
        wrong *= weight[:, None]
        np.negative(wrong, where=held, out=wrong)
        return loss, wrong

    def curvature(self) -> FloatArray:
        """Return X'X with the intercept as a last column of ones, rows weighted, shape (d + 1, d + 1)."""
        d = self.X.shape[1]
        gram = np.zeros((d + 1, d + 1), dtype=np.float64)
        for rows in self._blocks(d):
            weighted = self.X[rows] * self.sample_weight[rows, None]
            gram[:-1, :-1] += weighted.T @ self.X[rows]
            gram[:-1, -1] += weighted.sum(axis=0)
        gram[-1, :-1] = gram[:-1, -1]
        gram[-1, -1] = self.sample_weight.sum()
        return gram

    def counts(self) -> tuple[FloatArray, FloatArray]:
        """Return the weight of the rows that have each label, and of those of which it is known, shape (K,) each."""
        weight = self.sample_weight.astype(np.float64)
        on, known = np.zeros(self.Y.shape[1]), np.zeros(self.Y.shape[1])
        for rows in self._blocks(self.Y.shape[1]):
            held, heed = self._cells(rows)
            on += weight[rows] @ (held if heed is None else held & heed)
            known += weight[rows].sum() if heed is None else weight[rows] @ heed
        return on, known


@dataclass(frozen=True, slots=True)
class SigmoidSolution:
    """Weights, shape (K, d + 1), intercept last; the steps of the label that took most; which labels are solved."""

    weights: FloatArray
    n_iter: int
    converged: BoolArray


def minimise_each(
    objective: SigmoidObjective, start: FloatArray, max_iter: int, tol: float
) -> SigmoidSolution:
    """Minimise the objective of each label from `start`, shape (K, d + 1).

    Parameters
    ----------
    objective : SigmoidObjective
        Every label is on some rows and off on others.
    max_iter : int
        The most steps of L-BFGS.
    tol : float
        A label is solved where a step is expected to take less than this share off its loss.

    Examples
    --------
    >>> X, Y = np.array([[1.0], [-1.0]]), np.array([[True, False], [False, True]])
    >>> found = minimise_each(SigmoidObjective(X, Y, np.ones(2), np.full(2, 10.0)), np.zeros((2, 2)), 50, 1e-9)
    >>> found.converged.tolist(), bool(abs(found.weights[0, 0] + found.weights[1, 0]) < 1e-6)
    ([True, True], True)
    """
    basis, scale = _coordinates(objective, start.dtype)

    def transformed(z: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = objective((z / scale[labels]) @ basis.T, labels)
        return loss, (gradient @ basis) / scale[labels]

    # The basis diagonalises the penalty, so its inverse is its transpose times that.
    penalty = np.append(np.ones(objective.X.shape[1]), RIDGE).astype(start.dtype)
    first = ((start * penalty) @ basis) * scale
    found = search_rows(transformed, first, tol=tol, max_iter=max_iter)
    return SigmoidSolution((found.x / scale) @ basis.T, found.n_iter, found.converged)


def _coordinates(objective: SigmoidObjective, dtype: np.dtype[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the basis, shape (d + 1, d + 1), and each label's scale of its coordinates, shape (K, d + 1)."""
    penalty = np.append(np.ones(objective.X.shape[1]), RIDGE)
    values, vectors = eigh(objective.curvature(), np.diag(penalty))
    on, known = objective.counts()
    # X'X is of all rows; of those a label is known of, as large a part as there are.
    curved = on * (known - on) / np.maximum(known, 1) / objective.sample_weight.sum(dtype=np.float64)
    curved = curved[:, None] * np.maximum(values, 0)
    return vectors.astype(dtype), np.sqrt(curved + 1 / objective.C[:, None]).astype(dtype)
