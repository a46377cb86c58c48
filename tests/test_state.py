"""Steps as the store keeps them, and what verdicts change in the state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import make_problem

from vermilion.red.state import MOST_TRIES, Asked, State, Step, Tally
from vermilion.types import Spend, Verdict

PROBLEM = make_problem(n_labels=4, n_open=6)
NUMBERS = st.integers(0, 50)
ASKED = st.builds(
    Asked,
    row=st.integers(-20, 20),
    options=st.lists(NUMBERS, min_size=1, max_size=5).map(tuple),
    examples=st.lists(st.tuples(NUMBERS, st.integers(-20, 20)), max_size=4).map(tuple),
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    asked = tuple(draw(st.lists(ASKED, max_size=6)))
    draws = tuple(draw(st.lists(st.sampled_from(range(len(asked))), max_size=8))) if asked else ()
    return Step(draw(st.sampled_from(["round", "audit"])), asked, draws, draw(st.floats(0, 1)))


def verdict(label: str | None, cost: float = 0.0) -> Verdict:
    return Verdict("k", label, Spend(1, cost_usd=cost))


@given(step=steps())
def test_a_step_comes_back_from_json_as_it_was(step: Step) -> None:
    assert Step.from_json(json.loads(json.dumps(step.as_json()))) == step


@given(step=steps(), data=st.data())
def test_a_cut_step_keeps_the_draws_of_what_was_asked(step: Step, data: st.DataObject) -> None:
    places = sorted(
        data.draw(st.sets(st.sampled_from(range(len(step.asked)))) if step.asked else st.just(set()))
    )
    cut = step.only(places)
    assert cut.asked == tuple(step.asked[place] for place in places)
    assert [cut.asked[place] for place in cut.draws] == [
        step.asked[place] for place in step.draws if place in places
    ]
    assert (cut.kind, cut.delta) == (step.kind, step.delta)
    assert step.only(range(len(step.asked))) == step


def test_a_cut_step_and_its_verdicts_give_the_same_state() -> None:
    """A run that a cap stopped is replayed from the cut record."""
    step = Step("round", tuple(Asked(row, (row % 4, 3)) for row in (4, 2, 0, 5)), draws=(1, 1, 3))
    verdicts = {1: verdict("c"), 2: verdict(None)}
    first, again = State.empty(6), State.empty(6)
    tally = first.apply(PROBLEM, step, verdicts, 0)
    assert again.apply(PROBLEM, step.only([1, 2]), {0: verdict("c"), 1: verdict(None)}, 0) == tally
    for name in ("answers", "proposed", "answered_in"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    # What was asked and not answered counts as a try; what a cap cut off was never asked.
    assert first.tries.tolist() == [1, 0, 0, 0, 1, 1]
    assert again.tries.tolist() == [1, 0, 0, 0, 0, 0]
    assert first.ruled_out == again.ruled_out == {0: (0, 3)}


def test_at_first_everything_is_open() -> None:
    state = State.empty(3)
    for unknown in (state.answers, state.proposed, state.answered_in):
        assert unknown.tolist() == [-1, -1, -1]
    assert state.eligible(2).tolist() == [True] * 3
    assert State.empty(0).eligible(2).tolist() == []
    assert not np.shares_memory(state.answers, state.proposed)


def test_verdicts_are_taken_in_and_counted() -> None:
    state = State.empty(6)
    step = Step(
        "round",
        (Asked(0, (1, 2)), Asked(3, (0, 1)), Asked(5, (2, 3)), Asked(1, (3, 0))),
        draws=(0, 1, 1, 3),
    )
    tally = state.apply(PROBLEM, step, {0: verdict("b", 0.5), 1: verdict("b"), 2: verdict(None, 0.25)}, 4)
    # Place 1 was drawn twice and corrected; place 3 was drawn and not answered.
    assert tally == Tally(
        asked=3, confirmed=2, corrected=2, drawn=3, agreed=1, cost_usd=0.75, sample=(True, False, False)
    )
    assert state.answers.tolist() == [1, -1, -1, 1, -1, -1]
    assert state.proposed.tolist() == [1, -1, -1, 0, -1, 2]
    assert state.answered_in.tolist() == [4, -1, -1, 4, -1, 4]
    assert state.tries.tolist() == [0, 1, 0, 0, 0, 1]
    assert state.ruled_out == {5: (2, 3)}
    assert state.eligible(4).tolist() == [False, True, True, False, True, True]


def test_no_verdicts_change_nothing() -> None:
    state = State.empty(6)
    assert state.apply(PROBLEM, Step("round", (Asked(0, (1,)),), draws=(0,)), {}, 0) == Tally()
    assert state.eligible(4).all()


def test_a_text_is_left_to_people_after_so_many_tries() -> None:
    state = State.empty(6)
    for label in range(MOST_TRIES):
        assert state.eligible(4)[2]
        state.apply(PROBLEM, Step("round", (Asked(2, (label,)),)), {0: verdict(None)}, label)
    assert not state.eligible(4)[2]
    assert state.ruled_out == {2: (0, 1, 2)}


@pytest.mark.parametrize(("options", "open_"), [((0, 1, 2), True), ((0, 1, 2, 3), False)])
def test_a_text_with_no_label_left_is_not_asked_about(options: tuple[int, ...], open_: bool) -> None:
    state = State.empty(6)
    state.apply(PROBLEM, Step("round", (Asked(2, options),)), {0: verdict(None)}, 0)
    assert state.eligible(4).tolist() == [True, True, open_, True, True, True]


def test_what_is_ruled_out_adds_up_and_a_later_answer_counts() -> None:
    state = State.empty(6)
    state.apply(PROBLEM, Step("round", (Asked(1, (3, 0)),)), {0: verdict(None)}, 0)
    state.apply(PROBLEM, Step("audit", (Asked(1, (0, 2)),)), {0: verdict("c")}, 1)
    assert state.ruled_out == {1: (0, 3)}
    assert (state.answers[1], state.answered_in[1]) == (2, 1)
