"""Groups of texts that no label fits, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from vermilion.learn.new_labels import (
    DEFAULT_CUT,
    LEAST_TEXTS,
    MOST_GROUPS,
    best_cut,
    group,
    propose_labels,
    typical_words,
)
from vermilion.types import FloatArray, IntArray


def clouds(seed: int, labels: int, each: int, spread: float = 0.4) -> tuple[FloatArray, IntArray]:
    """Return unit rows around so many centres, and which of them each is of."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(labels), each)
    X = rng.normal(size=(labels, 16))[y] + spread * rng.normal(size=(labels * each, 16))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_the_cut_follows_how_far_apart_texts_of_a_label_are(spread: float) -> None:
    X, y = clouds(0, 12, 10, spread)
    fresh, truth = clouds(1, 8, 12, spread)
    found = np.full(len(fresh), -1)
    for number, rows in enumerate(group(fresh, best_cut(X, y))):
        found[rows] = number
    assert adjusted_rand_score(truth, found) > 0.9


def test_too_few_labelled_texts_leave_the_cut_as_it_is() -> None:
    X, y = clouds(2, 5, 1)
    assert best_cut(X, y) == DEFAULT_CUT


def test_groups_are_the_largest_first_and_none_is_small() -> None:
    X, y = clouds(3, 4, 12)
    rows = np.concatenate([np.flatnonzero(y == number)[:count] for number, count in enumerate((12, 3, 7, 5))])
    groups = group(X[rows], 0.5)
    assert [len(members) for members in groups] == [12, 7, 5]
    assert all(len(set(y[rows][members])) == 1 for members in groups)
    assert group(X[: LEAST_TEXTS - 1], 0.5) == []
    assert group(X[:0], 0.5) == []


def test_groups_do_not_depend_on_the_order_of_the_texts() -> None:
    X, _ = clouds(4, 6, 8)
    order = np.random.default_rng(0).permutation(len(X))
    found = {frozenset(order[rows].tolist()) for rows in group(X[order], 0.5)}
    assert found == {frozenset(rows.tolist()) for rows in group(X, 0.5)}


def test_nobody_is_shown_more_groups_than_can_be_looked_through() -> None:
    X, _ = clouds(5, MOST_GROUPS + 10, LEAST_TEXTS, 0.01)
    assert len(group(X, 0.3)) == MOST_GROUPS


def test_the_most_typical_text_comes_first() -> None:
    X = np.array([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [0.9, 0.1]])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    assert group(X, 0.9)[0][0] in (0, 3)


def test_a_name_has_words_that_other_labels_do_not_have() -> None:
    words = typical_words(
        ["parking ticket fee", "meter reading fee"], ["card fee", "ticket fee for late card"], 1
    )
    assert words == [["parking"], ["meter"]] or words == [["parking"], ["reading"]]


def test_texts_without_words_still_get_names() -> None:
    X = np.ones((2 * LEAST_TEXTS, 1), dtype=np.float32)
    X[LEAST_TEXTS:] = -1
    named = propose_labels(X, ["12:30"] * len(X), 0.5, [], {"new_label_1"})
    assert [label.name for label in named] == ["new_label_1_2", "new_label_2"]


def test_names_are_new_and_differ() -> None:
    X = np.ones((2 * LEAST_TEXTS, 1), dtype=np.float32)
    X[LEAST_TEXTS:] = -1
    named = propose_labels(X, ["parking ticket"] * len(X), 0.5, ["card lost"], {"parking_ticket"})
    assert [label.name for label in named] == ["parking_ticket_2", "parking_ticket_3"]
    assert sorted(row for label in named for row in label.texts) == list(range(len(X)))
