"""The model folder: what is saved comes back, and what is damaged is refused in one line."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.errors import ModelError
from vermilion.learn.calibrators import Calibrator, IsotonicScaling, VectorScaling
from vermilion.learn.heads import HEADS
from vermilion.types import FloatArray, Head, Label
from vermilion.world import models
from vermilion.world.models import (
    CALIBRATED_FORMAT,
    CARD,
    DESCRIPTION,
    FORMAT,
    TENSORS,
    SavedModel,
    load_model,
    save_model,
)

LABELS = (
    Label("Grüße", "use for greetings; not for thanks", "small talk"),
    Label("card lost"),
    Label("new\tcard 🙂", parent="cards"),
    Label("other"),
)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "flat": ("flat", {"C": 3.0}),
    "flat, C by cross-validation": ("flat", {}),
    "centroid": ("centroid", {}),
    "subset": ("subset", {"subset_size": 2}),
    "subset, centroid arbiter": ("subset", {"subset_size": 2, "arbiter": "centroid", "noise": "hard"}),
    "subset, no arbiter": ("subset", {"subset_size": 2, "arbiter": "none", "C": 1.0}),
    "subset, a single one": ("subset", {"subset_size": 10, "C": 1.0}),
}


def data(seed: int = 0) -> tuple[FloatArray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(32) % len(LABELS)
    X = np.eye(8)[y] + rng.normal(scale=0.4, size=(32, 8))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def saved(kind: str = "flat", params: dict[str, Any] | None = None) -> SavedModel:
    head: Head = HEADS[kind](**(params or {})).fit(*data())
    origin = {"seed": 3, "data": {"labelled": "ab12"}, "certificate": None, "cost": 0.1 + 0.2}
    return SavedModel(kind, head, LABELS, 0.7, "minilm", "d1" * 16, origin)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good model folder."""
    save_model(tmp_path / "model", saved("flat", {"C": 3.0}), "# A card\n")
    return tmp_path / "model"


def refused(folder: Path) -> str:
    """Return the one line with which a folder is refused."""
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert str(folder) in line
    assert "; " in line, "it should say what to do"
    return line


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object], tensors: bytes | None = None) -> None:
    """Change the description, and perhaps the tensors, of a folder and make the hashes fit again."""
    path = folder / DESCRIPTION
    description = json.loads(path.read_text(encoding="utf-8"))
    change(description)
    if tensors is not None:
        (folder / TENSORS).write_bytes(tensors)
        description["sha256"][TENSORS] = hashlib.sha256(tensors).hexdigest()
    description["sha256"][DESCRIPTION] = models._digest(description)
    path.write_text(json.dumps(description), encoding="utf-8")


def test_every_kind_of_head_is_tried() -> None:
    assert {kind for kind, _ in VARIANTS.values()} == set(HEADS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_comes_back_as_it_was(tmp_path: Path, variant: str) -> None:
    model = saved(*VARIANTS[variant])
    save_model(tmp_path / "out" / "model", model, "# A card\n")
    back = load_model(tmp_path / "out" / "model")
    X, y = data(1)
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(back.head.predict(X), model.head.predict(X))
    assert (back.head.predict(X) == y).mean() > 0.8
    assert back.head.classes_.tolist() == [0, 1, 2, 3]
    for name in ("kind", "labels", "temperature", "encoder", "encoder_digest", "origin"):
        assert getattr(back, name) == getattr(model, name)
    assert back.head.get_params() == model.head.get_params()
    # Saved once more, it is the same to the byte.
    save_model(tmp_path / "again", back, "# A card\n")
    for name in (TENSORS, DESCRIPTION):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / "model" / name).read_bytes()


@pytest.mark.parametrize(
    "calibrator",
    [VectorScaling((1.1, 0.9, 1.0, 1.0), (0.2, -0.1, 0.0, 0.0)), IsotonicScaling((0.0, 1.0), (0.1, 0.9))],
    ids=lambda calibrator: calibrator.method,
)
def test_calibration_beyond_a_temperature_comes_back_and_older_versions_refuse_it(
    tmp_path: Path, calibrator: Calibrator
) -> None:
    model = replace(saved(), calibrator=calibrator)
    save_model(tmp_path / "model", model, "")
    back = load_model(tmp_path / "model")
    X, _ = data(1)
    assert back.calibrator == calibrator
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert np.abs(back.predict_proba(X) - saved().predict_proba(X)).max() > 0.01
    assert json.loads((tmp_path / "model" / DESCRIPTION).read_text())["format"] == CALIBRATED_FORMAT


def test_a_temperature_alone_is_saved_as_it_always_was(folder: Path) -> None:
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    assert description["format"] == FORMAT == 1
    assert "calibration" not in description


@pytest.mark.parametrize("told", [{"method": "magic"}, {"method": "vector", "scale": [1], "bias": [0]}, 3])
def test_a_damaged_calibration_is_refused(folder: Path, told: object) -> None:
    rewrite(folder, lambda description: description.update(calibration=told))
    refused(folder)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_restored_head_learns_on(tmp_path: Path, variant: str) -> None:
    save_model(tmp_path / "model", saved(*VARIANTS[variant]), "")
    head = load_model(tmp_path / "model").head
    X, y = data(2)
    assert (head.fit(X, y).predict(X) == y).mean() > 0.8


def test_the_folder_holds_three_files_that_people_and_tools_can_read(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([TENSORS, DESCRIPTION, CARD])
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    assert description["format"] == 1
    assert [label["name"] for label in description["labels"]] == [label.name for label in LABELS]
    assert "Grüße" in (folder / DESCRIPTION).read_text(encoding="utf-8")
    assert (folder / CARD).read_text() == "# A card\n"


def test_the_calibrated_probabilities_are_those_of_the_temperature(folder: Path) -> None:
    model, X = load_model(folder), data(1)[0]
    raw = model.head.predict_proba(X)
    scaled = raw ** (1 / 0.7)
    np.testing.assert_allclose(model.predict_proba(X), scaled / scaled.sum(axis=1, keepdims=True), rtol=1e-5)


def same_values(good: bytes, bad: bytes | bytearray) -> bool:
    """Tell whether two files are the same JSON, as where a digit beyond a float's precision changed."""
    try:
        return bool(json.loads(good) == json.loads(bad))
    except ValueError:
        return False


@pytest.mark.parametrize("name", [TENSORS, DESCRIPTION])
def test_any_damaged_byte_is_noticed(folder: Path, name: str) -> None:
    good = (folder / name).read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        if same_values(good, bad):
            continue
        (folder / name).write_bytes(bad)
        refused(folder)
    (folder / name).write_bytes(good)
    load_model(folder)


@pytest.mark.parametrize("name", [TENSORS, DESCRIPTION])
def test_a_file_cut_or_with_more_behind_it_is_noticed(folder: Path, name: str) -> None:
    good = (folder / name).read_bytes()
    for bad in (
        b"",
        good[:1],
        good[:8],
        good[: len(good) // 2],
        good[:-2],
        good + b"x",
        good * 2,
        b"\xff" * 64,
    ):
        (folder / name).write_bytes(bad)
        refused(folder)


def test_white_space_in_the_description_is_free(folder: Path) -> None:
    path = folder / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))
    load_model(folder)


@pytest.mark.parametrize("format_", [4, 0, "1", None, [1]])
def test_another_format_is_refused_and_named(folder: Path, format_: object) -> None:
    rewrite(folder, lambda description: description.update(format=format_))
    assert f"expected format 1 to 3, found {format_!r}; update vermilion" in refused(folder)


@pytest.mark.parametrize("content", ["[]", "null", '"model"', "[" * 100_000])
def test_a_description_that_is_no_object_is_refused(folder: Path, content: str) -> None:
    (folder / DESCRIPTION).write_text(content)
    refused(folder)


def test_what_is_no_model_folder_is_named(tmp_path: Path) -> None:
    assert "expected a model folder with model.json, found none" in refused(tmp_path / "absent")
    assert "found none" in refused(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "found none" in refused(tmp_path / "file")


def test_a_folder_in_a_files_place_is_named(folder: Path) -> None:
    for name in (TENSORS, DESCRIPTION):
        (folder / name).unlink()
        (folder / name).mkdir()
        assert f"{name}" in refused(folder)


def test_missing_tensors_are_named(folder: Path) -> None:
    (folder / TENSORS).unlink()
    assert f"{TENSORS} cannot be read (No such file or directory)" in refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda d, name=name: d.pop(name)
            for name in ("head", "classes", "labels", "temperature", "encoder")
        ),
        lambda d: d["head"].update(kind="svm"),
        lambda d: d["head"].update(kind="subset"),
        lambda d: d["head"].update(kind=["flat"]),
        lambda d: d["head"]["params"].update(depth=3),
        lambda d: d.update(head=[]),
        lambda d: d.update(encoder="minilm"),
        lambda d: d["encoder"].pop("digest"),
        lambda d: d["classes"].pop(),
        lambda d: d.update(classes=[]),
        lambda d: d.update(classes=[0, 1, 2, 4]),
        lambda d: d.update(classes=[-1, 0, 1, 2]),
        lambda d: d.update(classes=[0, 1, 2, 2**70]),
        lambda d: d.update(classes="abcd"),
        lambda d: d["labels"].pop(),
        lambda d: d["labels"][0].pop("name"),
        lambda d: d["labels"][0].update(colour="red"),
        lambda d: d.update(labels=3),
        lambda d: d.update(temperature=0),
        lambda d: d.update(temperature=-1.0),
        lambda d: d.update(temperature=float("nan")),
        lambda d: d.update(temperature=float("inf")),
        lambda d: d.update(temperature="warm"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Such a file is not damaged, its hash is right: it was made by something else."""
    rewrite(folder, change)
    assert "a part is missing or wrong" in refused(folder)


@pytest.mark.parametrize("hashes", [None, [], {}, {TENSORS: 3, DESCRIPTION: 3}])
def test_hashes_that_are_not_there_are_no_hashes(folder: Path, hashes: object) -> None:
    description = json.loads((folder / DESCRIPTION).read_text())
    description["sha256"] = hashes
    (folder / DESCRIPTION).write_text(json.dumps(description))
    assert "is not what its sha256 says" in refused(folder)


class Bomb:
    """What would run on being unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_not_opened(folder: Path, tmp_path: Path) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        rewrite(folder, lambda description: None, pickle.dumps(Bomb(tmp_path / "run"), protocol))
        refused(folder)
        (folder / TENSORS).write_bytes(b"")
    assert not (tmp_path / "run").exists()


def test_a_new_model_replaces_the_old_one_and_leaves_nothing_else(folder: Path) -> None:
    (folder / "stale.txt").write_text("of the old model")
    save_model(folder, saved("centroid"), "# Another\n")
    assert load_model(folder).kind == "centroid"
    assert sorted(path.name for path in folder.iterdir()) == sorted([TENSORS, DESCRIPTION, CARD])
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_where_the_new_model_cannot_be_written_the_old_one_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    rename = Path.rename
    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        fresh = f".model.{os.getpid()}"
        monkeypatch.setattr(
            Path, "rename", lambda self, to: full() if self.name == fresh else rename(self, to)
        )
    with pytest.raises(
        ModelError, match=r"model: the model cannot be written \(No space left on device\); make room"
    ):
        save_model(folder, saved("centroid"), "")
    monkeypatch.undo()
    assert load_model(folder).kind == "flat"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ModelError, match=r"out/model: the model cannot be written \(Not a directory\)"):
        save_model(tmp_path / "out" / "model", saved(), "")


def test_what_an_interrupted_save_left_is_no_hindrance(folder: Path) -> None:
    for left in (f".model.{os.getpid()}", ".model.old"):
        (folder.parent / left).mkdir()
        (folder.parent / left / "half").write_text("x")
    save_model(folder, saved("centroid"), "")
    assert load_model(folder).kind == "centroid"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
