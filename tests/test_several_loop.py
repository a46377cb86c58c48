"""R.E.D. where a text may have several labels, on small problems with an oracle and a real store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vermilion.config import Caps, RunSettings
from vermilion.learn.label_thresholds import f1
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.red.asking import Desk
from vermilion.red.progress import Silent
from vermilion.red.several_loop import SeveralLoop, SeveralOutcome, gold_scores, select_pairs
from vermilion.red.several_model import SeveralModel
from vermilion.red.several_problem import SeveralProblem, build_several, lay_out_several
from vermilion.red.several_state import NO, UNKNOWN, YES, PairState, PairStep
from vermilion.types import BoolArray, Label, Meter, Question, Reply, Texts, Verdict
from vermilion.world.experts import LabelsOracle
from vermilion.world.store import Store

NAMES = ("a", "b", "c", "rare")


def make_problem(n_given: int = 40, n_open: int = 60, seed: int = 0) -> SeveralProblem:
    """Return a problem whose labels are on where a direction is; open text 0 stands twice in the pool."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_given + n_open, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y = X[:, :4] + 0.1 * rng.normal(size=(len(X), 4)) > [0.0, 0.2, 0.3, 0.5]
    rows = [tuple(np.array(NAMES)[on].tolist()) for on in Y]
    texts = [f"text {place}" for place in range(len(X))]
    labelled = Texts(tuple(texts[:n_given]), tuple(texts[:n_given]), tuple(rows[:n_given]))
    pool = (*texts[n_given:], texts[n_given], texts[0])
    layout = lay_out_several(labelled, Texts(tuple(map(str, range(len(pool)))), pool))
    gold = {text: frozenset(row) for text, row in zip(texts, rows, strict=True)}
    X = X.astype(np.float32)
    return build_several(layout, [Label(name) for name in NAMES], (X[:n_given], X[n_given:]), gold)


def oracle(problem: SeveralProblem, error: float = 0.0) -> LabelsOracle:
    """Return an expert that knows the gold labels."""
    assert problem.gold is not None
    names = np.array(NAMES)
    gold = {
        text: frozenset(names[on].tolist()) for text, on in zip(problem.open_texts, problem.gold, strict=True)
    }
    return LabelsOracle(gold, error)


def make_model(problem: SeveralProblem) -> SeveralModel:
    """Return a fitted head with thresholds at one half."""
    head = OneVsRestHead(C=10.0).fit(problem.X_given, problem.Y_given)
    said = head.predict_proba(problem.X_given)
    return SeveralModel("one-vs-rest", head, None, np.full(4, 0.5), (), said)


def run_loop(
    store: Store, problem: SeveralProblem, budget: int, expert: LabelsOracle | None = None, rounds: int = 3
) -> SeveralOutcome:
    """Run the loop, or go on with it."""
    settings = RunSettings(expert="oracle:gold", rounds=rounds)
    desk = Desk(expert or oracle(problem), store, store.meter(Caps(max_calls=budget)), Silent())
    return SeveralLoop(problem, settings, make_model(problem), desk, desk.meter, budget).run()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run.sqlite") as opened:
        yield opened


def test_labels_take_turns_and_only_free_pairs_are_chosen() -> None:
    proba = np.array([[0.5, 0.01, 0.9], [0.6, 0.02, 0.99], [0.9, 0.001, 0.2]])
    free = np.ones((3, 3), dtype=bool)
    free[0, 0] = False
    assert set(select_pairs(proba, free, 3)) == {(1, 0), (1, 1), (2, 2)}
    assert len(select_pairs(proba, free, 100)) == 8
    assert select_pairs(proba, np.zeros((3, 3), dtype=bool), 5) == []
    assert select_pairs(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool), 5) == []


def test_the_budget_is_kept_and_nothing_is_asked_twice(store: Store) -> None:
    outcome = run_loop(store, make_problem(), 90)
    asked = sum(record.asked for record in outcome.rounds)
    assert asked == store.count_verdicts() == (outcome.state.answers != UNKNOWN).sum() <= 90
    assert outcome.stopped.startswith("rounds") or outcome.stopped.startswith("cap")
    assert [step.kind for step in outcome.steps] == ["round", "round", "round", "audit"]


def test_answers_are_decisions_and_the_rest_gets_better(store: Store) -> None:
    problem = make_problem(n_given=12, n_open=200)
    assert problem.gold is not None
    before = gold_scores(
        problem, make_model(problem).rule.decide(make_model(problem).predict_proba(problem.X_open))
    )
    outcome = run_loop(store, problem, 300)
    answered = outcome.state.answers != UNKNOWN
    np.testing.assert_array_equal(outcome.decided[answered], problem.gold[answered])
    after = gold_scores(problem, outcome.decided)
    assert before is not None
    assert after is not None
    assert after["f1_macro"] > before["f1_macro"] + 0.05
    unasked = ~answered
    model_alone = make_model(problem).rule.decide(make_model(problem).predict_proba(problem.X_open))
    assert (outcome.decided == problem.gold)[unasked].mean() > (model_alone == problem.gold)[unasked].mean()


def test_gold_scores_count_pool_rows() -> None:
    problem = make_problem(n_open=3)
    assert problem.gold is not None
    wrong = problem.gold.copy()
    wrong[0, 0] ^= True  # its text stands twice among four open rows
    scores = gold_scores(problem, wrong)
    assert scores is not None
    assert scores["agreement"] == 0.5
    assert scores["pair_agreement"] == 1 - 2 / 16


def test_the_certificate_says_what_it_is_of_and_holds(store: Store) -> None:
    problem = make_problem(n_open=120)
    outcome = run_loop(store, problem, 240)
    certificate, (given, left) = outcome.certificate, outcome.groups
    assert certificate is not None
    assert problem.gold is not None
    assert certificate.measure == "micro-F1"
    assert certificate.note.startswith("of 480 pairs of a distinct text and a label")
    assert certificate.lower <= f1(problem.gold, outcome.decided, "micro") <= certificate.upper
    assert (given.name, left.name) == ("labels given by the model", "labels not given by the model")
    assert certificate.n == given.n + left.n == outcome.rounds[-1].asked
    assert given.rows + left.rows + sum(len(step.pairs) for step in outcome.steps[:-1]) == 480
    assert 0 < given.lower < given.upper


class Stopped(LabelsOracle):
    """An oracle that is killed after so many answers."""

    left = 0

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Answer one by one, until the end."""
        for question in questions:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield from super().ask([question], meter)


@pytest.mark.parametrize("kills", [(5,), (31, 20), (70,)])
def test_a_run_that_was_killed_ends_as_an_unbroken_one(tmp_path: Path, kills: tuple[int, ...]) -> None:
    problem = make_problem()
    with Store.open(tmp_path / "whole.sqlite") as whole:
        unbroken = run_loop(whole, problem, 90)
    assert problem.gold is not None
    with Store.open(tmp_path / "killed.sqlite") as killed:
        for after in kills:
            expert = Stopped(oracle(problem)._labels)
            expert.left = after
            with pytest.raises(KeyboardInterrupt):
                run_loop(killed, problem, 90, expert)
        outcome = run_loop(killed, problem, 90)
        assert killed.count_verdicts() == sum(record.asked for record in unbroken.rounds)
        again = run_loop(killed, problem, 90)
    for ended in (outcome, again):
        np.testing.assert_array_equal(ended.state.answers, unbroken.state.answers)
        np.testing.assert_array_equal(ended.decided, unbroken.decided)
        assert ended.certificate == unbroken.certificate
        assert ended.stopped == unbroken.stopped


def test_a_capped_run_goes_on_under_a_higher_cap(store: Store) -> None:
    problem = make_problem()
    first = run_loop(store, problem, 60)
    second = run_loop(store, problem, 120)
    asked = first.state.answers != UNKNOWN
    np.testing.assert_array_equal(second.state.answers[asked], first.state.answers[asked])
    assert (second.state.answers != UNKNOWN).sum() > asked.sum()
    assert store.count_verdicts() == (second.state.answers != UNKNOWN).sum()


def test_without_questions_the_model_decides(store: Store) -> None:
    problem = make_problem()
    outcome = run_loop(store, problem, 0)
    assert outcome.stopped.startswith("no questions")
    assert outcome.certificate is None
    assert outcome.steps == ()


def test_an_expert_that_errs_is_taken_at_its_word(store: Store) -> None:
    problem = make_problem()
    assert problem.gold is not None
    outcome = run_loop(store, problem, 90, oracle(problem, error=1.0))
    answered = outcome.state.answers != UNKNOWN
    np.testing.assert_array_equal(outcome.decided[answered], ~problem.gold[answered])


def test_a_pair_without_an_answer_is_not_asked_for_ever() -> None:
    state = PairState.empty(2, 2)
    step = PairStep("round", ((0, 0), (1, 1)), (True, True))
    tally = state.apply(step, {1: Verdict("key", None)}, 3)
    assert (tally.asked, tally.confirmed, tally.corrected) == (1, 0, 1)
    assert state.answers.tolist() == [[UNKNOWN, UNKNOWN], [UNKNOWN, NO]]
    assert state.open.tolist() == [[False, True], [True, False]]
    decided: BoolArray = state.decided(np.ones((2, 2), dtype=bool))
    assert decided.tolist() == [[True, True], [True, False]]
    assert state.answered_in.tolist() == [-1, 3]
    assert state.overruled.tolist() == [False, True]
    assert YES not in state.answers


def test_a_step_is_cut_to_what_was_asked() -> None:
    step = PairStep("audit", ((0, 0), (0, 1), (1, 0)), (True, False, True), (20, 80), 0.05)
    cut = step.only([1, 2])
    assert cut.pairs == ((0, 1), (1, 0))
    assert cut.proposed == (False, True)
    assert (cut.halves, cut.complete) == ((20, 80), False)
