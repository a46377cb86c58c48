"""What is measured of the features of pairs: a linear probe on them, and the cosine of the two texts alone."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from vermilion.choose.encoders_data import PairsBench, RightPairsBench
from vermilion.choose.encoders_measures import Measure, Part, Parts, linear_labels, macro_f1
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Scores
from vermilion.learn.heads import FlatHead
from vermilion.learn.pairs_judged import query_shares
from vermilion.learn.probes import ITERATIONS, few_shot, penalty
from vermilion.learn.shared_splits import Splits, fold_by_fold
from vermilion.types import FloatArray, IntArray
from vermilion.world.encoders_pairs import cosines

# Pairs a label: fewer teach little of how two texts belong together.
PAIR_SHOTS = (10, 30, 100, 300)


def _few_shot(X: FloatArray, bench: PairsBench, before: Parts) -> Part:
    return {
        str(each): few_shot(X, bench.splits, each).tolist()
        for each in PAIR_SHOTS
        if bench.splits.enough_for(each)
    }


def _odds(X: FloatArray, bench: RightPairsBench, rows: IntArray, held: IntArray, C: float) -> FloatArray:
    """Return the log odds of being right of held-out pairs, shape (m,), after learning from others."""
    head = FlatHead(C=C, max_iter=ITERATIONS, warm_start=False).fit(X[rows], bench.right[rows])
    odds: FloatArray = head.decision_function(X[held])
    return odds


def _linear_scores(X: FloatArray, bench: RightPairsBench, before: Parts) -> Part:
    splits = bench.splits
    C = penalty(X, splits, splits.training(splits.numbers[0]))
    scores = np.empty(len(X))

    def one(fold: int) -> tuple[IntArray, FloatArray]:
        held = splits.held(fold)
        return held, _odds(X, bench, splits.training(fold), held, C)

    for held, odds in fold_by_fold(one, splits.numbers):
        scores[held] = odds
    return {"C": C, "scores": scores.tolist()}


def _cosine(X: FloatArray, bench: RightPairsBench, before: Parts) -> Part:
    return {"scores": cosines(X).tolist()}


def _few_shot_auc(X: FloatArray, bench: RightPairsBench, before: Parts) -> Part:
    splits = bench.splits
    return {
        str(each): _auc_by_fold(X, bench, splits, each).tolist()
        for each in PAIR_SHOTS
        if splits.enough_for(each)
    }


def _auc_by_fold(X: FloatArray, bench: RightPairsBench, splits: Splits, each: int) -> FloatArray:
    """Return the area under the ROC curve of a probe that knows `each` pairs a label, shape (folds,)."""
    C = penalty(X, splits, splits.shots(splits.numbers[0], each))

    def one(fold: int) -> float:
        held = splits.held(fold)
        odds = _odds(X, bench, splits.shots(fold, each), held, C)
        both = 0 < bench.right[held].sum() < len(held)
        return float(roc_auc_score(bench.right[held], odds)) if both else np.nan

    return np.array(fold_by_fold(one, splits.numbers))


CLASSES: dict[str, Measure] = {"linear": linear_labels, "few_shot": _few_shot}
RIGHT: dict[str, Measure] = {"linear": _linear_scores, "cosine": _cosine, "few_shot": _few_shot_auc}


def figures_of_classes(bench: PairsBench, found: Parts) -> tuple[dict[str, Scores], dict[str, Estimate]]:
    """Return what the accuracy is the mean of, and the macro-F1."""
    predicted = np.array(found["linear"]["predicted"])
    right = np.bincount(bench.queries, weights=predicted == bench.codes)
    # A first text with many pairs is drawn with all of them, and weighs as much as they do.
    share = right * len(right) / len(predicted)
    scores = {"linear_accuracy": Scores(share, "texts")}
    return scores, {"linear_f1_macro": macro_f1(bench.codes, predicted, len(bench.labels))}


def figures_of_right(bench: RightPairsBench, found: Parts) -> tuple[dict[str, Scores], dict[str, Estimate]]:
    """Return what figures are the means of, a value for each first text."""
    return {
        f"{name}_{figure}": Scores(values, "texts")
        for name in ("linear", "cosine")
        for figure, values in query_shares(
            bench.queries, bench.right, np.array(found[name]["scores"])
        ).items()
    }, {}
