"""How well a set of labels does: labels that starve, texts labelled wrongly, pairs to merge, labels to split.

Everything rests on probabilities out of fold: what a head thinks of a text that it has not learned from. Each finding
is a proposal for a person, so the thresholds are set for few false alarms; docs/design/labels.md has what they find in
simulations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

from vermilion.learn.subsets import label_vectors
from vermilion.types import BoolArray, FloatArray, IntArray

# A label with fewer known texts than this is hardly known at all.
FEW_TEXTS = 3
LOW_RECALL, RARE = 0.5, 0.1
# Texts of a pair told apart by less than this, with this probability of a false alarm, are proposed for merging.
TOLD_APART, ALARM = 0.75, 0.05
# A label's halves must each hold so many texts, and this share of them.
LEAST_HALF, LEAST_SHARE = 8, 0.15
LLOYD_STEPS, NULL_DRAWS = 20, 40


@dataclass(frozen=True, slots=True)
class Starving:
    """A label that has too little to live on, and why.

    Attributes
    ----------
    label : int
    known, decided : int
        Its labelled and confirmed texts; pool texts decided for it.
    recall : float
        Share of its known texts that are found out of fold; NaN where none was held out.
    why : {"few texts", "low recall", "hardly used"}
    """

    label: int
    known: int
    decided: int
    recall: float
    why: str


@dataclass(frozen=True, slots=True)
class Suspects:
    """Texts whose label is probably wrong, the surest first.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
    suggested : ndarray of int, shape (m,)
        The label that each seems to have.
    margin : ndarray of float, shape (m,)
        Probability of the given label minus that of the suggested one: the normalised margin.
    wrong : ndarray of float, shape (m,)
        Expected probability that the given label is wrong; the mean over a list is its expected precision.
    """

    rows: IntArray
    suggested: IntArray
    margin: FloatArray
    wrong: FloatArray

    @property
    def expected_precision(self) -> float:
        """The share of these texts that is expected to be labelled wrongly; NaN where there are none."""
        return float(self.wrong.mean()) if len(self.wrong) else np.nan


@dataclass(frozen=True, slots=True)
class Merge:
    """Two labels that cannot be told apart.

    Attributes
    ----------
    labels : (int, int)
    told_apart : float
        Share of their texts, both labels counting alike, for which the right one of the two is the likelier.
    texts : int
        Out-of-fold texts of both.
    cosine : float
        Between their centroids.
    """

    labels: tuple[int, int]
    told_apart: float
    texts: int
    cosine: float


@dataclass(frozen=True, slots=True)
class Split:
    """A label that is two.

    Attributes
    ----------
    label : int
    halves : (ndarray of int, ndarray of int)
        Its rows, the larger half first, each from the most typical on.
    separation : float
        Silhouette of the halves, from 0 (one cloud) to 1 (two points).
    usual : float
        Median over all labels of the silhouette of a label and the one nearest to it.
    """

    label: int
    halves: tuple[IntArray, IntArray]
    separation: float
    usual: float


def starving(
    known: IntArray, decided: IntArray, recall: FloatArray, held_out: IntArray
) -> tuple[Starving, ...]:
    """Return the labels that starve.

    A label has few texts below 3; its recall is low where it is below one half with 95 % confidence; it is hardly
    used where it has less than a tenth of the median label's decisions.

    Parameters
    ----------
    known, decided : ndarray of int, shape (K,)
    recall : ndarray of float, shape (K,)
        Out of fold; NaN where nothing was held out.
    held_out : ndarray of int, shape (K,)
        Texts that `recall` is a share of.

    Examples
    --------
    >>> found = starving(np.array([9, 2, 9]), np.array([50, 40, 1]), np.array([0.9, 0.5, 0.8]), np.array([9, 2, 9]))
    >>> [(one.label, one.why) for one in found]
    [(1, 'few texts'), (2, 'hardly used')]
    """
    hits = np.nan_to_num(recall) * held_out
    upper = beta.ppf(0.95, hits + 1, np.maximum(held_out - hits, 1e-9))
    reasons = (
        ("few texts", known < FEW_TEXTS),
        ("low recall", (held_out > 0) & (upper < LOW_RECALL)),
        ("hardly used", decided < RARE * np.median(decided)),
    )
    found: dict[int, Starving] = {}
    for why, mask in reasons:
        for label in np.flatnonzero(mask).tolist():
            one = Starving(label, int(known[label]), int(decided[label]), float(recall[label]), why)
            found.setdefault(label, one)
    return tuple(found[label] for label in sorted(found))


def confident_joint(proba: FloatArray, codes: IntArray) -> tuple[IntArray, IntArray]:
    """Return the confident joint and the label that each row is confidently of.

    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021). A row counts as
    of the likeliest label among those whose probability reaches that label's usual one: the mean over its own rows.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Out of fold.
    codes : ndarray of int, shape (n,)
        Given labels.

    Returns
    -------
    joint : ndarray of int, shape (K, K)
        Rows by given and by confident label.
    confident : ndarray of int, shape (n,)
        -1 where no label's probability reaches its usual one.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.9, 0.1]])
    >>> joint, confident = confident_joint(proba, np.array([0, 0, 1, 1]))
    >>> joint.tolist(), confident.tolist()
    ([[1, 0], [1, 1]], [0, -1, 1, 0])
    """
    k = proba.shape[1]
    own = proba[np.arange(len(codes)), codes]
    counts = np.bincount(codes, minlength=k)
    usual = np.bincount(codes, weights=own, minlength=k) / np.maximum(counts, 1)
    usual = np.where(counts, usual, np.inf).astype(proba.dtype)
    reached = np.where(proba >= usual - np.finfo(proba.dtype).eps, proba, -1.0)
    confident = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    joint = np.zeros((k, k), dtype=np.int64)
    sure = confident >= 0
    np.add.at(joint, (codes[sure], confident[sure]), 1)
    return joint, confident


def suspects(proba: FloatArray, codes: IntArray, doubtful: float = 0.5) -> Suspects:
    """Return the texts whose label is probably wrong, ranked by normalised margin.

    A row is suspect where it is confidently of another label (an off-diagonal cell of the confident joint) and is
    expected to be wrong with probability `doubtful` or more. That expectation weighs how likely the other label is for
    the text against how often such an error was made: `e p_other / (e p_other + (1 - e) p_given)`, with e the share of
    all rows off the diagonal of the confident joint.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Out of fold, calibrated.
    codes : ndarray of int, shape (n,)
    doubtful : float

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.99, 0.01]])
    >>> suspects(proba, np.array([0, 0, 1, 1])).rows.tolist()
    [3]
    """
    joint, confident = confident_joint(proba, codes)
    rows = np.flatnonzero((confident >= 0) & (confident != codes))
    share = 1 - np.trace(joint) / max(joint.sum(), 1)
    other = proba[rows, confident[rows]].astype(np.float64)
    given = proba[rows, codes[rows]].astype(np.float64)
    wrong = share * other / np.maximum(share * other + (1 - share) * given, np.finfo(float).tiny)
    kept = wrong >= doubtful
    margin = (given - other)[kept]
    order = np.argsort(margin, kind="stable")
    return Suspects(rows[kept][order], confident[rows[kept]][order], margin[order], wrong[kept][order])


def merges(proba: FloatArray, codes: IntArray, X: FloatArray) -> tuple[Merge, ...]:
    """Return pairs of labels whose texts are confused both ways more often than they can be told apart.

    For each pair that is confused at all, the texts of both are given to the likelier of the two. A pair is proposed
    where that is right so seldom that it would happen to a pair told apart by 75 % in one of twenty cases at most,
    and where both labels have texts that are taken for the other.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Out of fold.
    codes : ndarray of int, shape (n,)
    X : ndarray of shape (n, d)
        Unit vectors.

    Returns
    -------
    tuple of Merge
        The least told apart first.

    Examples
    --------
    >>> codes = np.repeat([0, 1, 2], 12)
    >>> proba = np.full((36, 3), 0.01)
    >>> proba[np.arange(36), np.where(codes == 2, 2, np.arange(36) % 2)] = 0.98
    >>> X = np.eye(3)[np.where(codes == 2, 2, np.arange(36) % 2)]
    >>> [(pair.labels, round(pair.told_apart, 2)) for pair in merges(proba, codes, X)]
    [((0, 1), 0.5)]
    """
    k = proba.shape[1]
    likeliest = proba.argmax(axis=1)
    wrong = likeliest != codes
    pairs = np.unique(np.sort(np.column_stack([codes[wrong], likeliest[wrong]]), axis=1), axis=0)
    centroids = label_vectors(X, codes, k)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=k))[:-1])
    found = []
    for one, other in pairs.tolist():
        right = [proba[rows_of[a], a] > proba[rows_of[a], b] for a, b in ((one, other), (other, one))]
        n = sum(len(part) for part in right)
        both_ways = all(len(part) and not part.all() for part in right)
        if not both_ways or binom.cdf(sum(int(part.sum()) for part in right), n, TOLD_APART) > ALARM:
            continue
        told = float(np.mean([part.mean() for part in right]))
        found.append(Merge((one, other), told, n, float(centroids[one] @ centroids[other])))
    return tuple(sorted(found, key=lambda pair: (pair.told_apart, pair.labels)))


def splits(X: FloatArray, codes: IntArray, n_labels: int, rng: np.random.Generator) -> tuple[Split, ...]:
    """Return labels whose texts form two clouds that are as far apart as neighbouring labels are.

    The texts of a label are divided by two-means. The silhouette of the halves must reach the median, over all labels,
    of the silhouette of a label and its nearest other label; and it must exceed that of the halves of every one of 40
    Gaussian clouds with the label's own covariance, which two-means cuts in two just as well (Liu et al., SigClust,
    2008).

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Unit vectors.
    codes : ndarray of int, shape (n,)
    n_labels : int
    rng : Generator

    Returns
    -------
    tuple of Split
        The furthest apart first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> centres = np.eye(4)[[0, 1, 2, 3]].repeat(12, axis=0)
    >>> X = centres + rng.normal(scale=0.1, size=centres.shape)
    >>> found = splits(X / np.linalg.norm(X, axis=1, keepdims=True), np.repeat([0, 0, 1, 2], 12), 3, rng)
    >>> [(one.label, [len(half) for half in one.halves]) for one in found]
    [(0, [12, 12])]
    """
    rows_of: list[IntArray] = np.split(
        np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=n_labels))[:-1]
    )
    usual = _usual_separation(X, rows_of, label_vectors(X, codes, n_labels))
    found = []
    for label, rows in enumerate(rows_of):
        if len(rows) < 2 * LEAST_HALF:
            continue
        second = two_means(X[rows])
        least = max(LEAST_HALF, LEAST_SHARE * len(rows))
        if min(second.sum(), (~second).sum()) < least:
            continue
        separation = silhouette(X[rows], second)
        if separation >= usual and _beyond_one_cloud(X[rows], separation, rng):
            halves = sorted(
                (_typical_first(X, rows[half]) for half in (~second, second)), key=len, reverse=True
            )
            found.append(Split(label, (halves[0], halves[1]), separation, usual))
    return tuple(sorted(found, key=lambda one: -one.separation))


def two_means(X: FloatArray) -> BoolArray:
    """Divide rows in two by Lloyd's algorithm, begun with the sign of the first principal component.

    Returns
    -------
    ndarray of bool, shape (n,)
        Which rows are in the second half.

    Examples
    --------
    >>> int(two_means(np.array([[0.0, 1.0], [0.1, 1.0], [3.0, 0.0], [3.1, 0.0]])).sum())
    2
    """
    centred = X - X.mean(axis=0)
    # The larger singular vectors come from the small side: n rows are few, d columns many.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    second: BoolArray = vectors[:, values.argmax()] > 0
    for _ in range(LLOYD_STEPS):
        if second.all() or not second.any():
            return second
        means = np.stack([X[~second].mean(axis=0), X[second].mean(axis=0)])
        before, second = second, _nearer_second(X, means)
        if np.array_equal(before, second):
            break
    return second


def _nearer_second(X: FloatArray, means: FloatArray) -> BoolArray:
    offset = 0.5 * (means**2).sum(axis=1)
    nearness = X @ means.T - offset
    nearer: BoolArray = nearness[:, 1] > nearness[:, 0]
    return nearer


def silhouette(X: FloatArray, second: BoolArray) -> float:
    """Return the mean silhouette of two groups, by squared distance (which takes no table of all pairs).

    The mean squared distance of a row to a group is that to its mean plus the group's spread.

    Examples
    --------
    >>> silhouette(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([False, False, True, True]))
    1.0
    """
    away = []
    for group in (~second, second):
        mean = X[group].mean(axis=0)
        spread = ((X[group] - mean) ** 2).sum(axis=1).mean()
        away.append(((X - mean) ** 2).sum(axis=1) + spread)
    sizes = np.where(second, second.sum(), (~second).sum())
    own = (
        np.where(second, away[1], away[0]) * sizes / np.maximum(sizes - 1, 1)
    )  # a row is not its own neighbour
    other = np.where(second, away[0], away[1])
    return float(((other - own) / np.maximum(np.maximum(own, other), np.finfo(X.dtype).tiny)).mean())


def _usual_separation(X: FloatArray, rows_of: Sequence[IntArray], centroids: FloatArray) -> float:
    """Return the median silhouette of a label and its nearest other one; infinite where there are no two labels."""
    similar = centroids @ centroids.T
    np.fill_diagonal(similar, -np.inf)
    found = []
    for label, nearest in enumerate(similar.argmax(axis=1).tolist()):
        rows, others = rows_of[label], rows_of[nearest]
        if len(rows) > 1 and len(others) > 1 and nearest != label:
            second = np.arange(len(rows) + len(others)) >= len(rows)
            found.append(silhouette(X[np.concatenate([rows, others])], second))
    return float(np.median(found)) if found else np.inf


def _beyond_one_cloud(X: FloatArray, separation: float, rng: np.random.Generator) -> bool:
    """Tell whether two-means divides no Gaussian cloud of the same covariance and size so well; most fail at once."""
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) / max(len(X) - 1, 1) ** 0.5
    for _ in range(NULL_DRAWS):
        cloud = rng.normal(size=(len(X), len(values))) * values
        half = two_means(cloud)
        if half.all() or not half.any() or silhouette(cloud, half) >= separation:
            return False
    return True


def _typical_first(X: FloatArray, rows: IntArray) -> IntArray:
    mean = X[rows].mean(axis=0)
    ordered: IntArray = rows[np.argsort(-(X[rows] @ mean), kind="stable")]
    return ordered
