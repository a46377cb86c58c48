"""A bound that holds however often one looks: for random answers that come in round by round."""

from __future__ import annotations

import numpy as np

from vermilion.types import BoolArray, FloatArray

GRID = 1000


def anytime_lower(agreed: BoolArray, delta: float, rows: int | None = None) -> FloatArray:
    """Return after each answer a lower bound on the share that is right; all of them hold at once.

    Betting (Waudby-Smith and Ramdas, 2024): for each share that might be true, a game that is fair or worse if it
    is. Its stake is Kelly's for the share seen so far (with half an answer of each kind before the first). Whoever
    turns 1 into 1 / delta has shown the share to be too small; by Ville's inequality that happens to the true one
    with probability at most `delta`, at whatever time.

    Parameters
    ----------
    agreed : ndarray of bool, shape (n,)
        In the order of their draw.
    delta : float
    rows : int, optional
        Drawn from so many rows without replacement: what is left of them changes with each answer, and the bound is
        tighter. Without it: draws from what may change, as long as its share is at most the one in question. Where
        each round's model is no worse than the one before, the bound is one for the last model.

    Returns
    -------
    ndarray of float, shape (n,)
        Never falling.

    Examples
    --------
    >>> agreed = np.arange(200) % 25 > 0
    >>> anytime_lower(agreed, 0.05)[[49, 99, 199]].tolist()
    [0.833, 0.878, 0.905]
    >>> float(anytime_lower(agreed, 0.05, rows=400)[-1])
    0.92
    """
    n = len(agreed)
    answers = agreed.astype(np.float64)
    before = np.cumsum(answers) - answers
    seen = np.arange(n)
    guess = (before + 0.5) / (seen + 1)
    if rows is None:
        shares = np.arange(GRID) / GRID
        fair = shares[:, None]
    else:
        shares = np.unique(np.linspace(0, rows, min(GRID, rows + 1)).astype(np.int64)) / rows
        fair = (rows * shares[:, None] - before) / (rows - seen)
    wealth = np.cumsum(_payoffs(answers, guess, fair), axis=1)
    lost = np.maximum.accumulate(wealth, axis=1) >= np.log(1 / delta)
    # A share is too small where all below it are, too.
    count = np.logical_and.accumulate(lost, axis=0).sum(axis=0)
    return np.where(count > 0, shares[np.maximum(count - 1, 0)], 0.0)


def _payoffs(answers: FloatArray, guess: FloatArray, fair: FloatArray) -> FloatArray:
    """Return the logarithm of what each bet pays; fair shares outside 0 to 1 cannot be true any more."""
    bet = guess > fair
    inside = np.clip(fair, 1e-12, 1 - 1e-12)
    pays = np.where(answers > 0, np.log(guess) - np.log(inside), np.log1p(-guess) - np.log1p(-inside))
    return np.where(fair < 0, np.inf, np.where(bet, pays, 0.0))
