"""How foreign a text is to all labels: scores, the choice between them, and a threshold with a false-alarm rate.

A score grows with foreignness. Which score is used is chosen on the labelled texts: some labels are left out, and
their texts must stand out from those of the labels that are known. What a score means is told by labelled texts held
out: a text's p-value is the share of them that look at least as foreign (conformal prediction, Vovk et al., 2005;
for outliers, Bates et al., 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from vermilion.learn.folds import fold_numbers, row_keys
from vermilion.learn.heads import FlatHead, SubsetHead
from vermilion.learn.subsets import label_vectors
from vermilion.types import BoolArray, FloatArray, IntArray

# The best of these on real out-of-scope texts, and where labels cannot be left out (docs/design/out_of_scope.md).
DEFAULT = "logit + nearest"
# Labels are left out so many times, each time this share of them; no more labels and rows than these take part.
SPLITS, LEFT_OUT = 3, 0.2
MOST_LABELS, MOST_ROWS_EACH, LEAST_LABELS = 100, 10, 5
# Another score must be ahead by so much: labels left out are nearer to the known ones than most of what is foreign.
CLEARLY = 0.02
# Held-out rows beyond these tell no more; rows to compare a text with beyond these take more time than they tell.
FOLDS, MOST_HELD, MOST_REFERENCE = 5, 1000, 10_000
SUBSET_SIZE = 10
BLOCK_CELLS = 16_000_000


@dataclass(frozen=True, slots=True)
class Reference:
    """What a text is compared with: all that was learned from labelled rows.

    Attributes
    ----------
    flat : FlatHead
    rows : ndarray of shape (n, d)
        Labelled unit vectors.
    centroids : ndarray of shape (K, d)
    subset : SubsetHead or None
        Only where the noise score is wanted.
    """

    flat: FlatHead
    rows: FloatArray
    centroids: FloatArray
    subset: SubsetHead | None = None

    @classmethod
    def learn(
        cls,
        X: FloatArray,
        y: IntArray,
        C: float | Literal["cv"],
        *,
        noise: bool = False,
        start: FlatHead | None = None,
    ) -> Reference:
        """Learn from rows X, shape (n, d), with labels y, shape (n,); `start` is a head that knows most of them."""
        codes = np.unique(y, return_inverse=True)[1]
        count = int(codes.max()) + 1
        # The optimum is the same from wherever it is sought, and near; a head of fewer labels has other numbers.
        warm = start is not None and np.array_equal(start.classes_, np.arange(count))
        flat = deepcopy(start).set_params(C=C, warm_start=True) if start and warm else FlatHead(C=C)
        flat.fit(X, codes)
        centroids, subset = label_vectors(X, codes, count), None
        if noise:  # a single subset would have no noise
            size = min(SUBSET_SIZE, max(count // 2, 1))
            subset = SubsetHead(size, C=flat.C_, arbiter="none", warm_start=False).fit(X, codes)
        return cls(flat, X[_kept(X, codes)], centroids, subset)

    def logits(self, X: FloatArray) -> FloatArray:
        """Return the flat head's logits, shape (n, K)."""
        values: FloatArray = X @ self.flat.coef_.T + self.flat.intercept_
        return values


def _kept(X: FloatArray, codes: IntArray) -> IntArray:
    """Return the rows to compare texts with: all, or as many of each label, chosen by their values alone."""
    if len(X) <= MOST_REFERENCE:
        return np.arange(len(X))
    order = np.lexsort((row_keys(X), codes))
    starts = np.searchsorted(codes[order], np.arange(int(codes.max()) + 1))
    place = np.arange(len(X)) - starts[codes[order]]
    kept: IntArray = np.sort(order[place < max(MOST_REFERENCE // len(starts), 1)])
    return kept


def _logit(known: Reference, X: FloatArray) -> FloatArray:
    scores: FloatArray = -known.logits(X).max(axis=1)
    return scores


def _energy(known: Reference, X: FloatArray) -> FloatArray:
    return -np.asarray(logsumexp(known.logits(X), axis=1))


def _nearest(known: Reference, X: FloatArray) -> FloatArray:
    scores: FloatArray = -(X @ known.rows.T).max(axis=1)
    return scores


def _centroid(known: Reference, X: FloatArray) -> FloatArray:
    scores: FloatArray = -(X @ known.centroids.T).max(axis=1)
    return scores


def _noise(known: Reference, X: FloatArray) -> FloatArray:
    assert known.subset is not None
    return known.subset.noise_score(X)


# Logit: Hendrycks et al. (2022); energy: Liu et al. (2020); nearest: Sun et al. (2022), with one neighbour.
PARTS: dict[str, Callable[[Reference, FloatArray], FloatArray]] = {
    "logit": _logit,
    "energy": _energy,
    "nearest": _nearest,
    "centroid": _centroid,
    "noise": _noise,
}
# A sum is of parts in units of their standard deviation over held-out rows; the simpler ones first.
SCORES: dict[str, tuple[str, ...]] = {
    "logit": ("logit",),
    "energy": ("energy",),
    "nearest": ("nearest",),
    "centroid": ("centroid",),
    "noise": ("noise",),
    "logit + nearest": ("logit", "nearest"),
    "logit + centroid": ("logit", "centroid"),
}


def part_scores(known: Reference, X: FloatArray, parts: tuple[str, ...]) -> FloatArray:
    """Return the parts of each row's score, shape (n, len(parts)), block by block."""
    size = max(BLOCK_CELLS // max(len(known.rows), 1000), 1)
    blocks = [X[start : start + size] for start in range(0, len(X), size)]
    rows = [np.column_stack([PARTS[part](known, block) for part in parts]) for block in blocks]
    return np.concatenate(rows) if rows else np.zeros((0, len(parts)), dtype=X.dtype)


@dataclass(frozen=True, slots=True)
class ScoreTrial:
    """One score tried on labels that were left out.

    Attributes
    ----------
    auroc : float
        Probability that a text of an unknown label looks more foreign than one of a known label; mean of all splits.
    """

    score: str
    auroc: float
    chosen: bool = False


def choose_score(
    X: FloatArray, y: IntArray, C: float | Literal["cv"], seed: int
) -> tuple[str, tuple[ScoreTrial, ...]]:
    """Choose the score that tells texts of labels left out from held-out texts of the others.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of int, shape (n,)
    C : float or "cv"
        Of the flat head.
    seed : int

    Returns
    -------
    name : str
        A key of SCORES: the default, unless another is ahead by two points, or nothing could be tried.
    trials : tuple of ScoreTrial
        Empty where there are fewer than five labels, or too few rows to hold any out.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(8, 16), 6, axis=0) + 0.1 * rng.normal(size=(48, 16))
    >>> name, trials = choose_score(X.astype(np.float32), np.repeat(np.arange(8), 6), 10.0, 0)
    >>> name in SCORES, len(trials) == len(SCORES), sum(trial.chosen for trial in trials)
    (True, True, 1)
    """
    rng = np.random.default_rng([seed, 4])
    found = [split for split in (_label_split(X, y, C, rng) for _ in range(SPLITS)) if split is not None]
    if not found:
        return DEFAULT, ()
    means = {name: float(np.mean([split[name] for split in found])) for name in SCORES}
    best = max(means, key=lambda name: means[name])
    best = best if means[best] > means[DEFAULT] + CLEARLY else DEFAULT
    return best, tuple(ScoreTrial(name, round(auroc, 6), name == best) for name, auroc in means.items())


def _label_split(
    X: FloatArray, y: IntArray, C: float | Literal["cv"], rng: np.random.Generator
) -> dict[str, float] | None:
    """Leave some labels out and some rows of the others; return each score's AUROC, or None where none can be."""
    labels = np.unique(y)
    taken = rng.permutation(labels)[:MOST_LABELS]
    if len(taken) < LEAST_LABELS:
        return None
    unknown = np.isin(y, taken[: max(round(LEFT_OUT * len(taken)), 1)])
    rows = _few_of_each(y, np.isin(y, taken), rng)
    known = rows[~unknown[rows]]
    numbers = fold_numbers(np.unique(y[known], return_inverse=True)[1], row_keys(X[known]), FOLDS)
    held, train, foreign = known[numbers == 0], known[numbers != 0], rows[unknown[rows]]
    if not len(held):
        return None
    reference = Reference.learn(X[train], y[train], C, noise=True)
    parts = part_scores(reference, X[np.concatenate([held, foreign])], tuple(PARTS))
    scales = parts[: len(held)].std(axis=0)
    by_name = dict(zip(PARTS, (parts / np.where(scales > 0, scales, 1)).T, strict=True))
    truth = np.arange(len(parts)) >= len(held)
    return {
        name: float(roc_auc_score(truth, np.sum([by_name[part] for part in wanted], axis=0)))
        for name, wanted in SCORES.items()
    }


def _few_of_each(y: IntArray, mask: BoolArray, rng: np.random.Generator) -> IntArray:
    """Return at most so many rows of each label among those of the mask."""
    rows = rng.permutation(np.flatnonzero(mask))
    order = rows[np.argsort(y[rows], kind="stable")]
    starts = np.searchsorted(y[order], y[order])
    few: IntArray = np.sort(order[np.arange(len(order)) - starts < MOST_ROWS_EACH])
    return few


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """A fitted score of foreignness, and what it gives to labelled rows held out.

    Attributes
    ----------
    score : str
        A key of SCORES.
    reference : Reference
    scales : ndarray of shape (n_parts,)
        What each part is divided by.
    held_out : ndarray of float, shape (m,)
        Scores of labelled rows held out, ascending.
    trials : tuple of ScoreTrial
        How the score was chosen.
    rate : float or None
        A text gets no label where at most this share of the texts in scope looks as foreign; None: it always does.
    """

    score: str
    reference: Reference
    scales: FloatArray
    held_out: FloatArray
    trials: tuple[ScoreTrial, ...] = ()
    rate: float | None = None

    def scores(self, X: FloatArray) -> FloatArray:
        """Return how foreign each row is, shape (n,), in units of the score."""
        return _combined(part_scores(self.reference, X, SCORES[self.score]), self.scales)

    def p_values(self, scores: FloatArray) -> FloatArray:
        """Return for each score the share of held-out rows at least as foreign, the text itself counted with them.

        For a text that is exchangeable with the held-out rows, a value up to a share `a` has probability `a` at most.
        """
        above = len(self.held_out) - np.searchsorted(self.held_out, scores, side="left")
        shares: FloatArray = (1 + above) / (len(self.held_out) + 1)
        return shares

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return all that `scores` and `p_values` need, as named arrays; compared rows in half precision."""
        parts, known = SCORES[self.score], self.reference
        tensors = {"scales": self.scales, "held_out": self.held_out}
        if {"logit", "energy"} & set(parts):
            tensors |= {"coef": known.flat.coef_, "intercept": known.flat.intercept_}
        if "nearest" in parts:
            tensors["rows"] = known.rows.astype(np.float16)
        if "centroid" in parts:
            tensors["centroids"] = known.centroids
        if known.subset is not None and "noise" in parts:
            tensors |= {f"noise_{name}": value for name, value in known.subset.to_tensors().items()}
        return tensors

    @classmethod
    def from_tensors(
        cls, score: str, tensors: Mapping[str, NDArray[Any]], rate: float | None = None
    ) -> OutOfScope:
        """Restore what `to_tensors` gave.

        Raises
        ------
        KeyError
            An array is missing, or there is no such score.
        ValueError
            Arrays do not fit each other.
        """
        parts = SCORES[score]
        held_out, scales = np.asarray(tensors["held_out"]), np.asarray(tensors["scales"])
        if scales.shape != (len(parts),) or held_out.ndim != 1 or (np.diff(held_out) < 0).any():
            raise ValueError(f"the score {score} has {len(parts)} parts and ascending held-out scores")
        empty = np.zeros((0, 0), dtype=np.float32)
        flat = FlatHead()
        if {"logit", "energy"} & set(parts):
            own = {"coef": tensors["coef"], "intercept": tensors["intercept"], "C": np.ones(1)}
            flat.from_tensors(own, np.arange(len(tensors["intercept"])))
        rows = tensors["rows"].astype(np.float32) if "nearest" in parts else empty
        centroids = tensors["centroids"] if "centroid" in parts else empty
        subset = _restored_subset(tensors) if "noise" in parts else None
        return cls(score, Reference(flat, rows, centroids, subset), scales, held_out, rate=rate)


def _restored_subset(tensors: Mapping[str, NDArray[Any]]) -> SubsetHead:
    own = {name.removeprefix("noise_"): value for name, value in tensors.items() if name.startswith("noise_")}
    return SubsetHead(arbiter="none").from_tensors(own, np.arange(len(own["subset_of"])))


def _combined(parts: FloatArray, scales: FloatArray) -> FloatArray:
    total: FloatArray = (parts / scales).sum(axis=1)
    return total


def fit_out_of_scope(
    given: tuple[FloatArray, IntArray],
    more: tuple[FloatArray, IntArray],
    score: str,
    C: float | Literal["cv"],
    trials: tuple[ScoreTrial, ...] = (),
    start: FlatHead | None = None,
) -> OutOfScope:
    """Learn a score from labelled rows; hold given ones out, fold by fold, to learn what it gives to texts in scope.

    Parameters
    ----------
    given : tuple of ndarray, shape (n, d) and (n,)
        Labelled rows and their labels, to be held out: they must not have been chosen by how foreign they look.
    more : tuple of ndarray, shape (m, d) and (m,)
        Rows that are learned from in every fold.
    score : str
        A key of SCORES.
    C : float or "cv"
        Of the flat head.
    start : FlatHead, optional
        A fitted head to begin from, such as the one that is in use.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(4, 16), 10, axis=0) + 0.1 * rng.normal(size=(40, 16))
    >>> X, y = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), np.repeat(np.arange(4), 10)
    >>> foreign = fit_out_of_scope((X, y), (X[:0], y[:0]), "nearest", 10.0)
    >>> len(foreign.held_out), foreign.p_values(foreign.scores(np.eye(1, 16, 9, dtype=np.float32))).round(3).tolist()
    (40, [0.024])
    """
    X, y = np.concatenate([given[0], more[0]]), np.concatenate([given[1], more[1]])
    noise, parts = score == "noise", SCORES[score]
    reference = Reference.learn(X, y, C, noise=noise, start=start)
    chosen = float(reference.flat.C_)
    numbers = fold_numbers(np.unique(given[1], return_inverse=True)[1], row_keys(given[0]), FOLDS)
    found: list[FloatArray] = []
    for fold in range(FOLDS):
        held = np.flatnonzero(numbers == fold)
        if not len(held) or sum(map(len, found)) >= MOST_HELD:
            continue
        rest = np.delete(np.arange(len(X)), held)
        without = Reference.learn(X[rest], y[rest], chosen, noise=noise, start=reference.flat)
        found.append(part_scores(without, given[0][held], parts))
    held_out = np.concatenate(found) if found else np.zeros((0, len(parts)), dtype=X.dtype)
    spread = held_out.std(axis=0) if len(held_out) else np.zeros(len(parts))
    scales = np.where(spread > 0, spread, 1).astype(X.dtype)
    return OutOfScope(score, reference, scales, np.sort(_combined(held_out, scales)), trials)


def rows_needed(rate: float) -> int:
    """Return how many held-out rows a false-alarm rate needs: with fewer, no p-value is as small as it.

    Examples
    --------
    >>> rows_needed(0.05), rows_needed(0.01), rows_needed(0)
    (19, 99, 0)
    """
    return int(np.ceil(round(1 / rate, 9))) - 1 if rate else 0


def false_discovery_flags(p_values: FloatArray, rate: float) -> BoolArray:
    """Flag texts such that at most a share `rate` of the flagged is expected to be in scope.

    Benjamini and Hochberg (1995); with conformal p-values that share held-out rows it holds likewise (Bates et al.,
    2023). Where no text is foreign, hardly any is flagged, unlike with a threshold on the p-value itself.

    Examples
    --------
    >>> false_discovery_flags(np.array([0.01, 0.02, 0.5, 0.9]), 0.1).tolist()
    [True, True, False, False]
    """
    n = len(p_values)
    ordered = np.sort(p_values)
    passed = np.flatnonzero(ordered <= rate * np.arange(1, n + 1) / max(n, 1))
    limit = ordered[passed[-1]] if len(passed) else -1.0
    flags: BoolArray = p_values <= limit
    return flags


def foreign_share(
    p_values: FloatArray, weights: FloatArray | IntArray | None = None, at: float = 0.05
) -> float:
    """Estimate from the p-values of all texts what share of them is out of scope at least.

    Texts in scope have uniform p-values: what is above `at`, divided by `1 - at`, is their share at most (Storey,
    2002). Foreign texts that look like the others are not seen, so the estimate is rather too small.

    Parameters
    ----------
    p_values : ndarray of shape (n,)
    weights : ndarray of shape (n,), optional
        How often each text stands in the pool.

    Examples
    --------
    >>> foreign_share(np.array([0.01, 0.01, 0.25, 0.5, 0.75, 1.0]), at=0.5), foreign_share(np.zeros(0))
    (0.33333333333333337, 0.0)
    """
    if not len(p_values):
        return 0.0
    above = float(np.average(p_values > at, weights=weights))
    return max(0.0, 1 - above / (1 - at))
