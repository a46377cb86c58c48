"""What each answered text stands for, when most were chosen because they are hard and some were drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that were asked about at once.

    Attributes
    ----------
    rows : ndarray of int
        All of them, each once.
    drawn : ndarray of int
        A simple random sample of the pool's rows whose text was unanswered then, as rows; one may come several times.
    """

    rows: IntArray
    drawn: IntArray


def sampling_weights(counts: IntArray, known_before: BoolArray, batches: Sequence[Batch]) -> FloatArray:
    """Return for each text how many rows of the pool it stands for; 0 for those that nobody was asked about.

    Each batch by itself gives an unbiased estimate of any mean over the pool: texts answered before stand for
    themselves, the random sample for all that were open. What is returned is the mean of these estimates, each weighted
    by the size of its sample (Horvitz and Thompson, 1952, batch by batch). A text chosen in the last batch for its
    uncertainty has weight 0: the random sample of its own batch stands for it.

    Parameters
    ----------
    counts : ndarray of int, shape (n,)
        Rows of the pool that each text stands in.
    known_before : ndarray of bool, shape (n,)
        Texts answered before the first batch.
    batches : sequence of Batch
        In their order.

    Returns
    -------
    ndarray of float64, shape (n,)
        The sum is that of `counts`, where anything was drawn; all 0 otherwise.

    Examples
    --------
    Of eight texts two are chosen, then three of the other six are drawn.

    >>> nothing = np.zeros(0, dtype=int)
    >>> batches = [Batch(np.array([0, 1]), nothing), Batch(np.array([2, 3, 4]), np.array([2, 3, 4]))]
    >>> sampling_weights(np.ones(8, dtype=int), np.zeros(8, dtype=bool), batches).tolist()
    [1.0, 1.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0]
    """
    total = sum(len(batch.drawn) for batch in batches)
    weights = np.zeros(len(counts))
    answered = known_before.copy()
    for batch in batches:
        if len(batch.drawn):
            share = len(batch.drawn) / total
            weights[answered] += share * counts[answered]
            stands_for = counts[~answered].sum() / len(batch.drawn)
            np.add.at(weights, batch.drawn, share * stands_for)
        answered[batch.rows] = True
    return weights
