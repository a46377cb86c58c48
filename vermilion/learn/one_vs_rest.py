"""The head for texts that may have several labels: one logistic regression a label, on the same vectors."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, validate_data

from vermilion.learn.flat import FLOATS, LinearWeights, check_solver_params, checked_vectors
from vermilion.learn.folds import row_keys
from vermilion.learn.sigmoid_solver import SigmoidObjective, minimise_each
from vermilion.learn.threads import block_threads
from vermilion.types import BoolArray, FloatArray

C_GRID = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
DEFAULT_C = 3.0
# C is chosen on so many cells of the indicator matrix, and rows in any case; the rest of the rows tells little more.
CHOICE_CELLS, CHOICE_ROWS = 300_000, 5_000
# A larger C must take so much off the held-out log loss.
WORTH = 0.001
# A label is solved where a step is expected to take less than this share off its loss.
TOLERANCE = 1e-5


class ByLogOdds(ABC):
    """What heads of several labels a text share: all follows from the log odds of each label."""

    @abstractmethod
    def logits(self, X: FloatArray) -> FloatArray:
        """Return the log odds of each label, shape (n, K)."""

    def decision_function(self, X: FloatArray) -> FloatArray:
        """Return the log odds of each label, shape (n, K)."""
        return self.logits(X)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return the probability of each label, shape (n, K); rows need not sum to 1."""
        proba: FloatArray = expit(self.logits(X))
        return proba

    def predict(self, X: FloatArray) -> BoolArray:
        """Return which labels have a probability above a half, shape (n, K)."""
        return np.asarray(self.logits(X) > 0)


class OneVsRestHead(ByLogOdds, LinearWeights, BaseEstimator):  # type: ignore[misc]
    """One logistic regression a label, all labels solved at once.

    Parameters
    ----------
    C : float or "cv"
        Inverse strength of the L2 penalty, the same for all labels. "cv": chosen by cross-validation at the first
        fit and kept.
    cv : int
        Folds for choosing C.
    max_iter : int
        The most L-BFGS iterations.
    tol : float
        A label is solved where a step is expected to take less than this share off its loss.
    warm_start : bool
        Start later fits from the weights that are known: cheaper, the same optimum.
    random_state : int
        For the folds.

    Attributes
    ----------
    classes_ : ndarray of int, shape (K,)
        0 to K - 1: the columns of y.
    coef_ : ndarray of shape (K, d)
    intercept_ : ndarray of shape (K,)
    C_ : float
        The C in use.
    n_iter_ : int
        Of the label that took most.
    n_features_in_ : int

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    >>> Y = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=bool)
    >>> OneVsRestHead(C=100.0).fit(X, Y).predict(X).astype(int).tolist()
    [[1, 0], [1, 1], [0, 1], [0, 0]]
    """

    def __init__(
        self,
        C: float | Literal["cv"] = "cv",
        cv: int = 3,
        max_iter: int = 300,
        tol: float = TOLERANCE,
        warm_start: bool = True,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.cv = cv
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(
        self,
        X: FloatArray,
        y: NDArray[Any],
        sample_weight: FloatArray | None = None,
        known: BoolArray | None = None,
    ) -> Self:
        """Learn from rows of X, shape (n, d), an indicator matrix y, shape (n, K), and optional weights, shape (n,).

        Where `known`, shape (n, K), is False, it is not known whether the row has the label, and the row says nothing
        of it; C is chosen on rows of which all is known. A label that is on all rows or on none learns no direction:
        its probability is that share, one row of each kind added in half.

        Raises
        ------
        ValueError
            As scikit-learn's rules ask: shapes, types, missing values, a parameter out of its range.

        Warns
        -----
        ConvergenceWarning
            `max_iter` was reached.
        """
        check_solver_params(self)
        X, Y = self._checked(X, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        start = self._start(X, Y)
        whole = slice(None) if known is None else known.all(axis=1)
        self.C_ = self._chosen_c(X[whole], Y[whole])
        W, self.n_iter_ = fit_sigmoids(X, Y, start, self.C_, self, sample_weight, known)
        self.classes_ = np.arange(Y.shape[1])
        self.coef_, self.intercept_ = np.ascontiguousarray(W[:, :-1]), np.ascontiguousarray(W[:, -1])
        return self

    def _checked(self, X: Any, y: Any) -> tuple[FloatArray, BoolArray]:
        X, Y = validate_data(self, X, y, dtype=FLOATS, order="C", multi_output=True)
        if Y.ndim != 2:
            raise ValueError(f"y must be an indicator matrix, one column a label, got shape {Y.shape}")
        if Y.dtype != np.bool_ and not np.isin(Y, (0, 1)).all():
            raise ValueError("y must be an indicator matrix of 0 and 1")
        return X, Y.astype(np.bool_, copy=False)

    def _start(self, X: FloatArray, Y: BoolArray) -> FloatArray | None:
        shape = (Y.shape[1], X.shape[1])
        if not self.warm_start or not hasattr(self, "coef_") or self.coef_.shape != shape:
            return None
        return np.column_stack([self.coef_, self.intercept_]).astype(X.dtype)

    def _chosen_c(self, X: FloatArray, Y: BoolArray) -> float:
        if self.C != "cv":
            return float(self.C)
        if self.warm_start and hasattr(self, "C_"):
            return float(self.C_)
        return choose_c(X, Y, self)

    def tuned(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Return an unfitted copy with C chosen on these rows, for comparing heads without choosing again."""
        check_solver_params(self)
        X, Y = clone(self)._checked(X, y)
        copy: Self = clone(self).set_params(C=self._chosen_c(X, Y))
        return copy

    def logits(self, X: FloatArray) -> FloatArray:
        """Return the log odds of each label, shape (n, K)."""
        X = checked_vectors(self, X)
        values: FloatArray = X @ self.coef_.T + self.intercept_
        return values


def fit_sigmoids(
    X: FloatArray,
    Y: BoolArray,
    start: FloatArray | None,
    C: float,
    head: OneVsRestHead,
    sample_weight: FloatArray | None = None,
    known: BoolArray | None = None,
) -> tuple[FloatArray, int]:
    """Return the weights of each label, shape (K, d + 1), intercept last, and the steps they took.

    Parameters
    ----------
    X, Y : ndarray of shape (n, d) and (n, K)
    start : ndarray of shape (K, d + 1) or None
    C : float
    head : OneVsRestHead
        Its `max_iter` and `tol` count.
    sample_weight : ndarray of shape (n,), optional
    known : ndarray of bool, shape (n, K), optional
    """
    weight = np.ones(len(X), dtype=X.dtype) if sample_weight is None else sample_weight
    with block_threads(X.size * Y.shape[1]) as threads:
        objective = SigmoidObjective(X, Y, weight, np.full(Y.shape[1], C), threads, known)
        W = _priors(objective) if start is None else start
        on, of = objective.counts()
        one_sided = (on <= 0) | (on >= of)
        W[one_sided] = _priors(objective)[one_sided]
        both = np.flatnonzero(~one_sided)
        if not len(both):
            return W, 0
        solved = objective if len(both) == len(on) else objective.only(both)
        found = minimise_each(solved, W[both], head.max_iter, head.tol)
    if not found.converged.all():
        warnings.warn(
            f"stopped after max_iter={head.max_iter} steps; allow more", ConvergenceWarning, stacklevel=3
        )
    W[both] = found.weights
    return W, found.n_iter


def _priors(objective: SigmoidObjective) -> FloatArray:
    """Return weights that know only how frequent each label is."""
    on, known = objective.counts()
    intercept = np.log((on + 0.5) / (known - on + 0.5))
    return np.column_stack([np.zeros((len(on), objective.X.shape[1])), intercept]).astype(objective.X.dtype)


def choose_c(X: FloatArray, Y: BoolArray, head: OneVsRestHead) -> float:
    """Choose C by cross-validation: the smallest whose log loss, summed over labels, is hardly beaten.

    All folds walk up the grid together, each from its weights at the step before, and stop where a step no longer
    takes `WORTH` (0.1 %) off the loss.

    Returns
    -------
    float
        One of `C_GRID`; 3 where there are fewer than two rows a fold.
    """
    rows = max(CHOICE_CELLS // Y.shape[1], CHOICE_ROWS)
    order = np.argsort(row_keys(X, head.random_state), kind="stable")[:rows]
    X, Y = X[order], Y[order]
    if len(X) < 2 * head.cv:
        return DEFAULT_C
    numbers = np.arange(len(X)) % head.cv
    starts: list[FloatArray | None] = [None] * head.cv
    chosen, least = C_GRID[0], np.inf
    for C in C_GRID:
        loss = 0.0
        for fold in range(head.cv):
            train, held = numbers != fold, numbers == fold
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                W, _ = fit_sigmoids(X[train], Y[train], starts[fold], C, head)
            starts[fold] = W
            loss += held_out_loss(X[held], Y[held], W)
        if loss > least * (1 - WORTH):
            break
        chosen, least = C, loss
    return chosen


def held_out_loss(X: FloatArray, Y: BoolArray, W: FloatArray) -> float:
    """Return the log loss in nats, summed over rows and labels, at weights of shape (K, d + 1)."""
    logits = X @ W[:, :-1].T + W[:, -1]
    return float(np.logaddexp(0, np.where(Y, -logits, logits)).sum(dtype=np.float64))
