"""vermilion train: a model of each task from labelled texts alone, what is chosen, and what predict makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vermilion import cli
from vermilion.choose.train import Request, train_files
from vermilion.config import TrainSettings
from vermilion.errors import InputError, MissingExtraError
from vermilion.learn.decision_rules import Argmax, Threshold
from vermilion.learn.imbalance import smote_installed
from vermilion.red.predict import predict_file
from vermilion.red.progress import Silent
from vermilion.types import Texts
from vermilion.world.models import load_model
from vermilion.world.predictor import Predictor
from vermilion.world.source import Columns

# What texts of a label are made of: some words tell the label, the others do not.
WORDS = {
    "card": ("card", "plastic", "chip", "pin"),
    "refund": ("refund", "money back", "return", "reimburse"),
    "transfer": ("transfer", "wire", "iban", "send money"),
}
FILLERS = ("please", "today", "my", "the", "again", "where", "help", "account", "why", "still")


def texts_of(label: str, count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return distinct rows; every fifth has no word of its label."""
    rng = np.random.default_rng([seed, len(label)])
    rows = []
    for place in range(count):
        own = [] if place % 5 == 4 else [str(rng.choice(np.array(WORDS[label])))]
        words = [*own, *rng.permutation(np.array(FILLERS))[:4].tolist(), f"no {place}"]
        rows.append({"text": f"{' '.join(words)} {label[0]}", "label": label})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def learn(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> Any:
    request = Request(write(tmp_path / "labelled.jsonl", rows), tmp_path / "model")
    return train_files(request, TrainSettings(encoder="static", **options).checked(), Silent())


def predicted(model: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    texts = tuple(row["text"] for row in rows)
    return list(Predictor.load(model).rows(Texts(texts, texts)))


def test_two_labels_get_a_threshold_that_predict_heeds(tmp_path: Path) -> None:
    rows = texts_of("card", 60) + texts_of("refund", 25)
    trained = learn(tmp_path, rows, threshold="recall:0.95")
    rule = trained.model.rule
    assert trained.model.task == "binary"
    assert isinstance(rule, Threshold)
    assert (rule.positive, rule.chosen_by) == (1, "recall:0.95")
    told = trained.as_dict()["threshold"]
    assert told["positive"] == "refund"
    assert told["recall"] >= 0.95
    found = predicted(tmp_path / "model", rows)
    by_threshold = [
        "refund"
        if {c["label"]: c["probability"] for c in row["candidates"]}["refund"] >= rule.value
        else "card"
        for row in found
    ]
    assert [row["label"] for row in found] == by_threshold
    lower = [row for row in found if row["label"] != row["candidates"][0]["label"]]
    assert all(row["confidence"] < 0.5 for row in lower)


def test_what_was_chosen_is_in_the_model_the_card_and_on_the_screen(tmp_path: Path) -> None:
    rows = texts_of("card", 40) + texts_of("refund", 40) + texts_of("transfer", 5)
    trained = learn(tmp_path, rows, imbalance="weights")
    model = load_model(tmp_path / "model")
    assert model.rule == Argmax()
    assert model.task == "multi-class"
    told = model.origin["imbalance"]
    assert told["method"] == "weights"
    assert [one["method"] for one in told["compared"]] == ["none", "weights"]
    assert told["rarest"][0]["label"] == "transfer"
    assert told["rarest"][0]["rows"] == 5
    shown = dict(trained.lines[::-1])
    assert shown["task"] == "multi-class: 85 texts, 3 labels"
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "weights, macro-F1" in card
    assert "transfer (5 texts)" in card
    json.dumps(trained.as_dict(), allow_nan=False)


def test_auto_leaves_even_labels_alone(tmp_path: Path) -> None:
    rows = texts_of("card", 12) + texts_of("refund", 12) + texts_of("transfer", 10)
    told = learn(tmp_path, rows).as_dict()["imbalance"]
    assert (told["method"], told["compared"]) == ("none", [])


def test_auto_compares_what_is_installed(tmp_path: Path) -> None:
    rows = texts_of("card", 40) + texts_of("refund", 40) + texts_of("transfer", 6)
    trained = learn(tmp_path, rows, head="flat")
    compared = [one["method"] for one in trained.as_dict()["imbalance"]["compared"]]
    assert ("smote" in compared) == smote_installed()
    assert {"none", "weights", "oversample", "undersample"} <= set(compared)
    told = [line for name, line in trained.lines if name == "imbalance"]
    assert any("vermilion[imbalance]" in line for line in told) != smote_installed()


def test_the_same_data_in_another_order_give_the_same_rule(tmp_path: Path) -> None:
    rows = texts_of("card", 30) + texts_of("refund", 12)
    first = learn(tmp_path, rows).model
    second = learn(tmp_path, rows[::-1]).model
    assert isinstance(first.rule, Threshold)
    assert isinstance(second.rule, Threshold)
    assert second.rule.value == pytest.approx(first.rule.value, abs=1e-3)


def test_few_texts_are_enough(tmp_path: Path) -> None:
    rows = [{"text": "where is my card", "label": "card"}, {"text": "money back", "label": "refund"}]
    trained = learn(tmp_path, rows)
    assert predicted(tmp_path / "model", rows)[0]["label"] == "card"
    assert any("nothing could be held out" in line for _, line in trained.lines)
    json.dumps(trained.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "0.3"}, "--threshold: expected two labels for a threshold, found 3"),
        ({"positive": "card"}, "--positive: expected two labels"),
        ({"head": "forest"}, "--head: expected auto, flat, subset, centroid"),
        ({"head": "centroid", "imbalance": "weights"}, "--imbalance: expected one of none, oversample"),
        ({"task": "binary"}, "--task binary: expected two labels"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    rows = texts_of("card", 6) + texts_of("refund", 6) + texts_of("transfer", 3)
    with pytest.raises(InputError, match=message):
        learn(tmp_path, rows, **options)
    assert not (tmp_path / "model").exists()


def test_a_positive_label_must_be_one_of_the_two(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--positive: expected 'card' or 'refund', found 'spam'"):
        learn(tmp_path, texts_of("card", 3) + texts_of("refund", 3), positive="spam")


def test_one_label_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected two labels at least, found 'card' alone"):
        learn(tmp_path, texts_of("card", 3))


def test_smote_that_is_named_and_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imblearn.over_sampling", None)
    rows = texts_of("card", 9) + texts_of("refund", 3) + texts_of("transfer", 3)
    with pytest.raises(MissingExtraError, match=r"vermilion\[imbalance\]"):
        learn(tmp_path, rows, imbalance="smote", head="flat")


def test_the_command_trains_and_predict_goes_on(tmp_path: Path) -> None:
    rows = texts_of("card", 20) + texts_of("refund", 20)
    source, model = write(tmp_path / "labelled.jsonl", rows), tmp_path / "model"
    options = ["--encoder", "static", "--threshold", "cost:1,3", "--positive", "card", "--json"]
    done = CliRunner().invoke(
        cli.app, ["train", source, "--out", str(model), *options], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["task"], told["decision"]["chosen_by"]) == ("binary", "cost:1,3")
    target = str(tmp_path / "labels.csv")
    count = predict_file(Predictor.load(model), source, target, Columns(), Silent())
    assert count == 40


def test_vectors_are_kept_where_asked(tmp_path: Path) -> None:
    source = write(tmp_path / "labelled.jsonl", texts_of("card", 5) + texts_of("refund", 5))
    request = Request(source, tmp_path / "model", vectors=tmp_path / "vectors")
    train_files(request, TrainSettings(encoder="static"), Silent())
    assert list((tmp_path / "vectors").rglob("*.safetensors"))
