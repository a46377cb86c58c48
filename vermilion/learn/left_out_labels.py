"""Whether texts of a label that was never learned look foreign: each label is left out once."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from vermilion.learn.out_of_scope import DEFAULT, SCORES, Reference, part_scores
from vermilion.learn.shared_splits import Splits, fold_by_fold
from vermilion.types import FloatArray, IntArray

GROUPS, LEAST_LABELS = 5, 5
# Of each label: rows to learn from, and rows to judge by.
MOST_ROWS_EACH = 20


def label_groups(labels: int, seed: int) -> IntArray:
    """Return the group of labels, 0 to 4, with which each label is left out, shape (labels,).

    Examples
    --------
    >>> np.bincount(label_groups(12, seed=0)).tolist()
    [3, 3, 2, 2, 2]
    """
    groups: IntArray = np.empty(labels, dtype=np.int64)
    groups[np.random.default_rng([seed, 32]).permutation(labels)] = np.arange(labels) % GROUPS
    return groups


def left_out_auroc(X: FloatArray, splits: Splits, C: float) -> FloatArray:
    """Return how well texts of labels left out are told from held-out texts of the others, group by group.

    The AUROC of the score that a run uses by default for texts that no label fits.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Unit rows.
    splits : Splits
    C : float
        Of the flat head, which is part of the score.

    Returns
    -------
    ndarray of shape (5,)
        Empty where there are fewer than five labels.

    Examples
    --------
    >>> X = np.repeat(np.eye(6, 8, dtype=np.float32), 6, axis=0)
    >>> left_out_auroc(X, Splits.draw(np.repeat(np.arange(6), 6), seed=0), 10.0).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if splits.labels < LEAST_LABELS:
        return np.zeros(0)
    groups = label_groups(splits.labels, splits.seed)
    fold = splits.numbers[0]
    few, judged = splits.shots(fold, MOST_ROWS_EACH), splits.held(fold)

    def one(group: int) -> float:
        train = few[groups[splits.codes[few]] != group]
        unknown = np.concatenate([few, judged])
        unknown = unknown[groups[splits.codes[unknown]] == group]
        known = judged[groups[splits.codes[judged]] != group]
        return _auroc(X, splits.codes, (train, known, unknown), C)

    return np.array(fold_by_fold(one, list(range(GROUPS))))


def _auroc(X: FloatArray, codes: IntArray, rows: tuple[IntArray, IntArray, IntArray], C: float) -> float:
    train, known, unknown = rows
    if not len(known) or not len(unknown):
        return np.nan
    parts = part_scores(
        Reference.learn(X[train], codes[train], C), X[np.concatenate([known, unknown])], SCORES[DEFAULT]
    )
    scales = parts[: len(known)].std(axis=0)
    foreign = (parts / np.where(scales > 0, scales, 1)).sum(axis=1)
    return float(roc_auc_score(np.arange(len(parts)) >= len(known), foreign))
