"""What a run says it will do and may cost at most."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.config import Caps, RunSettings
from vermilion.red.plan import Plan, question_budget
from vermilion.types import Spend

ASKING = RunSettings(expert="openai:m")
PLAN = Plan(
    texts=12_345,
    distinct=10_000,
    labelled=750,
    labels=150,
    encoder="minilm",
    head="flat",
    expert="openai:m",
    budget=2000,
    worst=Spend(1, 800, 60, 0.001),
    caps=Caps(),
    encode_seconds=4.0,
)


def test_a_check_beyond_the_budget_is_told_and_priced() -> None:
    plan = replace(PLAN, checked=140)
    assert plan.most_cost == pytest.approx(2.14)
    assert dict(plan.lines())["check"] == "at most 140 more questions, on labelled texts, come first"


def test_the_plan_is_told_in_full() -> None:
    assert dict(PLAN.lines()) == {
        "texts": "12,345 (10,000 distinct still open)",
        "labels": "150, from 750 labelled texts",
        "encoder": "minilm, 2,500 texts/s",
        "head": "flat",
        "expert": "openai:m, at most 2,000 questions",
        "cost": "at most $2.00, if every question took the most it can",
    }


def test_without_an_expert_there_are_no_questions_and_no_cost() -> None:
    plan = replace(PLAN, expert="none", budget=0, encode_seconds=0.0)
    told = dict(plan.lines())
    assert told["expert"] == "none"
    assert told["encoder"] == "minilm"
    assert "cost" not in told


@pytest.mark.parametrize(
    ("worst", "budget", "told"),
    [
        (0.0001, 2, "$0.01"),
        (0.1, 3, "$0.30"),
        (0.00501, 1, "$0.01"),
        (1.005, 1, "$1.01"),
        (1000, 2, "$2,000.00"),
    ],
)
def test_the_most_it_can_cost_is_never_rounded_down(worst: float, budget: int, told: str) -> None:
    plan = replace(PLAN, worst=Spend(1, cost_usd=worst), budget=budget)
    assert dict(plan.lines())["cost"].startswith(f"at most {told},")


@pytest.mark.parametrize(("cap", "most"), [(None, 2.0), (0.5, 0.5), (10.0, 2.0), (0.0, 0.0)])
def test_a_cap_bounds_the_cost(cap: float | None, most: float) -> None:
    assert replace(PLAN, caps=Caps(max_cost=cap)).most_cost == pytest.approx(most)


def test_the_budget_is_a_fifth_without_a_cap() -> None:
    assert question_budget(ASKING, 5000, Spend(1)) == 1000
    assert question_budget(ASKING, 0, Spend(1)) == 0


def test_nobody_to_ask_means_no_questions_whatever_the_caps() -> None:
    assert question_budget(RunSettings(caps=Caps(max_calls=100)), 5000, Spend(1)) == 0


@pytest.mark.parametrize(
    ("caps", "budget"),
    [
        (Caps(max_calls=70), 70),
        (Caps(max_calls=0), 0),
        (Caps(max_calls=9999), 5000),
        (Caps(max_tokens=60_000), 60),
        (Caps(max_cost=0.2), 40),
        (Caps(max_calls=50, max_tokens=60_000, max_cost=0.2), 40),
        (Caps(max_calls=30, max_tokens=60_000, max_cost=0.2), 30),
        (Caps(max_calls=90, max_tokens=60_000), 60),
    ],
)
def test_the_tightest_cap_holds(caps: Caps, budget: int) -> None:
    assert question_budget(replace(ASKING, caps=caps), 5000, Spend(1, 900, 100, 0.005)) == budget


def test_a_cap_on_what_a_question_does_not_take_is_no_bound() -> None:
    caps = Caps(max_tokens=10, max_cost=0.01)
    assert question_budget(replace(ASKING, caps=caps), 5000, Spend(1)) == 1000


@given(
    distinct=st.integers(0, 10_000),
    calls=st.none() | st.integers(0, 10_000),
    cost=st.none() | st.floats(0, 100),
)
def test_a_budget_is_within_its_caps_and_the_pool(
    distinct: int, calls: int | None, cost: float | None
) -> None:
    settings = replace(ASKING, caps=Caps(max_calls=calls, max_cost=cost))
    budget = question_budget(settings, distinct, Spend(1, 100, 10, 0.01))
    assert 0 <= budget <= distinct
    assert calls is None or budget <= calls
    assert cost is None or budget * 0.01 <= cost + 1e-9
