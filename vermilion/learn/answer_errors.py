"""Answers that are sometimes wrong: how often, and what the truth may be behind each.

An expert who errs mostly takes labels for each other that are easily taken for each other. So half of the errors are
supposed to fall on each other label in proportion to the probability that the head gives it, and half on any, which
keeps a few wild answers from making the head look unsure. Rows whose label is known to be right are a part of the same
likelihood, without error: a forward correction (Patrini et al., 2017) whose rate is learned, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from vermilion.learn.calibration import COLDEST, HOTTEST, apply_temperature
from vermilion.types import BoolArray, FloatArray, IntArray

# What is believed of the expert before its answers are seen, as texts of which so many are answered wrongly: wide
# enough for a hundred answers to overrule it, and it keeps ten answers from meaning that nobody errs.
BELIEVED_WRONG, BELIEVED = 1.0, 20.0
MOST_ERROR = 0.5
# Share of the errors that fall on any other label.
WILD = 0.5


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


def truth_behind(answers: Answers, error: float) -> tuple[FloatArray, FloatArray]:
    """Return how likely each answer was, and how likely each is right now that it was given.

    Parameters
    ----------
    answers : Answers
        With calibrated probabilities.
    error : float
        Share of texts on which the expert errs.

    Returns
    -------
    likelihood, right : ndarray of float64, shape (n,)

    Examples
    --------
    An answer that the head thinks unlikely is an error as likely as not; one it expects is none.

    >>> proba, once = np.array([[0.95, 0.05]] * 2), np.ones(2)
    >>> found = truth_behind(Answers(proba, np.array([0, 1]), np.zeros(2, dtype=bool), once), 0.05)
    >>> [part.round(3).tolist() for part in found]
    [[0.905, 0.095], [0.997, 0.5]]
    """
    rows = np.arange(len(answers))
    proba = answers.proba.astype(np.float64)
    own = proba[rows, answers.codes]
    odds = proba / np.maximum(1 - proba, 1e-9)
    alike = own * (odds.sum(axis=1) - odds[rows, answers.codes])
    mistaken = (1 - WILD) * alike + WILD * (1 - own) / max(proba.shape[1] - 1, 1)
    rate = np.where(answers.right, 0.0, error)
    likelihood = (1 - rate) * own + rate * mistaken
    return likelihood, (1 - rate) * own / np.maximum(likelihood, np.finfo(np.float64).tiny)


def fit_with_errors(answers: Answers) -> tuple[float, float]:
    """Find the temperature of the truth and the expert's share of errors, together.

    The likelihood of the answers is largest there, with a weak belief about the error; the sum of the weights counts
    as the number of rows.

    Returns
    -------
    temperature, error : float

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.dirichlet([0.05] * 8, size=4000)
    >>> truth = np.array([rng.choice(8, p=p) for p in proba])
    >>> wrong = rng.random(4000) < 0.1
    >>> codes = np.where(wrong, (truth + rng.integers(1, 8, size=4000)) % 8, truth)
    >>> found = fit_with_errors(Answers(proba, codes, np.zeros(4000, dtype=bool), np.ones(4000)))
    >>> [round(value, 1) for value in found]
    [1.0, 0.1]
    """
    if not len(answers) or answers.proba.shape[1] < 2:
        return 1.0, 0.0

    def loss(log_temperature: float) -> float:
        return _error_at(answers.at(float(np.exp(log_temperature))))[1]

    found = minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-3}
    )
    temperature = float(np.exp(found.x))
    return temperature, _error_at(answers.at(temperature))[0]


def _error_at(answers: Answers) -> tuple[float, float]:
    """Return the likeliest share of errors beside these probabilities, and the loss there."""
    weights = answers.weights.astype(np.float64)
    # At both ends of the scale, since the likelihood is linear in the error.
    none, _ = truth_behind(answers, 0.0)
    all_, _ = truth_behind(answers, 1.0)
    tiny = np.finfo(np.float64).tiny

    def loss(error: float) -> float:
        logs = np.log(np.maximum(none + error * (all_ - none), tiny))
        belief = BELIEVED_WRONG * np.log(error) + (BELIEVED - BELIEVED_WRONG) * np.log1p(-error)
        return -float(weights @ logs) - belief

    if answers.right.all():
        return 0.0, loss(BELIEVED_WRONG / BELIEVED)
    found = minimize_scalar(loss, bounds=(1e-4, MOST_ERROR), method="bounded")
    return float(found.x), float(found.fun)


def truths(answers: Answers, error: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Spread each answer over what the truth may be: itself, and the likeliest other label.

    Returns
    -------
    rows, codes : ndarray of int, shape (m,)
        Places in `answers`, and label columns.
    weights : ndarray of shape (m,)
        Of a row's two truths they add up to its own weight.

    Examples
    --------
    >>> proba = np.array([[0.95, 0.05]])
    >>> answers = Answers(proba, np.array([1]), np.zeros(1, dtype=bool), np.ones(1))
    >>> [part.round(2).tolist() for part in truths(answers, 0.05)]
    [[0, 0], [1, 0], [0.5, 0.5]]
    """
    _, right = truth_behind(answers, error)
    others = answers.proba.copy()
    rows = np.arange(len(answers))
    others[rows, answers.codes] = -1
    return (
        np.concatenate([rows, rows]),
        np.concatenate([answers.codes, others.argmax(axis=1)]),
        np.concatenate([answers.weights * right, answers.weights * (1 - right)]),
    )
