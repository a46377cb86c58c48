"""What the heads propose for every open text: candidates and uncertainty, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.learn.calibrators import Calibrator, calibrated_proba
from vermilion.learn.threads import block_threads, in_order
from vermilion.learn.uncertainty import SCORES, disagreement, likeliest, margin
from vermilion.red.asking import Confirmed, confirmed
from vermilion.red.pool import Pool
from vermilion.red.problem import Problem
from vermilion.red.state import Asked
from vermilion.types import FloatArray, Head, IntArray

CHUNK = 2048


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

    def unlisted(self, asked: Sequence[Asked]) -> FloatArray:
        """Return for each question the probability that none of its options is right, shape (n_asked,)."""
        rows = np.array([one.row for one in asked], dtype=np.int64)
        most = max((len(one.options) for one in asked), default=0)
        options = np.array(
            [(*one.options, *[-1] * (most - len(one.options))) for one in asked], dtype=np.int32
        )
        shown = (self.labels[rows][:, :, None] == options.reshape(len(rows), 1, most)).any(axis=2)
        listed = np.sum(self.proba[rows], axis=1, where=shown, dtype=np.float64)
        return np.clip(1 - listed, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Model:
    """What learns in a run, and what of it stays.

    Attributes
    ----------
    head : Head
        The one that is kept: it needs nothing but a text's vector.
    temperature : float
        Of the head.
    measure : str
        Of uncertainty.
    members : tuple of Head
        Further heads that vote where the measure is `committee`.
    names : bool
        Whether each label's name is one more example of it.
    pool : Pool or None
        Learns from the open texts, too; the head is its student then.
    calibrator : Calibrator or None
        What comes after the temperature, where a run has found it better.
    """

    head: Head
    temperature: float
    measure: str = "margin"
    members: tuple[Head, ...] = ()
    names: bool = False
    pool: Pool | None = None
    calibrator: Calibrator | None = None

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_labels)."""
        return calibrated_proba(self.head, X, self.temperature, self.calibrator)

    def learn(self, problem: Problem, answers: IntArray) -> FloatArray | None:
        """Fit on all that is confirmed (`answers` is -1 where open).

        Returns
        -------
        ndarray of shape (n_open, n_labels), or None
            Calibrated probabilities of the open texts, where the pool was learned from as a whole.
        """
        heads = self.members if self.pool else (self.head, *self.members)
        if heads:
            known = training_rows(problem, answers, names=self.names)
            for head in heads:
                head.fit(known.X, known.y)
        return self.pool.learn(problem, answers) if self.pool else None


def training_rows(problem: Problem, answers: IntArray, *, names: bool) -> Confirmed:
    """Return what heads learn from: confirmed texts and, if wanted, the labels' names (they have no place)."""
    known = confirmed(problem, answers)
    if not names or problem.X_names is None:
        return known
    count = len(problem.X_names)
    return Confirmed(
        np.concatenate([known.X, problem.X_names]),
        np.concatenate([known.y, np.arange(count)]),
        known.places,
    )


def propose(
    model: Model,
    X: FloatArray,
    ruled_out: Mapping[int, Sequence[int]],
    width: int,
    proba: FloatArray | None = None,
) -> Proposals:
    """Return the `width` likeliest labels of each row of X.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    ruled_out : mapping of row to label numbers
        What the expert said is not right for that text; its probability goes to the others.
    proba : ndarray of shape (n, n_labels), optional
        What was learned of these very rows; otherwise the model's own probabilities.
    """

    def of_chunk(start: int) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        chunk = X[start : start + CHUNK]
        known = model.predict_proba(chunk) if proba is None else proba[start : start + CHUNK].copy()
        return _propose_chunk(model, chunk, known, (start, ruled_out), width)

    with block_threads(X.size * width) as threads:
        parts = list(in_order(of_chunk, range(0, len(X), CHUNK), threads))
    if not parts:
        empty = np.zeros((0, width), dtype=np.float32)
        return Proposals(empty.astype(np.int32), empty, empty[:, 0], empty[:, 0])
    return Proposals(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _propose_chunk(
    model: Model,
    X: FloatArray,
    proba: FloatArray,
    outside: tuple[int, Mapping[int, Sequence[int]]],
    width: int,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    start, ruled_out = outside
    out = {row - start: ruled_out[row] for row in range(start, start + len(X)) if row in ruled_out}
    proba = _without(proba, out)
    labels = likeliest(proba, width)
    values = np.take_along_axis(proba, labels, axis=1)
    # The two likeliest are at hand: to look for them again would take as long as all of this.
    closeness = margin(values if width > 1 else proba)
    if model.measure == "committee":
        votes = [_without(head.predict_proba(X), out) for head in model.members]
        score = disagreement(np.stack([proba, *votes]))
    else:
        score = closeness if model.measure == "margin" else SCORES[model.measure](proba)
    return labels.astype(np.int32), values, score, 1.0 - closeness


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
