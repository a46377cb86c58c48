"""Every metric against scikit-learn's, on random and degenerate cases, and with rows that count several times."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from vermilion.learn.bootstrap import draw
from vermilion.learn.calibration_metrics import brier_score, expected_calibration_error
from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.judged_several import SeveralLabels
from vermilion.learn.metrics import estimates, measure, order
from vermilion.types import BoolArray, FloatArray

LABELLED = [(120, 2), (200, 5), (300, 77), (1, 3), (5, 40)]
AVERAGES = ("micro", "macro", "weighted")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@contextmanager
def quiet() -> Iterator[None]:
    """scikit-learn warns where a figure is not defined; ours is None there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def single(n: int, n_labels: int, seed: int = 0, ties: bool = False) -> Judged:
    """Return texts of one label each; with ties, probabilities are rounded so that many are equal."""
    random = rng(seed)
    true = random.integers(0, n_labels, n)
    logits = random.normal(size=(n, n_labels))
    logits[np.arange(n), true] += 1.5
    proba = np.exp(logits)
    proba = np.ceil(proba) if ties else proba
    proba /= proba.sum(axis=1, keepdims=True)
    return OneLabel(true, proba.argmax(axis=1), proba)


def several(n: int, n_labels: int, seed: int = 0, ties: bool = False) -> Judged:
    """Return texts of any number of labels each, none included."""
    random = rng(seed)
    true = random.random((n, n_labels)) < min(0.3, 5 / n_labels)
    proba = np.clip(0.4 * true + 0.6 * random.random((n, n_labels)), 0, 1)
    proba = np.round(proba, 1) if ties else proba
    return SeveralLabels(true, proba > 0.5, proba)


def values(judged: Judged, weights: FloatArray | None = None) -> dict[str, float]:
    """Return every metric without its interval, for rows that count so often."""
    own = np.ones(len(judged)) if weights is None else weights
    found: dict[str, float] = {}
    for statistic in judged.statistics():
        found |= dict(zip(statistic.names, statistic.at(own[None])[0].tolist(), strict=True))
    return found


def averaged(true: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Return scikit-learn's averages over the labels that occur."""
    found: dict[str, float] = {}
    for how in AVERAGES:
        parts = reference.precision_recall_fscore_support(true, predicted, average=how, zero_division=0)
        found |= {
            f"{what}_{how}": part for what, part in zip(("precision", "recall", "f1"), parts, strict=False)
        }
    return found


def one_vs_rest(
    score: Callable[[BoolArray, FloatArray], float], proba: FloatArray, true: BoolArray, both: bool
) -> float:
    """Return the mean of scikit-learn's binary figure over the labels for which it is defined."""
    there = [k for k in range(proba.shape[1]) if true[:, k].any() and not (both and true[:, k].all())]
    return float(np.mean([score(true[:, k], proba[:, k]) for k in there])) if there else float("nan")


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def expected_single(judged: Judged) -> dict[str, float]:
    true, predicted, proba = judged.true, judged.predicted, judged.proba
    n_labels = proba.shape[1]
    labels = range(n_labels)
    one_hot = true[:, None] == np.arange(n_labels)
    occurring = np.union1d(true, predicted)
    found = averaged(true, predicted) | {
        "accuracy": reference.accuracy_score(true, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(true, predicted),
        "log_loss": reference.log_loss(true, proba, labels=labels),
        "brier": reference.brier_score_loss(
            true == 1 if n_labels == 2 else true, proba[:, 1] if n_labels == 2 else proba,
            **({} if n_labels == 2 else {"labels": labels}),
        ),
        "ece": expected_calibration_error(proba, true),
        "roc_auc": one_vs_rest(reference.roc_auc_score, proba, one_hot, both=True),
        "pr_auc": one_vs_rest(reference.average_precision_score, proba, one_hot, both=False),
    }  # fmt: skip
    if len(occurring) > 1 and len(set(true)) > 1 and len(set(predicted)) > 1:
        found["mcc"] = reference.matthews_corrcoef(true, predicted)
    for k in (3, 5, 10):
        if k < n_labels:
            found[f"top_{k}_accuracy"] = reference.top_k_accuracy_score(true, proba, k=k, labels=labels)
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "n_labels"), LABELLED)
def test_one_label_a_row_is_as_in_scikit_learn(n: int, n_labels: int, ties: bool) -> None:
    judged = single(n, n_labels, ties=ties)
    with quiet():
        assert_same(values(judged), expected_single(judged))


def test_a_thousand_labels_are_as_in_scikit_learn() -> None:
    judged = single(1500, 1000)
    with quiet():
        assert_same(values(judged), expected_single(judged))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "n_labels"), [(120, 2), (200, 28), (1, 3)])
def test_several_labels_a_row_are_as_in_scikit_learn(n: int, n_labels: int, ties: bool) -> None:
    judged = several(n, n_labels, ties=ties)
    true, predicted, proba = judged.true, judged.predicted, judged.proba
    occurring = np.flatnonzero((true | predicted).any(axis=0))
    with quiet():
        expected = averaged(true[:, occurring], predicted[:, occurring]) | {
            "subset_accuracy": reference.accuracy_score(true, predicted),
            "hamming_loss": reference.hamming_loss(true, predicted),
            "lrap": reference.label_ranking_average_precision_score(true, proba),
            "brier": float(((true - proba) ** 2).mean()),
            "log_loss": float(
                np.mean(
                    [reference.log_loss(t, p, labels=[0, 1]) for t, p in zip(true.T, proba.T, strict=True)]
                )
            ),
            "roc_auc": one_vs_rest(reference.roc_auc_score, proba, true, both=True),
            "pr_auc": one_vs_rest(reference.average_precision_score, proba, true, both=False),
        }
        assert_same(values(judged), expected)


def test_rows_that_count_several_times_are_as_many_rows() -> None:
    """What the bootstrap computes from counts is what the rows drawn would give."""
    random = rng(3)
    for judged in (single(60, 9), several(60, 9)):
        counts = random.integers(0, 4, 60)
        repeated = judged.at(np.repeat(np.arange(60), counts))
        expected, found = values(repeated), values(judged, counts.astype(np.float64))
        exact = [name for name in expected if not name.endswith("_auc")]
        assert_same(found, {name: expected[name] for name in exact})


def test_areas_on_rows_drawn_again_are_near_the_exact_ones() -> None:
    """The areas are linearised; their spread over resamples is that of the exact bootstrap."""
    judged = single(200, 4, seed=5)
    exact = []
    random = rng(1)
    for _ in range(200):
        again = judged.at(random.integers(0, 200, 200))
        exact.append([values(again)[name] for name in ("roc_auc", "pr_auc")])
    drawn = measure(judged, rng(2), 1000).among(("roc_auc", "pr_auc"))
    np.testing.assert_allclose(drawn.resampled.std(axis=0), np.std(exact, axis=0), rtol=0.2)


def test_where_one_label_alone_occurs_what_is_undefined_says_so() -> None:
    proba = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = estimates(measure(OneLabel(np.zeros(2, dtype=int), np.zeros(2, dtype=int), proba), rng(), 50))
    assert found["accuracy"].value == 1.0
    assert found["accuracy"].lower is not None
    assert found["accuracy"].lower < 0.5  # two texts prove little
    assert found["mcc"].value is None
    assert "only one label" in found["mcc"].reason
    assert found["roc_auc"].value is None
    assert found["roc_auc"].reason == "no label has both texts that carry it and texts that do not"


def test_rows_without_a_predicted_label_are_wrong_and_no_precision_is_made_up() -> None:
    proba = np.full((4, 3), 1 / 3)
    judged = OneLabel(np.array([0, 1, 2, 1]), np.full(4, -1), proba)
    found = estimates(measure(judged, rng(), 50))
    assert found["accuracy"].value == 0.0
    assert found["f1_micro"].value == 0.0
    assert found["precision_micro"].value is None
    assert found["precision_micro"].reason == "no label was predicted"
    assert found["accuracy"].upper is not None
    assert found["accuracy"].upper > 0.3


def test_several_labels_where_no_row_has_any_are_undefined_but_counted() -> None:
    nothing = np.zeros((5, 4), dtype=bool)
    found = estimates(measure(SeveralLabels(nothing, nothing, np.full((5, 4), 0.2)), rng(), 50))
    assert found["subset_accuracy"].value == 1.0
    assert found["f1_macro"].value is None
    assert found["mrr"].value is None
    assert found["pr_auc"].value is None


def test_the_label_looked_for_is_as_in_scikit_learn() -> None:
    judged = single(200, 2)
    judged = OneLabel(judged.true, judged.predicted, judged.proba, positive=1)
    found = values(judged)
    assert_same(
        found,
        {
            "precision": reference.precision_score(judged.true, judged.predicted),
            "recall": reference.recall_score(judged.true, judged.predicted),
            "f1": reference.f1_score(judged.true, judged.predicted),
            "roc_auc": reference.roc_auc_score(judged.true, judged.proba[:, 1]),
            "pr_auc": reference.average_precision_score(judged.true, judged.proba[:, 1]),
            "brier": brier_score(judged.proba, judged.true) / 2,
        },
    )


def test_same_seed_same_bounds_and_metrics_hold_inside_their_bounds() -> None:
    judged = single(150, 6)
    first, second = (estimates(measure(judged, rng(7), 200)) for _ in range(2))
    assert first == second
    for name, found in first.items():
        assert found.value is not None, name
        assert found.lower is not None
        assert found.upper is not None
        assert found.lower <= found.value <= found.upper, name


def test_drawing_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = single(40, 3)
    whole = draw(judged.statistics(), 40, rng(1), 20)
    monkeypatch.setattr("vermilion.learn.bootstrap.CELLS", 120)
    parts = draw(judged.statistics(), 40, rng(1), 20)
    np.testing.assert_allclose(parts.resampled, whole.resampled, equal_nan=True)


def test_order_keeps_every_metric() -> None:
    names = list(estimates(measure(single(50, 12), rng(), 20)))
    assert sorted(order(names)) == sorted(names)
    assert order(names)[0] == "accuracy"
