"""What a random, blind audit proves about the decisions it was drawn from."""

from __future__ import annotations

from scipy.stats import beta


def clopper_pearson(hits: int, n: int, delta: float) -> tuple[float, float]:
    """Return one-sided bounds on a proportion, each of which fails with probability at most `delta`.

    Clopper and Pearson (1934), for draws with replacement. An audit draws without: the hits then scatter less,
    and the lower bound keeps its promise for every share from one half, the upper for every share up to it
    (found by going through all cases of small pools). Beyond, a bound may fail a little more often than
    `delta` says: in 5.1 % of the runs for 0.05.

    Parameters
    ----------
    hits, n : int
        Successes among `n` draws; without a draw the bounds are 0 and 1.
    delta : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        `hits` is not between 0 and `n`, or `delta` not between 0 and 1.

    Examples
    --------
    >>> lower, upper = clopper_pearson(59, 59, 0.05)
    >>> round(lower, 3), upper
    (0.95, 1.0)
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must be between 0 and n, got {hits} of {n}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, got {delta}")
    lower = float(beta.ppf(delta, hits, n - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1 - delta, hits + 1, n - hits)) if hits < n else 1.0
    return lower, upper


def extend(share: float, audited: int, known: int) -> float:
    """Extend a share that holds for `audited` texts to a pool whose other `known` texts agree for certain.

    A bound on the share becomes a bound for the pool. An empty pool agrees wholly.

    Examples
    --------
    >>> extend(0.9, audited=80, known=20)
    0.92
    """
    total = audited + known
    return (share * audited + known) / total if total else 1.0
