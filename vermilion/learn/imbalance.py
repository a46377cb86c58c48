"""Labels with few examples beside labels with many: what may be done about it, and which of that helps.

Every method changes only what a head learns from. Whether it helps is told by macro-F1 on rows held out, which are as
they came: resampling sees the training part of a fold alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import f1_score, precision_recall_fscore_support

from vermilion.errors import MissingExtraError
from vermilion.learn.folds import row_keys, splits
from vermilion.learn.model_choice import CLEARLY, OutOfFold, folds_of
from vermilion.types import BoolArray, FloatArray, Head, IntArray

# Labels are balanced enough where the most frequent one has at most so many times the rows of the rarest.
EVEN = 1.5
# A label is rare with fewer than so many times the mean number of rows.
RARE = 0.5
DRAWS = 200
# Cells of resampled rows beyond which making up new ones would take too much memory: 1.6 GB.
MOST_CELLS = 400_000_000
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """What a head learns from.

    Attributes
    ----------
    X, y : ndarray of shape (n, d) and (n,)
    weight : ndarray of shape (n,), or None
        How much each row counts, or how often it is drawn.
    """

    X: FloatArray
    y: IntArray
    weight: FloatArray | None = None


def as_they_are(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
    """Return the rows unchanged."""
    return Rows(X, y)


def balanced_weights(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
    """Give every label the same weight in all, the mean of a row's being 1 (King and Zeng, 2001).

    Examples
    --------
    >>> rows = balanced_weights(np.eye(4), np.array([0, 0, 0, 1]), np.random.default_rng(0))
    >>> rows.weight.round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    sizes = np.bincount(y)
    weight = len(y) / (np.count_nonzero(sizes) * sizes[y])
    return Rows(X, y, weight.astype(X.dtype))


def oversampled(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
    """Draw rows of each label again, at random, until it has as many as the most frequent one.

    The weight of a row says how often it is there.

    Examples
    --------
    >>> rows = oversampled(np.eye(4), np.array([0, 0, 0, 1]), np.random.default_rng(0))
    >>> rows.weight.tolist()
    [1.0, 1.0, 1.0, 3.0]
    """
    sizes = np.bincount(y)
    times = np.ones(len(y), dtype=X.dtype)
    for label in np.flatnonzero(sizes):
        drawn = rng.choice(np.flatnonzero(y == label), size=sizes.max() - sizes[label])
        np.add.at(times, drawn, 1)
    return Rows(X, y, times)


def undersampled(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
    """Keep as many rows of each label, at random, as the rarest one has.

    Examples
    --------
    >>> rows = undersampled(np.eye(4), np.array([0, 0, 0, 1]), np.random.default_rng(0))
    >>> rows.y.tolist()
    [0, 1]
    """
    sizes = np.bincount(y)
    labels = np.flatnonzero(sizes)
    least = sizes[labels].min()
    kept = [rng.permutation(np.flatnonzero(y == label))[:least] for label in labels]
    rows = np.sort(np.concatenate(kept))
    return Rows(X[rows], y[rows])


def smote(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
    """Make up rows between near rows of a label until it has as many as the most frequent one.

    Chawla et al. (2002), by imbalanced-learn. A label with a single row has no neighbour, and stays as it is.

    Raises
    ------
    MissingExtraError
        imbalanced-learn is not installed.
    """
    maker = _smote_class()
    sizes = np.bincount(y)
    # Labels with fewer rows have fewer neighbours, and those with more should not suffer for it.
    neighbours = np.where((sizes > 1) & (sizes < sizes.max()), np.minimum(sizes - 1, NEIGHBOURS), 0)
    made = [Rows(X, y)]
    for count in np.unique(neighbours[neighbours > 0]):
        wanted = {int(label): int(sizes.max()) for label in np.flatnonzero(neighbours == count)}
        seed = int(rng.integers(2**31))
        made_X, made_y = maker(
            sampling_strategy=wanted, k_neighbors=int(count), random_state=seed
        ).fit_resample(X, y)
        made.append(Rows(made_X[len(X) :].astype(X.dtype), made_y[len(y) :]))
    return Rows(np.concatenate([rows.X for rows in made]), np.concatenate([rows.y for rows in made]))


def _smote_class() -> Callable[..., Any]:
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError:
        raise MissingExtraError("imbalanced-learn", "imbalance") from None
    found: Callable[..., Any] = SMOTE
    return found


# From the simplest to the dearest; the last throws most rows away.
METHODS: dict[str, Callable[[FloatArray, IntArray, np.random.Generator], Rows]] = {
    "none": as_they_are,
    "weights": balanced_weights,
    "oversample": oversampled,
    "smote": smote,
    "undersample": undersampled,
}


def imbalance_ratio(y: IntArray) -> float:
    """Return how many times the rows of the rarest label the most frequent one has.

    Examples
    --------
    >>> imbalance_ratio(np.array([0, 0, 0, 2]))
    3.0
    """
    sizes = np.bincount(y)
    return float(sizes.max() / sizes[sizes > 0].min())


def usable(head: Head, X: FloatArray, y: IntArray, *, installed: bool = True) -> tuple[str, ...]:
    """Return the methods that this head, and the memory for made-up rows, allow.

    Parameters
    ----------
    installed : bool
        Whether imbalanced-learn is there.
    """
    sizes = np.bincount(y)
    cells = int(sizes.max()) * np.count_nonzero(sizes) * X.shape[1]
    out = {
        "weights": not _takes_weights(head),
        "oversample": cells > MOST_CELLS and not _takes_weights(head),
        "smote": cells > MOST_CELLS or not installed,
    }
    return tuple(name for name in METHODS if not out.get(name, False))


def smote_installed() -> bool:
    """Tell whether imbalanced-learn is there."""
    try:
        _smote_class()
    except MissingExtraError:
        return False
    return True


def fit_rebalanced(head: Head, method: str, X: FloatArray, y: IntArray, seed: int = 0) -> Head:
    """Fit a head on rows to which a method was applied; return it.

    Parameters
    ----------
    head : Head
        Changed in place.
    method : str
        A key of METHODS.
    X, y : ndarray of shape (n, d) and (n,)
        y: 0 to K-1.
    """
    order = np.lexsort((row_keys(np.asarray(X), seed), y))  # so that the order of rows does not matter
    rows = METHODS[method](X[order], y[order], np.random.default_rng(seed))
    if rows.weight is None:
        return head.fit(rows.X, rows.y)
    if _takes_weights(head):
        weighted: Any = head
        fitted: Head = weighted.fit(rows.X, rows.y, sample_weight=rows.weight)
        return fitted
    times = rows.weight.astype(np.int64)
    return head.fit(rows.X.repeat(times, axis=0), rows.y.repeat(times))


def _takes_weights(head: Head) -> bool:
    return "sample_weight" in signature(head.fit).parameters


@dataclass(frozen=True, slots=True)
class Attempt:
    """One method tried by cross-validation.

    Attributes
    ----------
    method : str
    macro_f1, accuracy : float
        Of rows held out as they came.
    rare_f1 : float
        Mean F1 of the rare labels.
    behind, error : float
        Macro-F1 of the best method minus this one's, and its standard error by the bootstrap of rows.
    seconds : float
        By the caller's clock.
    chosen : bool
    """

    method: str
    macro_f1: float
    accuracy: float
    rare_f1: float
    behind: float = 0.0
    error: float = 0.0
    seconds: float = 0.0
    chosen: bool = False


def compare_methods(
    head: Head,
    X: FloatArray,
    y: IntArray,
    methods: Sequence[str],
    random_state: int = 0,
    clock: Callable[[], float] = lambda: 0.0,
    groups: IntArray | None = None,
) -> tuple[tuple[Attempt, ...], tuple[OutOfFold, ...]]:
    """Try methods on the folds of `choose_head`, and choose the first that is not clearly behind the best one.

    Clearly: by more than two standard errors of the difference in macro-F1 on the same rows. So of methods that tie,
    the simplest is taken, and noise alone changes nothing.

    Parameters
    ----------
    head : Head
        Unfitted, its parameters chosen.
    X, y : ndarray of shape (n, d) and (n,)
        y: 0 to K-1, each of them there.
    methods : sequence of str
        Keys of METHODS, the simplest first; not empty.
    clock : callable
        Seconds.
    groups : ndarray of int, shape (n,), optional
        Rows that are held out together.

    Returns
    -------
    attempts : tuple of Attempt
    held_out : tuple of OutOfFold
        What each said of the rows held out.

    Examples
    --------
    >>> from vermilion.learn.heads import FlatHead
    >>> X = np.eye(2, dtype=np.float32).repeat([8, 2], axis=0)
    >>> attempts, _ = compare_methods(FlatHead(C=0.01), X, np.repeat([0, 1], [8, 2]), ["none", "weights"])
    >>> [(attempt.method, round(attempt.macro_f1, 2)) for attempt in attempts], attempts[1].chosen
    ([('none', 0.44), ('weights', 1.0)], True)
    """
    numbers = folds_of(X, y, random_state=random_state, groups=groups)
    held_out, seconds = [], []
    for method in methods:
        began = clock()
        held_out.append(_held_out(head, method, (X, y), numbers, random_state))
        seconds.append(clock() - began)
    found = [_attempt(*pair, y) for pair in zip(methods, held_out, strict=True)]
    best = int(np.argmax([attempt.macro_f1 for attempt in found]))
    errors = gap_errors(held_out, best, np.random.default_rng(random_state))
    gaps = [found[best].macro_f1 - attempt.macro_f1 for attempt in found]
    good = [gap <= CLEARLY * error for gap, error in zip(gaps, errors, strict=True)]
    first = good.index(True)
    attempts = (
        replace(attempt, behind=gap, error=error, seconds=took, chosen=place == first)
        for place, (attempt, gap, error, took) in enumerate(zip(found, gaps, errors, seconds, strict=True))
    )
    return tuple(attempts), tuple(held_out)


def _held_out(
    head: Head, method: str, known: tuple[FloatArray, IntArray], numbers: IntArray, seed: int
) -> OutOfFold:
    X, y = known
    rows = np.flatnonzero(numbers >= 0)
    proba = np.zeros((len(rows), int(y.max()) + 1), dtype=np.float32)
    for train, held in splits(numbers):
        fitted = fit_rebalanced(clone(head), method, X[train], y[train], seed)
        proba[held[rows]] = fitted.predict_proba(X[held])
    return OutOfFold(rows, y[rows], proba)


def _attempt(method: str, held: OutOfFold, y: IntArray) -> Attempt:
    said = held.proba.argmax(axis=1)
    present = np.unique(held.codes)
    f1 = f1_score(held.codes, said, labels=present, average=None, zero_division=0.0)
    rare = rare_labels(y)[present]
    return Attempt(
        method,
        float(np.mean(f1)) if len(f1) else np.nan,
        held.accuracy,
        float(f1[rare].mean()) if rare.any() else np.nan,
    )


def rare_labels(y: IntArray) -> BoolArray:
    """Return which labels have fewer than half the mean number of rows, shape (K,).

    Examples
    --------
    >>> rare_labels(np.array([0, 0, 0, 0, 0, 1])).tolist()
    [False, True]
    """
    sizes = np.bincount(y)
    rare: BoolArray = (sizes > 0) & (sizes < RARE * sizes[sizes > 0].mean())
    return rare


def gap_errors(held_out: Sequence[OutOfFold], best: int, rng: np.random.Generator) -> list[float]:
    """Return the standard error of each one's macro-F1 gap to the best, from rows drawn again with replacement."""
    codes = held_out[best].codes
    if not len(codes):
        return [0.0] * len(held_out)
    said = [held.proba.argmax(axis=1) for held in held_out]
    n, width = len(codes), held_out[best].proba.shape[1]
    gaps = np.empty((DRAWS, len(said)))
    for draw in range(DRAWS):
        times = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        scores = [_weighted_macro_f1(codes, predicted, times, width) for predicted in said]
        gaps[draw] = scores[best] - np.array(scores)
    return [float(error) for error in gaps.std(axis=0, ddof=1)]


def _weighted_macro_f1(codes: IntArray, said: IntArray, times: FloatArray, width: int) -> float:
    """Return macro-F1 where row i counts `times[i]` times; scikit-learn's takes 10 ms, which is long 1,000 times."""
    there = np.bincount(codes, times, width)
    named = np.bincount(said, times, width)
    right = np.bincount(codes, times * (codes == said), width)
    present = there > 0
    return float((2 * right[present] / (there + named)[present]).mean())


@dataclass(frozen=True, slots=True)
class RareLabel:
    """What a method changed for one label with few rows; F1 and recall of rows held out."""

    label: int
    rows: int
    f1_before: float
    f1: float
    recall_before: float
    recall: float


def rarest(y: IntArray, before: OutOfFold, after: OutOfFold, most: int = 10) -> tuple[RareLabel, ...]:
    """Return what changed for the labels with the fewest rows, the rarest first; those never held out are left out."""
    present = np.unique(before.codes)
    scores = [
        precision_recall_fscore_support(
            held.codes, held.proba.argmax(axis=1), labels=present, zero_division=0.0
        )
        for held in (before, after)
    ]
    sizes = np.bincount(y)
    order = np.argsort(sizes[present], kind="stable")[:most]
    return tuple(
        RareLabel(
            int(present[place]),
            int(sizes[present[place]]),
            *(float(score[part][place]) for part in (2, 1) for score in scores),
        )
        for place in order
    )
