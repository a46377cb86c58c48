"""One logistic regression a label: equal to scikit-learn's, whatever the order, weights and start."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from vermilion.learn.one_vs_rest import C_GRID, OneVsRestHead
from vermilion.types import BoolArray, FloatArray, Head


def make_rows(
    n: int = 400, n_labels: int = 6, dtype: type = np.float64, seed: int = 0
) -> tuple[FloatArray, BoolArray]:
    """Return unit rows and labels that are on for half of them down to one in twenty."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    scores = X @ rng.normal(size=(12, n_labels)) + 0.3 * rng.normal(size=(n, n_labels))
    cut = np.quantile(scores, np.linspace(0.5, 0.95, n_labels), axis=0).diagonal()
    return X.astype(dtype), scores > cut


def scikit(X: FloatArray, Y: BoolArray, C: float, weight: FloatArray | None = None) -> FloatArray:
    """Return scikit-learn's probabilities, label by label."""
    said = np.empty(Y.shape)
    for label in range(Y.shape[1]):
        model = LogisticRegression(C=C, tol=1e-10, max_iter=10_000)
        said[:, label] = model.fit(X, Y[:, label], sample_weight=weight).predict_proba(X)[:, 1]
    return said


@pytest.mark.parametrize("C", [0.1, 3.0, 100.0])
def test_it_equals_scikit_learns_one_vs_rest(C: float) -> None:
    X, Y = make_rows()
    ours = OneVsRestHead(C=C, tol=1e-10, max_iter=1000).fit(X, Y)
    theirs = OneVsRestClassifier(LogisticRegression(C=C, tol=1e-10, max_iter=10_000)).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X).astype(bool))


def test_its_usual_tolerance_is_close_in_single_precision() -> None:
    X, Y = make_rows(dtype=np.float32)
    head = OneVsRestHead(C=3.0).fit(X, Y)
    assert head.coef_.dtype == np.float32
    np.testing.assert_allclose(head.predict_proba(X), scikit(X, Y, 3.0), atol=0.01)


def test_weights_count_as_in_scikit_learn_and_as_repeated_rows() -> None:
    X, Y = make_rows(200)
    times = np.random.default_rng(1).integers(1, 4, size=200)
    weight = times.astype(np.float64)
    head = OneVsRestHead(C=3.0, tol=1e-10).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(head.predict_proba(X), scikit(X, Y, 3.0, weight), atol=1e-4)
    repeated = OneVsRestHead(C=3.0, tol=1e-10).fit(X.repeat(times, axis=0), Y.repeat(times, axis=0))
    np.testing.assert_allclose(head.coef_, repeated.coef_, atol=1e-3)


def test_a_label_on_no_row_or_on_all_is_as_likely_as_that() -> None:
    X, Y = make_rows(100)
    Y[:, 0], Y[:, 1] = False, True
    proba = OneVsRestHead(C=3.0).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(proba[:, 0], 0.5 / 101)
    np.testing.assert_allclose(proba[:, 1], 100.5 / 101)
    np.testing.assert_allclose(proba[:, 2:], scikit(X, Y[:, 2:], 3.0), atol=0.01)


def test_nothing_to_solve_is_no_error() -> None:
    X = np.eye(3, dtype=np.float32)
    assert OneVsRestHead(C=1.0).fit(X, np.zeros((3, 2), dtype=bool)).predict(X).sum() == 0


def test_a_warm_start_ends_where_a_cold_one_does_in_fewer_steps() -> None:
    X, Y = make_rows(600)
    head = OneVsRestHead(C=30.0, tol=1e-9, max_iter=1000).fit(X[:580], Y[:580])
    cold = clone(head).fit(X, Y)
    head.fit(X, Y)
    assert head.n_iter_ < cold.n_iter_
    np.testing.assert_allclose(head.predict_proba(X), cold.predict_proba(X), atol=1e-4)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = make_rows(500)
    whole = OneVsRestHead(C=3.0, tol=1e-10).fit(X, Y)
    monkeypatch.setattr("vermilion.learn.sigmoid_solver.BLOCK_CELLS", 100)
    parts = OneVsRestHead(C=3.0, tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(whole.coef_, parts.coef_, atol=1e-4)


def test_c_is_chosen_by_cross_validation_once() -> None:
    rng = np.random.default_rng(0)
    X, Y = make_rows(600)
    noise = rng.random(Y.shape) < 0.3
    clear, noisy = OneVsRestHead().fit(X, Y), OneVsRestHead().fit(X, noise)
    assert clear.C_ in C_GRID
    assert noisy.C_ == C_GRID[0] < clear.C_
    assert clear.tuned(X, Y).C == clear.C_
    assert clear.fit(X, noise).C_ != noisy.C_  # kept


def test_tensors_restore_it() -> None:
    X, Y = make_rows(100)
    head = OneVsRestHead(C=3.0).fit(X, Y)
    assert isinstance(head, Head)
    copy = OneVsRestHead(**head.get_params()).from_tensors(head.to_tensors(), head.classes_)
    np.testing.assert_array_equal(copy.predict_proba(X), head.predict_proba(X))
    with pytest.raises(ValueError, match="5 classes need as many rows"):
        OneVsRestHead().from_tensors(head.to_tensors(), np.arange(5))


@pytest.mark.parametrize("y", [np.array([0, 1, 0]), np.array([[0, 2], [1, 0], [0, 1]])])
def test_anything_but_an_indicator_matrix_is_refused(y: FloatArray) -> None:
    with pytest.raises(ValueError, match="indicator matrix"):
        OneVsRestHead(C=1.0).fit(np.eye(3), y)


def test_too_few_steps_warn() -> None:
    X, Y = make_rows(200)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        OneVsRestHead(C=100.0, max_iter=1).fit(X, Y)


def test_what_is_not_known_of_a_row_counts_for_nothing() -> None:
    X, Y = make_rows(300)
    known = np.random.default_rng(2).random(Y.shape) < 0.7
    known[:, 3], known[:50] = True, True
    head = OneVsRestHead(C=3.0, tol=1e-10).fit(X, Y & known, known=known)
    for label in range(Y.shape[1]):
        rows = known[:, label]
        alone = scikit(X[rows], Y[rows][:, [label]], 3.0)[:, 0]
        np.testing.assert_allclose(head.predict_proba(X[rows])[:, label], alone, atol=1e-4)
