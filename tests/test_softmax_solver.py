"""The solver finds the optimum that scikit-learn finds, in blocks, and says where it did not come to an end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from vermilion.learn.flat import FlatHead
from vermilion.learn.softmax_fit import Solver, Weights, fit_softmax
from vermilion.learn.softmax_solver import Objective, minimise
from vermilion.types import FloatArray, IntArray


def rows(n: int = 300, n_classes: int = 5, d: int = 12, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Return unit vectors and classes that overlap."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    X = rng.normal(size=(n_classes, d))[codes] + rng.normal(size=(n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True), codes


def objective(X: FloatArray, codes: IntArray, weight: FloatArray | None = None, C: float = 10.0) -> Objective:
    """Return the objective at this C."""
    penalty = np.append(np.full(X.shape[1], 1 / C), 0.0)
    weight = np.ones(len(X)) if weight is None else weight
    return Objective(X, codes, weight, penalty, int(codes.max()) + 1)


class Counting(Objective):
    """An objective that remembers where it was asked."""

    passes: list[FloatArray]

    def __init__(self, whole: Objective, passes: list[FloatArray]) -> None:
        super().__init__(whole.X, whole.codes, whole.sample_weight, whole.penalty, whole.n_classes)
        object.__setattr__(self, "passes", passes)

    def __call__(self, W: FloatArray) -> tuple[float, FloatArray]:
        """Return loss and gradient."""
        self.passes.append(W)
        return super().__call__(W)


def test_gradient_is_that_of_the_loss() -> None:
    X, codes = rows(60)
    problem = objective(X, codes, np.linspace(0.1, 2, 60))
    shape = (5, 13)
    point = np.random.default_rng(1).normal(size=shape).ravel()
    error = check_grad(
        lambda w: problem(w.reshape(shape))[0], lambda w: problem(w.reshape(shape))[1].ravel(), point
    )
    assert error < 1e-4


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = rows(100)
    W = np.random.default_rng(1).normal(size=(5, 13))
    whole = objective(X, codes)(W)
    monkeypatch.setattr("vermilion.learn.softmax_solver.BLOCK_CELLS", 35)
    parts = objective(X, codes)(W)
    assert parts[0] == pytest.approx(whole[0])
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-9)


@pytest.mark.parametrize("n_classes", [3, 5, 20])
@pytest.mark.parametrize("C", [0.1, 10.0, 300.0])
def test_the_optimum_is_that_of_scikit_learn(n_classes: int, C: float) -> None:
    X, codes = rows(n_classes=n_classes)
    weight = np.random.default_rng(2).uniform(0.2, 2, len(X))
    found = minimise(objective(X, codes, weight, C), np.zeros((n_classes, 13)), 500, 1e-12)
    assert found.converged
    W = found.weights
    known = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(X, codes, weight)
    ours = X @ W[:, :-1].T + W[:, -1]
    theirs = X @ known.coef_.T + known.intercept_
    np.testing.assert_allclose(
        ours - ours.mean(axis=1, keepdims=True), theirs - theirs.mean(axis=1, keepdims=True), atol=5e-3
    )


def test_wide_rows_have_the_same_optimum_in_as_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = rows()
    narrow = minimise(objective(X, codes), np.zeros((5, 13)), 500, 1e-9)
    monkeypatch.setattr("vermilion.learn.softmax_solver.WIDE", 8)
    wide = minimise(objective(X, codes), np.zeros((5, 13)), 500, 1e-9)
    np.testing.assert_allclose(wide.root @ wide.inverse, np.eye(13), atol=1e-6)
    np.testing.assert_allclose(wide.weights, narrow.weights, atol=1e-3)
    assert abs(wide.n_iter - narrow.n_iter) <= 2


def test_fewer_steps_than_plain_l_bfgs() -> None:
    X, codes = rows(3000, 60, 32)
    found = minimise(objective(X, codes, C=30.0), np.zeros((60, 33)), 500, 1e-4)
    plain = LogisticRegression(C=30.0, tol=1e-4 / 60, max_iter=5000).fit(X, codes)
    assert found.n_iter < plain.n_iter_[0] / 1.5


def test_from_the_optimum_there_is_hardly_a_step() -> None:
    X, codes = rows()
    found = minimise(objective(X, codes), np.zeros((5, 13)), 500, 1e-9)
    again = minimise(objective(X, codes), found.weights, 500, 1e-6)
    assert again.n_iter <= 2
    np.testing.assert_allclose(again.weights, found.weights, atol=0.05)


def with_more(added: int = 50) -> tuple[FloatArray, IntArray, IntArray]:
    """Return rows, their classes, and the places of those that come later, spread among the others."""
    X, codes = rows(3000, 60, 32)
    return X, codes, np.sort(np.random.default_rng(3).permutation(3000)[:added])


def test_the_start_of_a_refit_is_known_from_the_new_rows_alone() -> None:
    X, codes, new = with_more()
    old = np.setdiff1d(np.arange(3000), new)
    before = minimise(objective(X[old], codes[old]), np.zeros((60, 33)), 100, 1e-4)
    whole = objective(X, codes)
    passes: list[FloatArray] = []
    counted = Counting(whole, passes)
    again = minimise(counted, before.weights, 100, 0.1, before=before, added=whole.only(new))
    assert len(passes) == 1, "one pass over all rows, at the end of its only step"
    exact = minimise(whole, before.weights, 100, 0.1, before=before)
    np.testing.assert_allclose(again.weights, exact.weights, atol=1e-9)


def test_a_refit_that_remembers_takes_few_steps_to_the_same_optimum() -> None:
    X, codes, new = with_more()
    old = np.setdiff1d(np.arange(3000), new)
    solver = Solver(30.0, 500)
    before = fit_softmax(X[old], codes[old], Weights.zeros(60, X), solver)
    warm = fit_softmax(X, codes, before.weights, solver, memory=before.memory)
    cold = fit_softmax(X, codes, Weights.zeros(60, X), solver)
    assert 2 * warm.n_iter < cold.n_iter
    same = warm.weights.logits(X).argmax(axis=1) == cold.weights.logits(X).argmax(axis=1)
    assert same.mean() > 0.98


def test_what_changed_besides_new_rows_is_not_taken_for_known() -> None:
    X, codes = rows(120)
    memory = fit_softmax(X, codes, Weights.zeros(5, X), Solver(10.0, 100)).memory
    assert memory is not None
    same = fit_softmax(X, codes, Weights.zeros(5, X), Solver(10.0, 100)).memory
    assert same is not None
    assert same.rows is not None
    assert memory.new_rows(same.rows) is not None
    for X_other, codes_other in ((X[1:], codes[1:]), (X, np.roll(codes, 1)), (X * 1.001, codes)):
        other = fit_softmax(X_other, codes_other, Weights.zeros(5, X), Solver(10.0, 100)).memory
        assert other is not None
        assert memory.new_rows(other.rows) is None
    weighted = fit_softmax(X, codes, Weights.zeros(5, X), Solver(10.0, 100), sample_weight=np.ones(120))
    assert weighted.memory is not None
    assert memory.new_rows(weighted.memory.rows) is None
    assert memory.suits(10.0, (5, 13), 130)
    assert not memory.suits(30.0, (5, 13), 120), "another penalty"
    assert not memory.suits(10.0, (5, 13), 1200), "ten times as many rows"
    assert not memory.suits(10.0, (6, 13), 120), "one class more"


def test_one_class_more_keeps_the_curvature() -> None:
    X, codes, _ = with_more()
    few = codes != 7
    head = FlatHead(C=10.0).fit(X[few], codes[few])
    head.fit(X, codes)
    cold = FlatHead(C=10.0).fit(X, codes)
    assert head.n_iter_ < cold.n_iter_
    assert (head.predict(X) == cold.predict(X)).mean() > 0.98


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.learn.softmax_solver.BLOCK_CELLS", 35)
    X, codes = rows(100)
    W = np.random.default_rng(1).normal(size=(5, 13))
    loss, gradient = replace(objective(X, codes), threads=threads)(W)
    alone, alone_gradient = objective(X, codes)(W)
    assert loss == alone
    assert np.array_equal(gradient, alone_gradient)


def test_too_few_steps_are_told() -> None:
    X, codes = rows(3000, 60, 32)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        fit_softmax(X, codes, Weights.zeros(60, X), Solver(100.0, 1))
