"""A model with the encoder it was learned on: texts in, rows of labels out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.config import check_out_of_scope
from vermilion.errors import InputError, ModelError
from vermilion.learn.candidates import SHOWN_CANDIDATES, Candidates, candidate_cells, shown_candidates
from vermilion.learn.decision_rules import Argmax, Threshold, Tree
from vermilion.learn.threads import block_threads
from vermilion.learn.uncertainty import likeliest
from vermilion.types import BoolArray, Encoder, FloatArray, IntArray, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import check_kind
from vermilion.world.models import SavedModel, load_model


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model and the encoder it was learned on."""

    model: SavedModel
    encoder: Encoder

    @classmethod
    def load(cls, folder: Path, base_url: str | None = None) -> Predictor:
        """Load a model folder and its encoder.

        Raises
        ------
        ModelError
            When the folder is damaged, or the encoder here gives other vectors than it was learned on.
        """
        return cls.of(load_model(folder), base_url=base_url, where=str(folder))

    @classmethod
    def of(
        cls,
        model: SavedModel,
        *,
        base_url: str | None = None,
        threads: int | None = None,
        where: str = "model",
    ) -> Predictor:
        """Give a loaded model its encoder; `threads` is for `minilm`, `where` for the message.

        Raises
        ------
        ModelError
            When the encoder here gives other vectors than the model was learned on.
        """
        encoder = load_encoder(model.encoder, base_url=base_url, threads=threads)
        if encoder.digest != model.encoder_digest:
            raise ModelError(
                f"{where}: expected encoder {model.encoder} {model.encoder_digest}, found {encoder.digest};"
                " install the versions in its model.json, or run again"
            )
        return cls(model, encoder)

    def predict_proba(self, vectors: FloatArray) -> FloatArray:
        """Return calibrated probabilities of vectors, shape (n, K), the same on every machine."""
        # A product's last bits depend on the number of threads, and a row must not depend on the machine's cores.
        with block_threads(0):
            return self.model.predict_proba(vectors)

    def foreign(self, vectors: FloatArray) -> BoolArray:
        """Return which texts look too foreign to have a label, shape (n,); none where the model has no rate for it."""
        rate = _rate(self.model)
        with block_threads(0):
            p_values = _p_values(self.model, vectors)
        return np.array([p is not None and p <= rate for p in p_values], dtype=np.bool_)

    def rows(self, texts: Texts) -> Iterator[dict[str, Any]]:
        """Yield one row a text: id, text, and what `decisions` says of it."""
        check_kind(self.encoder, texts)
        vectors = self.encoder.encode(texts.texts)
        with block_threads(0):
            decided = list(decisions(self.model, vectors))
        for id_, text, row in zip(texts.ids, texts.texts, decided, strict=True):
            yield {"id": id_, "text": text, **row}


def decisions(
    model: SavedModel, vectors: FloatArray, shown: int = SHOWN_CANDIDATES
) -> Iterator[dict[str, Any]]:
    """Yield what is decided of each vector, and the candidates.

    What is decided is label and confidence; of two labels also score, the probability of the positive one; in a
    hierarchy also path, from the top to the label; where a text may have several labels, labels in their place.
    Where the model has a rate of false alarms, also out_of_scope, the share of labelled texts, held out, that look
    less foreign; a text that looks too foreign has no label.

    The last bits depend on the threads of linear algebra: the caller keeps it to one.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        Of the encoder that the model was learned on.
    shown : int
        How many candidates at most.
    """
    rate, p_values = _rate(model), _p_values(model, vectors)
    for row, p in zip(decided_rows(model, model.predict_proba(vectors), shown), p_values, strict=True):
        if p is not None:
            looks = round(1 - p, 6)
            row["out_of_scope"] = looks
            row.update(_without_label(row, looks) if p <= rate else {})
        yield row


def _rate(model: SavedModel) -> float:
    """Return the share of texts in scope that may get no label; negative where looks do not matter."""
    scope = model.out_of_scope
    return -1.0 if scope is None or scope.rate is None else scope.rate


def _p_values(model: SavedModel, vectors: FloatArray) -> list[float] | list[None]:
    scope = model.out_of_scope
    if scope is None or _rate(model) < 0:
        return [None] * len(vectors)
    p_values: list[float] = scope.p_values(scope.scores(vectors)).tolist()
    return p_values


def decided_rows(
    model: SavedModel, proba: FloatArray, shown: int = SHOWN_CANDIDATES
) -> Iterator[dict[str, Any]]:
    """Yield for each row of probabilities what the model's rule decides, and the candidates.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        As from `model.predict_proba`.
    shown : int
        How many candidates at most; where a text may have several labels, all that it has are among them.
    """
    columns = likeliest(proba, shown)
    if model.task == "multi-label":
        return _several(model, proba, columns)
    if isinstance(model.rule, Tree):
        return _path(model, proba, columns, model.rule)
    return _one(model, proba, columns)


def _one(model: SavedModel, proba: FloatArray, columns: IntArray) -> Iterator[dict[str, Any]]:
    chosen = columns[:, 0] if model.rule == Argmax() else model.decide(proba).argmax(axis=1)
    names = _names(model)
    confidence = np.take_along_axis(proba, chosen[:, None], axis=1)[:, 0].tolist()
    shown = _shown(names, proba, columns)
    positive = model.rule.positive if isinstance(model.rule, Threshold) else None
    for place, (number, p, candidates) in enumerate(zip(chosen.tolist(), confidence, shown, strict=True)):
        row = {"label": names[number], "confidence": round(p, 6)}
        row |= {} if positive is None else {"score": round(float(proba[place, positive]), 6)}
        yield row | {"candidates": candidate_cells(candidates)}


def _several(model: SavedModel, proba: FloatArray, columns: IntArray) -> Iterator[dict[str, Any]]:
    """Yield all labels that reach their thresholds, the likeliest first; each is among the candidates."""
    names = _names(model)
    for row, chosen, first in zip(proba, model.decide(proba), columns, strict=True):
        shown = np.union1d(first, np.flatnonzero(chosen))
        shown = shown[np.argsort(-row[shown], kind="stable")]
        (candidates,) = shown_candidates(names, shown[None, :], row[None, shown], len(shown))
        yield {
            "labels": [names[number] for number in shown.tolist() if chosen[number]],
            "candidates": candidate_cells(candidates),
        }


def _path(model: SavedModel, proba: FloatArray, columns: IntArray, tree: Tree) -> Iterator[dict[str, Any]]:
    """Yield the deepest label that is sure enough, with those above it."""
    shown = _shown(_names(model), proba, columns)
    spread = model.spread(proba)
    mass, depths = tree.mass(spread), tree.depths()
    for place, (chosen, candidates) in enumerate(zip(tree.decide(spread), shown, strict=True)):
        path = sorted(np.flatnonzero(chosen).tolist(), key=depths.__getitem__)
        yield {
            "label": model.labels[path[-1]].name,
            "confidence": round(float(mass[place, path[-1]]), 6),
            "path": [model.labels[number].name for number in path],
            "candidates": candidate_cells(candidates),
        }


def _shown(names: list[str], proba: FloatArray, columns: IntArray) -> list[Candidates]:
    return shown_candidates(names, columns, np.take_along_axis(proba, columns, axis=1), columns.shape[1])


def _names(model: SavedModel) -> list[str]:
    """Return the names of the columns of the model's probabilities."""
    return [model.labels[number].name for number in model.head.classes_.tolist()]


def _without_label(row: dict[str, Any], looks: float) -> dict[str, Any]:
    """Return what takes the place of the decided label of a text that looks too foreign."""
    nothing: dict[str, Any] = {"label": None, "confidence": looks, "path": [], "labels": []}
    return {name: value for name, value in nothing.items() if name in row}


def with_rate(model: SavedModel, rate: float | None, where: str) -> SavedModel:
    """Return the model with another rate of false alarms; None leaves it as the run had it.

    Raises
    ------
    InputError
        The rate is no share, or the model was made before there was one.
    """
    if rate is None:
        return model
    check_out_of_scope(rate)
    if model.out_of_scope is None:
        raise InputError(
            "a model that tells what is out of scope",
            "one that does not",
            where,
            "leave --out-of-scope out, or learn it by vermilion run",
        )
    return replace(model, out_of_scope=replace(model.out_of_scope, rate=rate))
