"""What a random, blind audit proves about the decisions it was drawn from."""

from __future__ import annotations

from scipy.stats import beta


def clopper_pearson(hits: int, n: int, delta: float) -> tuple[float, float]:
    """Return one-sided bounds on a proportion, each of which fails with probability at most `delta`.

    Clopper and Pearson (1934). Drawing without replacement only makes the sample more informative, so the
    bounds hold for audits too.

    Examples
    --------
    >>> lower, upper = clopper_pearson(59, 59, 0.05)
    >>> round(lower, 3), upper
    (0.95, 1.0)
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must be between 0 and n, got {hits} of {n}")
    lower = float(beta.ppf(delta, hits, n - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1 - delta, hits + 1, n - hits)) if hits < n else 1.0
    return lower, upper


def extend(share: float, audited: int, known: int) -> float:
    """Extend a share measured on `audited` texts to a pool whose other `known` texts agree for certain.

    Examples
    --------
    >>> extend(0.9, audited=80, known=20)
    0.92
    """
    total = audited + known
    return (share * audited + known) / total if total else 1.0
