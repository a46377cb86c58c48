"""What is measured of an encoder's vectors, by name; each measure is a part that is computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vermilion.choose.encoders_data import Bench
from vermilion.learn.clusters import cluster, silhouettes
from vermilion.learn.left_out_labels import left_out_auroc
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
# Changes with what is measured, so that parts of an older version are not taken for those of this one.
VERSION = 1

Part = dict[str, Any]
Parts = Mapping[str, Part]
Measure = Callable[[FloatArray, Bench, Parts], Part]


def _linear(X: FloatArray, bench: Bench, before: Parts) -> Part:
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
    "linear": _linear,
    "centroid": _centroid,
    "neighbours": _neighbours,
    "few_shot": _few_shot,
    "retrieval": _retrieval,
    "silhouette": _silhouette,
    "clustering": _clustering,
    "left_out": _left_out,
}
