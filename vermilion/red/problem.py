"""What the loop works on: labelled texts and a pool as vectors, every distinct text once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.learn.subsets import label_vectors
from vermilion.types import FloatArray, IntArray, Label, Texts


@dataclass(frozen=True, slots=True)
class Problem:
    """Labelled texts, open texts and where each pool row finds its text.

    Attributes
    ----------
    labels : tuple of Label
        Column order of all probabilities.
    given_texts, open_texts : tuple of str
        The distinct labelled texts, and the distinct pool texts that are not among them.
    X_given, X_open : ndarray of shape (n_given, d) and (n_open, d)
    y_given : ndarray of int, shape (n_given,)
        Label numbers.
    owner : ndarray of int, shape (n_pool_rows,)
        For each pool row its place in `open_texts`, or -1 - its place in `given_texts`.
    gold : ndarray of int, shape (n_open,), or None
        Right label numbers, in a simulation; -1 where gold is not one of the labels.
    X_names : ndarray of shape (n_labels, d), or None
        Vectors of the labels' names, each of which may serve as one more example.
    """

    labels: tuple[Label, ...]
    given_texts: tuple[str, ...]
    open_texts: tuple[str, ...]
    X_given: FloatArray
    X_open: FloatArray
    y_given: IntArray
    owner: IntArray
    gold: IntArray | None = None
    X_names: FloatArray | None = None

    def text(self, place: int) -> str:
        """Return the open text of a place from 0, or the given text of a place -1 - p."""
        return self.open_texts[place] if place >= 0 else self.given_texts[-1 - place]

    @property
    def weights(self) -> IntArray:
        """Pool rows that each open text stands for, shape (n_open,)."""
        return np.bincount(self.owner[self.owner >= 0], minlength=len(self.open_texts))

    @property
    def centroids(self) -> FloatArray:
        """Unit vector of the mean of each label's given texts, shape (n_labels, d)."""
        return label_vectors(self.X_given, self.y_given, len(self.labels))

    def rivals(self) -> dict[str, tuple[str, ...]]:
        """Return for each label all others, the most similar first: whom a person would mix it up with."""
        centroids = self.centroids
        order = np.argsort(-(centroids @ centroids.T), axis=1, kind="stable")
        count = len(order)
        others = order[order != np.arange(count)[:, None]].reshape(count, count - 1)
        # Names are picked by numpy, not in a loop: at 1,000 labels there are a million of them.
        names = np.array([label.name for label in self.labels], dtype=object)
        return {name: tuple(row) for name, row in zip(names.tolist(), names[others].tolist(), strict=True)}


def name_text(label: Label) -> str:
    """Return a label's name as words.

    Examples
    --------
    >>> name_text(Label("card_payment-not recognised"))
    'card payment not recognised'
    """
    return " ".join(label.name.replace("_", " ").replace("-", " ").split()) or label.name


@dataclass(frozen=True, slots=True)
class Layout:
    """The distinct texts of a labelled set and a pool, before they have vectors."""

    given_texts: tuple[str, ...]
    given_labels: tuple[str, ...]
    open_texts: tuple[str, ...]
    owner: IntArray


def lay_out(labelled: Texts, pool: Texts) -> Layout:
    """Find the distinct texts, so that duplicates are encoded, asked and paid for once.

    Of each labelled text the first label counts; of a labelled text that comes several times, the last.

    Examples
    --------
    >>> labelled = Texts(("0",), ("pay me",), (("refund",),))
    >>> layout = lay_out(labelled, Texts(("a", "b", "c"), ("hello", "pay me", "hello")))
    >>> layout.open_texts, layout.owner.tolist()
    (('hello',), [0, -1, 0])
    """
    given = {
        text: row_labels[0] for text, row_labels in zip(labelled.texts, labelled.labels or (), strict=True)
    }
    return Layout(tuple(given), tuple(given.values()), *find_owners(given, pool))


def find_owners(given: Iterable[str], pool: Texts) -> tuple[tuple[str, ...], IntArray]:
    """Return the distinct pool texts that are not given, and for each pool row where its text is.

    Parameters
    ----------
    given : iterable of str
        The distinct labelled texts.

    Returns
    -------
    open_texts : tuple of str
    owner : ndarray of int, shape (n_pool_rows,)
        As in `Problem`.
    """
    given_place = {text: place for place, text in enumerate(given)}
    open_place: dict[str, int] = {}
    owner = np.empty(len(pool), dtype=np.int64)
    for row, text in enumerate(pool.texts):
        known = given_place.get(text)
        owner[row] = open_place.setdefault(text, len(open_place)) if known is None else -1 - known
    return tuple(open_place), owner


def build(
    layout: Layout,
    labels: Sequence[Label],
    vectors: tuple[FloatArray, FloatArray],
    gold: Mapping[str, str] | None = None,
    X_names: FloatArray | None = None,
) -> Problem:
    """Put texts, their vectors (given, open), gold labels and the vectors of the labels' names together."""
    number = {label.name: place for place, label in enumerate(labels)}
    right = None
    if gold is not None:
        right = np.array([number.get(gold.get(text, ""), -1) for text in layout.open_texts], dtype=np.int64)
    return Problem(
        tuple(labels),
        layout.given_texts,
        layout.open_texts,
        vectors[0],
        vectors[1],
        np.array([number[name] for name in layout.given_labels], dtype=np.int64),
        layout.owner,
        right,
        X_names,
    )
