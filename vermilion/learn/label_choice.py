"""What learns texts that may have several labels: which head, how its probabilities are set right, which thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from vermilion.learn.heads import SEVERAL
from vermilion.learn.label_calibration import LabelScaling, choose_label_scaling, log_odds
from vermilion.learn.label_thresholds import fit_thresholds
from vermilion.learn.model_choice import CLEARLY, Tunable
from vermilion.learn.stacked_labels import held_out_proba
from vermilion.types import BoolArray, FloatArray, Head

FOLDS = 5
# Cells of the indicator matrix beyond which a second layer, five times as dear, is not tried.
MANY_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class LabelTrial:
    """One head tried by cross-validation.

    Attributes
    ----------
    head : str
    params : dict
        JSON-safe.
    log_loss : float
        In nats a held-out row, summed over labels.
    error : float
        Standard error of how far it is behind the best, row by row; 0 for the best.
    seconds : float
        By the caller's clock.
    chosen : bool
    """

    head: str
    params: dict[str, Any]
    log_loss: float
    error: float
    seconds: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """The chosen head, unfitted, with what goes with it.

    Attributes
    ----------
    kind : str
    head : Head
    trials : tuple of LabelTrial
    proba : ndarray of shape (n, K)
        Of every row by a head that has not learned from it, calibrated.
    scaling : LabelScaling or None
        None where it does not help rows held out from it.
    thresholds : ndarray of shape (K,)
        For the largest F1 of each label, on `proba`.
    """

    kind: str
    head: Head
    trials: tuple[LabelTrial, ...]
    proba: FloatArray
    scaling: LabelScaling | None
    thresholds: FloatArray


def candidates(Y: BoolArray, kind: str = "auto", seed: int = 0) -> dict[str, Head]:
    """Return unfitted heads to compare: those of one kind, or with "auto" all that are affordable."""
    kinds = [kind]
    if kind == "auto":
        kinds = ["one-vs-rest"] if Y.size > MANY_CELLS else list(SEVERAL)
    return {name: SEVERAL[name](random_state=seed) for name in kinds}


def choose_label_head(
    X: FloatArray,
    Y: BoolArray,
    candidates: Mapping[str, Head],
    cv: int = FOLDS,
    clock: Callable[[], float] = lambda: 0.0,
) -> LabelChoice:
    """Compare heads on rows held out; fit scales and thresholds on what the chosen one said of them.

    All heads see the same folds. The first candidate that is not clearly behind the one with the least log loss, by
    two standard errors of the difference row by row, is taken, so name the simpler ones first.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of bool, shape (n, K)
    candidates : mapping of name to unfitted head
        From the simplest to the dearest; not empty.
    cv : int
        Folds; fewer where there are fewer rows.
    clock : callable
        Seconds; this layer has no clock of its own.

    Examples
    --------
    >>> from vermilion.learn.one_vs_rest import OneVsRestHead
    >>> X, Y = np.eye(2).repeat(5, axis=0), np.eye(2, dtype=bool).repeat(5, axis=0)
    >>> choice = choose_label_head(X, Y, {"one-vs-rest": OneVsRestHead(C=10.0)})
    >>> choice.kind, (choice.proba >= choice.thresholds).tolist() == Y.tolist()
    ('one-vs-rest', True)
    """
    folds = min(cv, len(X))
    heads, said, seconds = [], [], []
    for candidate in candidates.values():
        began = clock()
        head = candidate.tuned(X, Y) if isinstance(candidate, Tunable) else clone(candidate)
        heads.append(head)
        said.append(held_out_proba(head, X, Y, folds) if folds > 1 else np.full(Y.shape, 0.5))
        seconds.append(clock() - began)
    losses = np.stack([_row_losses(proba, Y) for proba in said])
    behind = losses - losses[losses.mean(axis=1).argmin()]
    errors = behind.std(axis=1) / max(len(X), 1) ** 0.5
    best = int(np.argmax(behind.mean(axis=1) <= CLEARLY * errors))
    trials = tuple(
        LabelTrial(
            name, heads[i].get_params(), float(losses[i].mean()), float(errors[i]), seconds[i], i == best
        )
        for i, name in enumerate(candidates)
    )
    scaling = choose_label_scaling(said[best], Y)
    proba = said[best] if scaling is None else scaling.apply(said[best])
    return LabelChoice(list(candidates)[best], heads[best], trials, proba, scaling, fit_thresholds(proba, Y))


def _row_losses(proba: FloatArray, Y: BoolArray) -> FloatArray:
    """Return the log loss of each row in nats, summed over labels, shape (n,)."""
    odds = log_odds(proba)
    losses: FloatArray = np.logaddexp(0, np.where(Y, -odds, odds)).sum(axis=1, dtype=np.float64)
    return losses
