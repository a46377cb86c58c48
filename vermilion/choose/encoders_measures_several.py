"""What is measured of vectors of texts that may have several labels."""

from __future__ import annotations

import numpy as np

from vermilion.choose.encoders_data import SeveralBench
from vermilion.choose.encoders_measures import RESAMPLES, Measure, Part, Parts
from vermilion.learn.bootstrap import Estimate, draw
from vermilion.learn.encoder_choice import Scores
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.learn.metrics_rows import ranking_precisions
from vermilion.learn.probes import SHOTS
from vermilion.learn.probes_several import (
    Fit,
    decided,
    few_shot_ranking,
    held_out_scores,
    label_means,
    label_penalty,
    neighbour_shares,
    one_vs_rest,
)
from vermilion.learn.same_label import shared_label_retrieval
from vermilion.types import BoolArray, FloatArray


def _linear(X: FloatArray, bench: SeveralBench, before: Parts) -> Part:
    splits, Y = bench.splits, bench.truth
    C = label_penalty(X, Y, splits.training(splits.numbers[0]), splits.seed)
    proba = held_out_scores(X, Y, splits, one_vs_rest(C))
    held = splits.folds >= 0
    chosen = decided(proba[held], Y[held], splits.folds[held])
    return {
        "C": C,
        "lrap": ranking_precisions(proba[held], Y[held]).tolist(),
        "predicted": [np.flatnonzero(row).tolist() for row in chosen],
    }


def _ranked(X: FloatArray, bench: SeveralBench, fit: Fit) -> Part:
    held = bench.splits.folds >= 0
    scores = held_out_scores(X, bench.truth, bench.splits, fit)
    return {"lrap": ranking_precisions(scores[held], bench.truth[held]).tolist()}


def _centroid(X: FloatArray, bench: SeveralBench, before: Parts) -> Part:
    return _ranked(X, bench, label_means)


def _neighbours(X: FloatArray, bench: SeveralBench, before: Parts) -> Part:
    return _ranked(X, bench, neighbour_shares)


def _few_shot(X: FloatArray, bench: SeveralBench, before: Parts) -> Part:
    splits = bench.splits
    return {
        str(each): few_shot_ranking(X, bench.truth, splits, each).tolist()
        for each in SHOTS
        if splits.enough_for(each)
    }


def _retrieval(X: FloatArray, bench: SeveralBench, before: Parts) -> Part:
    found = shared_label_retrieval(X, bench.truth, np.arange(len(X)))
    return {"ndcg": found.ndcg.tolist(), "reciprocal_rank": found.reciprocal_rank.tolist()}


MEASURES: dict[str, Measure] = {
    "linear": _linear,
    "centroid": _centroid,
    "neighbours": _neighbours,
    "few_shot": _few_shot,
    "retrieval": _retrieval,
}


def figures(bench: SeveralBench, found: Parts) -> tuple[dict[str, Scores], dict[str, Estimate]]:
    """Return what figures are the means of, and the figures that are no means."""
    scores = {
        f"{name}_lrap": Scores(np.array(found[name]["lrap"]), "texts")
        for name in ("linear", "centroid", "neighbours")
    }
    scores["ndcg_at_10"] = Scores(np.array(found["retrieval"]["ndcg"], dtype=float), "texts")
    scores["mrr"] = Scores(np.array(found["retrieval"]["reciprocal_rank"], dtype=float), "texts")
    true = bench.truth[bench.splits.folds >= 0]
    predicted: BoolArray = np.zeros(true.shape, dtype=np.bool_)
    for row, own in enumerate(found["linear"]["predicted"]):
        predicted[row, own] = True
    statistic = LabelFigures.of_matrices(true, predicted)
    draws = draw([statistic], len(true), np.random.default_rng(0), RESAMPLES)
    averages = draws.among(["f1_macro", "f1_micro"]).estimates({})
    return scores, {f"linear_{name}": one for name, one in averages.items()}
