"""Probabilities that were too modest are set right by random texts' answers, and only by enough of those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from problems import make_problem, propose_for

from vermilion.learn.calibration import apply_temperature
from vermilion.red.hindsight import LEAST, Hindsight
from vermilion.red.state import Asked, State, Step

PROBLEM = make_problem(n_labels=6, n_open=120)
assert PROBLEM.gold is not None
GOLD = PROBLEM.gold


def noted(count: int, modesty: float = 4.0) -> tuple[Hindsight, float, float, float]:
    """Return what is noted of random texts by a model that is too modest, and its log losses on all texts."""
    model, proposals = propose_for(PROBLEM, State.empty(120))
    model = replace(model, temperature=modesty)
    proposals = replace(proposals, proba=apply_temperature(proposals.proba, modesty))
    hindsight = Hindsight()
    rows = np.random.default_rng(0).permutation(120)[:count]
    step = Step("round", tuple(Asked(int(row), (0,)) for row in rows), draws=tuple(range(count)))
    answers = np.full(120, -1)
    answers[rows] = GOLD[rows]
    hindsight.add(PROBLEM, model, proposals, step, answers)
    after_model, after = hindsight.applied(model, proposals)

    def loss(proba: np.ndarray, labels: np.ndarray) -> float:
        own = (proba * (labels == GOLD[:, None])).sum(axis=1)
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    return (
        hindsight,
        loss(proposals.proba, proposals.labels),
        loss(after.proba, after.labels),
        after_model.temperature,
    )


def test_modesty_is_mended() -> None:
    _, before, after, temperature = noted(100)
    assert after < before - 0.1
    assert temperature < 4.0


def test_few_answers_change_nothing() -> None:
    hindsight, before, after, temperature = noted(LEAST - 1)
    assert len(hindsight.answers) == LEAST - 1
    assert (after, temperature) == (before, 4.0)


def test_only_random_texts_that_were_answered_count() -> None:
    model, proposals = propose_for(PROBLEM, State.empty(120))
    step = Step("round", tuple(Asked(row, (0,)) for row in range(10)), draws=(3, 3, 5, 7))
    answers = np.full(120, -1)
    answers[[3, 5, 9]] = GOLD[[3, 5, 9]]
    hindsight = Hindsight()
    hindsight.add(PROBLEM, model, proposals, step, answers)
    assert hindsight.answers == GOLD[[3, 5]].tolist()


def test_an_answer_that_was_not_proposed_counts_as_another_label() -> None:
    model, proposals = propose_for(PROBLEM, State.empty(120), width=2)
    row = int(np.flatnonzero((proposals.labels != GOLD[:, None]).all(axis=1))[0])
    step, answers = Step("audit", (Asked(row, (0,)),), draws=(0,)), np.full(120, -1)
    answers[row] = GOLD[row]
    hindsight = Hindsight()
    hindsight.add(PROBLEM, model, proposals, step, answers)
    assert hindsight.places == [2]
    assert hindsight.proposed[0].shape == (3,)
