"""Every metric of a task, with its interval, in one call: labels and probabilities in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.learn import metrics_rows as rows_of
from vermilion.learn.bootstrap import (
    CORRELATION,
    LOSS,
    RESAMPLES,
    Draws,
    Estimate,
    Ratios,
    Scale,
    Statistic,
    draw,
)
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.metrics_ranking import NAMES as AREAS
from vermilion.learn.metrics_ranking import OneVsRest
from vermilion.learn.metrics_retrieval import query_figures
from vermilion.learn.metrics_tree import ancestors, level_accuracy, tree_figures
from vermilion.types import BoolArray, FloatArray, IntArray

TOP = (3, 5, 10)
# Where intervals are made; all others are shares, or means of shares.
SCALES: dict[str, Scale | None] = {"mcc": CORRELATION, "log_loss": LOSS, "brier": LOSS, "ece": None}

# Why a metric may not be defined, by its name or what that begins with.
REASONS = {
    "roc_auc": "no label has both texts that carry it and texts that do not",
    "pr_auc": "no text carries the label",
    "mcc": "only one label is true, or only one was predicted",
    "precision": "no label was predicted",
    "recall": "no text has a label",
    "f1": "no text has a label, and none was predicted",
    "hierarchical": "no label was predicted",
    "mrr": "no text has a label",
    "accuracy_level": "no text's label goes so deep",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Texts whose labels are known, and what a model says of them.

    Attributes
    ----------
    true, predicted : ndarray of int, shape (n,), or of bool, shape (n, K)
        Numbers of one label a row, -1 for none; or several labels a row as indicator matrices.
    proba : ndarray of shape (n, K)
        A column for each label; rows sum to 1 where there is one label a row.
    positive : int or None
        Of two labels, the one that is looked for.
    parents : tuple of int
        The parent of each label, -1 at the top; empty where labels have none.
    queries : ndarray of int, shape (n,), or None
        Which query each row is a candidate for; `positive` then says which candidates are relevant.
    """

    true: NDArray[Any]
    predicted: NDArray[Any]
    proba: FloatArray
    positive: int | None = None
    parents: tuple[int, ...] = ()
    queries: IntArray | None = None

    def __len__(self) -> int:
        return len(self.proba)

    @property
    def multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.true.ndim == 2

    @property
    def right(self) -> BoolArray:
        """Rows whose labels are all right, shape (n,)."""
        same = (self.true == self.predicted).reshape(len(self), -1)
        return np.asarray(same.all(axis=1))

    @property
    def given(self) -> BoolArray:
        """Rows that were given a label, shape (n,)."""
        given = self.predicted.reshape(len(self), -1) > (0 if self.multi_label else -1)
        return np.asarray(given.any(axis=1))

    @property
    def indicator(self) -> BoolArray:
        """Which labels are true of each row, shape (n, K)."""
        numbers = np.arange(self.proba.shape[1])
        matrix: BoolArray = self.true if self.multi_label else self.true[:, None] == numbers
        return matrix

    @property
    def confidence(self) -> FloatArray:
        """How likely what was predicted is, shape (n,); of several labels, the least certain decision; 0 for none."""
        if self.multi_label:
            sure: FloatArray = np.where(self.predicted, self.proba, 1 - self.proba).min(axis=1)
            return sure
        own = np.take_along_axis(self.proba, np.maximum(self.predicted, 0)[:, None], axis=1)[:, 0]
        return np.where(self.given, own, 0.0)

    def carries(self, number: int) -> BoolArray:
        """Return of which rows a label is true, shape (n,)."""
        own: BoolArray = self.true[:, number] if self.multi_label else self.true == number
        return own

    def at(self, rows: IntArray | BoolArray) -> Judged:
        """Return some of the rows."""
        queries = None if self.queries is None else self.queries[rows]
        own = self.true[rows], self.predicted[rows], self.proba[rows]
        return replace(self, true=own[0], predicted=own[1], proba=own[2], queries=queries)


def measure(judged: Judged, rng: np.random.Generator, resamples: int = RESAMPLES) -> Draws:
    """Return every metric of the rows, as they are and on rows drawn again.

    Two models on the same rows, each with an `rng` in the same state, are measured on the same rows drawn: the
    differences of what is returned are those of a paired bootstrap.

    Parameters
    ----------
    judged : Judged
        At least one row.
    rng : Generator
    resamples : int

    Examples
    --------
    >>> proba = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    >>> draws = measure(Judged(np.array([0, 1, 1, 1]), proba.argmax(axis=1), proba), np.random.default_rng(0))
    >>> found = estimates(draws)
    >>> found["accuracy"].value, round(found["f1_macro"].value, 4), found["roc_auc"].value
    (0.75, 0.7333, 1.0)
    """
    draws = draw(statistics(judged), len(judged), rng, resamples)
    if judged.queries is None or judged.positive is None:
        return draws
    relevant = judged.true == judged.positive
    figures = query_figures(judged.queries, relevant, judged.proba[:, judged.positive])
    if not len(figures["mrr"]):
        return draws
    # Candidates of one query stand or fall together, so queries are drawn rather than rows.
    own = draw([Ratios.means(figures)], len(figures["mrr"]), rng, resamples)
    return draws.beside(own)


def estimates(draws: Draws) -> dict[str, Estimate]:
    """Return each metric with its interval at 95 %, and where it is not defined the reason."""
    return {name: _explained(name, found) for name, found in draws.estimates(SCALES).items()}


def _explained(name: str, found: Estimate) -> Estimate:
    if found.value is not None:
        return found
    reason = next((why for start, why in REASONS.items() if name.startswith(start)), "not defined here")
    return replace(found, reason=reason)


def statistics(judged: Judged) -> list[Statistic]:
    """Return all that is to be measured on the rows."""
    labels = label_figures(judged)
    per_row = _several(judged) if judged.multi_label else _single(judged)
    found: list[Statistic] = [per_row, labels, _areas(judged), _calibration(judged)]
    if judged.positive is not None:
        found.append(_positive(judged, judged.positive))
    if judged.parents:
        above = ancestors(judged.parents)
        found.append(tree_figures(judged.true, judged.predicted, above))
        found.append(level_accuracy(judged.true, judged.predicted, judged.parents))
    return found


def label_figures(judged: Judged) -> LabelFigures:
    """Return what is counted label by label."""
    if judged.multi_label:
        return LabelFigures.of_matrices(judged.true, judged.predicted)
    return LabelFigures.of_numbers(judged.true, judged.predicted, judged.proba.shape[1])


def _single(judged: Judged) -> Ratios:
    """Return the means of what each row is worth where it has one label."""
    proba, y = judged.proba, judged.true
    rank, n_labels = rows_of.ranks(proba, y), proba.shape[1]
    columns: dict[str, NDArray[Any]] = {"accuracy": judged.right}
    columns |= {f"top_{k}_accuracy": rank <= k for k in TOP if k < n_labels}
    columns |= {"mrr": 1 / rank} if n_labels > 2 else {}
    columns |= {"log_loss": rows_of.log_losses(proba, y), "brier": rows_of.brier_scores(proba, y)}
    return Ratios.means(columns)


def _several(judged: Judged) -> Ratios:
    """Return the means of what each row is worth where it may have several labels."""
    proba, true = judged.proba, judged.true
    return Ratios.means(
        {
            "subset_accuracy": judged.right,
            "hamming_loss": (true != judged.predicted).mean(axis=1),
            "lrap": rows_of.ranking_precisions(proba, true),
            "mrr": rows_of.reciprocal_ranks(proba, true),
            "log_loss": rows_of.mean_log_losses(proba, true),
            "brier": rows_of.mean_brier_scores(proba, true),
        }
    )


def _areas(judged: Judged) -> Ratios:
    columns = None if judged.positive is None else np.array([judged.positive])
    return OneVsRest.of(judged.proba, judged.true, columns).figures


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The expected calibration error over equal-width bins of probability; a `Statistic` of the bootstrap.

    Attributes
    ----------
    gaps : ndarray of shape (n, bins)
        As of `metrics_rows.calibration_gaps`.
    """

    gaps: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        return ("ece",)

    @property
    def sizes(self) -> FloatArray:
        return np.array([float(len(self.gaps))])

    def at(self, weights: FloatArray) -> FloatArray:
        """Return the error, shape (b, 1)."""
        error: FloatArray = np.abs(weights @ self.gaps).sum(axis=1) / weights.sum(axis=1)
        return error[:, None]


def _calibration(judged: Judged) -> CalibrationError:
    if judged.multi_label:
        return CalibrationError(rows_of.calibration_gaps(judged.proba, judged.true))
    right = judged.proba.argmax(axis=1) == judged.true
    return CalibrationError(rows_of.calibration_gaps(judged.proba.max(axis=1), right))


def _positive(judged: Judged, positive: int) -> Ratios:
    """Return precision, recall and F1 of the label that is looked for."""
    true, predicted = ((part == positive).astype(np.float64) for part in (judged.true, judged.predicted))
    both = true * predicted
    above, below = (both, both, 2 * both), (predicted, true, predicted + true)
    return Ratios(("precision", "recall", "f1"), np.column_stack(above), np.column_stack(below))


def headline(judged: Judged, rng: np.random.Generator, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """Return the few figures that groups of rows are compared by, with their intervals."""
    first = "subset_accuracy" if judged.multi_label else "accuracy"
    found: list[Statistic] = [Ratios.means({first: judged.right}), label_figures(judged)]
    names = [first, *(("f1_micro",) if judged.multi_label else ()), "f1_macro"]
    if judged.positive is not None:
        found.append(_positive(judged, judged.positive))
        names = [first, "precision", "recall", "f1"]
    return estimates(draw(found, len(judged), rng, resamples).among(names))


def order(names: Sequence[str]) -> list[str]:
    """Return metrics in the order in which a reader wants them: the ones that tell most first.

    Examples
    --------
    >>> order(["f1_micro", "ece", "accuracy"])
    ['accuracy', 'ece', 'f1_micro']
    """
    first = (
        *("accuracy", "subset_accuracy", "f1", "precision", "recall", "f1_macro", "balanced_accuracy"),
        *("hierarchical_f1", "ndcg_at_10", "lrap", "hamming_loss", "mcc", *AREAS, "ece", "log_loss", "brier"),
    )
    place = {name: number for number, name in enumerate(first)}
    return sorted(names, key=lambda name: place.get(name, len(first)))
