"""Probabilities set right when a run ends, from all that is known by then.

The temperatures that a run begins with speak of its first model. At its end every confirmed text is held out once, the
heads learn from the others, and what they think of it is compared with its label. Labelled texts are right and chosen
by nobody's uncertainty. Answers are weighted by what they stand for in the pool, since most were asked because they are
hard, and may be wrong. docs/design/calibration.md has the reasons and the figures.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from vermilion.learn.answer_errors import UNCHECKED, Answers, Belief, truths
from vermilion.learn.calibration import apply_temperature, log_loss, log_proba
from vermilion.learn.calibration_choice import Calibration, choose_calibration, held_out_proba
from vermilion.learn.calibration_metrics import (
    brier_score,
    classwise_calibration_error,
    effective_size,
    expected_calibration_error,
    reliability,
)
from vermilion.learn.calibrators import tried
from vermilion.learn.folds import fold_numbers, row_keys
from vermilion.learn.model_choice import MANY_CELLS
from vermilion.learn.sampling_weights import Batch, sampling_weights
from vermilion.red.loop import Outcome
from vermilion.red.problem import Problem
from vermilion.red.proposals import Model, Proposals, training_rows
from vermilion.red.record import CalibrationRecord
from vermilion.red.trust import Trust
from vermilion.types import FloatArray, IntArray

FOLDS = 5
# Fewer texts than this say less than the temperatures that the run began with.
LEAST = 40
# A label that is rarer in the pool than among the labelled texts, or less rare, counts so many times at most.
MOST_SHIFT = 5.0
# Of a labelled text: no question was asked where it made the heads sure, so held out it is harder than new texts are.
LABELLED_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts whose label is known, each held out once.

    Attributes
    ----------
    given, rows : ndarray of int
        Given texts and then open ones, by their place.
    codes : ndarray of int, shape (n,)
        Their labels: given, answered, or after "none of these" the likeliest that is left.
    weights : ndarray of shape (n,)
        What each stands for. Those of the open texts sum to the number of equally weighted texts that they are worth.
    folds : ndarray of int, shape (n,)
        In which it is held out; -1 for a text that is not.
    """

    given: IntArray
    rows: IntArray
    codes: IntArray
    weights: FloatArray
    folds: IntArray

    @property
    def held(self) -> IntArray:
        """Places in the sample that are held out."""
        return np.flatnonzero((self.folds >= 0) & (self.weights > 0))


def belief_in(trust: Trust | None) -> Belief:
    """Return what is believed of the expert's errors: a check's random texts outweigh what is believed without one."""
    if trust is None or trust.random is None:
        return UNCHECKED
    n = trust.random.n
    return Belief(1.0 + n * (1 - trust.random.expert), 20.0 + n)


def calibrated(
    problem: Problem, outcome: Outcome, seed: int, belief: Belief = UNCHECKED
) -> tuple[Outcome, CalibrationRecord | None]:
    """Return the outcome with model and proposals calibrated, and what that is worth; None where too little is known.

    Parameters
    ----------
    belief : Belief
        Of the expert's errors.
    """
    sample = sample_of(problem, outcome, seed)
    held = sample.held
    if len(held) < LEAST or len(problem.labels) < 2:
        return outcome, None
    proposed, own = _held_out(problem, outcome, sample)
    right, weights, folds = held < len(sample.given), sample.weights[held], sample.folds[held]
    by_head = Answers(own, sample.codes[held], right, weights)
    by_run = _as_proposals(Answers(proposed, sample.codes[held], right, weights), outcome)
    calibration = choose_calibration(by_head, folds, tried(len(problem.labels), weights), belief)
    of_run = choose_calibration(by_run, folds, (), belief)
    model = replace(outcome.model, temperature=calibration.temperature, calibrator=calibration.after)
    better = replace(outcome, model=model, proposals=_apply(of_run, outcome.proposals))
    return better, _record(by_head, folds, calibration, (outcome.model, belief))


def sample_of(problem: Problem, outcome: Outcome, seed: int) -> Sample:
    """Gather the texts whose label is known, what they stand for and when they are held out."""
    state, given = outcome.state, np.arange(len(problem.y_given))
    rows = np.flatnonzero((state.answers >= 0) | (state.answered_in >= 0))
    # What was ruled out has no probability among the proposals, so the first of them is the likeliest left.
    answers = np.where(state.answers >= 0, state.answers, outcome.proposals.labels[:, 0])[rows]
    codes = np.concatenate([problem.y_given, answers])
    stands_for = _answer_weights(problem, outcome)[rows]
    # A text that the heads have not learned from may be held out at any time, whatever else is known of its label.
    keys = row_keys(np.concatenate([problem.X_given, problem.X_open[rows]]), seed)
    learned = np.concatenate([np.ones(len(given), dtype=np.bool_), _learned(outcome)[rows] >= 0])
    folds = keys.astype(np.int64) % FOLDS
    folds[learned] = fold_numbers(codes[learned], keys[learned], FOLDS)
    if len(codes) * len(problem.labels) > MANY_CELLS:
        folds[learned & (folds > 0)] = -1
        folds[~learned] = 0
        stands_for[learned[len(given) :]] *= FOLDS
    stands_for *= effective_size(stands_for) / max(stands_for.sum(), 1.0)
    return Sample(given, rows, codes, np.concatenate([_given_weights(problem, outcome), stands_for]), folds)


def _answer_weights(problem: Problem, outcome: Outcome) -> FloatArray:
    """Return how many of the pool's rows each open text stands for."""
    state = outcome.state
    batches = [
        Batch(
            np.array([asked.row for asked in step.asked], dtype=np.intp),
            np.array([step.asked[place].row for place in step.draws], dtype=np.intp),
        )
        for step in outcome.steps
    ]
    carried = (state.answers >= 0) & (state.answered_in < 0)
    return sampling_weights(problem.weights, carried, batches)


def _given_weights(problem: Problem, outcome: Outcome) -> FloatArray:
    """Return weights under which labels are as frequent among the given texts as in the pool, of mean a half."""
    state, count = outcome.state, len(problem.labels)
    decided = np.where(state.answers >= 0, state.answers, outcome.proposals.labels[:, 0])
    pool = np.bincount(decided, weights=problem.weights, minlength=count) + 1.0
    given = np.bincount(problem.y_given, minlength=count)
    shift = (pool / pool.sum())[problem.y_given] / (given / given.sum())[problem.y_given]
    shift = np.clip(shift, 1 / MOST_SHIFT, MOST_SHIFT)
    weights: FloatArray = LABELLED_WEIGHT * shift / shift.mean()
    return weights


def _held_out(problem: Problem, outcome: Outcome, sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Return what is proposed for the held-out texts, and what the kept head thinks of them, shape (m, n_labels)."""
    held = sample.held
    proposed = np.zeros((len(held), len(problem.labels)), dtype=np.float32)
    own = np.zeros_like(proposed)
    # Warm starts: the optimum is the same from wherever it is sought, and near.
    model = deepcopy(replace(outcome.model, pool=None, members=()))
    pool = outcome.model.pool
    learner = pool.copied() if pool else None
    learned = _learned(outcome)
    for fold in np.unique(sample.folds[held]):
        now = sample.folds[held] == fold
        places = held[now]
        given = places[places < len(sample.given)]
        rows = sample.rows[places[len(given) :] - len(sample.given)]
        if pool and learner:
            proposed[now], own[now] = learner.held_out(
                np.concatenate([pool.fixed, learned]), np.concatenate([given, len(pool.fixed) + rows])
            )
            proposed[now] = apply_temperature(proposed[now], pool.temperature)
        else:
            own[now] = _refitted(problem, model, learned, given, rows)
            proposed[now] = apply_temperature(own[now], outcome.model.temperature)
    return proposed, own


def _learned(outcome: Outcome) -> IntArray:
    """Return the answers that the last fit had: those of the last step came after it."""
    last = outcome.state.answered_in == len(outcome.rounds) - 1
    return np.where(last, -1, outcome.state.answers)


def _refitted(
    problem: Problem, model: Model, learned: IntArray, given: IntArray, rows: IntArray
) -> FloatArray:
    answers = learned.copy()
    answers[rows] = -1
    known = training_rows(problem, answers, names=model.names)
    kept = np.ones(len(known.y), dtype=np.bool_)
    kept[given] = False
    model.head.fit(known.X[kept], known.y[kept])
    return model.head.predict_proba(np.concatenate([problem.X_given[given], problem.X_open[rows]]))


def _as_proposals(answers: Answers, outcome: Outcome) -> Answers:
    """Return the likeliest labels in their order, and one column for all others, as `Proposals` has them."""
    width = min(outcome.proposals.labels.shape[1], answers.proba.shape[1])
    order = np.argsort(-answers.proba, axis=1, kind="stable")[:, :width]
    found = order == answers.codes[:, None]
    codes = np.where(found.any(axis=1), found.argmax(axis=1), width)
    proba = _with_rest(np.take_along_axis(answers.proba, order, axis=1))
    return Answers(proba, codes, answers.right, answers.weights)


def _with_rest(proba: FloatArray) -> FloatArray:
    rest = np.maximum(1 - proba.sum(axis=1, keepdims=True), proba.dtype.type(1e-6))
    return np.concatenate([proba, rest], axis=1)


def _apply(calibration: Calibration, proposals: Proposals) -> Proposals:
    if not len(proposals.proba):
        return proposals
    return replace(proposals, proba=calibration.apply(_with_rest(proposals.proba))[:, :-1])


def _record(
    answers: Answers, folds: IntArray, calibration: Calibration, told: tuple[Model, Belief]
) -> CalibrationRecord:
    """Say what the calibration is worth, on texts held out from its own fit."""
    before, belief = told
    method = calibration.after.method if calibration.after else None
    after = held_out_proba(answers, folds, method, belief)
    rows, codes, weights = truths(answers.at(calibration.temperature), calibration.error)
    first = apply_temperature(answers.proba, before.temperature)[rows]
    then = after[rows]
    return CalibrationRecord(
        method=calibration.method,
        temperature=calibration.temperature,
        n=len(answers),
        labelled=int(answers.right.sum()),
        answer_error=calibration.error,
        ece_before=expected_calibration_error(first, codes, sample_weight=weights),
        ece=expected_calibration_error(then, codes, sample_weight=weights),
        classwise_ece=classwise_calibration_error(then, codes, sample_weight=weights),
        brier_before=brier_score(first, codes, weights),
        brier=brier_score(then, codes, weights),
        log_loss=log_loss(log_proba(then), codes, sample_weight=weights),
        bins=reliability(then, codes, sample_weight=weights),
    )
