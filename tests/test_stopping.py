"""The rules that end the asking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from vermilion.learn.stopping import (
    RULES,
    Progress,
    at_rest,
    few_corrected,
    inflected,
    met,
    model_kappa,
    nothing_confirmed,
    nothing_corrected,
    stable,
)

START = Progress(uncertain=1000, asked=0, confirmed=0, corrected=0, kappa=None)


def after(
    uncertain: int = 500,
    asked: int = 100,
    confirmed: int = 100,
    corrected: int = 30,
    kappa: float | None = 0.9,
) -> Progress:
    """Return a round that is busy learning, but for what is told."""
    return Progress(uncertain, asked, confirmed, corrected, kappa)


@given(seed=st.integers(0, 10_000), noise=st.floats(0, 1))
def test_kappa_is_that_of_scikit_learn(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 5, size=60)
    now = np.where(rng.random(60) < noise, rng.integers(0, 5, size=60), before)
    assert model_kappa(before, now) == pytest.approx(cohen_kappa_score(before, now))
    assert -1 <= model_kappa(before, now) <= 1


def test_kappa_of_models_that_know_one_label() -> None:
    zeros, ones = np.zeros(5, dtype=int), np.ones(5, dtype=int)
    assert model_kappa(zeros, zeros) == 1.0
    assert model_kappa(zeros, ones) == 0.0
    assert model_kappa(zeros[:0], ones[:0]) == 1.0


def test_no_rule_holds_before_the_first_question() -> None:
    assert met([]) == met([START]) == ()


def test_no_rule_holds_while_the_head_learns() -> None:
    history = [START, *(after(uncertain=count) for count in (800, 600, 400, 200))]
    assert [met(history[: rounds + 1]) for rounds in range(5)] == [()] * 5


def test_nothing_confirmed_looks_at_the_last_round_alone() -> None:
    none = after(confirmed=0, corrected=100)
    assert nothing_confirmed([START, after(), none])
    assert not nothing_confirmed([START, none, after()])
    assert not nothing_confirmed([START])


@pytest.mark.parametrize(("corrected", "stops"), [(0, True), (1, True), (2, False)])
def test_no_gain_is_one_correction_in_a_hundred(corrected: int, stops: bool) -> None:
    assert nothing_corrected([START, *[after(corrected=corrected)] * 2]) is stops


def test_no_gain_needs_two_rounds_running() -> None:
    calm = after(corrected=0)
    assert not nothing_corrected([START, calm])
    assert not nothing_corrected([START, calm, after()])
    assert nothing_corrected([START, after(), calm, calm])


def test_rounds_that_asked_nothing_are_not_counted_as_calm() -> None:
    assert not few_corrected([START, START, START], 2, 0.01)
    calm = after(corrected=0)
    assert few_corrected([calm, START, calm], 2, 0.01)


@pytest.mark.parametrize(
    ("kappas", "stops"),
    [
        ([None, 0.99, 0.99], False),
        ([None, 0.99, 0.99, 0.99], True),
        ([None, 0.99, 0.98, 0.99], False),
        ([None, 0.2, 1.0, 1.0, 0.99], True),
    ],
)
def test_models_are_stable_after_three_agreements_running(kappas: list[float | None], stops: bool) -> None:
    assert stable([after(kappa=kappa) for kappa in kappas]) is stops


@pytest.mark.parametrize(
    ("counts", "stops"),
    [
        ([1000, 900, 800], False),  # too early to tell
        ([1000, 700, 600, 500], True),  # each question settles one text, its own
        ([1000, 700, 600, 499], False),
        ([1000, 700, 500, 400], False),  # only one such round
        ([1000, 700, 720, 730], True),  # the count rises
    ],
)
def test_the_curve_has_bent_when_a_question_settles_no_text_but_its_own(
    counts: list[int], stops: bool
) -> None:
    history = [START, *(after(uncertain=count) for count in counts[1:])]
    assert inflected(history) is stops


def test_a_model_at_rest_that_is_still_corrected_goes_on() -> None:
    def history(corrected: int) -> list[Progress]:
        return [START, *[after(uncertain=500, corrected=corrected, kappa=1.0)] * 4]

    assert met(history(5)) == ("inflection", "kappa")
    assert met(history(6)) == ()
    assert at_rest(lambda history: True)(history(5))


def test_all_rules_that_hold_are_named_in_their_order() -> None:
    silent = after(uncertain=500, asked=100, confirmed=0, corrected=0, kappa=1.0)
    assert met([START, *[silent] * 4]) == tuple(RULES)


@given(
    st.lists(
        st.builds(
            Progress,
            uncertain=st.integers(0, 100),
            asked=st.integers(0, 20),
            confirmed=st.integers(0, 20),
            corrected=st.integers(0, 20),
            kappa=st.none() | st.floats(-1, 1),
        ),
        max_size=6,
    )
)
def test_any_history_gives_known_reasons_and_none_without_questions(history: list[Progress]) -> None:
    found = met(history)
    assert set(found) <= set(RULES)
    if not any(progress.asked for progress in history):
        assert found == ()
    assert stable(history) == stable(history[-3:])
    assert nothing_confirmed(history) == nothing_confirmed(history[-1:])
