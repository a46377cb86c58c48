"""Answers a batch: rules, vectors, the head of the arm, rules again; and asks the other arm where both are compared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vermilion.serve.arms import OTHER, Arms, disagreement
from vermilion.serve.batching import Piece
from vermilion.serve.decision import BY_MODEL, Decision, words
from vermilion.serve.failure import trace
from vermilion.serve.live import Served, Snapshot
from vermilion.serve.rules import Decided, Ruling
from vermilion.types import FloatArray
from vermilion.world.predictor import decisions

logger = logging.getLogger("vermilion.serve")

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one text, before it has an id."""

    said: Said
    refused: bool = False
    abstained: bool = False
    by: str = BY_MODEL


class Engine:
    """Answers batches from the snapshot of the moment; used by one thread.

    Parameters
    ----------
    snapshot : callable
        Gives the snapshot of now.
    new_id : callable
        Gives a decision's id.
    arms : Arms
        Told of failures.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], new_id: Callable[[], str], arms: Arms) -> None:
        self._snapshot, self._new_id, self._arms = snapshot, new_id, arms

    def answer(self, pieces: Sequence[Piece]) -> None:
        """Add to each job what is decided of its piece; a job that cannot be answered has `dropped` set."""
        now = self._snapshot()
        groups: dict[tuple[Served, Served | None], list[Piece]] = {}
        for piece in pieces:
            served, other = piece.job.route(now)
            groups.setdefault((served, other), []).append(piece)
        for (served, other), some in groups.items():
            try:
                self._group(served, other, some)
            except Exception as error:
                logger.error(
                    "a batch of %d requests failed; each is tried alone: %s", len(some), trace(error)
                )
                for piece in some:
                    self._alone(piece)

    def _group(self, served: Served, other: Served | None, pieces: Sequence[Piece]) -> None:
        texts = [text for piece in pieces for text in piece.texts]
        shown = max(piece.job.shown for piece in pieces)
        batch = Batch(texts, whole=other is not None)
        outcomes = iter(batch.decide(served, shown))
        began = time.monotonic()
        others = iter(self._others(other, batch, pieces))
        beside = time.monotonic() - began
        for piece in pieces:
            job = piece.job
            for _ in piece.texts:
                outcome, compared = next(outcomes), next(others)
                decision = Decision(
                    self._new_id(), outcome.said, outcome.refused, outcome.abstained, outcome.by
                )
                job.decisions.append(decision)
                if compared is not None:
                    job.compared = True
                    differs = disagreement(job.arm, decision.id, decision.words, words(compared.said))
                    job.differs += [differs] if differs else []
            job.beside_seconds += beside

    def _others(
        self, other: Served | None, batch: Batch, pieces: Sequence[Piece]
    ) -> Sequence[Outcome | None]:
        """Return what the arm that does not answer says; whatever is wrong with it is nobody's business but its own."""
        nothing: list[Outcome | None] = [None] * len(batch.texts)
        if other is None:
            return nothing
        try:
            return batch.decide(other, 1)
        except Exception as error:
            logger.error("%s, which is only compared, failed: %s", other.address, trace(error))
            for piece in pieces:
                self._arms.failed(piece.job, OTHER[piece.job.arm])
            return nothing

    def _alone(self, piece: Piece) -> None:
        job = piece.job
        served, other = job.route(self._snapshot())
        try:
            self._group(served, other, [piece])
        except Exception as error:
            logger.error("request %s failed at %s: %s", job.request, served.address, trace(error))
            self._arms.failed(job, job.arm)
            if job.arm == "challenger" and job.snapshot is not None and not job.decisions:
                # What is only being tried must not cost anybody an answer.
                job.arm, job.served, job.other = "champion", job.snapshot.champion, None
                self._alone(piece)
            else:
                job.dropped = error


class Batch:
    """Texts with their vectors, which versions that share an encoder share, too.

    Parameters
    ----------
    texts : sequence of str
    whole : bool
        Encode all texts, since another version, with other rules, is asked as well.
    """

    def __init__(self, texts: Sequence[str], *, whole: bool = False) -> None:
        self.texts, self._whole = texts, whole
        self._vectors: dict[str, FloatArray] = {}

    def decide(self, served: Served, shown: int) -> list[Outcome]:
        """Return what a version makes of each text."""
        before = served.rules.before(self.texts)
        rows = [row for row, ruling in enumerate(before) if ruling is None]
        model = iter(self._by_model(served, rows, shown)) if rows else iter(())
        return [
            next(model) if ruling is None else ruled(served, ruling, {"candidates": []}) for ruling in before
        ]

    def _by_model(self, served: Served, rows: Sequence[int], shown: int) -> Iterator[Outcome]:
        texts = [self.texts[row] for row in rows]
        said = list(decisions(served.model, self._encode(served, rows), shown))
        after: Sequence[Ruling | None] = [None] * len(said)
        if served.rules.book.after:
            after = served.rules.after(texts, [_decided(one) for one in said])
        for one, ruling in zip(said, after, strict=True):
            if ruling is not None:
                yield ruled(served, ruling, one)
            else:
                foreign = "out_of_scope" in one and (
                    one["label"] is None if "label" in one else not one["labels"]
                )
                yield Outcome(one, refused=foreign)

    def _encode(self, served: Served, rows: Sequence[int]) -> FloatArray:
        encoder = served.encoder
        if not self._whole:
            return encoder.encode([self.texts[row] for row in rows])
        if encoder.digest not in self._vectors:
            self._vectors[encoder.digest] = encoder.encode(self.texts)
        vectors: FloatArray = self._vectors[encoder.digest][list(rows)]
        return vectors


def ruled(served: Served, ruling: Ruling, said: Said) -> Outcome:
    """Return what a rule makes of a text, in the words of the model's task; a rule has no probability."""
    label = ruling.label if ruling.action == "label" else None
    row = {**said, "confidence": None}
    if served.model.task == "multi-label":
        row["labels"] = [] if label is None else [label]
    else:
        row["label"] = label
    if served.model.task == "hierarchical":
        row["path"] = _path(served, label)
    return Outcome(row, abstained=label is None, by=f"rule:{ruling.rule}")


def _path(served: Served, label: str | None) -> list[str]:
    parents = {one.name: one.parent for one in served.model.labels}
    path: list[str] = []
    while label is not None and label not in path:
        path.insert(0, label)
        label = parents.get(label)
    return path


def _decided(said: Said) -> Decided:
    """Return what the rules after the model look at; of several labels the likeliest tells how sure it is."""
    confidence = said.get("confidence")
    if confidence is None:
        confidence = max((one["probability"] for one in said["candidates"]), default=0.0)
    return Decided(said.get("label"), confidence, said.get("out_of_scope"), tuple(said.get("labels", ())))
