"""A model with the encoder it was learned on: texts in, rows of labels out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vermilion.config import check_out_of_scope
from vermilion.errors import InputError, ModelError
from vermilion.learn.candidates import SHOWN_CANDIDATES, candidate_cells, shown_candidates
from vermilion.learn.decision_rules import Argmax, Threshold, Tree
from vermilion.learn.uncertainty import likeliest
from vermilion.types import BoolArray, Encoder, FloatArray, Texts
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
        with threadpool_limits(limits=1, user_api="blas"):
            return self.model.predict_proba(vectors)

    def foreign(self, vectors: FloatArray) -> BoolArray:
        """Return which texts look too foreign to have a label, shape (n,); none where the model has no rate for it."""
        return np.array([p is not None and p <= self._rate for p in self._p_values(vectors)], dtype=np.bool_)

    def rows(self, texts: Texts) -> Iterator[dict[str, Any]]:
        """Yield one row a text: id, text, what was decided, candidates.

        What was decided is label and confidence; of two labels also score, the probability of the positive one; in a
        hierarchy also path, from the top to the label; where a text may have several labels, labels in their place.
        Where the model has a rate of false alarms, also out_of_scope, the share of labelled texts, held out, that look
        less foreign; a text that looks too foreign has no label.
        """
        check_kind(self.encoder, texts)
        vectors = self.encoder.encode(texts.texts)
        proba = self.predict_proba(vectors)
        p_values = self._p_values(vectors)
        for id_, text, decided, p in zip(
            texts.ids, texts.texts, decided_rows(self.model, proba), p_values, strict=True
        ):
            row: dict[str, Any] = {"id": id_, "text": text, **decided}
            if p is not None:
                looks = round(1 - p, 6)
                row |= {"out_of_scope": looks}
                row |= _without_label(row, looks) if p <= self._rate else {}
            yield row

    @property
    def _rate(self) -> float:
        """The share of texts in scope that may get no label; negative where looks do not matter."""
        scope = self.model.out_of_scope
        return -1.0 if scope is None or scope.rate is None else scope.rate

    def _p_values(self, vectors: FloatArray) -> list[float] | list[None]:
        scope = self.model.out_of_scope
        if scope is None or self._rate < 0:
            return [None] * len(vectors)
        with threadpool_limits(limits=1, user_api="blas"):
            p_values: list[float] = scope.p_values(scope.scores(vectors)).tolist()
        return p_values


def decided_rows(model: SavedModel, proba: FloatArray) -> Iterator[dict[str, Any]]:
    """Yield for each row of probabilities what the model's rule decides, and the candidates.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        As from `model.predict_proba`.
    """
    if model.task == "multi-label":
        return _several(model, proba)
    return _path(model, proba, model.rule) if isinstance(model.rule, Tree) else _one(model, proba)


def _one(model: SavedModel, proba: FloatArray) -> Iterator[dict[str, Any]]:
    columns = likeliest(proba, SHOWN_CANDIDATES)
    chosen = columns[:, 0] if model.rule == Argmax() else model.decide(proba).argmax(axis=1)
    names = _names(model)
    confidence = np.take_along_axis(proba, chosen[:, None], axis=1)[:, 0].tolist()
    shown = shown_candidates(names, columns, np.take_along_axis(proba, columns, axis=1))
    positive = model.rule.positive if isinstance(model.rule, Threshold) else None
    for place, (number, p, candidates) in enumerate(zip(chosen.tolist(), confidence, shown, strict=True)):
        row = {"label": names[number], "confidence": round(p, 6)}
        row |= {} if positive is None else {"score": round(float(proba[place, positive]), 6)}
        yield row | {"candidates": candidate_cells(candidates)}


def _several(model: SavedModel, proba: FloatArray) -> Iterator[dict[str, Any]]:
    """Yield all labels that reach their thresholds, the likeliest first; each is among the candidates."""
    names, columns = _names(model), likeliest(proba, SHOWN_CANDIDATES)
    for row, chosen, first in zip(proba, model.decide(proba), columns, strict=True):
        shown = np.union1d(first, np.flatnonzero(chosen))
        shown = shown[np.argsort(-row[shown], kind="stable")]
        (candidates,) = shown_candidates(names, shown[None, :], row[None, shown], len(shown))
        yield {
            "labels": [names[number] for number in shown.tolist() if chosen[number]],
            "candidates": candidate_cells(candidates),
        }


def _path(model: SavedModel, proba: FloatArray, tree: Tree) -> Iterator[dict[str, Any]]:
    """Yield the deepest label that is sure enough, with those above it."""
    columns = likeliest(proba, SHOWN_CANDIDATES)
    shown = shown_candidates(_names(model), columns, np.take_along_axis(proba, columns, axis=1))
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
