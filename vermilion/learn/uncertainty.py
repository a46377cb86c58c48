"""How unsure a head is of each text, and which texts are worth a question.

Scores grow with uncertainty and are arrays: probabilities of shape (n, K) in, scores of shape (n,) out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vermilion.types import BoolArray, FloatArray, IntArray

BLOCK = 1024


def entropy(proba: FloatArray) -> FloatArray:
    """Return the Shannon entropy of each row in bits, from 0 to log2(K).

    Examples
    --------
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logs = np.log2(proba, where=proba > 0, out=np.zeros_like(proba))
    bits: FloatArray = np.abs(np.einsum("ij,ij->i", proba, logs))
    return bits


def least_confidence(proba: FloatArray) -> FloatArray:
    """Return one minus the largest probability of each row.

    Examples
    --------
    >>> least_confidence(np.array([[0.75, 0.25]])).tolist()
    [0.25]
    """
    missing: FloatArray = 1.0 - proba.max(axis=1)
    return missing


def margin(proba: FloatArray) -> FloatArray:
    """Return one minus the gap between the two largest probabilities of each row.

    One minus, so that here too more means less sure.

    Examples
    --------
    >>> margin(np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])).tolist()
    [0.75, 0.0]
    """
    if proba.shape[1] < 2:
        return np.zeros(len(proba), dtype=proba.dtype)
    two = np.partition(proba, proba.shape[1] - 2, axis=1)[:, -2:]
    closeness: FloatArray = 1.0 - (two[:, 1] - two[:, 0])
    return closeness


def disagreement(probas: FloatArray) -> FloatArray:
    """Return how far the members of a committee differ on each text, in bits.

    The mean Kullback-Leibler divergence of the members from their mean, which is the mutual information
    between the label and the choice of the member (McCallum and Nigam, 1998; BALD, Houlsby et al., 2011).

    Parameters
    ----------
    probas : ndarray of shape (n_members, n, K)

    Examples
    --------
    >>> disagreement(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])).tolist()
    [1.0]
    >>> disagreement(np.array([[[0.5, 0.5]], [[0.5, 0.5]]])).tolist()
    [0.0]
    """
    mean = entropy(probas.mean(axis=0))
    own = np.mean([entropy(member) for member in probas], axis=0)
    information: FloatArray = np.maximum(mean - own, 0.0)
    return information


SCORES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "margin": margin,
    "entropy": entropy,
    "least-confidence": least_confidence,
}


def likeliest(proba: FloatArray, width: int) -> IntArray:
    """Return the columns of the `width` largest values of each row, the largest first; ties go to the left.

    The same as the first columns of a stable sort of the whole row, which takes some ten times as long at
    1,000 labels.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Without NaN.
    width : int
        From 1; cut to K.

    Returns
    -------
    ndarray of int, shape (n, min(width, K))

    Examples
    --------
    >>> likeliest(np.array([[0.1, 0.2, 0.5, 0.2]]), 2).tolist()
    [[2, 1]]
    """
    n, K = proba.shape
    if width >= K:
        return np.argsort(-proba, axis=1, kind="stable")
    least = np.partition(proba, K - width, axis=1)[:, K - width]
    chosen = proba >= least[:, None]
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > width)
    chosen[tied] = False
    chosen[tied[:, None], np.argsort(-proba[tied], axis=1, kind="stable")[:, :width]] = True
    columns = np.nonzero(chosen)[1].reshape(n, width)
    order = np.argsort(-np.take_along_axis(proba, columns, axis=1), axis=1, kind="stable")
    found: IntArray = np.take_along_axis(columns, order, axis=1)
    return found


def candidate_counts(proba: FloatArray, mass: float = 0.98, least: int = 3, most: int = 20) -> IntArray:
    """Return for each row how many of its likeliest labels hold `mass` of the probability, within bounds.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Calibrated probabilities.
    mass : float
    least, most : int
        Bounds; both are cut to K.

    Examples
    --------
    >>> candidate_counts(np.array([[0.9, 0.09, 0.01, 0.0], [0.4, 0.3, 0.2, 0.1]]), least=2).tolist()
    [2, 4]
    """
    cumulated = np.cumsum(-np.sort(-proba, axis=1), axis=1)
    needed = 1 + (cumulated < mass - 1e-9).sum(axis=1)
    width = proba.shape[1]
    counts: IntArray = np.clip(needed, min(least, width), min(most, width))
    return counts


def spread(ranked: IntArray, X: FloatArray, count: int, limit: float = 0.95) -> IntArray:
    """Take the first `count` of `ranked` that are not near-identical to one taken before.

    Two texts whose cosine similarity passes `limit` would most likely get the same answer: asking one of
    them is enough, the head learns the other from it. Where too few stay, the passed-over ones fill up in
    their order.

    Parameters
    ----------
    ranked : ndarray of shape (m,)
        Row numbers of X, the most wanted first.
    X : ndarray of shape (n, d)
        Unit vectors.

    Returns
    -------
    ndarray of shape (min(count, m),)

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> spread(np.array([0, 1, 2]), X, 2).tolist()
    [0, 2]
    """
    window = ranked[: max(3 * count, count + 32)]
    taken = np.zeros(0, dtype=np.intp)
    # Block by block: all pairs at once would take gigabytes at some ten thousand questions a round.
    for start in range(0, len(window), BLOCK):
        if len(taken) >= count:
            break
        block = X[window[start : start + BLOCK]]
        free = np.all(block @ X[window[taken]].T <= limit, axis=1)
        taken = np.concatenate([taken, start + _apart(block, free, limit)])
    if len(taken) < count:
        passed_over = np.setdiff1d(np.arange(len(window)), taken)
        taken = np.sort(np.concatenate([taken, passed_over[: count - len(taken)]]))
    return window[taken[:count]]


def _apart(block: FloatArray, free: BoolArray, limit: float) -> IntArray:
    """Take each free row of a block that is not near-identical to one taken before it."""
    similar = block @ block.T > limit
    taken = []
    for place in range(len(block)):
        if free[place]:
            taken.append(place)
            free = free & ~similar[place]
    return np.asarray(taken, dtype=np.intp)


def select(scores: FloatArray, eligible: BoolArray, X: FloatArray, count: int) -> IntArray:
    """Choose `count` texts to ask about: the most uncertain first, near-identical ones only once.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Uncertainty; ties go to the earlier row, so that the choice is the same on every machine.
    eligible : ndarray of bool, shape (n,)
        Rows that may be asked about.
    X : ndarray of shape (n, d)
        Unit vectors.

    Examples
    --------
    >>> select(np.array([0.1, 0.9, 0.5]), np.array([True, False, True]), np.eye(3), 1).tolist()
    [2]
    """
    rows = np.flatnonzero(eligible)
    ranked = rows[np.argsort(-scores[rows], kind="stable")]
    return spread(ranked, X, min(count, len(ranked)))
