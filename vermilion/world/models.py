"""The model folder: what a run has learned, as safetensors and JSON, checked when it is loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vermilion.errors import ModelError
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.heads import HEADS
from vermilion.types import FloatArray, Head, Label

FORMAT = 1
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
    """

    kind: str
    head: Head
    labels: tuple[Label, ...]
    temperature: float
    encoder: str
    encoder_digest: str
    origin: dict[str, Any] = field(default_factory=dict)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_labels)."""
        return apply_temperature(self.head.predict_proba(X), self.temperature)


def save_model(folder: Path, model: SavedModel, card: str) -> None:
    """Write a model folder; it appears whole or not at all, and replaces one that was there."""
    tensors = save({name: np.ascontiguousarray(value) for name, value in model.head.to_tensors().items()})
    description = {
        "format": FORMAT,
        "head": {"kind": model.kind, "params": model.head.get_params()},
        "classes": [int(number) for number in model.head.classes_],
        "labels": [asdict(label) for label in model.labels],
        "temperature": model.temperature,
        "encoder": {"name": model.encoder, "digest": model.encoder_digest},
        "sha256": {TENSORS: hashlib.sha256(tensors).hexdigest()},
        "origin": model.origin,
    }
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    contents = {
        TENSORS: tensors,
        DESCRIPTION: (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode(),
        CARD: card.encode(),
    }
    for name, content in contents.items():
        with (fresh / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _swap(fresh, folder)


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_model(folder: Path) -> SavedModel:
    """Read a model folder and check it.

    Raises
    ------
    ModelError
        When it is not a model folder, of a newer format, or its tensors are not what their hash says.
    """
    description = _describe(folder)
    try:
        tensors = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder}: {TENSORS} cannot be read ({error.strerror}); run again") from None
    if hashlib.sha256(tensors).hexdigest() != description["sha256"][TENSORS]:
        raise ModelError(f"{folder}: {TENSORS} is not what its sha256 says; the file is damaged, run again")
    return _restore(folder, description, tensors)


def _describe(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder}: expected a model folder with {DESCRIPTION}, found none; name the model/ of a run"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({error}); run again") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelError(f"{path}: expected format {FORMAT}; update vermilion, or run again")
    return description


def _restore(folder: Path, description: dict[str, Any], tensors: bytes) -> SavedModel:
    try:
        head_class: Any = HEADS[description["head"]["kind"]]
        head: Head = head_class(**description["head"]["params"])
        classes = np.asarray(description["classes"], dtype=np.int64)
        return SavedModel(
            description["head"]["kind"],
            head.from_tensors(load(tensors), classes),
            tuple(Label(**label) for label in description["labels"]),
            float(description["temperature"]),
            description["encoder"]["name"],
            description["encoder"]["digest"],
            description["origin"],
        )
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder / DESCRIPTION}: a part is missing or wrong ({error}); run again") from None
