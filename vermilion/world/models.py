"""The model folder: what a run has learned, as safetensors and JSON, checked when it is loaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vermilion.errors import ModelError
from vermilion.learn.calibrators import Calibrator, calibrated_proba, restore
from vermilion.learn.decision_rules import Argmax, Rule, from_json
from vermilion.learn.heads import HEADS, SEVERAL
from vermilion.learn.out_of_scope import OutOfScope
from vermilion.types import BoolArray, FloatArray, Head, Label

# A folder whose probabilities need more than a temperature has the second, and one whose labels are not simply the
# likeliest has the third: older versions refuse what they would get wrong.
FORMAT, CALIBRATED_FORMAT, RULED_FORMAT = 1, 2, 3
FORMATS = (FORMAT, CALIBRATED_FORMAT, RULED_FORMAT)
TASKS = ("binary", "multi-class", "multi-label", "hierarchical")
# What the names of the arrays that tell out-of-scope texts begin with.
SCOPE = "out_of_scope."
TENSORS, DESCRIPTION, CARD = "model.safetensors", "model.json", "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A fitted head with all that is needed to use it and to know where it came from.

    Attributes
    ----------
    kind : str
        A key of HEADS.
    labels : tuple of Label
        In the order of the head's columns; the head itself knows them by number.
    origin : dict
        Data hashes, versions, seed, metrics: plain JSON, not needed to predict.
    calibrator : Calibrator or None
        What comes after the temperature.
    out_of_scope : OutOfScope or None
        Tells how foreign a text looks; models made before there was one have none.
    task : {"binary", "multi-class", "multi-label", "hierarchical"}
    rule : Rule
        How probabilities become labels.
    """

    kind: str
    head: Head
    labels: tuple[Label, ...]
    temperature: float
    encoder: str
    encoder_digest: str
    origin: dict[str, Any] = field(default_factory=dict)
    calibrator: Calibrator | None = None
    out_of_scope: OutOfScope | None = None
    task: str = "multi-class"
    rule: Rule = field(default_factory=Argmax)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, K), a column for each of the head's classes.

        Rows sum to 1, but where a text may have several labels.
        """
        if self.task == "multi-label":
            said = self.head.predict_proba(X)
            return said if self.calibrator is None else self.calibrator.apply(said)
        return calibrated_proba(self.head, X, self.temperature, self.calibrator)

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, len(labels)), for what `predict_proba` gave."""
        return self.rule.decide(self.spread(proba))

    def spread(self, proba: FloatArray) -> FloatArray:
        """Return a column for each label, shape (n, len(labels)): a group that no text has is no class of the head."""
        columns = self.head.classes_
        if len(columns) == len(self.labels):
            return proba
        wide = np.zeros((len(proba), len(self.labels)), dtype=proba.dtype)
        wide[:, columns] = proba
        return wide


def save_model(folder: Path, model: SavedModel, card: str) -> None:
    """Write a model folder; it appears whole or not at all, and replaces one that was there.

    Raises
    ------
    ModelError
        The folder cannot be written; one that was there stays.
    """
    tensors = save({name: np.ascontiguousarray(value) for name, value in _tensors(model).items()})
    description: dict[str, Any] = {
        "format": _format(model),
        "head": {"kind": model.kind, "params": model.head.get_params()},
        "classes": [int(number) for number in model.head.classes_],
        "labels": [asdict(label) for label in model.labels],
        "temperature": model.temperature,
        "encoder": {"name": model.encoder, "digest": model.encoder_digest},
        "origin": model.origin,
        "task": model.task,
        "decision": model.rule.to_json(),
    }
    if model.calibrator is not None:
        description["calibration"] = model.calibrator.to_json()
    if model.out_of_scope is not None:
        description["out_of_scope"] = {"score": model.out_of_scope.score, "rate": model.out_of_scope.rate}
    description["sha256"] = {TENSORS: hashlib.sha256(tensors).hexdigest(), DESCRIPTION: _digest(description)}
    contents = {
        TENSORS: tensors,
        DESCRIPTION: (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode(),
        CARD: card.encode(),
    }
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _write(fresh, contents)
        _swap(fresh, folder)
    except OSError as error:
        raise ModelError(
            f"{folder}: the model cannot be written ({error.strerror}); make room, or name another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _format(model: SavedModel) -> int:
    if model.rule != Argmax() or model.task == "multi-label":
        return RULED_FORMAT
    return FORMAT if model.calibrator is None else CALIBRATED_FORMAT


def _tensors(model: SavedModel) -> dict[str, NDArray[Any]]:
    own = {} if model.out_of_scope is None else model.out_of_scope.to_tensors()
    return model.head.to_tensors() | {SCOPE + name: values for name, values in own.items()}


def _digest(description: dict[str, Any]) -> str:
    """Return the sha256 of a description's values, hashes left out; white space is free."""
    values = {name: value for name, value in description.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in contents.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def load_model(folder: Path) -> SavedModel:
    """Read a model folder and check it.

    Raises
    ------
    ModelError
        When it is not a model folder, of another format, or a file is not what its hash says.
    """
    description = _describe(folder)
    hashes = description.get("sha256")
    hashes = hashes if isinstance(hashes, dict) else {}
    _compare(folder / DESCRIPTION, _digest(description), hashes.get(DESCRIPTION))
    try:
        tensors = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder}: {TENSORS} cannot be read ({error.strerror}); run again") from None
    _compare(folder / TENSORS, hashlib.sha256(tensors).hexdigest(), hashes.get(TENSORS))
    return _restore(folder, description, tensors)


def _compare(path: Path, found: str, expected: object) -> None:
    if found != expected:
        raise ModelError(f"{path}: is not what its sha256 says; the file is damaged, run again")


def _describe(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{folder}: expected a model folder with {DESCRIPTION}, found none; name the model/ of a run"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error}); run again") from None
    found = description.get("format") if isinstance(description, dict) else None
    if not isinstance(description, dict) or found not in FORMATS:
        raise ModelError(
            f"{path}: expected format {FORMAT} to {RULED_FORMAT}, found {found!r:.40}; "
            "update vermilion, or run again"
        )
    return description


def _restore(folder: Path, description: dict[str, Any], tensors: bytes) -> SavedModel:
    try:
        head_class: Any = (HEADS | SEVERAL)[description["head"]["kind"]]
        head: Head = head_class(**description["head"]["params"])
        classes = np.asarray(description["classes"], dtype=np.int64)
        labels = tuple(Label(**label) for label in description["labels"])
        if classes.min() < 0 or classes.max() >= len(labels):
            raise ValueError(f"classes go from {classes.min()} to {classes.max()}, labels are {len(labels)}")
        arrays = load(tensors)
        return SavedModel(
            description["head"]["kind"],
            head.from_tensors(arrays, classes),
            labels,
            _positive(description["temperature"]),
            description["encoder"]["name"],
            description["encoder"]["digest"],
            description["origin"],
            _calibrator(description, len(classes)),
            _out_of_scope(description, arrays),
            _task(description),
            _rule(description, len(labels)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, SafetensorError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: a part is missing or wrong ({error}); run again") from None


def _calibrator(description: dict[str, Any], n_columns: int) -> Calibrator | None:
    return restore(description["calibration"], n_columns) if "calibration" in description else None


def _task(description: dict[str, Any]) -> str:
    task = description.get("task", "multi-class")
    if task not in TASKS:
        raise ValueError(f"task {task!r:.40}")
    return str(task)


def _rule(description: dict[str, Any], n_labels: int) -> Rule:
    return from_json(description["decision"], n_labels) if "decision" in description else Argmax()


def _out_of_scope(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> OutOfScope | None:
    told = description.get("out_of_scope")
    if told is None:
        return None
    rate = None if told["rate"] is None else float(told["rate"])
    own = {name.removeprefix(SCOPE): values for name, values in arrays.items() if name.startswith(SCOPE)}
    return OutOfScope.from_tensors(told["score"], own, rate)


def _positive(temperature: Any) -> float:
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature}")
    return float(temperature)
