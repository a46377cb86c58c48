"""What a model says of texts whose labels are known, as numbers for the metrics."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

from vermilion.choose.progress import Progress
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Threshold, Tree
from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.judged_several import SeveralLabels
from vermilion.learn.judged_tree import OnePath
from vermilion.types import BoolArray, FloatArray, IntArray, Label, Texts
from vermilion.world.encoders_pairs import check_kind
from vermilion.world.models import SavedModel
from vermilion.world.predictor import Predictor

CHUNK = 4096


def judge(predictor: Predictor, texts: Texts, queries: IntArray | None, progress: Progress) -> Judged:
    """Return what a model says of texts, beside what is true of them.

    Parameters
    ----------
    predictor : Predictor
    texts : Texts
    queries : ndarray of int, shape (n,), or None
        As of `queries_of`.
    progress : Progress

    Raises
    ------
    InputError
        Texts are pairs and the model is for single ones, or the other way round; a text's label is none that the model
        knows, or it has several where the model gives one.
    """
    check_kind(predictor.encoder, texts)
    _refuse_unknown(texts, predictor.model.labels)
    if predictor.model.task == "multi-label":
        return _several_labels(predictor, texts, progress)
    return _one_label(predictor, texts, queries, progress)


def _several_labels(predictor: Predictor, texts: Texts, progress: Progress) -> SeveralLabels:
    model = predictor.model
    true = _indicator(texts, model.labels)
    proba, decided = _decided(predictor, texts, progress)
    return SeveralLabels(true, decided, model.spread(proba))


def _one_label(predictor: Predictor, texts: Texts, queries: IntArray | None, progress: Progress) -> OneLabel:
    model = predictor.model
    true = _numbers(texts, model.labels)
    proba, decided = _decided(predictor, texts, progress)
    predicted, wide = _deepest(model, decided), model.spread(proba)
    if parents := _parents(model.labels):
        return OnePath(true, predicted, wide, None, queries, parents)
    positive = model.rule.positive if isinstance(model.rule, Threshold) else None
    return OneLabel(true, predicted, wide, positive, queries)


def _decided(predictor: Predictor, texts: Texts, progress: Progress) -> tuple[FloatArray, BoolArray]:
    """Return probabilities, and which labels the model gives each text; none where it looks too foreign."""
    proba, foreign = _probabilities(predictor, texts, progress)
    decided = predictor.model.decide(proba)
    decided[foreign] = False
    return proba, decided


def _probabilities(predictor: Predictor, texts: Texts, progress: Progress) -> tuple[FloatArray, BoolArray]:
    """Return probabilities, and which texts look too foreign to have a label; texts are encoded in chunks."""
    proba, foreign = [], []
    progress.start("encoding", len(texts))
    try:
        for start in range(0, len(texts), CHUNK):
            vectors = predictor.encoder.encode(texts.texts[start : start + CHUNK])
            proba.append(predictor.predict_proba(vectors))
            foreign.append(predictor.foreign(vectors))
            progress.advance(len(vectors))
    finally:
        progress.done()
    return np.concatenate(proba), np.concatenate(foreign)


def _deepest(model: SavedModel, decided: BoolArray) -> IntArray:
    """Return the number of the one label that was decided, -1 for none; of a path down a tree, where it ends."""
    depths = np.ones(len(model.labels))
    if isinstance(model.rule, Tree):
        depths += model.rule.depths()
    return np.where(decided.any(axis=1), np.where(decided, depths, 0.0).argmax(axis=1), -1)


def _indicator(texts: Texts, labels: Sequence[Label]) -> BoolArray:
    """Return which labels each text has, shape (n, K)."""
    number = {label.name: place for place, label in enumerate(labels)}
    matrix = np.zeros((len(texts), len(labels)), dtype=np.bool_)
    for row, names in enumerate(texts.labels or ()):
        matrix[row, [number[name] for name in names]] = True
    return matrix


def _numbers(texts: Texts, labels: Sequence[Label]) -> IntArray:
    """Return the number of each text's one label, shape (n,)."""
    number = {label.name: place for place, label in enumerate(labels)}
    for row, names in enumerate(texts.labels or ()):
        if len(names) != 1:
            found = " + ".join(f"'{name}'" for name in names) or "none"
            raise InputError("one label, as the model gives", found, _place(texts, row), "mend the row")
    return np.array([number[name] for names in texts.labels or () for name in names], dtype=np.int64)


def _refuse_unknown(texts: Texts, labels: Sequence[Label]) -> None:
    names = [label.name for label in labels]
    known = frozenset(names)
    unknown = [(row, name) for row, own in enumerate(texts.labels or ()) for name in own if name not in known]
    if not unknown:
        return
    row, name = unknown[0]
    close = difflib.get_close_matches(name, names, 1)
    cure = f"did you mean '{close[0]}'? " if close else ""
    kinds = len({name for _, name in unknown})
    more = len(unknown) - 1
    found = f"'{name}'" + (
        f" (and {more:,} more such row{'s' * (more > 1)}, {kinds:,} label{'s' * (kinds > 1)} in all)"
        * (more > 0)
    )
    raise InputError(
        f"one of the model's {len(names):,} labels",
        found,
        _place(texts, row),
        f"{cure}mend or remove these rows, or learn the labels first",
    )


def _place(texts: Texts, row: int) -> str:
    return f"{texts.source or 'texts'}, row {texts.rows[row] if texts.rows else row + 1}, column label"


def _parents(labels: Sequence[Label]) -> tuple[int, ...]:
    """Return the parent of each label; groups that are no labels of the model come after them."""
    if all(label.parent is None for label in labels):
        return ()
    names = [label.name for label in labels]
    names += dict.fromkeys(label.parent for label in labels if label.parent and label.parent not in names)
    number = {name: place for place, name in enumerate(names)}
    groups = [-1] * (len(names) - len(labels))
    return tuple(-1 if label.parent is None else number[label.parent] for label in labels) + tuple(groups)
