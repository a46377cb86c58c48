"""The numbers behind an evaluation's charts: few enough to be drawn, whatever the number of texts and labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from vermilion.choose.evaluation import Pictures
from vermilion.learn.calibration_metrics import ReliabilityBin, reliability
from vermilion.learn.judged import Judged
from vermilion.learn.metrics_confusion import confusions
from vermilion.learn.metrics_ranking import Curve, precision_recall_points, roc_points
from vermilion.types import BoolArray, FloatArray, IntArray

# A curve each up to so many labels; beyond, all labels pooled and the ones that are ranked worst.
CURVES = 6
WORST = 4
LEAST_TEXTS = 5
POOLED = "all labels"
# The pooled curve takes as many texts, evenly spaced, as give so many cells.
CELLS = 2_000_000
# The confusion matrix is drawn whole up to so many labels; beyond, of those most mixed up.
MATRIX = 24


def pictures(judged: Judged, names: Sequence[str]) -> Pictures:
    """Return what the page draws."""
    roc, pr = _curves(judged, names)
    return Pictures(roc, pr, _reliability(judged), _matrix(judged, names))


def _curves(judged: Judged, names: Sequence[str]) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Return ROC and precision-recall curves by name."""
    roc, pr = {}, {}
    for name, scores, positive in _drawn(judged, names):
        if positive.any() and not positive.all():
            roc[name], pr[name] = roc_points(scores, positive), precision_recall_points(scores, positive)
    return roc, pr


def _drawn(judged: Judged, names: Sequence[str]) -> list[tuple[str, FloatArray, BoolArray]]:
    """Return the name, scores and truth of each curve."""
    n_labels = judged.proba.shape[1]
    if judged.looked_for is not None:
        shown: Sequence[int] = [judged.looked_for]
    elif n_labels <= CURVES:
        shown = range(1, 2) if n_labels == 2 else range(n_labels)
    else:
        shown = _worst(judged)
    curves = [(names[number], judged.proba[:, number], judged.carries(number)) for number in shown]
    return curves if n_labels <= CURVES else [(POOLED, *_pooled(judged)), *curves]


def _worst(judged: Judged) -> list[int]:
    """Return the labels whose texts are ranked worst, of those with some texts."""
    areas, counts = judged.areas().roc, judged.label_figures().tally().true
    ranked = np.argsort(np.where(counts >= LEAST_TEXTS, areas, np.nan), kind="stable")
    return [int(number) for number in ranked[:WORST] if counts[number] >= LEAST_TEXTS]


def _pooled(judged: Judged) -> tuple[FloatArray, BoolArray]:
    """Return each text with each label as one decision."""
    n, n_labels = judged.proba.shape
    some = judged.at(np.arange(0, n, max(n * n_labels // CELLS, 1)))
    return some.proba.ravel(), some.indicator.ravel()


def _reliability(judged: Judged) -> tuple[ReliabilityBin, ...]:
    sure, happened = judged.claims()
    return reliability(sure.reshape(-1, 1), np.where(happened.ravel(), 0, -1))


def _matrix(
    judged: Judged, names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None:
    """Return the confusion matrix, or that of the labels that are mixed up most, side by side with their rivals."""
    counts = judged.mixed()
    n_labels = counts.shape[0]
    shown = np.arange(n_labels) if n_labels <= MATRIX else _most_mixed(counts)
    if not len(shown):
        return None
    cells = counts[shown][:, shown].toarray()
    return tuple(names[number] for number in shown), tuple(tuple(map(int, row)) for row in cells)


def _most_mixed(counts: csr_array) -> IntArray:
    support = np.asarray(counts.sum(axis=1)).ravel()
    ranked = [
        n
        for pair in confusions(counts, np.maximum(support, 1), 4 * MATRIX).pairs
        for n in (pair.true, pair.predicted)
    ]
    found: IntArray = np.array(list(dict.fromkeys(ranked))[:MATRIX], dtype=np.int64)
    return found
