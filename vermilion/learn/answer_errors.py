"""Answers that are sometimes wrong: how often, and what the truth may be behind each.

Where a head is sure, an expert who never errs agrees with it as often as it says; one who errs, less often by the
share of errors. So temperature and error are found together, from nothing but whether each answer is the head's
likeliest label. Rows whose label is known to be right are a part of the same likelihood, without error. Which label a
wrong answer names is not modelled: experts differ in that, and a wrong model of it would spoil both numbers
(docs/design/calibration.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from vermilion.learn.calibration import COLDEST, HOTTEST, apply_temperature
from vermilion.types import BoolArray, FloatArray, IntArray

LEAST_ERROR, MOST_ERROR = 1e-3, 0.5
# Where the head is wrong, so many of the expert's errors name the same label: both mix up what is alike.
SHARED = 0.5


@dataclass(frozen=True, slots=True)
class Belief:
    """What is known of the expert's errors beside the answers: `wrong` of `n` texts.

    By default as much as a check on a hundred labelled texts would tell of a good expert: a few hundred answers cannot
    always tell one who errs from a head that is too sure.
    """

    wrong: float = 5.0
    n: float = 100.0


UNCHECKED = Belief()


@dataclass(frozen=True, slots=True)
class Answers:
    """Held-out probabilities beside what was answered.

    Attributes
    ----------
    proba : ndarray of shape (n, K)
    codes : ndarray of int, shape (n,)
        Columns of the answers.
    right : ndarray of bool, shape (n,)
        Rows whose answer is known to be right: labelled texts.
    weights : ndarray of shape (n,)
        Their sum counts as the number of rows.
    """

    proba: FloatArray
    codes: IntArray
    right: BoolArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, temperature: float) -> Answers:
        """Return the same answers beside probabilities at a temperature."""
        return Answers(apply_temperature(self.proba, temperature), self.codes, self.right, self.weights)

    def only(self, rows: BoolArray) -> Answers:
        """Return those of some rows."""
        return Answers(self.proba[rows], self.codes[rows], self.right[rows], self.weights[rows])


def fit_with_errors(answers: Answers, belief: Belief = UNCHECKED) -> tuple[float, float]:
    """Find the temperature of the truth and the expert's share of errors, together.

    The likelihood of agreement between answer and likeliest label is largest there.

    Returns
    -------
    temperature, error : float
        1 and the believed error where no row tells anything.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.dirichlet([0.1] * 8, size=4000)
    >>> truth = np.array([rng.choice(8, p=p) for p in proba])
    >>> wrong = rng.random(4000) < 0.1
    >>> codes = np.where(wrong, (truth + rng.integers(1, 8, size=4000)) % 8, truth)
    >>> found = fit_with_errors(Answers(proba, codes, np.zeros(4000, dtype=bool), np.ones(4000)))
    >>> abs(found[0] - 1) < 0.1, abs(found[1] - 0.1) < 0.02
    (True, True)
    """
    believed = belief.wrong / belief.n
    agreed = answers.proba.argmax(axis=1) == answers.codes if len(answers) else np.zeros(0, dtype=np.bool_)
    if answers.proba.shape[1] < 2 or not np.ptp(answers.proba, axis=1).any() or agreed.all():
        return 1.0, believed

    def loss(log_temperature: float) -> float:
        return _likeliest_error(_confidence(answers, log_temperature), agreed, answers, belief)[1]

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x
    error, _ = _likeliest_error(_confidence(answers, found), agreed, answers, belief)
    return float(np.exp(found)), error


def _confidence(answers: Answers, log_temperature: float) -> FloatArray:
    scaled: FloatArray = answers.at(float(np.exp(log_temperature))).proba.max(axis=1).astype(np.float64)
    return scaled


def _likeliest_error(
    confidence: FloatArray, agreed: BoolArray, answers: Answers, belief: Belief
) -> tuple[float, float]:
    """Return the likeliest share of errors beside such confidences, and the loss there."""
    weights = answers.weights.astype(np.float64)

    def loss(error: float) -> float:
        share = _agreement(confidence, np.where(answers.right, 0.0, error))
        logs = np.log(np.maximum(np.where(agreed, share, 1 - share), 1e-12))
        believed = belief.wrong * np.log(error) + (belief.n - belief.wrong) * np.log1p(-error)
        return -float(weights @ logs) - float(believed)

    found = minimize_scalar(loss, bounds=(LEAST_ERROR, MOST_ERROR), method="bounded")
    return float(found.x), float(found.fun)


def _agreement(confidence: FloatArray, error: FloatArray) -> FloatArray:
    """Return how likely answer and likeliest label agree: both right, or both wrong in the same way."""
    share: FloatArray = (1 - error) * confidence + error * (1 - confidence) * SHARED
    return share


def truths(answers: Answers, error: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Spread each answer over what the truth may be: itself, and the likeliest other label.

    Parameters
    ----------
    answers : Answers
        With calibrated probabilities.
    error : float
        Share of texts on which the expert errs.

    Returns
    -------
    rows, codes : ndarray of int, shape (m,)
        Places in `answers`, and label columns.
    weights : ndarray of shape (m,)
        Of a row's two truths they add up to its own weight.

    Examples
    --------
    An answer other than the label of which a head is sure is wrong as likely as not.

    >>> proba = np.array([[0.95, 0.05]])
    >>> answers = Answers(proba, np.array([1]), np.zeros(1, dtype=bool), np.ones(1))
    >>> [part.round(2).tolist() for part in truths(answers, 0.05)]
    [[0, 0], [1, 0], [0.51, 0.49]]
    """
    rows = np.arange(len(answers))
    others = answers.proba.copy()
    others[rows, answers.codes] = -1
    likeliest = answers.proba.argmax(axis=1) == answers.codes
    confidence = answers.proba.max(axis=1).astype(np.float64)
    rate = np.where(answers.right, 0.0, error)
    share = _agreement(confidence, rate)
    tiny = np.finfo(np.float64).tiny
    right = np.where(
        likeliest,
        (1 - rate) * confidence / np.maximum(share, tiny),
        1 - rate * confidence / np.maximum(1 - share, tiny),
    )
    weights = answers.weights
    return (
        np.concatenate([rows, rows]),
        np.concatenate([answers.codes, others.argmax(axis=1)]),
        np.concatenate([weights * right, weights * (1 - right)]),
    )
