"""The flat head: one softmax over all labels."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from vermilion.learn.calibration import softmax
from vermilion.learn.folds import row_keys
from vermilion.learn.softmax_fit import Memory, Solver, Weights, choose_c, extend_weights, fit_softmax
from vermilion.types import FloatArray, IntArray

FLOATS = (np.float32, np.float64)


def checked_rows(head: Any, X: Any, y: Any, seed: int) -> tuple[FloatArray, NDArray[Any], IntArray, IntArray]:
    """Check as scikit-learn does; return X, the classes, class numbers of rows, and the order of the rows.

    Rows are put in an order that depends only on their class and their values, so that what is learned does
    not depend on the order in which they came.
    """
    X, y = validate_data(head, X, y, dtype=FLOATS, order="C")
    if (
        y.dtype.kind not in "biuUS"
    ):  # those are classes for sure; scikit-learn would wonder aloud where rows are few
        check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    order = np.lexsort((row_keys(X, seed), codes))
    return X[order], classes, codes[order], order


def checked_vectors(head: Any, X: Any) -> FloatArray:
    """Return X as scikit-learn checks what a fitted estimator is given."""
    check_is_fitted(head)
    rows: FloatArray = validate_data(head, X, dtype=FLOATS, reset=False)
    return rows


class LinearWeights:
    """What linear heads share: weights of each class, `coef_` and `intercept_`, as arrays and back."""

    classes_: NDArray[Any]
    coef_: FloatArray
    intercept_: FloatArray
    C_: float

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as named numeric arrays (without `classes_`)."""
        check_is_fitted(self)
        return {"coef": self.coef_, "intercept": self.intercept_, "C": np.array([self.C_])}

    def from_tensors(self, tensors: Mapping[str, NDArray[Any]], classes: NDArray[Any]) -> Self:
        """Restore what `to_tensors` gave, on an unfitted head of the same parameters.

        Raises
        ------
        ValueError
            The arrays do not fit each other or the classes.
        """
        coef, intercept = np.asarray(tensors["coef"]), np.asarray(tensors["intercept"])
        if coef.ndim != 2 or coef.shape[:1] != intercept.shape or len(coef) != len(classes):
            raise ValueError(f"{len(classes)} classes need as many rows, got {coef.shape}, {intercept.shape}")
        self.classes_, self.coef_, self.intercept_ = np.asarray(classes), coef, intercept
        self.C_, self.n_iter_, self.n_features_in_ = float(tensors["C"][0]), 0, coef.shape[1]
        return self


class FlatHead(LinearWeights, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Multinomial logistic regression over all labels.

    Parameters
    ----------
    C : float or "cv"
        Inverse strength of the L2 penalty. "cv": chosen by cross-validation at the first fit and kept.
    cv : int
        Folds for choosing C.
    max_iter : int
        The most L-BFGS iterations.
    warm_start : bool
        Start later fits from what is known, even if labels were added: much cheaper, the same optimum.
    random_state : int
        For the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    coef_ : ndarray of shape (K, d)
        Also for two labels: one row each.
    intercept_ : ndarray of shape (K,)
    C_ : float
        The C in use.
    n_iter_ : int
    n_features_in_ : int

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], dtype=np.float32)
    >>> head = FlatHead(C=10.0).fit(X, np.array(["pay", "pay", "card", "card"]))
    >>> head.predict(X[:1]).tolist(), head.predict_proba(X).dtype
    (['pay'], dtype('float32'))
    """

    def __init__(
        self,
        C: float | Literal["cv"] = "cv",
        cv: int = 3,
        max_iter: int = 300,
        warm_start: bool = True,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.cv = cv
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: FloatArray, y: NDArray[Any], sample_weight: FloatArray | None = None) -> Self:
        """Learn from rows of X, shape (n, d), labels y, shape (n,), and optional weights, shape (n,).

        The choice of C counts every row once, whatever its weight.

        Raises
        ------
        ValueError
            As scikit-learn's rules ask: shapes, types, missing values, a parameter out of its range.
        """
        check_solver_params(self)
        X, classes, codes, order = checked_rows(self, X, y, self.random_state)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)[order]
        start, memory = self._start(X, classes, codes)
        self.C_ = self._chosen_c(X, codes)
        solver = Solver(self.C_, self.max_iter)
        fit = fit_softmax(X, codes, start, solver, sample_weight=sample_weight, memory=memory)
        self.n_iter_, self._memory = fit.n_iter, fit.memory if self.warm_start else None
        self.classes_, self.coef_, self.intercept_ = classes, fit.weights.coef, fit.weights.intercept
        return self

    def _start(self, X: FloatArray, classes: NDArray[Any], codes: IntArray) -> tuple[Weights, Memory | None]:
        zeros = Weights.zeros(len(classes), X)
        if not self.warm_start or not hasattr(self, "coef_") or self.coef_.shape[1] != X.shape[1]:
            return zeros, None
        known = np.isin(self.classes_, classes)
        if not known.any():
            return zeros, None
        place = np.searchsorted(classes, self.classes_[known])
        old = Weights(self.coef_[known].astype(X.dtype), self.intercept_[known].astype(X.dtype))
        start = extend_weights(old, place, X, codes, len(classes))
        memory: Memory | None = getattr(self, "_memory", None)
        if memory is None or not known.all() or self.coef_.dtype != X.dtype:
            return start, None
        return start, memory if len(place) == len(classes) else memory.among(place, len(classes))

    def _chosen_c(self, X: FloatArray, codes: IntArray) -> float:
        if self.C != "cv":
            return float(self.C)
        if self.warm_start and hasattr(self, "C_"):
            return float(self.C_)
        return choose_c(X, codes, self.cv, self.max_iter, self.random_state)

    def tuned(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Return an unfitted copy with C chosen on these rows, for comparing heads without choosing again."""
        check_solver_params(self)
        head: Self = clone(self)
        X, _, codes, _ = checked_rows(head, X, y, self.random_state)
        copy: Self = clone(self).set_params(C=self._chosen_c(X, codes))
        return copy

    def _weights(self) -> Weights:
        return Weights(self.coef_, self.intercept_)

    def decision_function(self, X: FloatArray) -> FloatArray:
        """Return logits, shape (n, K); for two labels, shape (n,): how much the second is preferred."""
        X = checked_vectors(self, X)
        logits = self._weights().logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def logits(self, X: FloatArray) -> FloatArray:
        """Return logits, shape (n, K), also for two labels."""
        X = checked_vectors(self, X)
        return self._weights().logits(X)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, K); rows sum to 1."""
        return softmax(self.logits(X))

    def predict(self, X: FloatArray) -> NDArray[Any]:
        """Return the most probable label of each row, shape (n,)."""
        X = checked_vectors(self, X)
        labels: NDArray[Any] = self.classes_[self._weights().logits(X).argmax(axis=1)]
        return labels


def check_solver_params(head: Any) -> None:
    """Raise ValueError where C, cv or max_iter of a head is out of its range."""
    if head.C != "cv" and not (isinstance(head.C, Real) and 0 < float(head.C) < np.inf):
        raise ValueError(f"C must be 'cv' or a positive number, got {head.C!r}")
    for name, least in (("cv", 2), ("max_iter", 1)):
        value = getattr(head, name)
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")
