"""A model labels texts; with a rate of false alarms it leaves out what looks foreign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.errors import InputError, ModelError
from vermilion.learn.decision_rules import Rule, Threshold, Thresholds, Tree
from vermilion.learn.heads import FlatHead
from vermilion.learn.out_of_scope import SCORES, fit_out_of_scope
from vermilion.types import FloatArray, Label, Texts
from vermilion.world.models import SavedModel, load_model, save_model
from vermilion.world.predictor import Predictor, decided_rows, with_rate

DIMENSION = 12
LABELS = tuple(Label(name) for name in "abcdefgh")


class Placed:
    """An encoder whose texts name the axis that they lie on."""

    name, digest, dimension = "placed", "0" * 32, DIMENSION

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit rows."""
        return np.eye(DIMENSION, dtype=np.float32)[[int(text) for text in texts]]


def model(score: str = "logit + nearest", rate: float | None = None) -> SavedModel:
    """Return a model of eight labels, each on an axis of its own; four axes belong to none."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(8), 6)
    X = np.eye(DIMENSION)[y] + 0.15 * rng.normal(size=(48, DIMENSION))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    foreign = fit_out_of_scope((X, y), (X[:0], y[:0]), score, 10.0)
    head = FlatHead(C=10.0).fit(X, y)
    return SavedModel("flat", head, LABELS, 1.0, "placed", "0" * 32, out_of_scope=replace(foreign, rate=rate))


def rows(saved: SavedModel) -> list[dict[str, object]]:
    texts = tuple(str(axis) for axis in range(DIMENSION))
    return list(Predictor(saved, Placed()).rows(Texts(texts, texts)))


def test_without_a_rate_every_text_has_a_label() -> None:
    found = rows(model())
    assert [row["label"] for row in found[:8]] == list("abcdefgh")
    assert all(row["label"] is not None and "out_of_scope" not in row for row in found)


def test_with_a_rate_what_looks_foreign_has_none() -> None:
    found = rows(model(rate=0.05))
    assert [row["label"] for row in found] == [*"abcdefgh", None, None, None, None]
    assert all(row["out_of_scope"] == row["confidence"] >= 0.95 for row in found[8:])  # type: ignore[operator]
    assert list(found[0]) == ["id", "text", "label", "confidence", "candidates", "out_of_scope"]


def test_a_rate_of_nothing_only_tells() -> None:
    found = rows(with_rate(model(rate=0.05), 0.0, "model"))
    assert all(row["label"] is not None and "out_of_scope" in row for row in found)


@pytest.mark.parametrize("score", SCORES)
def test_a_saved_model_does_the_same(score: str, tmp_path: Path) -> None:
    saved = model(score, rate=0.1)
    save_model(tmp_path / "model", saved, "# Card\n")
    again = load_model(tmp_path / "model")
    assert again.out_of_scope is not None
    assert (again.out_of_scope.score, again.out_of_scope.rate) == (score, 0.1)
    assert [row["label"] for row in rows(again)] == [row["label"] for row in rows(saved)]


def test_an_older_model_still_labels_but_cannot_tell(tmp_path: Path) -> None:
    older = replace(model(), out_of_scope=None)
    save_model(tmp_path / "model", older, "# Card\n")
    loaded = load_model(tmp_path / "model")
    assert loaded.out_of_scope is None
    assert [row["label"] for row in rows(loaded)[:8]] == list("abcdefgh")
    assert with_rate(loaded, None, "model") is loaded
    with pytest.raises(InputError, match="learn it by vermilion run"):
        with_rate(loaded, 0.05, "model")


@pytest.mark.parametrize("rate", [-0.1, 0.6, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(InputError, match="--out-of-scope"):
        with_rate(model(), rate, "model")


def test_a_score_that_is_not_known_is_refused(tmp_path: Path) -> None:
    saved = model()
    assert saved.out_of_scope is not None
    # A folder of a later version: its hash is right, its score is not known here.
    save_model(tmp_path / "model", replace(saved, out_of_scope=_Renamed.of(saved)), "# Card\n")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="a part is missing or wrong"):
        load_model(tmp_path / "model")


class _Renamed:
    """A scorer under another name."""

    def __init__(self, tensors: dict[str, FloatArray]) -> None:
        self.score, self.rate, self._tensors = "oracle bones", None, tensors

    @classmethod
    def of(cls, saved: SavedModel) -> _Renamed:
        assert saved.out_of_scope is not None
        return cls(saved.out_of_scope.to_tensors())

    def to_tensors(self) -> dict[str, FloatArray]:
        """Return its arrays."""
        return self._tensors


class Said:
    """A head that says what it is told to of each row."""

    def __init__(self, proba: FloatArray, classes: Sequence[int]) -> None:
        self.proba, self.classes_ = proba, np.array(classes)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return the first rows."""
        return self.proba[: len(X)]


def decided(proba: list[list[float]], rule: Rule, task: str, **changes: Any) -> list[dict[str, Any]]:
    told = np.array(proba, dtype=np.float32)
    classes = changes.pop("classes", range(told.shape[1]))
    head: Any = Said(told, classes)
    return list(decided_rows(replace(model(), head=head, rule=rule, task=task, **changes), told))


def test_of_two_labels_the_threshold_decides_and_confidence_is_that_of_the_decision() -> None:
    two = {"labels": LABELS[:2]}
    found = decided([[0.7, 0.3], [0.8, 0.2]], Threshold(1, 0.25), "binary", **two)
    assert [(row["label"], row["confidence"]) for row in found] == [("b", 0.3), ("a", 0.8)]
    assert found[0]["candidates"][0] == {"label": "a", "probability": 0.7}


def test_several_labels_are_told_by_probability_and_all_stand_among_the_candidates() -> None:
    proba = [[0.9, 0.05, 0.8, 0.7, 0.6, 0.5, 0.4, 0.1], [0.0] * 8]
    rule = Thresholds((0.95, 0.01, 0.5, 0.75, 0.3, 0.9, 0.9, 0.9))
    found = decided(proba, rule, "multi-label")
    assert [row["labels"] for row in found] == [["c", "e", "b"], []]
    assert [one["label"] for one in found[0]["candidates"]] == ["a", "c", "d", "e", "f", "b"]
    assert "label" not in found[0]


def test_a_path_down_a_tree_ends_where_it_is_no_longer_sure() -> None:
    """Labels c and d stand under a, which no text has, and which is no class of the head."""
    rule, labels = Tree((-1, -1, 0, 0), least=0.5), LABELS[:4]
    proba = [[0.1, 0.5, 0.4], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]
    found = decided(proba, rule, "hierarchical", labels=labels, classes=[1, 2, 3])
    assert [(row["label"], row["path"]) for row in found][1:] == [("c", ["a", "c"]), ("b", ["b"])]
    assert found[1]["confidence"] == pytest.approx(0.8)
    assert all(row["path"][-1] == row["label"] for row in found)
