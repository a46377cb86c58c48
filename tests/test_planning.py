"""What a step asks: which texts, which options, which examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import make_problem, propose_for
from scipy.stats import chisquare

from vermilion.config import RunSettings
from vermilion.learn.uncertainty import candidate_counts
from vermilion.red.planning import RANDOM_SHARE, Planner, audit_size, most_options
from vermilion.red.problem import Problem
from vermilion.red.state import State
from vermilion.types import Verdict

SETTINGS = RunSettings(expert="oracle:gold.csv")


def planner(problem: Problem, state: State | None = None, **settings: object) -> Planner:
    state = state or State.empty(len(problem.open_texts))
    _, proposals = propose_for(problem, state)
    return Planner(problem, replace(SETTINGS, **settings), state, proposals)  # type: ignore[arg-type]


def answered(
    problem: Problem, rows: dict[int, int], ruled_out: dict[int, tuple[int, ...]] | None = None
) -> State:
    """Return a state with these answers (label numbers by open text) and exclusions."""
    state = State.empty(len(problem.open_texts))
    state.answers[list(rows)] = list(rows.values())
    state.ruled_out.update(ruled_out or {})
    return state


@given(budget=st.integers(0, 200_000))
def test_an_audit_takes_a_share_within_its_bounds(budget: int) -> None:
    size = audit_size(budget)
    assert 0 <= size <= min(400, budget // 3)
    assert size <= audit_size(budget + 1)
    if budget >= 90:
        assert size >= 30


@pytest.mark.parametrize(
    ("candidates", "n_labels", "most"),
    [
        ("auto", 3, 3),
        ("auto", 150, 20),
        ("auto", 500, 20),
        ("auto", 501, 50),
        (5, 150, 5),
        (5, 3, 3),
        (700, 600, 600),
    ],
)
def test_the_most_options(candidates: int, n_labels: int, most: int) -> None:
    assert most_options(replace(SETTINGS, candidates=candidates), n_labels) == most


@given(
    seed=st.integers(0, 30),
    copies=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    size=st.integers(1, 40),
    done=st.sets(st.integers(0, 23)),
)
def test_a_round_asks_open_texts_once_each(seed: int, copies: list[int], size: int, done: set[int]) -> None:
    problem = make_problem(seed, copies=copies)
    state = answered(problem, {row: row % 4 for row in done})
    step = planner(problem, state, seed=seed).round(1, size)
    rows = [asked.row for asked in step.asked]
    assert step.kind == "round"
    assert len(rows) == len(set(rows)) == min(size, 24 - len(done))
    assert not done & set(rows)
    assert all(0 <= place < len(rows) for place in step.draws)


def test_a_round_begins_with_its_random_share_then_the_most_uncertain_follow() -> None:
    problem = make_problem(n_open=200)
    plan = planner(problem)
    step = plan.round(0, 100)
    n_random = round(RANDOM_SHARE * 100)
    assert step.draws == tuple(range(n_random))
    rows = [asked.row for asked in step.asked]
    scores = plan.proposals.score[rows[n_random:]]
    assert (np.diff(scores) <= 0).all()
    left = np.setdiff1d(np.arange(200), rows)
    assert plan.proposals.score[left].mean() < scores.min()


@pytest.mark.parametrize(("size", "n_random"), [(1, 1), (3, 3), (20, 5), (200, 10)])
def test_small_rounds_draw_five_at_random_where_they_can(size: int, n_random: int) -> None:
    assert len(planner(make_problem(n_open=200)).round(0, size).draws) == n_random


def test_the_same_state_seed_and_number_give_the_same_step() -> None:
    problem = make_problem(n_open=100, copies=(1, 3))
    assert planner(problem, seed=3).round(2, 20) == planner(problem, seed=3).round(2, 20)
    assert planner(problem, seed=3).audit(2, 20, 0.1) == planner(problem, seed=3).audit(2, 20, 0.1)
    others = [planner(problem, seed=4).round(2, 20), planner(problem, seed=3).round(1, 20)]
    assert planner(problem, seed=3).round(2, 20) not in others


def test_draws_are_pool_rows_so_copies_count() -> None:
    """Of 30 texts the last stands for as many rows as all others; draws of all rows show each of them."""
    copies = [1] * 29 + [29]
    problem = make_problem(n_open=30, copies=copies)
    step = planner(problem).audit(0, 1000, 0.05)
    drawn = np.bincount([step.asked[place].row for place in step.draws], minlength=30)
    assert drawn.tolist() == copies
    assert len(step.asked) == 30


def test_an_audit_draws_uniformly_from_rows_that_the_head_decides() -> None:
    copies = (1, 2, 5)
    problem = make_problem(n_open=24, copies=copies)
    plan = planner(problem, answered(problem, {0: 0, 5: 1, 7: 3}))
    counts = np.zeros(24)
    for number in range(1500):
        step = plan.audit(number, 8, 0.05)
        assert len(step.draws) == 8
        for place in step.draws:
            counts[step.asked[place].row] += 1
    assert counts[[0, 5, 7]].sum() == 0
    open_ = plan.state.answers < 0
    expected = problem.weights[open_] / problem.weights[open_].sum() * counts.sum()
    assert chisquare(counts[open_], expected).pvalue > 0.001


def test_an_audit_is_marked_as_one_and_draws_what_there_is() -> None:
    problem = make_problem(n_open=6)
    step = planner(problem).audit(4, 50, 0.025)
    assert (step.kind, step.delta) == ("audit", 0.025)
    assert sorted(asked.row for asked in step.asked) == list(range(6))
    all_done = answered(problem, dict.fromkeys(range(6), 0))
    assert planner(problem, all_done).audit(4, 50, 0.025).asked == ()
    assert planner(problem, all_done).round(4, 50).asked == ()


def test_the_first_option_is_the_heads_label_and_options_go_down() -> None:
    problem = make_problem(n_labels=8, n_open=40)
    plan = planner(problem)
    counts = candidate_counts(plan.proposals.proba, most=8)
    for asked in plan.round(0, 40).asked:
        assert asked.options == tuple(plan.proposals.labels[asked.row, : counts[asked.row]].tolist())
        assert asked.proposed == plan.proposals.labels[asked.row, 0]


@pytest.mark.parametrize(("candidates", "expected"), [(1, 1), (5, 5), (20, 8)])
def test_a_fixed_number_of_candidates_is_kept(candidates: int, expected: int) -> None:
    problem = make_problem(n_labels=8)
    for asked in planner(problem, candidates=candidates).round(0, 10).asked:
        assert len(asked.options) == expected


def test_validate_asks_about_one_label_but_an_audit_always_lets_choose() -> None:
    plan = planner(make_problem(), ask="validate")
    assert {len(asked.options) for asked in plan.round(0, 10).asked} == {1}
    assert all(len(asked.options) >= 3 for asked in plan.audit(0, 10, 0.05).asked)


def test_what_the_expert_ruled_out_is_no_option_any_more() -> None:
    problem = make_problem(n_labels=6)
    ruled_out: dict[int, tuple[int, ...]] = dict.fromkeys(range(12), (0, 1, 2))
    plan = planner(problem, answered(problem, {}, ruled_out))
    for step in (plan.round(0, 24), plan.audit(0, 24, 0.05)):
        assert len(step.asked) == 24
        for asked in step.asked:
            assert asked.options
            if asked.row < 12:
                assert not {0, 1, 2} & set(asked.options)


def test_an_audit_asks_again_where_every_label_was_ruled_out() -> None:
    """Such a text is decided by nobody; in the audit it counts as a disagreement, unless the expert finds one."""
    problem = make_problem(n_labels=3, n_open=6)
    state = answered(problem, {}, {2: (0, 1, 2)})
    plan = planner(problem, state)
    assert 2 not in [asked.row for asked in plan.round(0, 6).asked]
    step = plan.audit(0, 6, 0.05)
    place = [asked.row for asked in step.asked].index(2)
    assert sorted(step.asked[place].options) == [0, 1, 2]
    assert step.asked[place].proposed == plan.proposals.labels[2, 0]
    tally = state.apply(problem, step, {place: Verdict("k", None)}, 0)
    assert (tally.drawn, tally.agreed) == (1, 0)


def test_examples_are_confirmed_texts_of_the_options_and_never_the_text_itself() -> None:
    problem = make_problem(n_labels=4, n_open=24)
    state = answered(problem, {row: row % 4 for row in range(8)})
    for asked in planner(problem, state).round(0, 16).asked:
        assert {label for label, _ in asked.examples} == set(asked.options)
        for label, place in asked.examples:
            assert place != asked.row
            known = problem.y_given[-1 - place] if place < 0 else state.answers[place]
            assert known == label
