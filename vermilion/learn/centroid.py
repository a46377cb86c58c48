"""The centroid head: the nearest class mean."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from vermilion.learn.calibration import fit_temperature, softmax
from vermilion.learn.flat import checked_rows, checked_vectors
from vermilion.learn.subsets import class_sums, unit_rows
from vermilion.types import FloatArray, IntArray

DEFAULT_TEMPERATURE = 0.1
TEMPERATURE_ROWS = 5000


class CentroidHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Nearest class centroid by cosine, with a softmax over the cosines.

    Parameters
    ----------
    temperature : float or "cv"
        What the cosines are divided by. "cv": the one with the smallest log loss where each row is compared
        to its class without itself (rows alone in their class are left out).

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    centroids_ : ndarray of shape (K, d)
        Unit rows.
    temperature_ : float
    n_features_in_ : int

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> CentroidHead().fit(X, np.array([7, 7, 3, 3])).predict(X).tolist()
    [7, 7, 3, 3]
    """

    def __init__(self, temperature: float | Literal["cv"] = "cv") -> None:
        self.temperature = temperature

    def fit(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Learn from rows of X, shape (n, d), and labels y, shape (n,).

        Raises
        ------
        ValueError
            As scikit-learn's rules ask.
        """
        given = self.temperature
        if given != "cv" and not (isinstance(given, Real) and 0 < given < np.inf):
            raise ValueError(f"temperature must be 'cv' or a positive number, got {given!r}")
        X, self.classes_, codes, _ = checked_rows(self, X, y, seed=0)
        units = unit_rows(X)
        sums = class_sums(units, codes, len(self.classes_))
        self.centroids_ = unit_rows(sums)
        self.temperature_ = _fitted_temperature(units, codes, sums) if given == "cv" else float(given)
        return self

    def decision_function(self, X: FloatArray) -> FloatArray:
        """Return cosines / temperature, shape (n, K); for two labels, shape (n,): second minus first."""
        logits = self._logits(checked_vectors(self, X))
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def _logits(self, X: FloatArray) -> FloatArray:
        logits: FloatArray = unit_rows(X) @ self.centroids_.T / X.dtype.type(self.temperature_)
        return logits

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, K); rows sum to 1."""
        X = checked_vectors(self, X)
        return softmax(self._logits(X))

    def predict(self, X: FloatArray) -> NDArray[Any]:
        """Return the most probable label of each row, shape (n,)."""
        X = checked_vectors(self, X)
        labels: NDArray[Any] = self.classes_[self._logits(X).argmax(axis=1)]
        return labels

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as named numeric arrays (without `classes_`)."""
        check_is_fitted(self)
        return {"centroids": self.centroids_, "temperature": np.array([self.temperature_])}

    def from_tensors(self, tensors: Mapping[str, NDArray[Any]], classes: NDArray[Any]) -> Self:
        """Restore what `to_tensors` gave, on an unfitted head of the same parameters.

        Raises
        ------
        ValueError
            The arrays do not fit the classes.
        """
        centroids = np.asarray(tensors["centroids"])
        if centroids.ndim != 2 or len(centroids) != len(classes):
            raise ValueError(f"{len(classes)} classes need as many centroids, got {centroids.shape}")
        self.classes_, self.centroids_ = np.asarray(classes), centroids
        self.temperature_, self.n_features_in_ = float(tensors["temperature"][0]), centroids.shape[1]
        return self


def _fitted_temperature(units: FloatArray, codes: IntArray, sums: FloatArray) -> float:
    """Fit the temperature with each row left out of its own centroid."""
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if not len(rows):
        return DEFAULT_TEMPERATURE
    rows = rows[:: -(-len(rows) // TEMPERATURE_ROWS)]  # they are sorted by class, so each class is heard
    own = unit_rows(sums[codes[rows]] - units[rows])
    cosines = units[rows] @ unit_rows(sums).T
    cosines[np.arange(len(rows)), codes[rows]] = np.einsum("ij,ij->i", units[rows], own)
    return fit_temperature(cosines, codes[rows])
