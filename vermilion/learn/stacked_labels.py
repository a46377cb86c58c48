"""Labels that tell of each other: a second layer that sees what the first says of all labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from vermilion.learn.flat import checked_vectors
from vermilion.learn.folds import row_keys
from vermilion.learn.one_vs_rest import ByLogOdds, OneVsRestHead
from vermilion.types import BoolArray, FloatArray

# The first layer's probabilities beside unit vectors, whose entries are about a twentieth.
SCALE = 0.3


class StackedHead(ByLogOdds, BaseEstimator):  # type: ignore[misc]
    """One-vs-rest on the vectors, and once more on the vectors with the first layer's probabilities.

    The second layer learns from probabilities of rows that the first had not seen (Godbole and Sarawagi, 2004;
    Wolpert, 1992), so that it is not misled by how sure a classifier is of what it has learned by heart.

    Parameters
    ----------
    C : float or "cv"
        Of both layers; see OneVsRestHead.
    cv : int
        Folds in which the first layer's probabilities are held out, and for choosing C.
    max_iter : int
    random_state : int

    Attributes
    ----------
    classes_ : ndarray of int, shape (K,)
    first_, second_ : OneVsRestHead
    n_features_in_ : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3)).astype(np.float32)
    >>> Y = np.column_stack([X[:, 0] > 0, (X[:, 0] > 0) & (X[:, 1] > 0)])
    >>> StackedHead(C=30.0).fit(X, Y).predict_proba(X).shape
    (60, 2)
    """

    def __init__(
        self, C: float | Literal["cv"] = "cv", cv: int = 3, max_iter: int = 300, random_state: int = 0
    ) -> None:
        self.C = C
        self.cv = cv
        self.max_iter = max_iter
        self.random_state = random_state

    def _layer(self) -> OneVsRestHead:
        return OneVsRestHead(self.C, self.cv, self.max_iter, random_state=self.random_state)

    def fit(
        self,
        X: FloatArray,
        y: NDArray[Any],
        sample_weight: FloatArray | None = None,
        known: BoolArray | None = None,
    ) -> Self:
        """Learn from rows of X, shape (n, d), an indicator matrix y, shape (n, K), and optional weights, shape (n,).

        `known` as in `OneVsRestHead.fit`.

        Raises
        ------
        ValueError
            As `OneVsRestHead.fit`.
        """
        first = self._layer()
        self.first_ = first.fit(X, y, sample_weight, known)
        X, Y = first._checked(X, y)
        told = held_out_proba(
            first.set_params(C=first.C_), X, Y, self.cv, known=known, sample_weight=sample_weight
        )
        first.set_params(C=self.C)
        self.second_ = self._layer().fit(_beside(X, told), Y, sample_weight, known)
        self.classes_, self.n_features_in_ = self.first_.classes_, self.first_.n_features_in_
        return self

    def tuned(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Return an unfitted copy with C chosen on these rows."""
        copy: Self = clone(self).set_params(C=self._layer().tuned(X, y).C)
        return copy

    def logits(self, X: FloatArray) -> FloatArray:
        """Return the log odds of each label, shape (n, K)."""
        X = checked_vectors(self, X)
        return self.second_.logits(_beside(X, self.first_.predict_proba(X)))

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as named numeric arrays (without `classes_`)."""
        check_is_fitted(self)
        layers = {"first": self.first_, "second": self.second_}
        return {
            f"{layer}.{name}": values
            for layer, head in layers.items()
            for name, values in head.to_tensors().items()
        }

    def from_tensors(self, tensors: Mapping[str, NDArray[Any]], classes: NDArray[Any]) -> Self:
        """Restore what `to_tensors` gave, on an unfitted head of the same parameters.

        Raises
        ------
        ValueError
            The arrays do not fit each other or the classes.
        """
        self.first_, self.second_ = (
            self._layer().from_tensors(
                {
                    name.removeprefix(layer): values
                    for name, values in tensors.items()
                    if name.startswith(layer)
                },
                classes,
            )
            for layer in ("first.", "second.")
        )
        self.classes_, self.n_features_in_ = np.asarray(classes), self.first_.n_features_in_
        if self.second_.n_features_in_ != self.n_features_in_ + len(classes):
            raise ValueError(f"the second layer has {self.second_.n_features_in_} features")
        return self


def _beside(X: FloatArray, proba: FloatArray) -> FloatArray:
    return np.concatenate([X, (SCALE * proba).astype(X.dtype)], axis=1)


def held_out_proba(
    head: Any,
    X: FloatArray,
    Y: BoolArray,
    folds: int,
    *,
    known: BoolArray | None = None,
    sample_weight: FloatArray | None = None,
) -> FloatArray:
    """Return the probabilities of every row by a head that has not learned from it, shape (n, K).

    Parameters
    ----------
    head : head
        Its parameters chosen; it is cloned.
    X : ndarray of shape (n, d)
    Y : ndarray of bool, shape (n, K)
    folds : int
        Rows are dealt out by their values, so equal rows may fall into different folds, but not by their order.
    known : ndarray of bool, shape (n, K), optional
        As in `OneVsRestHead.fit`.
    sample_weight : ndarray of shape (n,), optional

    Examples
    --------
    >>> X, Y = np.eye(2).repeat(3, axis=0), np.eye(2, dtype=bool).repeat(3, axis=0)
    >>> (held_out_proba(OneVsRestHead(C=10.0), X, Y, 3) > 0.5).argmax(axis=1).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    numbers = deal(X, Y, folds, getattr(head, "random_state", 0))
    said = np.zeros(Y.shape, dtype=X.dtype)
    for fold in np.unique(numbers):
        held = numbers == fold
        weight, heed = (None if part is None else part[~held] for part in (sample_weight, known))
        said[held] = clone(head).fit(X[~held], Y[~held], weight, heed).predict_proba(X[held])
    return said


def deal(X: FloatArray, Y: BoolArray, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal rows out to folds so that each rare label is spread over them (Sechidis et al., 2011, in one pass).

    A row goes by the rarest label that it has; rows with the same rarest label are dealt in turn.

    Examples
    --------
    >>> int(deal(np.eye(4), np.array([[1, 1], [1, 0], [1, 1], [1, 0]], dtype=bool), 2, 0)[[0, 2]].sum())
    1
    """
    counts = Y.sum(axis=0)
    rarest = np.where(Y, counts, len(Y) + 1).argmin(axis=1) if Y.shape[1] else np.zeros(len(Y), dtype=int)
    rarest = np.where(Y.any(axis=1), rarest, Y.shape[1])
    order = np.lexsort((row_keys(np.asarray(X), seed), rarest))
    numbers = np.empty(len(Y), dtype=np.int64)
    numbers[order] = np.arange(len(Y)) % folds
    return numbers
