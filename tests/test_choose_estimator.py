"""Learning from labelled texts as a scikit-learn estimator, for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from vermilion import TextClassifier
from vermilion.errors import InputError
from vermilion.types import Texts
from vermilion.world.predictor import Predictor

TEXTS = [
    *("where is my card", "my card has not come", "the card is late", "card still missing", "a card for me"),
    *("I want my money back", "refund me please", "give me a refund", "money back now", "refund the fee"),
    *("wire money abroad", "transfer to an iban", "send money to my sister", "transfer it today", "a wire"),
]
LABELS = ["card"] * 5 + ["refund"] * 5 + ["transfer"] * 5


def fitted(y: Any = LABELS, X: Any = TEXTS, **params: Any) -> TextClassifier:
    return TextClassifier(encoder="static", **params).fit(X, y)


def test_strings_are_one_label_each() -> None:
    clf = fitted()
    assert clf.task_ == "multi-class"
    assert clf.classes_.tolist() == ["card", "refund", "transfer"]
    proba = clf.predict_proba(TEXTS)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(clf.predict(TEXTS), clf.classes_[proba.argmax(axis=1)])
    assert clf.score(TEXTS, LABELS) == 1


def test_lists_are_several_labels() -> None:
    y = [[label, "money"] if label != "card" else [label] for label in LABELS]
    clf = fitted(y)
    assert clf.task_ == "multi-label"
    said = clf.predict(TEXTS)
    assert said.shape == (15,)
    assert all(isinstance(labels, tuple) for labels in said)
    assert clf.score(TEXTS, y) > 0.6


def test_tuples_are_pairs() -> None:
    pairs = [(text, "about a card" if place % 2 else "about money") for place, text in enumerate(TEXTS)]
    y = ["yes" if (label == "card") == bool(place % 2) else "no" for place, label in enumerate(LABELS)]
    clf = fitted(y, pairs)
    assert clf.task_ == "binary"
    assert clf.predict_proba(pairs).shape == (15, 2)


def test_parents_make_a_tree() -> None:
    clf = fitted(parents={"refund": "money", "transfer": "money"})
    assert clf.task_ == "hierarchical"
    assert set(clf.predict(TEXTS).tolist()) <= {"card", "money", "refund", "transfer"}


def test_scikit_learn_can_clone_and_cross_validate_it() -> None:
    clf = clone(TextClassifier(encoder="static", head="centroid", imbalance="none"))
    assert cross_val_score(clf, np.array(TEXTS), np.array(LABELS), cv=2).mean() > 0.5


def test_a_saved_model_predicts_the_same(tmp_path: Path) -> None:
    clf = fitted()
    clf.save(tmp_path / "model")
    rows = list(Predictor.load(tmp_path / "model").rows(Texts(tuple(TEXTS), tuple(TEXTS))))
    assert [row["label"] for row in rows] == clf.predict(TEXTS).tolist()


@pytest.mark.parametrize(
    ("X", "y", "message"), [(["a"], [], "1 texts, 0 labels"), ([], [], "labelled texts")]
)
def test_what_cannot_be_learned_from_is_refused(X: list[str], y: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(y, X)
