"""What is done about rare labels, and which of it is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_sample_weight

from vermilion.errors import MissingExtraError
from vermilion.learn import imbalance
from vermilion.learn.heads import CentroidHead, FlatHead
from vermilion.learn.imbalance import (
    METHODS,
    Rows,
    compare_methods,
    fit_rebalanced,
    gap_errors,
    imbalance_ratio,
    rare_labels,
    rarest,
    usable,
)
from vermilion.learn.model_choice import OutOfFold, choose_head
from vermilion.types import FloatArray, IntArray


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def clusters(sizes: list[int], seed: int = 0, spread: float = 0.9) -> tuple[FloatArray, IntArray]:
    """Return unit rows around one centre a label."""
    source = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = source.normal(size=(len(sizes), 16))[y] + spread * source.normal(size=(len(y), 16))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def test_weights_are_those_of_scikit_learn() -> None:
    X, y = clusters([9, 4, 1])
    weight = METHODS["weights"](X, y, rng()).weight
    assert weight is not None
    np.testing.assert_allclose(weight, compute_sample_weight("balanced", y), rtol=1e-6)


def test_labels_that_have_no_row_are_no_trouble() -> None:
    X, y = clusters([6, 2, 3])
    for name in ("weights", "oversample", "undersample"):
        rows = METHODS[name](X, np.array([0, 2, 5])[y], rng())
        assert set(rows.y.tolist()) == {0, 2, 5}


def test_oversampling_draws_every_label_as_often_and_keeps_every_row() -> None:
    X, y = clusters([9, 4, 1])
    rows = METHODS["oversample"](X, y, rng())
    assert rows.weight is not None
    assert np.bincount(rows.y, weights=rows.weight).tolist() == [9, 9, 9]
    assert rows.weight.min() == 1


def test_undersampling_keeps_as_many_of_each_and_none_twice() -> None:
    X, y = clusters([9, 4, 3])
    rows = METHODS["undersample"](X, y, rng())
    assert np.bincount(rows.y).tolist() == [3, 3, 3]
    assert len(np.unique(rows.X, axis=0)) == 9


def test_smote_makes_up_rows_between_rows_of_a_label() -> None:
    pytest.importorskip(
        "imblearn", reason="imbalanced-learn is not installed; pip install 'vermilion[imbalance]'"
    )
    X, y = clusters([9, 4, 2, 1])
    rows = METHODS["smote"](X, y, rng())
    assert np.bincount(rows.y).tolist() == [9, 9, 9, 1], "one row alone has no neighbour"
    np.testing.assert_array_equal(rows.X[: len(X)], X)
    assert rows.X.dtype == X.dtype
    between = rows.X[len(X) :][rows.y[len(X) :] == 2]
    first, second = X[y == 2]
    share = (between - first) @ (second - first) / ((second - first) ** 2).sum()
    np.testing.assert_allclose(between, first + share[:, None] * (second - first), atol=1e-6)
    assert share.min() >= 0
    assert share.max() <= 1


def test_smote_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imblearn.over_sampling", None)
    assert not imbalance.smote_installed()
    with pytest.raises(MissingExtraError, match=r"pip install 'vermilion\[imbalance\]'"):
        METHODS["smote"](*clusters([3, 2]), rng())


def test_a_head_without_weights_learns_from_repeated_rows() -> None:
    X, y = clusters([6, 2])
    seen: list[int] = []

    class Counting(CentroidHead):
        def fit(self, X: FloatArray, y: IntArray) -> Any:
            seen.append(len(y))
            return super().fit(X, y)

    fit_rebalanced(Counting(), "oversample", X, y)
    assert seen == [12]
    assert "weights" not in usable(CentroidHead(), X, y)
    assert "weights" in usable(FlatHead(), X, y)
    assert "smote" not in usable(FlatHead(), X, y, installed=False)


@pytest.mark.parametrize("method", ["weights", "oversample", "undersample"])
def test_the_order_of_rows_does_not_matter(method: str) -> None:
    X, y = clusters([12, 5, 3])
    order = rng().permutation(len(y))
    first = fit_rebalanced(FlatHead(C=1.0), method, X, y).predict_proba(X)
    second = fit_rebalanced(FlatHead(C=1.0), method, X[order], y[order]).predict_proba(X)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_methods_are_judged_on_rows_as_they_came() -> None:
    """`none` is what `choose_head` holds out, and every method says something of just these rows."""
    X, y = clusters([20, 6, 3])
    _, _, known = choose_head(X, y, {"flat": FlatHead(C=1.0)})
    attempts, held_out = compare_methods(FlatHead(C=1.0), X, y, ["none", "oversample", "undersample"])
    np.testing.assert_allclose(held_out[0].proba, known.proba, atol=1e-4)
    for attempt, held in zip(attempts, held_out, strict=True):
        np.testing.assert_array_equal(held.codes, y)
        said = held.proba.argmax(axis=1)
        assert attempt.macro_f1 == pytest.approx(f1_score(y, said, average="macro"))
        assert attempt.accuracy == pytest.approx((said == y).mean())


def test_resampling_sees_the_training_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = clusters([15, 5])
    seen: list[int] = []

    def watching(X: FloatArray, y: IntArray, rng: np.random.Generator) -> Rows:
        seen.append(len(y))
        return Rows(X, y)

    monkeypatch.setitem(METHODS, "none", watching)
    compare_methods(FlatHead(C=1.0), X, y, ["none"])
    assert seen == [16] * 5


def test_help_for_rare_labels_is_found() -> None:
    X, y = clusters([120, 120, 8, 8], spread=1.3)
    attempts, held_out = compare_methods(FlatHead(C=0.1), X, y, ["none", "weights", "undersample"])
    assert attempts[1].rare_f1 > attempts[0].rare_f1 + 0.05
    assert [attempt.method for attempt in attempts if attempt.chosen] == ["weights"]
    changed = rarest(y, held_out[0], held_out[1])
    assert [(one.label, one.rows) for one in changed] == [(2, 8), (3, 8), (0, 120), (1, 120)]
    assert np.mean([one.recall - one.recall_before for one in changed[:2]]) > 0


def test_noise_alone_changes_nothing() -> None:
    """On even labels no method helps: the simplest is taken, though others are ahead by chance now and then."""
    chosen = []
    for seed in range(6):
        X, y = clusters([12] * 4, seed, spread=1.5)
        attempts, _ = compare_methods(FlatHead(C=1.0), X, y, ["none", "oversample"], seed)
        chosen += [attempt.method for attempt in attempts if attempt.chosen]
    assert chosen == ["none"] * 6


def test_errors_of_gaps_are_those_of_many_samples() -> None:
    """The bootstrap's standard error, beside the spread of the gap over fresh samples."""
    source = np.random.default_rng(0)

    def judged(n: int) -> tuple[OutOfFold, OutOfFold]:
        codes = source.integers(3, size=n)
        both = []
        for right in (0.8, 0.7):
            said = np.where(source.random(n) < right, codes, source.integers(3, size=n))
            both.append(OutOfFold(np.arange(n), codes, np.eye(3)[said]))
        return both[0], both[1]

    def gap(pair: tuple[OutOfFold, OutOfFold]) -> float:
        scores = [f1_score(held.codes, held.proba.argmax(axis=1), average="macro") for held in pair]
        return float(scores[0] - scores[1])

    told = np.mean([gap_errors(judged(300), 0, np.random.default_rng(seed))[1] for seed in range(5)])
    spread = np.std([gap(judged(300)) for _ in range(200)])
    assert told == pytest.approx(spread, rel=0.2)


def test_a_label_with_a_single_row_is_learned_and_never_judged() -> None:
    X, y = clusters([10, 10, 1])
    attempts, held_out = compare_methods(FlatHead(C=1.0), X, y, ["none", "weights", "undersample"])
    assert all(2 not in held.codes for held in held_out)
    assert all(0 <= attempt.macro_f1 <= 1 for attempt in attempts)
    assert all(np.isnan(attempt.rare_f1) for attempt in attempts)


def test_ratio_and_rare_labels_by_hand() -> None:
    y = np.repeat([0, 1, 3], [12, 9, 3])
    assert imbalance_ratio(y) == 4
    assert rare_labels(y).tolist() == [False, False, False, True]
