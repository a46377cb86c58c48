"""What answers stand for: unbiased for the pool, and so is what is calibrated on them. All figures are a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vermilion.learn.answer_errors import Answers, fit_with_errors
from vermilion.learn.calibration import apply_temperature, fit_temperature, log_proba, softmax
from vermilion.learn.calibration_metrics import expected_calibration_error
from vermilion.learn.sampling_weights import Batch, sampling_weights
from vermilion.types import FloatArray, IntArray

N, LABELS, ROUNDS, CHOSEN, DRAWN, LABELLED = 4000, 10, 6, 90, 30, 300
# What early heads know of the truth that the final one does not. Where that one is wrong, the text looked hard before.
KNOWN = 2.0


@dataclass(frozen=True)
class Loop:
    """A simulated run: the final head's held-out probabilities, the truth, and what was asked."""

    proba: FloatArray
    truth: IntArray
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> IntArray:
        return np.concatenate([batch.rows for batch in self.batches])

    @property
    def weights(self) -> FloatArray:
        return sampling_weights(np.ones(N, dtype=int), np.zeros(N, dtype=bool), self.batches)


def simulated(seed: int) -> Loop:
    """Choose texts by the margin of early heads; the final one is calibrated on the pool, at temperature .5."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(N, LABELS))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    early = logits + KNOWN * np.eye(LABELS)[truth]
    open_ = np.ones(N, dtype=bool)
    batches = []
    for _ in range(ROUNDS):
        seen = np.sort(softmax(early + rng.normal(size=early.shape)), axis=1)
        drawn = rng.choice(np.flatnonzero(open_), DRAWN, replace=False)
        open_[drawn] = False
        margin = np.where(open_, seen[:, -1] - seen[:, -2], np.inf)
        chosen = np.argsort(margin)[:CHOSEN]
        open_[chosen] = False
        batches.append(Batch(np.concatenate([drawn, chosen]), drawn))
    audit = rng.choice(np.flatnonzero(open_), 200, replace=False)
    batches.append(Batch(audit, audit))
    return Loop(softmax(0.5 * logits), truth, tuple(batches))


def test_weighted_answers_tell_the_accuracy_of_the_whole_pool() -> None:
    off, raw = [], []
    for seed in range(40):
        loop = simulated(seed)
        right = loop.proba.argmax(axis=1) == loop.truth
        off.append(np.average(right, weights=loop.weights) - right.mean())
        raw.append(right[loop.rows].mean() - right.mean())
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(len(off)) + 0.002
    assert np.mean(raw) < -0.15


def test_weights_sum_to_the_pool() -> None:
    assert simulated(0).weights.sum() == pytest.approx(N)


def test_a_text_that_stands_in_several_rows_counts_as_often() -> None:
    batches = [Batch(np.array([0]), np.zeros(0, dtype=int)), Batch(np.array([1]), np.array([1, 1]))]
    weights = sampling_weights(np.array([3, 2, 5]), np.zeros(3, dtype=bool), batches)
    assert weights.tolist() == [3.0, 7.0, 0.0]


def test_nothing_drawn_gives_no_weights() -> None:
    batches = [Batch(np.array([0]), np.zeros(0, dtype=int))]
    assert not sampling_weights(np.ones(3, dtype=int), np.zeros(3, dtype=bool), batches).any()


def errors_after_calibration(seed: int, wrong: float) -> dict[str, float]:
    """Return the calibration error on the whole pool after fits that take the answers in different ways."""
    loop = simulated(seed)
    rng = np.random.default_rng([seed, 1])
    second = np.argsort(-loop.proba, axis=1)
    rival = np.where(second[:, 0] == loop.truth, second[:, 1], second[:, 0])
    said = np.where(rng.random(N) < wrong, rival, loop.truth)
    rows, weights = loop.rows, loop.weights[loop.rows]
    logs, codes = log_proba(loop.proba[rows]), said[rows]
    scaled = weights * (weights.sum() / (weights**2).sum())
    # Labelled texts: a random sample of such texts, and right.
    labelled = rng.choice(N, LABELLED, replace=False)
    both = np.concatenate([labelled, rows])
    answers = Answers(
        loop.proba[both],
        np.concatenate([loop.truth[labelled], codes]),
        np.arange(len(both)) < LABELLED,
        np.concatenate([np.ones(LABELLED), scaled]),
    )
    plain = Answers(answers.proba, answers.codes, np.ones(len(both), dtype=bool), answers.weights)
    found = {
        "as they are": 1.0,
        "unweighted": fit_temperature(logs, codes),
        "weighted": fit_temperature(logs, codes, weights),
        "weighted and labelled": fit_with_errors(plain)[0],
        "weighted and labelled, errors": fit_with_errors(answers)[0],
    }
    return {
        name: expected_calibration_error(apply_temperature(loop.proba, temperature), loop.truth)
        for name, temperature in found.items()
    }


def mean_errors(wrong: float, seeds: int) -> dict[str, float]:
    runs = [errors_after_calibration(seed, wrong) for seed in range(seeds)]
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def test_weights_help_against_the_choice_by_uncertainty() -> None:
    found = mean_errors(0.0, 10)
    assert found["weighted"] < found["unweighted"] - 0.05
    assert found["weighted"] < 0.03


def test_answers_that_may_be_wrong_are_allowed_for() -> None:
    found = mean_errors(0.15, 10)
    assert found["weighted and labelled, errors"] < found["weighted and labelled"] - 0.015
    assert found["weighted and labelled, errors"] < 0.03
