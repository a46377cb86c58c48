"""Real vectors of a data set, and more rows made of them where a measurement wants more than there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tasks import VECTORS
from vermilion.learn.subsets import unit_rows
from vermilion.types import Encoder, FloatArray, IntArray, Texts
from vermilion.world.data import Columns, read_texts
from vermilion.world.vectors import VectorCache

# Length of the noise beside a unit vector: the made row has a cosine of about .96 to its source.
NOISE = 0.3


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors with their labels.

    Attributes
    ----------
    X : ndarray of float32, shape (n, d)
        Unit rows.
    y : ndarray of int, shape (n,)
        Label numbers from 0.
    """

    X: FloatArray
    y: IntArray

    def take(self, rows: IntArray) -> Rows:
        """Return some rows."""
        return Rows(self.X[rows], self.y[rows])

    def of_labels(self, n_labels: int) -> Rows:
        """Return the rows of the first labels."""
        return self.take(np.flatnonzero(self.y < n_labels))

    def __add__(self, other: Rows) -> Rows:
        return Rows(np.concatenate([self.X, other.X]), np.concatenate([self.y, other.y]))

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True)
class RealRows:
    """A data set's train and test rows; a label number means the same in both."""

    train: Rows
    test: Rows


def read(folder: Path, encoder: Encoder, vectors: Path = VECTORS) -> RealRows:
    """Read a data set's train.jsonl and test.jsonl and encode what the vector cache does not hold."""
    train, test = (
        read_texts(folder / f"{part}.jsonl", Columns(), labelled=True) for part in ("train", "test")
    )
    names = sorted({row[0] for row in train.labels or ()})
    number = {name: place for place, name in enumerate(names)}
    cache = VectorCache(vectors, encoder)
    made = [Rows(cache.encode(texts.texts), _numbers(texts, number)) for texts in (train, test)]
    return RealRows(made[0], made[1].take(np.flatnonzero(made[1].y >= 0)))


def _numbers(texts: Texts, number: dict[str, int]) -> IntArray:
    return np.array([number.get(row[0], -1) for row in texts.labels or ()], dtype=np.int64)


def a_label(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Return `count` rows of each label; where real ones run out, noisy copies of them.

    Examples
    --------
    >>> rows = Rows(np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    >>> more = a_label(rows, 2, np.random.default_rng(0))
    >>> np.bincount(more.y).tolist(), len(np.unique(more.X, axis=0))
    ([2, 2], 4)
    """
    taken, copied = [], []
    for label in np.unique(rows.y):
        own = rng.permutation(np.flatnonzero(rows.y == label))
        taken.append(own[:count])
        copied.append(rng.choice(own, size=max(count - len(own), 0)))
    return rows.take(np.concatenate(taken)) + noisy(rows.take(np.concatenate(copied)), rng)


def noisy(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return rows with Gaussian noise of length `NOISE`, at unit length again."""
    spread = np.float32(NOISE / np.sqrt(rows.X.shape[1]))
    noise = rng.standard_normal(rows.X.shape, dtype=np.float32)
    return Rows(unit_rows(rows.X + spread * noise), rows.y)


def real_share(rows: Rows, count: int) -> float:
    """Return the share of real ones among the rows that `a_label` returns."""
    found = np.bincount(rows.y)
    found = found[found > 0]
    return float(np.minimum(found, count).sum() / (count * len(found)))
