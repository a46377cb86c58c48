"""What the heads propose for every open text: candidates and uncertainty, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.learn.calibration import apply_temperature
from vermilion.learn.uncertainty import SCORES, disagreement, margin
from vermilion.types import FloatArray, Head, IntArray

CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Proposals:
    """Candidates of each open text, the likeliest first.

    Attributes
    ----------
    labels : ndarray of int, shape (n_open, width)
    proba : ndarray of float, shape (n_open, width)
        Calibrated probabilities of `labels`; labels that the expert ruled out have none.
    score : ndarray of float, shape (n_open,)
        Uncertainty by the run's measure.
    gap : ndarray of float, shape (n_open,)
        Between the two largest probabilities.
    """

    labels: IntArray
    proba: FloatArray
    score: FloatArray
    gap: FloatArray


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted head, its temperature, and further heads that vote where the measure is `committee`."""

    head: Head
    temperature: float
    measure: str = "margin"
    members: tuple[Head, ...] = ()

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_labels)."""
        return apply_temperature(self.head.predict_proba(X), self.temperature)


def propose(model: Model, X: FloatArray, ruled_out: Mapping[int, Sequence[int]], width: int) -> Proposals:
    """Return the `width` likeliest labels of each row of X.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    ruled_out : mapping of row to label numbers
        What the expert said is not right for that text; its probability goes to the others.
    """
    parts = [
        _propose_chunk(model, X[start : start + CHUNK], start, ruled_out, width)
        for start in range(0, len(X), CHUNK)
    ]
    if not parts:
        empty = np.zeros((0, width), dtype=np.float32)
        return Proposals(empty.astype(np.int32), empty, empty[:, 0], empty[:, 0])
    return Proposals(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _propose_chunk(
    model: Model, X: FloatArray, start: int, ruled_out: Mapping[int, Sequence[int]], width: int
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    out = {row - start: ruled_out[row] for row in range(start, start + len(X)) if row in ruled_out}
    proba = _without(model.predict_proba(X), out)
    likeliest = np.argpartition(-proba, width - 1, axis=1)[:, :width]
    values = np.take_along_axis(proba, likeliest, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    gap = 1.0 - margin(proba)
    if model.measure == "committee":
        votes = [_without(head.predict_proba(X), out) for head in model.members]
        score = disagreement(np.stack([proba, *votes]))
    else:
        score = SCORES[model.measure](proba)
    return (
        np.take_along_axis(likeliest, order, axis=1).astype(np.int32),
        np.take_along_axis(values, order, axis=1),
        score,
        gap,
    )


def _without(proba: FloatArray, ruled_out: Mapping[int, Sequence[int]]) -> FloatArray:
    """Return `proba`, changed in place: what the expert ruled out for a row has no probability there."""
    for row, labels in ruled_out.items():
        _rule_out(proba[row], labels)
    return proba


def _rule_out(row: FloatArray, labels: Sequence[int]) -> None:
    row[list(labels)] = 0
    total = row.sum()
    if total > 0:
        row /= total
        return
    left = np.setdiff1d(np.arange(len(row)), labels)
    row[left] = 1 / max(len(left), 1)
