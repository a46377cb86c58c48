"""Learn a model of any task from labelled texts alone: `vermilion train`."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.choose.card import render_card
from vermilion.choose.lesson import Learned, Learner, Lesson
from vermilion.choose.one_label import learn_one_label
from vermilion.choose.progress import Progress
from vermilion.choose.several_labels import learn_several_labels
from vermilion.choose.tree import learn_tree
from vermilion.config import TrainSettings
from vermilion.errors import InputError
from vermilion.types import Encoder, FloatArray, Label, Texts
from vermilion.world.data import data_hash, read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import keep_vectors, spec_for
from vermilion.world.labels import merge_labels, read_labels
from vermilion.world.models import SavedModel, save_model
from vermilion.world.pairs import queries_of
from vermilion.world.source import BadRows, Columns
from vermilion.world.tasks import infer_task

LIBRARIES = ("numpy", "scikit-learn", "onnxruntime", "tokenizers", "safetensors")
CHUNK = 4096
LEARNERS: dict[str, Learner] = {
    "binary": learn_one_label,
    "multi-class": learn_one_label,
    "hierarchical": learn_tree,
    "multi-label": learn_several_labels,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the files are called, and how they are read.

    Attributes
    ----------
    out : Path
        The model folder to write.
    vectors : Path or None
        Folder of a vector cache; None keeps no vectors.
    """

    labelled: str
    out: Path
    labels: str | None = None
    columns: Columns = field(default_factory=Columns)
    vectors: Path | None = None
    skip_bad_rows: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, how it came about, and the rows that were left out."""

    model: SavedModel
    learned: Learned
    texts: int
    left_out: BadRows

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What was chosen, and why, as name and value."""
        labels = f"{len(self.model.labels):,} labels"
        return (("task", f"{self.model.task}: {self.texts:,} texts, {labels}"), *self.learned.lines)

    def as_dict(self) -> dict[str, Any]:
        """Return what was learned and why as plain JSON."""
        model = self.model
        return {
            "task": model.task,
            "texts": self.texts,
            "labels": len(model.labels),
            "encoder": model.encoder,
            "head": model.kind,
            "decision": model.rule.to_json(),
            **without_nan(self.learned.findings),
        }


def train_files(request: Request, settings: TrainSettings, progress: Progress) -> Trained:
    """Read, learn, write the model folder. Nothing is written before all that was given is known to be usable.

    Raises
    ------
    InputError
        Something given cannot be used; names file, row, column and cure.
    """
    left_out = BadRows()
    labelled = read_texts(
        request.labelled, request.columns, labelled=True, skipped=left_out if request.skip_bad_rows else None
    )
    known = read_labels(request.labels) if request.labels else None
    settings = replace(settings, encoder=spec_for(settings.encoder, labelled))
    encoder = load_encoder(settings.encoder, base_url=settings.base_url)
    encode = partial(_encode, encoder, request.vectors, progress)
    model, learned, count = train(labelled, known, settings, (encoder, encode))
    save_model(request.out, model, render_card(model, learned, count))
    return Trained(model, learned, count, left_out)


def _encode(encoder: Encoder, folder: Path | None, progress: Progress, texts: tuple[str, ...]) -> FloatArray:
    """Encode in chunks, and tell how far it is."""
    kept = encoder if folder is None else keep_vectors(folder, encoder)
    progress.start("encoding", len(texts))
    try:
        parts = []
        for start in range(0, len(texts), CHUNK):
            parts.append(kept.encode(texts[start : start + CHUNK]))
            progress.advance(len(parts[-1]))
    finally:
        progress.done()
    return np.concatenate(parts)


def train(
    labelled: Texts,
    known: tuple[Label, ...] | None,
    settings: TrainSettings,
    encoding: tuple[Encoder, Callable[[tuple[str, ...]], FloatArray]],
) -> tuple[SavedModel, Learned, int]:
    """Learn a model from labelled texts.

    Parameters
    ----------
    labelled : Texts
    known : tuple of Label or None
        Labels with meanings and parents; None takes those of the texts.
    encoding : tuple of (Encoder, callable)
        The encoder, and how its vectors are had.

    Returns
    -------
    tuple of (SavedModel, Learned, number of distinct texts)

    Raises
    ------
    InputError
        Labels and texts do not fit each other or the task that was named.
    """
    settings.checked()
    encoder, encode = encoding
    labels = _labels(labelled, known)
    task = infer_task(labelled, labels, settings.task)
    if len(labels) < 2:
        raise InputError(
            "two labels at least", f"'{labels[0].name}' alone", labelled.source, "add texts of another label"
        )
    if task not in LEARNERS:
        raise InputError(
            f"a task out of {', '.join(LEARNERS)}", task, labelled.source, "give one label a row"
        )
    _refuse_options(task, labels, settings)
    texts, y = _distinct(labelled, labels)
    lesson = Lesson(encode(texts), y, labels, task, settings, queries_of(texts))
    learned = LEARNERS[task](lesson)
    model = SavedModel(
        learned.kind,
        learned.head,
        labels,
        learned.temperature,
        settings.encoder,
        encoder.digest,
        _origin(labelled, settings, learned),
        learned.calibrator,
        task=task,
        rule=learned.rule,
    )
    return model, learned, len(texts)


def _refuse_options(task: str, labels: tuple[Label, ...], settings: TrainSettings) -> None:
    """Refuse what the task has no use for, before minutes go into encoding."""
    if task == "multi-class" and settings.threshold != "auto":
        raise InputError("two labels for a threshold", f"{len(labels)}", "--threshold", "leave it out")
    names = [label.name for label in labels]
    if settings.positive is None:
        return
    if task != "binary":
        raise InputError("two labels for --positive", f"{len(names)}", "--positive", "leave it out")
    if settings.positive not in names:
        found = repr(settings.positive)
        raise InputError(f"'{names[0]}' or '{names[1]}'", found, "--positive", "give one of them")


def _labels(labelled: Texts, known: tuple[Label, ...] | None) -> tuple[Label, ...]:
    """Return the labels to learn; where they are grouped, with the groups."""
    used = merge_labels(known, labelled)
    return known if known is not None and any(label.parent for label in used) else used


def _distinct(
    labelled: Texts, labels: tuple[Label, ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return the distinct texts and the numbers of their labels; a text that repeats has the same ones each time."""
    number = {label.name: place for place, label in enumerate(labels)}
    rows = dict(zip(labelled.texts, labelled.labels or (), strict=True))
    return tuple(rows), tuple(tuple(sorted(number[name] for name in names)) for names in rows.values())


def _origin(labelled: Texts, settings: TrainSettings, learned: Learned) -> dict[str, Any]:
    return {
        "data": {"labelled": data_hash(labelled)},
        # An address may carry a password.
        "settings": {name: value for name, value in asdict(settings).items() if name != "base_url"},
        "versions": _versions(),
        **without_nan(learned.findings),
    }


def without_nan(value: Any) -> Any:
    """Return plain JSON types with None for what could not be measured: JSON has no other word for it.

    Examples
    --------
    >>> without_nan({"f1": [0.5, float("nan")]})
    {'f1': [0.5, None]}
    """
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    from vermilion import __version__

    found = {"vermilion": __version__, "python": platform.python_version()}
    return found | {library: version(library) for library in LIBRARIES}
