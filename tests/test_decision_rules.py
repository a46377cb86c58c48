"""How probabilities become labels, and how that is written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vermilion.learn.decision_rules import Argmax, Rule, Threshold, Thresholds, Tree, from_json

RULES: list[tuple[Rule, int]] = [
    (Argmax(), 4),
    (Threshold(0, 0.25, "precision:0.9"), 2),
    (Thresholds((0.1, 0.5, 1.0), "f1"), 3),
    (Tree((-1, 0, 0, -1), 0.4), 4),
]


@pytest.mark.parametrize(("rule", "n_labels"), RULES)
def test_a_rule_comes_back_as_it_was(rule: Rule, n_labels: int) -> None:
    assert isinstance(rule, Rule)
    assert from_json(rule.to_json(), n_labels) == rule


@pytest.mark.parametrize(("rule", "n_labels"), RULES)
def test_every_row_is_decided(rule: Rule, n_labels: int) -> None:
    proba = np.random.default_rng(0).dirichlet(np.ones(n_labels), size=50).astype(np.float32)
    decided = rule.decide(proba)
    assert decided.shape == proba.shape
    assert decided.dtype == np.bool_
    assert rule.decide(proba[:0]).shape == (0, n_labels)


@pytest.mark.parametrize("positive", [0, 1])
def test_a_threshold_of_one_half_is_the_likeliest_label(positive: int) -> None:
    proba = np.random.default_rng(0).dirichlet([1, 1], size=50)
    np.testing.assert_array_equal(Threshold(positive, 0.5).decide(proba), Argmax().decide(proba))


def test_a_probability_that_equals_its_threshold_reaches_it() -> None:
    proba = np.array([[0.7, 0.3]], dtype=np.float32)
    assert Threshold(1, float(proba[0, 1])).decide(proba).tolist() == [[False, True]]
    assert Thresholds((0.8, float(proba[0, 1]))).decide(proba).tolist() == [[False, True]]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_extreme_thresholds_take_all_or_only_what_is_certain(value: float) -> None:
    proba = np.array([[1.0, 0.0], [0.4, 0.6], [0.0, 1.0]])
    taken = Threshold(1, value).decide(proba)[:, 1]
    assert taken.tolist() == ([True] * 3 if value == 0 else [False, False, True])


@pytest.mark.parametrize(
    ("told", "n_labels"),
    [
        ({"rule": "oracle"}, 2),
        ({"rule": "threshold", "positive": 2, "value": 0.5, "chosen_by": "f1"}, 2),
        ({"rule": "threshold", "positive": 1, "value": 0.5, "chosen_by": "f1"}, 3),
        ({"rule": "threshold", "positive": 1, "value": 1.5, "chosen_by": "f1"}, 2),
        ({"rule": "threshold", "positive": 1, "value": float("nan"), "chosen_by": "f1"}, 2),
        ({"rule": "threshold", "positive": 1}, 2),
        ({"rule": "thresholds", "values": [0.5], "chosen_by": "f1"}, 2),
        ({"rule": "thresholds", "values": None, "chosen_by": "f1"}, 2),
        ({}, 2),
    ],
)
def test_what_does_not_fit_is_refused(told: dict[str, Any], n_labels: int) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(told, n_labels)
