"""Which head fits the labelled rows best, by cross-validation: `--head auto`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from vermilion.learn.calibration import fit_temperature, log_loss, log_proba
from vermilion.learn.folds import fold_numbers, row_keys, splits, whole_fold_numbers
from vermilion.types import FloatArray, Head, IntArray

# Rows times labels beyond which one fold is held out rather than all: it holds thousands of rows then, and
# fitting the others would take minutes to tell no more.
MANY_CELLS = 5_000_000
TEMPERATURE_ROWS = 10_000
# By so many standard errors a dearer head must be ahead. By one, noise alone would choose it every sixth time.
CLEARLY = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One head tried by cross-validation.

    Attributes
    ----------
    head : str
        Its name among the candidates.
    params : dict
        Its parameters, those chosen on the rows included; JSON-safe.
    accuracy, accuracy_std : float
        Over all held-out rows; standard deviation between folds. NaN where no row could be held out.
    log_loss : float
        Of held-out rows in nats, after the temperature that suits them best.
    temperature : float
        That temperature.
    seconds : float
        By the caller's clock, choosing parameters and all folds.
    chosen : bool
    """

    head: str
    params: dict[str, Any]
    accuracy: float
    accuracy_std: float
    log_loss: float
    temperature: float
    seconds: float
    chosen: bool = False


@dataclass(frozen=True)
class OutOfFold:
    """The chosen head's predictions for rows that it had not learned from, for calibration.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
        Ascending. Rows alone in their class are not among them: they are never held out.
    codes : ndarray of int, shape (m,)
        Columns of their true labels, in the order of the sorted distinct labels.
    proba : ndarray of shape (m, K)
    """

    rows: IntArray
    codes: IntArray
    proba: FloatArray

    @cached_property
    def temperature(self) -> float:
        """The temperature that suits these predictions best; more rows than some thousands would tell it no better."""
        step = max(-(-len(self.rows) // TEMPERATURE_ROWS), 1)
        return fit_temperature(log_proba(self.proba[::step]), self.codes[::step])

    @property
    def log_loss(self) -> float:
        """In nats, at that temperature; infinite without rows."""
        if not len(self.rows):
            return np.inf
        return log_loss(log_proba(self.proba), self.codes, self.temperature)

    @property
    def accuracy(self) -> float:
        """The share of rows whose likeliest label is theirs; NaN without rows."""
        return float((self.proba.argmax(axis=1) == self.codes).mean()) if len(self.rows) else np.nan

    def only(self, rows: IntArray) -> OutOfFold:
        """Return what was said of these rows, all of which were held out."""
        places = np.searchsorted(self.rows, rows)
        return OutOfFold(self.rows[places], self.codes[places], self.proba[places])


@runtime_checkable
class Tunable(Protocol):
    """A head that chooses parameters on the rows, once for all folds."""

    def tuned(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Return an unfitted copy with the chosen parameters."""
        ...


def choose_head(
    X: FloatArray,
    y: NDArray[Any],
    candidates: Mapping[str, Head],
    cv: int = 5,
    random_state: int = 0,
    clock: Callable[[], float] = lambda: 0.0,
    groups: IntArray | None = None,
) -> tuple[Head, tuple[Trial, ...], OutOfFold]:
    """Compare heads on the labelled rows and return the best one, unfitted.

    All heads see the same folds. The first candidate that is not clearly behind the most accurate one, by two
    standard errors of the difference row by row, is taken, so name the simpler ones first. Parameters that a
    head chooses itself are chosen once, on all rows; the returned head carries them.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    candidates : mapping of name to unfitted head
        From the simplest to the dearest; not empty.
    cv : int
        Folds, at least 2; fewer where no class has as many rows. The only row of a class stays in all
        training parts. Where rows times labels pass five million, only the first fold is held out.
    random_state : int
    clock : callable
        Seconds; this layer has no clock of its own.
    groups : ndarray of int, shape (n,), optional
        Rows that are held out together, as the pairs of one query.

    Returns
    -------
    head : Head
    trials : tuple of Trial
        In the order of the candidates.
    out_of_fold : OutOfFold
        Of the chosen head.

    Raises
    ------
    ValueError
        No candidates, or `cv` below 2.

    Examples
    --------
    >>> from vermilion.learn.heads import CentroidHead, FlatHead
    >>> X = np.eye(2, dtype=np.float32).repeat(4, axis=0)
    >>> head, trials, held_out = choose_head(
    ...     X, np.repeat(["a", "b"], 4), {"flat": FlatHead(C=10.0), "centroid": CentroidHead()}
    ... )
    >>> type(head).__name__, [trial.accuracy for trial in trials], held_out.proba.shape
    ('FlatHead', [1.0, 1.0], (8, 2))
    """
    if not candidates or cv < 2:
        raise ValueError(f"need candidates and cv from 2, got {len(candidates)} candidates and cv={cv}")
    codes = np.unique(y, return_inverse=True)[1]
    numbers = folds_of(X, codes, cv, random_state, groups)
    heads: list[Head] = []
    trials: list[Trial] = []
    held_out: list[OutOfFold] = []
    for name, candidate in candidates.items():
        began = clock()
        head = candidate.tuned(X, y) if isinstance(candidate, Tunable) else clone(candidate)
        predictions = _held_out(head, X, y, codes, numbers)
        trials.append(_trial(name, head, predictions, numbers, clock() - began))
        heads.append(head)
        held_out.append(predictions)
    best = _simplest_good(held_out)
    marked = tuple(replace(trial, chosen=place == best) for place, trial in enumerate(trials))
    return heads[best], marked, held_out[best]


def try_with_rows(
    head: Head,
    X: FloatArray,
    y: IntArray,
    more: tuple[FloatArray, IntArray],
    cv: int = 5,
    random_state: int = 0,
) -> OutOfFold:
    """Hold out the same rows as `choose_head` does, while `more` rows are learned from in every fold.

    Parameters
    ----------
    head : Head
        Unfitted, its parameters chosen.
    X, y : ndarray of shape (n, d) and (n,)
        y: 0 to K-1, each of them there.
    more : tuple of ndarray, shape (m, d) and (m,)

    Examples
    --------
    >>> from vermilion.learn.heads import FlatHead
    >>> X, y = np.eye(2, dtype=np.float32).repeat(2, axis=0), np.repeat([0, 1], 2)
    >>> try_with_rows(FlatHead(C=10.0), X, y, (X, y)).proba.argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    return _held_out(head, X, y, y, folds_of(X, y, cv, random_state), more)


def hold_out(
    head: Head,
    X: FloatArray,
    y: IntArray,
    more: tuple[FloatArray, IntArray] | None = None,
    cv: int = 5,
    random_state: int = 0,
) -> OutOfFold:
    """Hold every row out once, however many there are; rows alone in their class never.

    Parameters
    ----------
    head : Head
        Unfitted, its parameters chosen.
    X, y : ndarray of shape (n, d) and (n,)
        y: 0 to K-1, each of them there.
    more : tuple of ndarray, shape (m, d) and (m,), optional
        Rows that are learned from in every fold.

    Examples
    --------
    >>> from vermilion.learn.heads import FlatHead
    >>> X, y = np.eye(2, dtype=np.float32).repeat(3, axis=0), np.repeat([0, 1], 3)
    >>> hold_out(FlatHead(C=10.0), X, y).proba.argmax(axis=1).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    folds = min(cv, max(2, int(np.bincount(y).max())))
    return _held_out(head, X, y, y, fold_numbers(y, row_keys(np.asarray(X), random_state), folds), more)


def folds_of(
    X: FloatArray, codes: IntArray, cv: int = 5, random_state: int = 0, groups: IntArray | None = None
) -> IntArray:
    """Return the fold in which `choose_head` holds each row out, shape (n,); -1 for rows that are not."""
    keys = row_keys(np.asarray(X), random_state)
    if groups is None:
        numbers = fold_numbers(codes, keys, min(cv, max(2, int(np.bincount(codes).max()))))
    else:
        numbers = whole_fold_numbers(codes, keys, groups, cv)
    if len(codes) * (int(codes.max()) + 1) > MANY_CELLS:
        numbers[numbers > 0] = -1
    return numbers


def _held_out(
    head: Head,
    X: FloatArray,
    y: NDArray[Any],
    codes: IntArray,
    numbers: IntArray,
    more: tuple[FloatArray, NDArray[Any]] | None = None,
) -> OutOfFold:
    rows = np.flatnonzero(numbers >= 0)
    proba = np.zeros((len(rows), int(codes.max()) + 1), dtype=np.float32)
    more_X, more_y = more if more is not None else (X[:0], y[:0])
    for train, held in splits(numbers):
        fitted: Head = clone(head)
        # Every class has a row in every training part, so the columns are those of all labels.
        fitted.fit(np.concatenate([X[train], more_X]), np.concatenate([y[train], more_y]))
        proba[held[rows]] = fitted.predict_proba(X[held])
    return OutOfFold(rows, codes[rows], proba)


def _trial(name: str, head: Head, held: OutOfFold, numbers: IntArray, seconds: float) -> Trial:
    if not len(held.rows):
        return Trial(name, head.get_params(), np.nan, np.nan, np.nan, 1.0, seconds)
    right = held.proba.argmax(axis=1) == held.codes
    fold_of = numbers[held.rows]
    by_fold = [right[fold_of == fold].mean() for fold in np.unique(fold_of)]
    spread = float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else 0.0
    return Trial(name, head.get_params(), held.accuracy, spread, held.log_loss, held.temperature, seconds)


def _simplest_good(held_out: list[OutOfFold]) -> int:
    """Return the first candidate that the most accurate one does not beat by more than two standard errors.

    Both are judged on the same rows, so the error is that of the difference row by row.
    """
    if not len(held_out[0].rows):
        return 0
    right = np.stack([held.proba.argmax(axis=1) == held.codes for held in held_out]).astype(float)
    behind = right[right.mean(axis=1).argmax()] - right
    return int(np.argmax(behind.mean(axis=1) <= CLEARLY * behind.std(axis=1) / len(held_out[0].rows) ** 0.5))
