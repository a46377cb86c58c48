"""Which calibration suits held-out probabilities, and what it leaves: chosen and judged out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.learn.answer_errors import UNCHECKED, Answers, Belief, fit_with_errors, truths
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.calibrators import FITS, Calibrator
from vermilion.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CalibrationTrial:
    """One method and its log loss on rows held out from its fit, in nats."""

    method: str
    log_loss: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and, where that is clearly better, what comes after it.

    Attributes
    ----------
    temperature : float
    after : Calibrator or None
    error : float
        Share of the answers that are wrong, by this fit.
    trials : tuple of CalibrationTrial
        Empty where the rows are too few for anything but a temperature.

    Examples
    --------
    >>> Calibration(0.5).apply(np.array([[0.8, 0.2]])).round(3).tolist()
    [[0.941, 0.059]]
    """

    temperature: float = 1.0
    after: Calibrator | None = None
    error: float = 0.0
    trials: tuple[CalibrationTrial, ...] = ()

    @property
    def method(self) -> str:
        """What is done, in words."""
        return "temperature" if self.after is None else f"temperature and {self.after.method} scaling"

    def apply(self, proba: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, K)."""
        scaled = apply_temperature(proba, self.temperature)
        return scaled if self.after is None else self.after.apply(scaled)


def choose_calibration(
    answers: Answers, groups: IntArray, methods: Sequence[str], belief: Belief = UNCHECKED
) -> Calibration:
    """Fit a temperature, and take what comes after it where it is clearly better on rows held out.

    Clearly: by more than one standard error of the mean difference in log loss, row by row.

    Parameters
    ----------
    answers : Answers
        Beside held-out probabilities, not calibrated.
    groups : ndarray of int, shape (n,)
        Rows of a group are held out together.
    methods : sequence of str
        Keys of FITS to try; see `tried`.
    belief : Belief
        Of the expert's errors.

    Examples
    --------
    >>> proba, sure = np.array([[0.9, 0.1]] * 400), np.ones(400, dtype=bool)
    >>> answers = Answers(proba, np.arange(400) % 4 // 3, sure, np.ones(400))
    >>> found = choose_calibration(answers, np.arange(400) % 5, ())
    >>> found.method, found.apply(proba[:1]).round(2).tolist()
    ('temperature', [[0.75, 0.25]])
    """
    plain = _fitted(answers, None, belief)
    if not methods:
        return plain
    names = (None, *methods)
    losses = {name: _losses(answers, held_out_proba(answers, groups, name, belief), plain) for name in names}
    weights = answers.weights
    means = {name: float(np.average(loss, weights=weights)) for name, loss in losses.items()}
    best = min(names, key=lambda name: means[name])
    if not _clearly(losses[None] - losses[best], weights):
        best = None
    trials = tuple(CalibrationTrial(name or "temperature", means[name], name == best) for name in names)
    chosen = _fitted(answers, best, belief)
    return Calibration(chosen.temperature, chosen.after, chosen.error, trials)


def held_out_proba(
    answers: Answers, groups: IntArray, method: str | None, belief: Belief = UNCHECKED
) -> FloatArray:
    """Return each row's probabilities by a calibration that was fitted on the other groups, shape (n, K)."""
    found = np.empty_like(answers.proba)
    for group in np.unique(groups):
        held = groups == group
        others = held if held.all() else ~held
        found[held] = _fitted(answers.only(others), method, belief).apply(answers.proba[held])
    return found


def _fitted(answers: Answers, method: str | None, belief: Belief) -> Calibration:
    temperature, error = fit_with_errors(answers, belief)
    if method is None:
        return Calibration(temperature, error=error)
    scaled = answers.at(temperature)
    rows, codes, weights = truths(scaled, error)
    return Calibration(temperature, FITS[method](scaled.proba[rows], codes, weights), error)


def _losses(answers: Answers, proba: FloatArray, plain: Calibration) -> FloatArray:
    """Return each row's log loss, over what the truth behind its answer may be, shape (n,)."""
    rows, codes, weights = truths(answers.at(plain.temperature), plain.error)
    logs = -np.log(np.maximum(proba[rows, codes].astype(np.float64), 1e-7))
    sums = np.bincount(rows, weights=weights * logs, minlength=len(answers))
    losses: FloatArray = sums / np.maximum(answers.weights, np.finfo(np.float64).tiny)
    return losses


def _clearly(gain: FloatArray, weights: FloatArray) -> bool:
    """Tell whether a weighted mean gain is above 0 by more than one standard error."""
    mean = float(np.average(gain, weights=weights))
    return mean > float(np.sqrt(((weights * (gain - mean)) ** 2).sum()) / weights.sum())
