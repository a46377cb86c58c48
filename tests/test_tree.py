from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vermilion.choose.train import train
from vermilion.config import TrainSettings
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Tree
from vermilion.types import FloatArray, Label, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel, load_model, save_model
from vermilion.world.predictor import decided_rows

# "cards" has examples of its own; "home" has none. Siblings are much alike, groups are not.
LABELS = (
    Label("cards"),
    Label("lost_card", parent="cards"),
    Label("new_card", parent="cards"),
    Label("home"),
    Label("rent", parent="home"),
    Label("loan", parent="home"),
)
CLASSES = ("cards", "lost_card", "new_card", "rent", "loan")


def vector(label: str, rng: np.random.Generator) -> FloatArray:
    group = 0 if label in CLASSES[:3] else 1
    centre = np.zeros(8)
    centre[group], centre[2 + CLASSES.index(label)] = 1.0, 0.25
    found = centre + rng.normal(scale=0.2, size=8)
    unit: FloatArray = (found / np.linalg.norm(found)).astype(np.float32)
    return unit


def learned(threshold: str = "auto", a_label: int = 40, known: tuple[Label, ...] = LABELS) -> SavedModel:
    rng, named = np.random.default_rng(0), {label.name for label in known}
    rows = [(f"{name} {number}", name) for name in CLASSES if name in named for number in range(a_label)]
    vectors = {text: vector(name, rng) for text, name in rows}
    ids, labels = tuple(map(str, range(len(rows)))), tuple((name,) for _, name in rows)
    texts = Texts(ids, tuple(text for text, _ in rows), labels, "labelled.csv")
    settings = TrainSettings(encoder="static", head="flat", imbalance="none", threshold=threshold)
    encoder = load_encoder("static")
    model, _, _ = train(texts, known, settings, (encoder, lambda t: np.stack([vectors[one] for one in t])))
    return model


@pytest.fixture(scope="module")
def model() -> SavedModel:
    return learned()


def test_parents_make_a_task_hierarchical(model: SavedModel) -> None:
    assert model.task == "hierarchical"
    assert isinstance(model.rule, Tree)
    assert model.rule.parents == (-1, 0, 0, -1, 3, 3)
    assert model.rule.chosen_by == "hierarchical f1"
    assert model.head.classes_.tolist() == [0, 1, 2, 4, 5]
    tree = model.origin["tree"]
    assert tree["chosen"]["f1"] >= tree["without_least"]["f1"]
    assert tree["chosen"]["right"] >= tree["without_least"]["right"]


def test_decisions_are_paths(model: SavedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "model", model, "")
    model = load_model(tmp_path / "model")
    rng = np.random.default_rng(1)
    proba = model.predict_proba(np.stack([vector(name, rng) for name in CLASSES for _ in range(50)]))
    parent = {label.name: label.parent for label in LABELS}
    for row in decided_rows(model, proba):
        assert row["path"][-1] == row["label"]
        assert [parent[name] for name in row["path"]] == [None, *row["path"][:-1]]


def test_what_is_wanted_is_had() -> None:
    rng = np.random.default_rng(2)
    X = np.stack([vector(name, rng) for name in CLASSES for _ in range(100)])
    numbers = np.array([0, 1, 2, 4, 5]).repeat(100)
    shares, depths = {}, {}
    for threshold in ("0", "precision:0.9", "1"):
        found = learned(threshold)
        chosen = found.decide(found.predict_proba(X))
        true = Tree((-1, 0, 0, -1, 3, 3)).parents
        right = [
            not set(np.flatnonzero(row)) - {label, true[label]}
            for row, label in zip(chosen, numbers, strict=True)
        ]
        shares[threshold], depths[threshold] = float(np.mean(right)), float(chosen.sum(axis=1).mean())
    assert shares["0"] < 0.85
    assert shares["precision:0.9"] > 0.85
    assert shares["1"] > 0.99
    assert depths["0"] > depths["precision:0.9"] > depths["1"]


def test_one_text_a_label_is_enough() -> None:
    found = learned(a_label=1)
    assert isinstance(found.rule, Tree)
    assert (found.rule.least, found.rule.chosen_by) == (0.5, "0.5")


def test_texts_of_one_label_teach_nothing() -> None:
    known = (Label("everything"), Label("rent", parent="everything"))
    with pytest.raises(InputError, match="texts of two labels at least, found 'rent' alone"):
        learned(known=known)
