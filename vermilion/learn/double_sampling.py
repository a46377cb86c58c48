"""Many answers of an expert who errs, set right by a few answers of people to the same texts."""

from __future__ import annotations

from dataclasses import dataclass

from vermilion.learn.certificate import Bounds, effective_bounds

METHOD = "double sampling (Tenenbein 1970) with effective sample size, each bound one-sided"


@dataclass(frozen=True, slots=True)
class Count:
    """So many of `n` answers agree."""

    hits: int
    n: int

    @property
    def share(self) -> float:
        """The share that agrees; one half where there is no answer."""
        return self.hits / self.n if self.n else 0.5

    @property
    def variance(self) -> float:
        """Variance of the share, half an answer of each kind added: without a miss it is not nought."""
        share = (self.hits + 0.5) / (self.n + 1)
        return share * (1 - share) / (self.n + 1)


@dataclass(frozen=True, slots=True)
class Doubly:
    """What expert and people said.

    Attributes
    ----------
    chosen : Count
        Of random texts that the expert decided: people agree with it.
    audited : Count
        Of random texts that the model decided: the expert agrees with the model. People need not have seen them.
    confirmed, disputed : Count
        Of random texts that the model decided and both others answered, apart for those on which the expert agrees
        with the model and does not: people agree with the model.
    expert_rows, model_rows : int
        Rows that expert and model decided.
    """

    chosen: Count
    audited: Count
    confirmed: Count
    disputed: Count
    expert_rows: int
    model_rows: int


def corrected(found: Doubly, delta: float) -> Bounds | None:
    """Return the agreement of all decisions with people, from their agreement with an expert who errs.

    With `w` the share of rows that the expert decided, the agreement is `w r + (1 - w) (p s + (1 - p) t)`, with the
    shares `r`, `p`, `s` and `t` of `chosen`, `audited`, `confirmed` and `disputed`: Tenenbein's double sampling (1970).
    Its variance is that of the four shares, to the first order.

    Returns
    -------
    Bounds or None
        None where no answers of people tell of the rows that expert or model decided.

    Examples
    --------
    >>> found = Doubly(Count(27, 30), Count(380, 400), Count(88, 90), Count(2, 5), 1500, 8500)
    >>> bounds = corrected(found, 0.05)
    >>> [round(share, 3) for share in (bounds.lower, bounds.estimate, bounds.upper)]
    [0.9, 0.942, 0.969]
    """
    if (found.expert_rows and not found.chosen.n) or (found.model_rows and not found.confirmed.n):
        return None
    rows = found.expert_rows + found.model_rows
    weight = found.expert_rows / rows if rows else 0.0
    p, s, t = found.audited.share, found.confirmed.share, found.disputed.share
    if not found.audited.n:
        return None
    estimate = weight * found.chosen.share + (1 - weight) * (p * s + (1 - p) * t)
    by_model = (
        (s - t) ** 2 * found.audited.variance
        + p**2 * found.confirmed.variance
        + (1 - p) ** 2 * found.disputed.variance
    )
    variance = weight**2 * found.chosen.variance + (1 - weight) ** 2 * by_model
    n = found.chosen.n + found.confirmed.n + found.disputed.n
    lower, upper = effective_bounds(estimate, variance, n, delta)
    return Bounds(estimate, lower, upper, n, METHOD)
