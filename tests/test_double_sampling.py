"""An expert's answers set right by people's: the interval covers the truth, which the expert's own does not."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.certificate import clopper_pearson
from vermilion.learn.double_sampling import Count, Doubly, corrected

DELTA, RUNS = 0.05, 300


def answered(
    rng: np.random.Generator, model: float, expert: float, random: int, people: int
) -> tuple[Doubly, float]:
    """Let a model decide 8,000 rows, an expert 2,000; return what the audits find, and the true agreement."""
    n, hard = 8000, 2000
    right_model, right_expert = rng.random(n) < model, rng.random(n) < expert
    # Both wrong, they are wrong in the same way in a third of the cases.
    agree = np.where(right_model == right_expert, right_model | (rng.random(n) < 1 / 3), False)
    chosen = rng.random(hard) < expert - 0.03
    drawn = rng.choice(n, random, replace=False)
    seen = drawn[:people]
    same = agree[seen]
    found = Doubly(
        Count(int(rng.choice(chosen, people // 4, replace=False).sum()), people // 4),
        Count(int(agree[drawn].sum()), random),
        Count(int(right_model[seen][same].sum()), int(same.sum())),
        Count(int(right_model[seen][~same].sum()), int((~same).sum())),
        hard,
        n,
    )
    return found, float((right_model.sum() + chosen.sum()) / (n + hard))


@pytest.mark.parametrize(("model", "expert"), [(0.95, 1.0), (0.95, 0.95), (0.9, 0.85), (0.98, 0.9)])
@pytest.mark.parametrize(("random", "people"), [(120, 60), (400, 150)])
def test_the_interval_covers_the_agreement_with_people(
    model: float, expert: float, random: int, people: int
) -> None:
    rng = np.random.default_rng([random, int(1000 * model), int(1000 * expert)])
    low = high = 0
    for _ in range(RUNS):
        found, truth = answered(rng, model, expert, random, people)
        bounds = corrected(found, DELTA)
        assert bounds is not None
        low += bounds.lower <= truth
        high += bounds.upper >= truth
    least = 1 - DELTA - 3.1 * (DELTA * (1 - DELTA) / RUNS) ** 0.5
    assert min(low, high) / RUNS >= least


def test_agreement_with_an_expert_who_errs_is_another_number() -> None:
    rng = np.random.default_rng(1)
    found, truth = answered(rng, 0.95, 0.85, 4000, 2000)
    _, upper = clopper_pearson(found.audited.hits, found.audited.n, DELTA)
    bounds = corrected(found, DELTA)
    assert bounds is not None
    assert upper < 0.87 < truth
    assert bounds.estimate == pytest.approx(truth, abs=0.015)


def test_without_answers_of_people_nothing_is_corrected() -> None:
    some, none = Count(9, 10), Count(0, 0)
    assert corrected(Doubly(none, some, some, none, 5, 5), DELTA) is None
    assert corrected(Doubly(some, some, none, none, 5, 5), DELTA) is None
    assert corrected(Doubly(some, none, some, none, 5, 5), DELTA) is None
    assert corrected(Doubly(none, some, some, none, 0, 5), DELTA) is not None


def test_what_was_never_seen_widens_the_interval() -> None:
    sure = corrected(Doubly(Count(0, 0), Count(90, 100), Count(50, 50), Count(5, 10), 0, 100), DELTA)
    unsure = corrected(Doubly(Count(0, 0), Count(90, 100), Count(50, 50), Count(0, 0), 0, 100), DELTA)
    assert sure is not None
    assert unsure is not None
    assert unsure.estimate == pytest.approx(sure.estimate)
    assert unsure.lower < sure.lower
