"""The state of a subset head: which label is in which subset, and the weights of all subset classifiers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.learn.softmax_fit import Weights
from vermilion.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Division:
    """Labels in subsets, with the weights of all subset classifiers side by side.

    Attributes
    ----------
    subset_of : ndarray of int, shape (K,)
    own : Weights
        Of the K labels, each within its subset's classifier.
    noise : Weights
        Of the S noise classes.
    fingerprints : ndarray of int64, shape (S,)
        What each classifier has learned from, see `fingerprint`.
    """

    subset_of: IntArray
    own: Weights
    noise: Weights
    fingerprints: IntArray

    @classmethod
    def unlearned(cls, subset_of: IntArray, X: FloatArray) -> Division:
        """Return a division whose classifiers have learned nothing yet."""
        count = int(subset_of.max()) + 1
        own, noise = Weights.zeros(len(subset_of), X), Weights.zeros(count, X)
        return cls(subset_of, own, noise, np.zeros(count, dtype=np.int64))

    def moved(self, place: IntArray, subset_of: IntArray, X: FloatArray) -> Division:
        """Return the division for more labels: `place` holds the new number of each label known so far."""
        new = Division.unlearned(subset_of, X)
        new.own.coef[place], new.own.intercept[place] = self.own.coef, self.own.intercept
        count = len(self.fingerprints)
        new.noise.coef[:count], new.noise.intercept[:count] = self.noise.coef, self.noise.intercept
        new.fingerprints[:count] = self.fingerprints
        return new

    def log_proba(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log-probabilities of labels, (n, K), and noise, (n, S), by their own classifiers."""
        logits, noise = self.own.logits(X), self.noise.logits(X)
        order, starts = self._blocks()
        largest = np.maximum(np.maximum.reduceat(logits[:, order], starts, axis=1), noise)
        shifted = np.exp(logits - largest[:, self.subset_of])
        total = np.add.reduceat(shifted[:, order], starts, axis=1) + np.exp(noise - largest)
        norm = largest + np.log(total)
        return logits - norm[:, self.subset_of], noise - norm

    def winners(self, logs: FloatArray) -> FloatArray:
        """Return the largest value among the labels of each subset, shape (n, S)."""
        order, starts = self._blocks()
        best: FloatArray = np.maximum.reduceat(logs[:, order], starts, axis=1)
        return best

    def _blocks(self) -> tuple[IntArray, IntArray]:
        order = np.argsort(self.subset_of, kind="stable")
        sizes = np.bincount(self.subset_of, minlength=len(self.fingerprints))
        return order, np.concatenate([[0], np.cumsum(sizes)[:-1]])


def fingerprint(X: FloatArray, y: NDArray[Any], settings: list[float]) -> int:
    """Return 63 bits that change when rows, labels or settings do; never 0, which means nothing learned.

    Examples
    --------
    >>> X = np.eye(2)
    >>> fingerprint(X, np.array(["a", "b"]), [1.0]) == fingerprint(X, np.array(["a", "c"]), [1.0])
    False
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(np.ascontiguousarray(X).tobytes())
    digest.update("\0".join(map(str, y)).encode())
    digest.update(repr(settings).encode())
    return int.from_bytes(digest.digest(), "big") >> 1 or 1
