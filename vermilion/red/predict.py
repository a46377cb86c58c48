"""Label a file of any size with a model that a run has learned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vermilion.config import check_out_of_scope
from vermilion.errors import InputError, ModelError
from vermilion.learn.uncertainty import likeliest
from vermilion.red.progress import Progress
from vermilion.red.proposals import SHOWN_CANDIDATES, candidate_cells, shown_candidates
from vermilion.types import Encoder, FloatArray, Texts
from vermilion.world.data import iter_texts
from vermilion.world.data_writer import RowWriter
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel, load_model
from vermilion.world.source import BadRows, Columns

BATCH = 4096


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

    def rows(self, texts: Texts) -> Iterator[dict[str, Any]]:
        """Yield one row a text: id, text, label, confidence, candidates.

        Where the model has a rate of false alarms, also out_of_scope, the share of labelled texts, held out, that look
        less foreign; a text that looks too foreign has no label.
        """
        vectors = self.encoder.encode(texts.texts)
        # A product's last bits depend on the number of threads, and a row must not depend on the machine's cores.
        with threadpool_limits(limits=1, user_api="blas"):
            proba = self.model.predict_proba(vectors)
            p_values = self._p_values(vectors)
        columns = likeliest(proba, SHOWN_CANDIDATES)
        names = [self.model.labels[number].name for number in self.model.head.classes_.tolist()]
        shown = shown_candidates(names, columns, np.take_along_axis(proba, columns, axis=1))
        for id_, text, candidates, p in zip(texts.ids, texts.texts, shown, p_values, strict=True):
            label, confidence = candidates[0]
            row: dict[str, Any] = {
                "id": id_,
                "text": text,
                "label": label,
                "confidence": confidence,
                "candidates": candidate_cells(candidates),
            }
            if p is not None:
                looks = round(1 - p, 6)
                row |= {"out_of_scope": looks}
                row |= {"label": None, "confidence": looks} if p <= self._rate else {}
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
        p_values: list[float] = scope.p_values(scope.scores(vectors)).tolist()
        return p_values


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
            "an older one",
            where,
            "leave --out-of-scope out, or run again",
        )
    return replace(model, out_of_scope=replace(model.out_of_scope, rate=rate))


def predict_file(
    predictor: Predictor,
    source: str,
    target: str,
    columns: Columns,
    progress: Progress,
    skipped: BadRows | None = None,
) -> int:
    """Stream `source` through the model into `target`, whole or not at all; return the number of texts."""
    count = 0
    with RowWriter(target) as writer:
        for texts in iter_texts(source, columns, batch_size=BATCH, skipped=skipped):
            writer.write(list(predictor.rows(texts)))
            count += len(texts)
            progress.advance(len(texts))
    return count
