"""A run's end: every known text is held out, weighted by what it stands for, and nothing learned is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import make_problem

from vermilion.config import Caps, RunSettings
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.calibration_metrics import expected_calibration_error
from vermilion.learn.heads import FlatHead
from vermilion.red.asking import Desk
from vermilion.red.calibrating import LABELLED_WEIGHT, calibrated, sample_of
from vermilion.red.loop import Loop, Outcome
from vermilion.red.pool import Pool
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

PROBLEM = make_problem(n_labels=6, n_open=400)


def ended(folder: Path, model: Model, problem: Problem = PROBLEM, calls: int = 120) -> Outcome:
    """Run the loop to its end with an expert who errs in 5 %."""
    assert problem.gold is not None
    names = [problem.labels[number].name for number in problem.gold]
    expert = OracleExpert(dict(zip(problem.open_texts, names, strict=True)), error=0.05)
    settings = RunSettings(expert="oracle:gold.csv", target=1.0, rounds=3, caps=Caps(max_calls=calls))
    with Store.open(folder / "run.sqlite") as store:
        desk = Desk(expert, store, store.meter(settings.caps), Silent())
        return Loop(problem, settings, model, desk, desk.meter, calls).run()


def plain() -> Model:
    return Model(FlatHead(C=3.0), 4.0)


def with_pool() -> Model:
    pool = Pool.over(PROBLEM, 3.0, names=False)
    assert pool is not None
    return Model(pool.learner.student, 4.0, pool=replace(pool, temperature=4.0))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return ended(tmp_path_factory.mktemp("plain"), plain())


def test_the_sample_holds_all_that_is_known_once(outcome: Outcome) -> None:
    sample = sample_of(PROBLEM, outcome, 0)
    answered = np.flatnonzero(outcome.state.answered_in >= 0)
    assert sample.rows.tolist() == answered.tolist()
    assert len(sample.codes) == len(sample.given) + len(answered)
    # Only a text chosen for its uncertainty in the last step stands for nothing, and that step is an audit.
    assert (sample.weights > 0).all()
    assert sample.weights[: len(sample.given)].mean() == pytest.approx(LABELLED_WEIGHT)


def test_random_texts_stand_for_more_than_chosen_ones(outcome: Outcome) -> None:
    sample = sample_of(PROBLEM, outcome, 0)
    drawn = {step.asked[place].row for step in outcome.steps for place in step.draws}
    random = np.isin(sample.rows, sorted(drawn))
    weights = sample.weights[len(sample.given) :]
    assert weights[random].min() > 3 * weights[~random].max()


def test_after_none_of_these_the_text_counts_for_the_likeliest_label_that_is_left(outcome: Outcome) -> None:
    state = replace(outcome.state, answers=outcome.state.answers.copy())
    row = int(np.flatnonzero(state.answers >= 0)[0])
    state.answers[row] = -1
    sample = sample_of(PROBLEM, replace(outcome, state=state), 0)
    code = sample.codes[len(sample.given) + np.flatnonzero(sample.rows == row)[0]]
    assert code == outcome.proposals.labels[row, 0]


@pytest.mark.parametrize("model", [plain, with_pool], ids=["head", "pool"])
def test_probabilities_that_were_too_modest_are_set_right(tmp_path: Path, model: object) -> None:
    before = ended(tmp_path, model())  # type: ignore[operator]
    head = before.model.head
    coefficients = head.to_tensors()["coef"].copy()
    after, record = calibrated(PROBLEM, before, 0)
    assert record is not None
    gold = PROBLEM.gold
    assert gold is not None
    open_ = before.state.answers < 0

    def error(outcome: Outcome) -> float:
        own = outcome.model.predict_proba(PROBLEM.X_open[open_])
        return expected_calibration_error(own, gold[open_])

    assert error(after) < error(before) / 2
    confidence, right = (
        after.proposals.proba[open_, 0],
        after.proposals.labels[open_, 0] == gold[open_],
    )
    assert (
        abs(confidence.mean() - right.mean())
        < abs(before.proposals.proba[open_, 0].mean() - right.mean()) / 2
    )
    assert record.ece < record.ece_before
    assert record.labelled == len(PROBLEM.y_given)
    # What is kept has learned from all that was confirmed, the held-out texts included.
    np.testing.assert_array_equal(after.model.head.to_tensors()["coef"], coefficients)
    assert (after.proposals.labels == before.proposals.labels).all()


def test_the_same_run_is_calibrated_alike(outcome: Outcome) -> None:
    first, second = (calibrated(PROBLEM, outcome, 0) for _ in range(2))
    assert first[1] == second[1]
    np.testing.assert_array_equal(first[0].proposals.proba, second[0].proposals.proba)


def test_too_little_is_known(tmp_path: Path) -> None:
    problem = make_problem(n_labels=4, n_open=10)
    before = ended(tmp_path, plain(), problem, calls=0)
    after, record = calibrated(problem, before, 0)
    assert record is None
    assert after is before


def test_one_of_five_folds_is_held_out_of_much(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.red.calibrating.MANY_CELLS", 100)
    sample = sample_of(PROBLEM, outcome, 0)
    audit = np.isin(sample.rows, [asked.row for asked in outcome.steps[-1].asked])
    assert set(sample.folds.tolist()) == {-1, 0}
    assert (sample.folds[len(sample.given) :][audit] == 0).all()
    assert len(sample.held) < 0.6 * len(sample.codes)
    _, record = calibrated(PROBLEM, outcome, 0)
    assert record is not None


def test_temperature_alone_leaves_the_saved_probabilities_a_power(outcome: Outcome) -> None:
    after, record = calibrated(PROBLEM, outcome, 0)
    assert record is not None
    assert record.method == "temperature"  # too few texts for more
    raw = after.model.head.predict_proba(PROBLEM.X_open)
    expected = apply_temperature(raw, record.temperature)
    assert after.model.predict_proba(PROBLEM.X_open) == pytest.approx(expected, abs=1e-5)
