"""Pairs of a labelled text and a label, on which an expert is checked; and the audit that certifies micro-F1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_several_loop import make_model, make_problem, oracle, run_loop

from vermilion.config import Caps, RunSettings
from vermilion.learn.label_thresholds import f1
from vermilion.red.asking import Desk
from vermilion.red.certifying import Terms
from vermilion.red.progress import Silent
from vermilion.red.several_audit import PairPopulation, audit_rows
from vermilion.red.several_check import pairs_to_check
from vermilion.red.several_loop import SeveralLoop, SeveralOutcome
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import NO, UNKNOWN, YES, PairState, PairStep
from vermilion.world.store import Store

TERMS = Terms(0.9, 0.95, 0.05)
SEEDS = 200


def test_half_are_disputed_half_are_random_and_each_text_comes_once() -> None:
    problem = make_problem()
    proba = make_model(problem).held_out
    checked = pairs_to_check(problem, proba, 20, 0)
    texts = [question.text for question in checked.questions]
    assert len(set(texts)) == 20
    assert checked.disputed.tolist() == [True] * 10 + [False] * 10
    labels = [question.options[0] for question in checked.questions[:10]]
    assert {labels.count(label.name) for label in problem.labels} == {2, 3}
    for truth, question, wanted in zip(
        checked.truth[10:], checked.questions[10:], [True, False] * 5, strict=True
    ):
        has_any = problem.Y_given[problem.given_texts.index(question.text)].any()
        assert bool(truth) == (wanted and has_any)
    for place, question in enumerate(checked.questions):
        row = problem.given_texts.index(question.text)
        label = [one.name for one in problem.labels].index(question.options[0])
        assert (checked.expected(place) == question.options[0]) == problem.Y_given[row, label]
        assert checked.head_right[place] == ((proba[row, label] >= 0.5) == problem.Y_given[row, label])
        assert question.text not in dict(question.examples)


def audited(
    problem: SeveralProblem, said: np.ndarray, says: np.ndarray, seed: int, size: int
) -> tuple[float, float, float]:
    """Return lower bound, truth and upper bound of one audit, after 80 pairs were answered before it."""
    rng = np.random.default_rng(seed)
    state = PairState.empty(*said.shape)
    before = rng.permutation(said.size)[:80]
    state.answers.flat[before] = np.where(says.flat[before], YES, NO)
    proba = np.where(said, rng.uniform(0.5, 1.0, said.shape), rng.uniform(0.0, 0.5, said.shape))
    population = PairPopulation.of(said, proba, state)
    pairs = population.draw(size, rng)
    for pair in pairs:
        state.answers[pair] = YES if says[pair] else NO
    step = PairStep("audit", pairs, tuple(bool(said[pair]) for pair in pairs), delta=0.05)
    found = population.certify(step, state.answers, TERMS)
    assert found is not None
    given, left = found.groups
    assert (given.n, left.n) == (size // 2, size - size // 2)
    truth = f1(says, state.decided(said), "micro")
    return found.certificate.lower, truth, found.certificate.upper


@pytest.mark.parametrize(("size", "wrong", "missed"), [(40, 0.1, 0.02), (120, 0.3, 0.05), (120, 0.02, 0.0)])
def test_the_certificate_holds_in_95_of_100_audits(size: int, wrong: float, missed: float) -> None:
    rng = np.random.default_rng(7)
    says = rng.random((300, 10)) < 0.15
    said = np.where(says, rng.random(says.shape) >= missed * 5, rng.random(says.shape) < wrong / 5)
    problem = make_problem()
    found = np.array([audited(problem, said, says, seed, size) for seed in range(SEEDS)])
    assert (found[:, 0] <= found[:, 1] + 1e-12).mean() >= 0.95
    assert (found[:, 2] >= found[:, 1] - 1e-12).mean() >= 0.95
    assert found[:, 0].mean() > 0.3, "a bound that says nothing always holds"


def run(folder: Path, target: float, budget: int = 400, n_open: int = 300) -> SeveralOutcome:
    problem = make_problem(n_given=150, n_open=n_open)
    settings = RunSettings(expert="oracle:gold", rounds=10, target=target)
    with Store.open(folder / "run.sqlite") as store:
        desk = Desk(oracle(problem), store, store.meter(Caps(max_calls=budget)), Silent())
        return SeveralLoop(problem, settings, make_model(problem), desk, desk.meter, budget).run()


def test_the_target_ends_a_run_early_once_it_is_certified(tmp_path: Path) -> None:
    problem = make_problem(n_given=150, n_open=300)
    assert problem.gold is not None
    early = run(tmp_path, 0.6)
    assert early.stopped == "target: certified"
    assert early.certificate is not None
    assert early.certificate.lower >= 0.6
    assert f1(problem.gold, early.decided, "micro") >= early.certificate.lower
    assert early.rounds[-1].calls < 400
    again = run(tmp_path, 0.6)
    assert (again.certificate, again.rounds[-1].calls) == (early.certificate, early.rounds[-1].calls)
    # A higher target goes on from there; what was asked stays.
    higher = run(tmp_path, 0.99)
    assert higher.rounds[-1].calls > early.rounds[-1].calls
    assert higher.stopped.startswith("rounds")
    assert higher.certificate is not None
    assert higher.certificate.lower < 0.99
    asked = early.state.answers != UNKNOWN
    np.testing.assert_array_equal(higher.state.answers[asked], early.state.answers[asked])


def test_an_audit_that_a_cap_cuts_short_certifies_nothing(tmp_path: Path) -> None:
    problem = make_problem()
    with Store.open(tmp_path / "run.sqlite") as store:
        desk = Desk(oracle(problem), store, store.meter(Caps(max_calls=70)), Silent())
        settings = RunSettings(expert="oracle:gold", rounds=3)
        outcome = SeveralLoop(problem, settings, make_model(problem), desk, desk.meter, 90).run()
    assert outcome.stopped.startswith("cap")
    assert (outcome.certificate, outcome.groups) == (None, ())


def test_audit_rows_tell_the_chance_of_each_half(tmp_path: Path) -> None:
    problem = make_problem()
    with Store.open(tmp_path / "run.sqlite") as store:
        outcome = run_loop(store, problem, 90)
    rows, step = audit_rows(problem, outcome.steps, outcome.state), outcome.steps[-1]
    assert len(rows) == len(step.pairs) == 30
    for given, pairs in zip((True, False), step.halves, strict=True):
        own = [row for row in rows if row["given"] == given]
        assert {row["inclusion_probability"] for row in own} == {len(own) / pairs}
    assert all(isinstance(row["answer"], bool) for row in rows)
