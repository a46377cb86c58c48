"""Which labels share a subset classifier: mutually dissimilar ones, chosen greedily.

The first step of R.E.D., Recursive Expert Delegation: the label space is divided into small sets of labels
that are easy to tell apart, so that each set's classifier has an easy task.
"""

from __future__ import annotations

import warnings

import numpy as np

from vermilion.errors import MissingExtraError
from vermilion.types import FloatArray, IntArray

UMAP_DIMENSIONS = 10
UMAP_LEAST_LABELS = 25


def unit_rows(X: FloatArray) -> FloatArray:
    """Return X with each row divided by its length; rows of zeros stay.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    rows: FloatArray = X / np.where(norms > 0, norms, norms.dtype.type(1))
    return rows


def class_sums(X: FloatArray, codes: IntArray, n_classes: int) -> FloatArray:
    """Return the sum of the rows of each class, shape (n_classes, d), in the dtype of X.

    Examples
    --------
    >>> class_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0]), 2).tolist()
    [[5.0], [2.0]]
    """
    sums = np.zeros((n_classes, X.shape[1]), dtype=X.dtype)
    np.add.at(sums, codes, X)
    return sums


def label_vectors(X: FloatArray, codes: IntArray, n_classes: int) -> FloatArray:
    """Return the direction of the mean of each class, unit rows of shape (n_classes, d).

    Examples
    --------
    >>> label_vectors(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return unit_rows(class_sums(X, codes, n_classes))


def greedy_subsets(
    label_vectors: FloatArray, size: int, rng: np.random.Generator | None = None
) -> list[IntArray]:
    """Divide labels into subsets of at most `size` whose members are dissimilar to each other.

    R.E.D. (Recursive Expert Delegation) divides greedily. Here the labels that are the hardest to place,
    those most similar to all others, are placed first, each into the subset with room where its nearest
    member is the farthest away. Filling all subsets at once leaves none of the similar leftovers that
    filling one after the other ends with.

    Parameters
    ----------
    label_vectors : ndarray of shape (K, d)
        Unit rows.
    size : int
        From 1.
    rng : numpy.random.Generator, optional
        Place the labels in a random order instead; different orders give different divisions, for a
        committee.

    Returns
    -------
    list of ndarray of int
        ceil(K / size) subsets with the numbers of their labels, ascending; their sizes differ by one at most.

    Raises
    ------
    ValueError
        `size` is less than 1.

    Examples
    --------
    >>> pairs = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> [subset.tolist() for subset in greedy_subsets(pairs, 2)]
    [[1, 2], [0, 3]]
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    n_labels = len(label_vectors)
    n_subsets = -(-n_labels // size)
    similarity = label_vectors @ label_vectors.T
    order = np.argsort(-similarity.sum(axis=1), kind="stable") if rng is None else rng.permutation(n_labels)
    nearest = np.full((n_subsets, n_labels), -np.inf)
    room = np.full(n_subsets, n_labels // max(n_subsets, 1))
    subset_of = np.empty(n_labels, dtype=np.int64)
    for label in order:
        if not room.any():
            room += 1  # the equal shares are dealt out; fewer labels are left than there are subsets
        chosen = int(np.argmin(np.where(room > 0, nearest[:, label], np.inf)))
        subset_of[label] = chosen
        room[chosen] -= 1
        nearest[chosen] = np.maximum(nearest[chosen], similarity[label])
    return [np.flatnonzero(subset_of == subset) for subset in range(n_subsets)]


def place_label(vector: FloatArray, label_vectors: FloatArray, subset_of: IntArray, size: int) -> int:
    """Return the subset for one more label: the most dissimilar one with room, or a new one.

    Parameters
    ----------
    vector : ndarray of shape (d,)
        Of the new label.
    label_vectors : ndarray of shape (K, d)
        Of the labels that have a subset.
    subset_of : ndarray of int, shape (K,)
        The subset of each.
    size : int
        The most labels a subset may have.

    Examples
    --------
    >>> place_label(np.array([1.0, 0.0]), np.eye(2), np.array([0, 1]), 2)
    1
    >>> place_label(np.array([1.0, 0.0]), np.eye(2), np.array([0, 1]), 1)
    2
    """
    sizes = np.bincount(subset_of)
    if not (sizes < size).any():
        return len(sizes)
    nearest = np.full(len(sizes), -np.inf)
    np.maximum.at(nearest, subset_of, label_vectors @ vector)
    return int(np.argmin(np.where(sizes < size, nearest, np.inf)))


def reduced(label_vectors: FloatArray, seed: int) -> FloatArray:
    """Return unit label vectors in 10 dimensions by UMAP, for the division only.

    Fewer than 25 labels are too few for a neighbour graph; they come back as they are.

    Raises
    ------
    MissingExtraError
        umap-learn is not installed.
    """
    with warnings.catch_warnings():
        # It warns of TensorFlow, which it does not need, and of labels far from all others, which may be.
        warnings.simplefilter("ignore")
        try:
            from umap import UMAP
        except ImportError as error:
            raise MissingExtraError("umap-learn", "umap") from error
        if len(label_vectors) < UMAP_LEAST_LABELS:
            return label_vectors
        seed %= 2**32  # all that its generator takes
        model = UMAP(n_components=UMAP_DIMENSIONS, metric="cosine", random_state=seed, n_jobs=1)
        points: FloatArray = model.fit_transform(label_vectors)
    return unit_rows(points - points.mean(axis=0))
