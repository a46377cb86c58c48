"""What is measured of vectors of texts with one label each, by name; each measure is a part, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vermilion.choose.encoders_data import Bench
from vermilion.learn.bootstrap import CORRELATION, Estimate, draw
from vermilion.learn.clusters import cluster, silhouettes
from vermilion.learn.encoder_choice import Scores
from vermilion.learn.left_out_labels import left_out_auroc
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.probes import (
    SHOTS,
    few_shot,
    held_out_labels,
    linear,
    nearest_centroid,
    nearest_neighbours,
    penalty,
)
from vermilion.learn.same_label import same_label_retrieval
from vermilion.learn.shared_splits import sample_rows
from vermilion.types import FloatArray, IntArray

# All pairs of these are compared, which takes the square of their number.
SILHOUETTE_TEXTS = 3000
# Of macro-averages over labels, each of which looks at every text and label.
RESAMPLES = 300

Part = dict[str, Any]
Parts = Mapping[str, Part]
Measure = Callable[[FloatArray, Any, Parts], Part]


def linear_labels(X: FloatArray, bench: Bench, before: Parts) -> Part:
    """Return the label that a linear probe gives each text when it is held out, and the C that it has."""
    splits = bench.splits
    C = penalty(X, splits, splits.training(splits.numbers[0]))
    return {"C": C, "predicted": held_out_labels(X, splits, linear(C)).tolist()}


def _centroid(X: FloatArray, bench: Bench, before: Parts) -> Part:
    return {"predicted": held_out_labels(X, bench.splits, nearest_centroid).tolist()}


def _neighbours(X: FloatArray, bench: Bench, before: Parts) -> Part:
    return {"predicted": held_out_labels(X, bench.splits, nearest_neighbours).tolist()}


def _few_shot(X: FloatArray, bench: Bench, before: Parts) -> Part:
    return {
        str(each): few_shot(X, bench.splits, each).tolist() for each in SHOTS if bench.splits.enough_for(each)
    }


def _retrieval(X: FloatArray, bench: Bench, before: Parts) -> Part:
    found = same_label_retrieval(X, bench.codes, np.arange(len(X)))
    return {"ndcg": found.ndcg.tolist(), "reciprocal_rank": found.reciprocal_rank.tolist()}


def _silhouette(X: FloatArray, bench: Bench, before: Parts) -> Part:
    rows: IntArray = sample_rows(
        bench.codes, SILHOUETTE_TEXTS, np.random.default_rng([bench.splits.seed, 33])
    )
    return {"values": silhouettes(X[rows], bench.codes[rows]).tolist()}


def _clustering(X: FloatArray, bench: Bench, before: Parts) -> Part:
    found = cluster(X, bench.codes, bench.splits.seed)
    return {"starts": found.starts.tolist(), "groups": found.groups.tolist()}


def _left_out(X: FloatArray, bench: Bench, before: Parts) -> Part:
    auroc = left_out_auroc(X, bench.splits, before["linear"]["C"])
    return {"auroc": [None if np.isnan(value) else float(value) for value in auroc]}


# In this order: a measure may use what those before it found.
MEASURES: dict[str, Measure] = {
    "linear": linear_labels,
    "centroid": _centroid,
    "neighbours": _neighbours,
    "few_shot": _few_shot,
    "retrieval": _retrieval,
    "silhouette": _silhouette,
    "clustering": _clustering,
    "left_out": _left_out,
}


def figures(bench: Bench, found: Parts) -> tuple[dict[str, Scores], dict[str, Estimate]]:
    """Return what figures are the means of, and the figures that are no means."""
    held = np.flatnonzero(bench.splits.folds >= 0)
    true = bench.codes[held]
    predicted = {
        name: np.array(found[name]["predicted"])[held] for name in ("linear", "centroid", "neighbours")
    }
    scores = {
        **{f"{name}_accuracy": Scores((labels == true) * 1.0, "texts") for name, labels in predicted.items()},
        "silhouette": Scores(np.array(found["silhouette"]["values"], dtype=float), "texts", CORRELATION),
        "v_measure": _clustered(found["clustering"]),
        "ndcg_at_10": Scores(np.array(found["retrieval"]["ndcg"], dtype=float), "texts"),
        "mrr": Scores(np.array(found["retrieval"]["reciprocal_rank"], dtype=float), "texts"),
        "left_out_auroc": Scores(np.array(found["left_out"]["auroc"], dtype=float), "folds"),
    }
    return scores, {"linear_f1_macro": macro_f1(true, predicted["linear"], len(bench.labels))}


def _clustered(part: Part) -> Scores:
    """Return the V-measure: texts spread it, and so do the starts of k-means, whose mean it is."""
    starts = np.array(part["starts"])
    return Scores(np.array(part["groups"]), "folds", noise=float(starts.var(ddof=1)) / len(starts))


def macro_f1(true: IntArray, predicted: IntArray, labels: int) -> Estimate:
    """Return the macro-F1 of labels predicted, with its interval."""
    statistic = LabelFigures.of_numbers(true, predicted, labels)
    draws = draw([statistic], len(true), np.random.default_rng(0), RESAMPLES)
    return draws.among(["f1_macro"]).estimates({})["f1_macro"]
