"""Splitting labelled rows for cross-validation, the same way in whatever order they come."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from vermilion.types import BoolArray, FloatArray, IntArray


def row_keys(X: FloatArray, seed: int = 0) -> IntArray:
    """Return a pseudo-random number for each row that depends on nothing but its values and the seed.

    Sorting by it shuffles rows, and shuffles them alike whatever order they came in. The bits of the row are
    multiplied by random odd numbers and summed modulo 2**32 (multiply-shift hashing, Dietzfelbinger et al.,
    1997): equal rows have equal keys, different rows almost never do.

    Parameters
    ----------
    X : ndarray of float32 or float64, shape (n, d)
    seed : int

    Returns
    -------
    ndarray of uint32, shape (n,)

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(4, 3))
    >>> np.array_equal(row_keys(X)[::-1], row_keys(X[::-1]))
    True
    """
    bits = np.ascontiguousarray(X).view(np.uint32)
    odd = np.random.default_rng(seed).integers(0, 2**31, size=bits.shape[1], dtype=np.uint32) * 2 + 1
    keys: IntArray = bits @ odd.astype(np.uint32)
    return keys


def fold_numbers(codes: IntArray, keys: IntArray, folds: int) -> IntArray:
    """Deal the rows of each class out to folds, so that every class stays known in every training part.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class numbers.
    keys : ndarray of int, shape (n,)
        The order in which the rows of a class are dealt; see `row_keys`.
    folds : int
        At least 2.

    Returns
    -------
    ndarray of int, shape (n,)
        The fold in which a row is held out; -1 for the only row of a class, which is never held out.

    Examples
    --------
    >>> fold_numbers(np.array([0, 0, 0, 1, 1, 2]), np.arange(6), 2).tolist()
    [0, 1, 0, 1, 0, -1]
    """
    order = np.lexsort((keys, codes))
    sizes = np.bincount(codes)
    numbers = np.empty(len(codes), dtype=np.int64)
    # Dealing goes on where the class before stopped, so the folds are equally large.
    numbers[order] = np.arange(len(codes)) % folds
    numbers[sizes[codes] == 1] = -1
    return numbers


def whole_fold_numbers(codes: IntArray, keys: IntArray, groups: IntArray, folds: int) -> IntArray:
    """Deal the rows of each class out to folds, those of one group to the same fold.

    Groups are dealt by scikit-learn's `StratifiedGroupKFold`, in an order that follows from the rows' keys, so that the
    order of rows does not matter.

    Parameters
    ----------
    codes, keys : ndarray of int, shape (n,)
        As of `fold_numbers`; equal keys are of equal rows.
    groups : ndarray of int, shape (n,)
        Whatever their numbers.
    folds : int
        At least 2; fewer where no class is in as many groups.

    Returns
    -------
    ndarray of int, shape (n,)
        The fold in which a row is held out; -1 for groups without which a class would be unknown.

    Examples
    --------
    >>> numbers = whole_fold_numbers(np.array([0, 1, 0, 1, 2, 0]), np.arange(6), np.array([7, 7, 8, 8, 9, 9]), 2)
    >>> numbers.tolist()
    [0, 0, 1, 1, -1, -1]
    """
    own = np.unique(groups, return_inverse=True)[1]
    first = np.full(int(own.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, own, keys.astype(np.int64))
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(len(first))
    order = np.lexsort((keys, codes, place[own]))
    spread = np.unique(np.column_stack([codes, own]), axis=0)[:, 0]
    in_groups = np.bincount(spread, minlength=int(codes.max()) + 1)
    alone = np.unique(own[in_groups[codes] == 1])
    numbers = np.full(len(codes), -1)
    rows = order[~np.isin(own[order], alone)]
    if len(np.unique(own[rows])) > 1:
        most = min(folds, max(2, int(in_groups.max())), len(np.unique(own[rows])))
        numbers[rows] = _dealt(codes[rows], place[own[rows]], most)
    for code in np.flatnonzero(in_groups > 1):
        mine = codes == code
        if (
            len(np.unique(numbers[mine])) == 1
        ):  # one fold has all of its groups: they stay in every training part
            numbers[np.isin(own, own[mine])] = -1
    return numbers


def _dealt(codes: IntArray, groups: IntArray, folds: int) -> IntArray:
    numbers = np.empty(len(codes), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = list(
            StratifiedGroupKFold(folds).split(
                codes[:, None], np.unique(codes, return_inverse=True)[1], groups
            )
        )
    for number, (_, held) in enumerate(parts):
        numbers[held] = number
    return numbers


def splits(numbers: IntArray) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Yield (training rows, held-out rows) as masks of shape (n,), one pair for each fold that holds rows.

    Examples
    --------
    >>> [held.tolist() for _, held in splits(np.array([0, 1, -1]))]
    [[True, False, False], [False, True, False]]
    """
    for number in np.unique(numbers[numbers >= 0]):
        held = numbers == number
        yield ~held, held
