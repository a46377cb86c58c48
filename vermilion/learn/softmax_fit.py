"""Multinomial logistic regression as a function: its start, its tolerance and the choice of C."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from vermilion.learn.calibration import fit_temperature, log_loss
from vermilion.learn.folds import fold_numbers, row_keys, splits
from vermilion.learn.softmax_solver import Objective, minimise
from vermilion.learn.subsets import class_sums, unit_rows
from vermilion.types import FloatArray, IntArray

C_GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
DEFAULT_C = 10.0
WORTH = 0.001
# A fit stops where a step takes less than this share off the loss; the looser, the more rows times classes there
# are. Accuracy on other texts is reached long before the optimum (docs/design/solver.md).
TOLERANCES = ((30_000, 1e-5), (1_000_000, 1e-3), (5_000_000, 2e-3), (np.inf, 4e-3))
SHARED_STEP = 1_000_000_000
CHOICE_CELLS = 300_000
CHOICE_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear softmax: logits are `X @ coef.T + intercept`.

    Attributes
    ----------
    coef : ndarray of shape (K, d)
    intercept : ndarray of shape (K,)
    """

    coef: FloatArray
    intercept: FloatArray

    @classmethod
    def zeros(cls, n_classes: int, X: FloatArray) -> Weights:
        """Return the weights before any learning, in the dtype of X."""
        return cls(np.zeros((n_classes, X.shape[1]), dtype=X.dtype), np.zeros(n_classes, dtype=X.dtype))

    def logits(self, X: FloatArray) -> FloatArray:
        """Return logits, shape (n, K)."""
        values: FloatArray = X @ self.coef.T + self.intercept
        return values


@dataclass(frozen=True, slots=True)
class Solver:
    """How to solve: the inverse strength of the L2 penalty and the most iterations."""

    C: float
    max_iter: int


def fit_softmax(
    X: FloatArray, codes: IntArray, start: Weights, solver: Solver, sample_weight: FloatArray | None = None
) -> tuple[Weights, int]:
    """Minimise `C * sum of log losses + |coef|^2 / 2` from `start`.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
    codes : ndarray of int, shape (n,)
        Class numbers; each of 0 to K-1 occurs.
    start : Weights
        Of K classes.
    solver : Solver
    sample_weight : ndarray of shape (n,), optional

    Returns
    -------
    weights : Weights
    n_iter : int

    Warns
    -----
    ConvergenceWarning
        `max_iter` was reached.
    """
    n_classes = len(start.intercept)
    if n_classes == 1:
        return Weights.zeros(1, X), 1
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    penalty = np.append(np.full(X.shape[1], 1 / solver.C), 0.0).astype(X.dtype)
    objective = Objective(X, codes, weight.astype(X.dtype), penalty, n_classes)
    tol = next(tol for cells, tol in TOLERANCES if len(X) * n_classes <= cells)
    with _threads(X.size * n_classes):
        found, n_iter, converged = minimise(
            objective, np.column_stack([start.coef, start.intercept]), solver.max_iter, tol
        )
    if not converged:
        warnings.warn(
            f"stopped after max_iter={solver.max_iter} steps; allow more", ConvergenceWarning, stacklevel=3
        )
    return Weights(np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, -1])), n_iter


def _threads(multiplications: int) -> AbstractContextManager[object]:
    """Keep linear algebra to one thread where a step is too short to share.

    Threads of BLAS wait for each other by spinning. On a machine that has other work, a fit of 385 rows and 77
    labels took 3.5 s with two threads and 0.3 s with one; only steps of many milliseconds gain by a second one.
    """
    if multiplications >= SHARED_STEP:
        return nullcontext()
    limit: AbstractContextManager[object] = ThreadpoolController().limit(limits=1, user_api="blas")
    return limit


def extend_weights(old: Weights, place: IntArray, X: FloatArray, codes: IntArray, n_classes: int) -> Weights:
    """Return a start for more classes: known ones keep their weights, new ones point to their centroid.

    A new row gets the centroid's direction off the common mean, at the mean length of the known rows, and the
    mean intercept.

    Parameters
    ----------
    old : Weights
    place : ndarray of int, shape (K_old,)
        The new number of each old class.
    X, codes : ndarray of shape (n, d) and (n,)
    n_classes : int
    """
    start = Weights.zeros(n_classes, X)
    new = np.setdiff1d(np.arange(n_classes), place)
    if len(new):
        sums = class_sums(X, codes, n_classes)[new]
        means = sums / np.bincount(codes, minlength=n_classes)[new, None].astype(X.dtype)
        length = np.linalg.norm(old.coef, axis=1).mean() if len(old.coef) else 0.0
        start.coef[new] = unit_rows(means - X.mean(axis=0)) * X.dtype.type(length)
        start.intercept[new] = old.intercept.mean() if len(old.intercept) else 0.0
    start.coef[place], start.intercept[place] = old.coef, old.intercept
    return start


def choose_c(X: FloatArray, codes: IntArray, cv: int, max_iter: int, seed: int) -> float:
    """Choose C by cross-validation: the smallest whose log loss, once calibrated, is hardly beaten.

    Calibrated, because a small C is only modest, not wrong, and a temperature mends that. All folds walk up
    the grid together, each from its weights at the step before, and stop where a step no longer takes
    `WORTH` (0.1 %) off the loss: larger values cost more iterations and change little (docs/design/heads.md).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    codes : ndarray of int, shape (n,)
    cv : int
        Folds, at least 2.
    max_iter, seed : int

    Returns
    -------
    float
        One of `C_GRID`; 10 where no class has two rows or there is one class only.
    """
    X, codes = choice_sample(X, codes, seed)
    numbers = fold_numbers(codes, row_keys(X, seed), cv)
    folds = list(splits(numbers))
    n_classes = int(codes.max()) + 1
    if not folds or n_classes < 2:
        return DEFAULT_C
    weights = [Weights.zeros(n_classes, X)] * len(folds)
    chosen, least = C_GRID[0], np.inf
    for C in C_GRID:
        logits = np.zeros((len(X), n_classes), dtype=X.dtype)
        for fold, (train, held) in enumerate(folds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                weights[fold], _ = fit_softmax(X[train], codes[train], weights[fold], Solver(C, max_iter))
            logits[held] = weights[fold].logits(X[held])
        rows = numbers >= 0
        loss = log_loss(logits[rows], codes[rows], fit_temperature(logits[rows], codes[rows]))
        if loss > least * (1 - WORTH):
            break
        chosen, least = C, loss
    return chosen


def choice_sample(X: FloatArray, codes: IntArray, seed: int) -> tuple[FloatArray, IntArray]:
    """Return the rows on which C is chosen: all, or where rows times classes is large, a random part.

    Whole classes are left out first, since that saves rows and columns at once; then rows.
    """
    n, n_classes = len(X), int(codes.max()) + 1
    if n * n_classes <= CHOICE_CELLS:
        return X, codes
    share = (CHOICE_CELLS / (n * n_classes)) ** 0.5
    count = min(max(int(n_classes * share), CHOICE_CLASSES), n_classes)
    kept = np.sort(np.random.default_rng(seed).permutation(n_classes)[:count])
    rows = np.flatnonzero(np.isin(codes, kept))
    most = max(CHOICE_CELLS // count, 2 * count)
    if len(rows) > most:
        rows = rows[np.argsort(row_keys(X[rows], seed), kind="stable")[:most]]
    return X[rows], np.unique(codes[rows], return_inverse=True)[1]
