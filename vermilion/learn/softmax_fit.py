"""Multinomial logistic regression as a function: its start, its tolerance and the choice of C."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from vermilion.learn.calibration import fit_temperature, log_loss
from vermilion.learn.folds import fold_numbers, row_keys, splits
from vermilion.learn.softmax_solver import Objective, Solution, minimise
from vermilion.learn.subsets import class_sums, unit_rows
from vermilion.learn.threads import block_threads
from vermilion.types import FloatArray, IntArray

C_GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
DEFAULT_C = 10.0
WORTH = 0.001
# Up to so many rows times classes, a fit stops where a step is expected to take less than this share off the loss,
# and a refit that knows where it stands but for a few new rows where it is the second share: its steps go the way
# of those, and what the fit before had left to gain is not worth a pass over all. Accuracy on other texts is reached
# long before the optimum (docs/design/solver.md).
TOLERANCES = (
    (30_000, 2e-6, 2e-6),
    (1_000_000, 1e-4, 1e-4),
    (5_000_000, 6e-4, 1e-3),
    (np.inf, 4e-3, 1e-2),
)
# So many times as many rows have another curvature.
SIMILAR_ROWS = 1.5
# 2**64 over the golden ratio: its multiples have no bits in common.
GOLDEN = 0x9E3779B97F4A7C15
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


@dataclass(frozen=True, slots=True)
class Memory:
    """What a fit leaves for the next one on nearly the same rows.

    Attributes
    ----------
    solution : Solution
    C : float
    rows : ndarray of uint64, shape (n,)
        A number for each row and its class, sorted; none where rows were weighted.
    n_rows : int
    """

    solution: Solution
    C: float
    rows: IntArray | None
    n_rows: int

    def suits(self, C: float, shape: tuple[int, ...], n_rows: int) -> bool:
        """Tell whether its curvature is that of a fit with this C, shape of the weights and number of rows."""
        similar = self.n_rows / SIMILAR_ROWS <= n_rows <= self.n_rows * SIMILAR_ROWS
        return similar and self.C == C and self.solution.weights.shape == shape

    def among(self, place: IntArray, n_classes: int) -> Memory:
        """Return what holds among more classes, old ones at their new places."""
        return replace(self, solution=self.solution.among(place, n_classes), rows=None)

    def new_rows(self, rows: IntArray | None) -> IntArray | None:
        """Return the places of the rows that are new; None where it is not so that others stayed as they were.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> known = SimpleNamespace(rows=np.array([3, 5, 5]))
        >>> Memory.new_rows(known, np.array([5, 9, 5, 3, 5])), Memory.new_rows(known, np.array([3, 5]))
        (array([1, 4]), None)
        """
        if rows is None or self.rows is None:
            return None
        order = np.argsort(rows, kind="stable")
        # Where a row is there several times, its n-th copy is known if there were n before.
        first = np.searchsorted(rows[order], rows[order])
        nth = np.arange(len(rows)) - first
        known_first = np.searchsorted(self.rows, rows[order])
        known = nth < np.searchsorted(self.rows, rows[order], side="right") - known_first
        return np.sort(order[~known]) if int(known.sum()) == len(self.rows) else None


@dataclass(frozen=True, slots=True)
class Fit:
    """The weights, the steps they took, and what the next fit may begin with."""

    weights: Weights
    n_iter: int
    memory: Memory | None = None


def fit_softmax(
    X: FloatArray,
    codes: IntArray,
    start: Weights,
    solver: Solver,
    *,
    sample_weight: FloatArray | None = None,
    memory: Memory | None = None,
) -> Fit:
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
    memory : Memory, optional
        Of the fit that led to `start`. Where that fit's rows are all here and rows have no weights, only new ones
        are looked at to know where `start` stands.

    Warns
    -----
    ConvergenceWarning
        `max_iter` was reached.
    """
    n_classes = len(start.intercept)
    if n_classes == 1:
        return Fit(Weights.zeros(1, X), 1)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    penalty = np.append(np.full(X.shape[1], 1 / solver.C), 0.0).astype(X.dtype)
    point = np.column_stack([start.coef, start.intercept])
    rows = None if sample_weight is not None else _row_numbers(X, codes)
    if memory is not None and not memory.suits(solver.C, point.shape, len(X)):
        memory = None
    new = memory.new_rows(rows) if memory else None
    cold, known = next(tols for cells, *tols in TOLERANCES if len(X) * n_classes <= cells)
    with block_threads(X.size * n_classes) as threads:
        objective = Objective(X, codes, weight.astype(X.dtype), penalty, n_classes, threads)
        found = minimise(
            objective,
            point,
            solver.max_iter,
            cold if new is None else known,
            before=memory.solution if memory else None,
            added=None if new is None else objective.only(new),
        )
    if not found.converged:
        warnings.warn(
            f"stopped after max_iter={solver.max_iter} steps; allow more", ConvergenceWarning, stacklevel=3
        )
    W = found.weights
    weights = Weights(np.ascontiguousarray(W[:, :-1]), np.ascontiguousarray(W[:, -1]))
    sorted_rows = None if rows is None else np.sort(rows)
    return Fit(weights, found.n_iter, Memory(found, solver.C, sorted_rows, len(X)))


def _row_numbers(X: FloatArray, codes: IntArray) -> IntArray:
    """Return 64 bits for each row and its class; other rows almost never have the same."""
    high, low = (row_keys(X, seed).astype(np.uint64) for seed in (1, 2))
    numbers: IntArray = (high << np.uint64(32)) ^ low ^ (codes.astype(np.uint64) * np.uint64(GOLDEN))
    return numbers


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
                solver = Solver(C, max_iter)
                weights[fold] = fit_softmax(X[train], codes[train], weights[fold], solver).weights
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
