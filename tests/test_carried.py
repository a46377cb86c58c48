"""What a run begins with where labels were changed: what is known, what is in doubt, what may be asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import make_problem, propose_for

from vermilion.config import RunSettings
from vermilion.learn.heads import FlatHead
from vermilion.red.carried import Carried, Known, doubts, known_of, resume, state_of
from vermilion.red.planning import Planner
from vermilion.red.problem import Problem
from vermilion.red.state import Asked, Scope, State, Step
from vermilion.red.training import Choice
from vermilion.types import Verdict
from vermilion.world.store import Store

NOTHING = np.zeros(0, dtype=np.intp)
CHOICE = Choice("flat", FlatHead(C=10.0), 1.0, (), NOTHING, np.zeros((0, 4), dtype=np.float32))


def gold_names(problem: Problem) -> list[str]:
    assert problem.gold is not None
    return [problem.labels[label].name for label in problem.gold]


def answered_beside(problem: Problem, new: str, wrong: str) -> Carried:
    """Return answers for all open texts, given while a label was missing; its own texts went to another."""
    known = [
        Known(text, wrong if gold == new else gold, gold, (), 0)
        for text, gold in zip(problem.open_texts, gold_names(problem), strict=True)
    ]
    return Carried(tuple(known), (new,), (new,))


def test_what_is_known_goes_over_and_comes_back() -> None:
    problem = make_problem()
    carried = Carried(
        (
            Known("open 0", "a", "b", (), 0),
            Known("open 1", None, "a", ("a", "c"), 2),
            Known("no such text", "a", "a", (), 0),
        )
    )

    state = state_of(problem, carried)

    assert state.answers[:3].tolist() == [0, -1, -1]
    assert state.proposed[0] == 1
    assert state.answered_in[0] == -1  # in no round of this run
    assert state.ruled_out == {1: (0, 2)}
    assert state.tries.tolist()[:3] == [0, 2, 0]
    again = {known.text: known for known in known_of(problem, state)}
    assert again["open 0"] == carried.known[0]
    assert again["open 1"].ruled_out == ("a", "c")
    assert set(again) == {"open 0", "open 1"}


def test_answers_that_an_added_label_would_alter_are_in_doubt_and_others_are_not() -> None:
    problem = make_problem(seed=3, n_open=48)
    carried = answered_beside(problem, "d", wrong="a")

    found = doubts(problem, CHOICE, state_of(problem, carried), carried)

    truly = {row for row, gold in enumerate(gold_names(problem)) if gold == "d"}
    assert len(truly & found.keys()) > 0.5 * len(truly)
    assert len(found.keys() - truly) < 0.25 * (len(problem.open_texts) - len(truly))
    assert set(found.values()) == {(3,)}


def test_nothing_is_in_doubt_where_no_label_was_added() -> None:
    problem = make_problem()
    carried = replace(answered_beside(problem, "d", wrong="a"), added=())

    assert doubts(problem, CHOICE, state_of(problem, carried), carried) == {}


def test_doubts_are_written_down_before_they_are_asked(tmp_path: Path) -> None:
    problem = make_problem(seed=3, n_open=48)
    carried = answered_beside(problem, "d", wrong="a")
    with Store.open(tmp_path / "run.sqlite") as store:
        first = resume(problem, CHOICE, carried, store)
        other = make_problem(seed=4, n_open=48)  # vectors that would give other doubts
        again = resume(other, CHOICE, carried, store)

    assert first.doubts
    assert again.doubts == first.doubts
    assert first.inherited.all()


def test_answers_in_doubt_are_asked_first_with_their_rivals() -> None:
    problem = make_problem()
    state = state_of(problem, Carried((Known("open 0", "a", "a"), Known("open 1", "b", "b")), ("d",), ("d",)))
    state.doubts = {0: (3,), 1: (3, 2)}
    _, proposals = propose_for(problem, state)
    planner = Planner(problem, RunSettings(expert="oracle:gold.csv", candidates=3), state, proposals)

    step = planner.round(0, 6)

    options = {asked.row: asked.options for asked in step.asked}
    assert len(step.asked) == 6
    assert options[0][:2] == (0, 3)
    assert options[1][:3] == (1, 3, 2)
    assert not {step.asked[place].row for place in step.draws} & {0, 1}


@pytest.mark.parametrize(("said", "left"), [("d", 3), ("a", 0), (None, -1)])
def test_an_answer_given_again_takes_the_place_of_the_old_one(said: str | None, left: int) -> None:
    problem = make_problem()
    state = state_of(problem, Carried((Known("open 0", "a", "a"),), ("d",), ("d",)))
    state.inherited, state.doubts = state.answers >= 0, {0: (3,)}
    step = Step("round", (Asked(0, (0, 3, 1)),))

    tally = state.apply(problem, step, {0: Verdict("k", said)}, 0)

    assert state.answers[0] == left
    assert (tally.asked, tally.corrected) == (1, int(said != "a"))
    assert state.doubts == {}
    assert not state.inherited[0]


def test_audits_draw_from_answers_that_were_kept_beside_an_added_label() -> None:
    problem = make_problem()
    state = state_of(problem, Carried(tuple(Known(text, "a", "a") for text in problem.open_texts)))
    assert not state.unsettled.any()
    state.inherited = state.answers >= 0
    assert state.unsettled.all()
    _, proposals = propose_for(problem, state)
    planner = Planner(problem, RunSettings(expert="oracle:gold.csv"), state, proposals)

    step = planner.audit(0, 8, 0.05)

    assert len(step.asked) == 8
    assert {asked.proposed for asked in step.asked} == {0}  # what is audited is the answer that was kept


def test_only_texts_that_a_change_can_concern_are_within() -> None:
    labels = np.array([[0, 3], [0, 3], [1, 2], [1, 2]])
    proba = np.array([[0.9, 0.05], [0.99, 0.01], [0.6, 0.4], [0.98, 0.02]])

    of_three = Scope(np.array([3]), np.zeros(4, dtype=bool))
    assert of_three.mask(labels, proba).tolist() == [True, False, True, False]
    assert of_three.concerned(labels, proba).tolist() == [True, False, False, False]
    of_rows = Scope(np.array([], dtype=int), np.array([0, 0, 0, 1], dtype=bool))
    assert of_rows.mask(labels, proba).tolist() == [True, False, True, True]
    assert of_rows.concerned(labels, proba).tolist() == [False, False, False, True]


def test_without_a_change_everything_is_within() -> None:
    state = State.empty(4)
    state.survey(np.zeros((4, 1), dtype=int), np.ones((4, 1)))

    assert state.eligible(2).all()
