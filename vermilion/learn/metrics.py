"""Every metric of a task, with its interval, in one call: labels and probabilities in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vermilion.learn.bootstrap import CORRELATION, LOSS, RESAMPLES, Draws, Estimate, Ratios, Scale, draw
from vermilion.learn.judged import Judged
from vermilion.learn.metrics_ranking import NAMES as AREAS
from vermilion.types import FloatArray

# Where intervals are made; all others are shares, or means of shares.
SCALES: dict[str, Scale | None] = {"mcc": CORRELATION, "log_loss": LOSS, "brier": LOSS, "ece": None}

# What queries of a group of rows are compared by.
RANKED = "ndcg_at_10"

# Why a metric may not be defined, by its name or what that begins with.
REASONS = {
    "roc_auc": "no label has both texts that carry it and texts that do not",
    "pr_auc": "no text carries the label",
    "mcc": "only one label is true, or only one was predicted",
    "precision_level": "no text was placed so deep",
    "precision": "no label was predicted",
    "recall": "no text has a label",
    "f1": "no text has a label, and none was predicted",
    "hierarchical": "no label was predicted",
    "mrr": "no text has a label",
    "accuracy_level": "no text's label goes so deep",
    "ndcg": "no query has a relevant candidate",
}


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
    >>> from vermilion.learn.judged_one import OneLabel
    >>> proba = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    >>> draws = measure(OneLabel(np.array([0, 1, 1, 1]), proba.argmax(axis=1), proba), np.random.default_rng(0))
    >>> found = estimates(draws)
    >>> found["accuracy"].value, round(found["f1_macro"].value, 4), found["roc_auc"].value
    (0.75, 0.7333, 1.0)
    """
    draws = draw(judged.statistics(), len(judged), rng, resamples, judged.together)
    return _beside_queries(draws, judged.by_query(), rng, resamples)


def _beside_queries(
    draws: Draws, figures: Mapping[str, FloatArray], rng: np.random.Generator, resamples: int
) -> Draws:
    """Return figures of rows and those of queries, where there are any."""
    n_queries = len(next(iter(figures.values()), ()))
    return draws.beside(draw([Ratios.means(figures)], n_queries, rng, resamples)) if n_queries else draws


def estimates(draws: Draws) -> dict[str, Estimate]:
    """Return each metric with its interval at 95 %, and where it is not defined the reason."""
    return {name: _explained(name, found) for name, found in draws.estimates(SCALES).items()}


def _explained(name: str, found: Estimate) -> Estimate:
    if found.value is not None:
        return found
    reason = next((why for start, why in REASONS.items() if name.startswith(start)), "not defined here")
    return replace(found, reason=reason)


def headline(judged: Judged, rng: np.random.Generator, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """Return the few figures that groups of rows are compared by, with their intervals."""
    found, names = judged.few()
    draws = draw(found, len(judged), rng, resamples, judged.together).among(names)
    figures = {name: own for name, own in judged.by_query().items() if name == RANKED}
    told = estimates(_beside_queries(draws, figures, rng, resamples))
    # Rows without a query that has a relevant candidate are shown beside others all the same.
    return told | {name: _explained(name, Estimate(None, None, None)) for name in figures if name not in told}


def order(names: Sequence[str]) -> list[str]:
    """Return metrics in the order in which a reader wants them: the ones that tell most first.

    Examples
    --------
    >>> order(["f1_micro", "ece", "accuracy"])
    ['accuracy', 'ece', 'f1_micro']
    """
    first = (
        *(
            "accuracy",
            "placed_right",
            "placed_deep",
            "hierarchical_f1",
            "subset_accuracy",
            "f1",
            "precision",
            "recall",
            "f1_macro",
            "balanced_accuracy",
        ),
        *(
            "placed_right",
            "placed_deep",
            "hierarchical_f1",
            "ndcg_at_10",
            "lrap",
            "hamming_loss",
            "mcc",
            *AREAS,
            "ece",
            "log_loss",
            "brier",
        ),
    )
    place = {name: number for number, name in enumerate(first)}
    return sorted(names, key=lambda name: place.get(name, len(first)))
