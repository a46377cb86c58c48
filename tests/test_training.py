"""What learns, and from what: label names and the pool are used where held-out labelled texts say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from problems import make_problem

from vermilion.config import RunSettings
from vermilion.learn.flat import FlatHead
from vermilion.red.pool import Pool
from vermilion.red.problem import Problem
from vermilion.red.proposals import training_rows
from vermilion.red.training import choose
from vermilion.types import FloatArray

FLAT = RunSettings(head="flat")
# A draw of labelled texts that says too little by itself.
HARD = 3
NONE = np.full(400, -1)


def problem(seed: int = 0) -> Problem:
    """Return a problem whose labels' names lie near their texts."""
    made = make_problem(seed, n_labels=8, n_open=400)
    return replace(made, X_names=made.centroids)


def away(X: FloatArray) -> FloatArray:
    """Return names that stand for another label each."""
    return np.roll(X, 1, axis=0)


def test_names_are_used_where_they_help() -> None:
    told = problem()
    assert told.X_names is not None
    assert choose(told, replace(FLAT, pool=False)).names
    misleading = choose(replace(told, X_names=away(told.X_names)), replace(FLAT, pool=False))
    assert not misleading.names
    assert misleading.trials[-1].head == "flat + label names"
    assert not misleading.trials[-1].chosen


def test_names_are_rows_without_a_place() -> None:
    told = problem()
    known = training_rows(told, NONE, names=True)
    assert (len(known.X), len(known.y), len(known.places)) == (32, 32, 24)
    assert len(training_rows(told, NONE, names=False).X) == 24


def test_the_pool_is_used_where_it_helps_and_its_student_is_kept() -> None:
    settings = replace(FLAT, names=False)
    choice = choose(problem(HARD), settings)
    assert choice.pool is not None
    model = choice.model(settings)
    proba = model.learn(problem(HARD), NONE)
    assert proba is not None
    assert proba.shape == (400, 8)
    assert isinstance(model.head, FlatHead)
    assert model.head is choice.pool.learner.student
    assert (proba.argmax(axis=1) == problem(HARD).gold).mean() > 0.8
    assert [trial.chosen for trial in choice.trials].count(True) == 1


def test_a_pool_that_tells_nothing_is_left_alone() -> None:
    told = problem()
    noise = np.random.default_rng(0).normal(size=told.X_open.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    rng = np.random.default_rng(1)
    given = told.X_given[rng.permutation(len(told.X_given))]  # given texts say nothing of their labels
    choice = choose(replace(told, X_open=noise, X_given=given), replace(FLAT, names=False))
    assert choice.trials[-1].head.endswith("+ pool")
    assert choice.pool is None or choice.trials[-1].log_loss <= choice.trials[0].log_loss


def test_switched_off_nothing_is_tried() -> None:
    choice = choose(problem(), replace(FLAT, names=False, pool=False))
    assert (choice.names, choice.pool, len(choice.trials)) == (False, None, 1)


def test_only_a_flat_head_learns_from_the_pool() -> None:
    assert choose(problem(), RunSettings(head="centroid")).pool is None


def test_too_large_a_pool_is_not_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.learn.transduction.MOST_ROWS", 100)
    assert Pool.over(problem(), 10.0, names=False) is None
    assert choose(problem(), FLAT).pool is None


def test_a_pool_without_open_texts_is_none() -> None:
    told = problem()
    assert Pool.over(replace(told, X_open=told.X_open[:0]), 10.0, names=True) is None


def test_the_flat_head_with_the_pool_gets_its_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cross-validation prefers another head by a hair, the pool's gain is not lost."""
    settings = RunSettings(head="auto", names=False)
    monkeypatch.setattr("vermilion.learn.model_choice._simplest_good", lambda held_out: len(held_out) - 1)
    choice = choose(problem(HARD), settings)
    assert choice.kind == "flat"
    assert choice.pool is not None
    assert [trial.head for trial in choice.trials] == ["flat", "subset", "centroid", "flat + pool"]
    assert [trial.chosen for trial in choice.trials] == [False, False, False, True]
    assert choose(problem(HARD), replace(settings, pool=False)).kind == "centroid"
