"""Tests that may be looked at after every request: is one share larger than another, or than a limit?

Evidence is a bettor's wealth: each bet is fair or worse where the null hypothesis is true, whatever was seen before, so
by Ville's inequality wealth reaches 1 / alpha with probability at most alpha, at whatever time one stops.

Two arms answer requests side by side. What they have counted between two looks is a block. The null hypothesis says of
each block p_b <= p_a + margin; what p_a is may change from block to block and inside one, as may the number of requests
of either arm, as long as chance alone decides which arm gets a request. The bet in a block is the likelihood ratio of
an alternative (a, b) to the member (t, t + margin) of the null that is nearest to it by Kullback-Leibler divergence,
weighed by the arms' requests: the reverse information projection (Turner, Ly and Grünwald, 2024; Turner and Grünwald,
2023). The alternatives stand on what was seen before the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln

from vermilion.types import FloatArray

# Alternatives: odds of the larger share to those at the edge of the null. One more follows the shares seen so far.
RATIOS = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 100.0])
# Of the wealth, this much is held back at first and put in little by little, half of it within so many requests of
# the arm in question: a bet that lost for long can then be made anew, which finds what only later goes wrong.
HELD_BACK, HALF = 0.1, 20_000
# Shares are estimated from about so many of the last requests; before the first few nothing is bet.
MEMORY, FIRST = 10_000, 20
_EDGE = 1e-6
_STEPS = 3
CHAMPION_N, CHAMPION_BAD, CHALLENGER_N, CHALLENGER_BAD = range(4)


@dataclass(frozen=True, slots=True)
class Bets:
    """What a number of tests have come to.

    Attributes
    ----------
    log_wealth : ndarray of float, shape (tests, len(RATIOS) + 2)
        Of each alternative; the last is what is held back.
    past : ndarray of float, shape (tests, 4)
        Requests and bad ones of the first arm, then of the second; older ones count less.
    """

    log_wealth: FloatArray
    past: FloatArray

    @classmethod
    def none(cls, tests: int) -> Bets:
        """Return the state before the first request: wealth 1."""
        parts = len(RATIOS) + 1
        start = np.log([*[(1 - HELD_BACK) / parts] * parts, HELD_BACK])
        return cls(np.tile(start, (tests, 1)), np.zeros((tests, 4)))

    @property
    def log_evidence(self) -> FloatArray:
        """Logarithm of each test's wealth, shape (tests,)."""
        return np.asarray(np.logaddexp.reduce(self.log_wealth, axis=1))


def compare(bets: Bets, block: FloatArray, margin: FloatArray) -> Bets:
    """Bet on a block against p_b <= p_a + margin.

    Parameters
    ----------
    bets : Bets
    block : ndarray of float, shape (tests, 4)
        Requests and bad ones of the first arm, then of the second, since the block before.
    margin : ndarray of float, shape (tests,)
        From -1 to 1. To show that the second arm is *better* than p_a + m, count the good ones as the bad ones and
        bet against -m: see `turned`.

    Examples
    --------
    >>> bets, margin = Bets.none(1), np.array([0.0])
    >>> for _ in range(20):  # 5 % against 15 %
    ...     bets = compare(bets, np.array([[100.0, 5, 20, 3]]), margin)
    >>> bool(bets.log_evidence[0] > np.log(1 / 0.05))
    True
    """
    a = _share(bets.past[:, CHAMPION_N], bets.past[:, CHAMPION_BAD])[:, None]
    margin = np.clip(margin, 4 * _EDGE - 1, 1 - 4 * _EDGE)[:, None]
    b = _alternatives(bets.past, np.clip(a + margin, _EDGE, 1 - _EDGE))
    gain = _payoff(block[:, :, None], a, b, margin)
    gain[bets.past[:, CHAMPION_N] < FIRST] = 0
    return _settled(bets, gain, block)


def compare_to_limit(bets: Bets, block: FloatArray, limit: FloatArray) -> Bets:
    """Bet on a block against p_b <= limit; the first arm is not looked at.

    Parameters
    ----------
    bets : Bets
    block : ndarray of float, shape (tests, 4)
        As for `compare`.
    limit : ndarray of float, shape (tests,)
        Between 0 and 1.
    """
    edge = np.clip(limit, _EDGE, 1 - _EDGE)[:, None]
    b = _alternatives(bets.past, edge)
    gain = _log_ratio(block[:, CHALLENGER_N, None], block[:, CHALLENGER_BAD, None], b, edge)
    return _settled(bets, np.where(b > edge, gain, 0.0), block)


def turned(block: FloatArray) -> FloatArray:
    """Return a block with the good ones counted in place of the bad ones."""
    other = block.copy()
    other[:, CHAMPION_BAD] = block[:, CHAMPION_N] - block[:, CHAMPION_BAD]
    other[:, CHALLENGER_BAD] = block[:, CHALLENGER_N] - block[:, CHALLENGER_BAD]
    return other


def difference_bounds(
    deltas: FloatArray, above: FloatArray, below: FloatArray, alpha: float
) -> tuple[float, float]:
    """Return an interval of p_b - p_a that holds at every look together, with confidence 1 - alpha.

    Parameters
    ----------
    deltas : ndarray of float, shape (d,)
        Rising, from -1 to 1; the bounds are among them.
    above, below : ndarray of float, shape (d,)
        `log_evidence` against p_b <= p_a + delta, and against p_b >= p_a + delta.
    alpha : float
    """
    shown = np.log(2 / alpha)
    low = np.logical_and.accumulate(above >= shown)
    high = np.logical_and.accumulate((below >= shown)[::-1])
    lower = deltas[low][-1] if low.any() else -1.0
    upper = deltas[::-1][high][-1] if high.any() else 1.0
    return float(lower), float(upper)


def share_bounds(bad: int, n: int, alpha: float) -> tuple[float, float]:
    """Return an interval of a share that holds after every request together, with confidence 1 - alpha.

    Robbins' mixture: the shares against which a bettor on a beta mixture (1/2, 1/2) has not won 1 / alpha. It is for
    a share that stays the same.

    Examples
    --------
    >>> lower, upper = share_bounds(30, 1000, 0.05)
    >>> round(lower, 3), round(upper, 3)
    (0.014, 0.054)
    >>> share_bounds(0, 0, 0.05)
    (0.0, 1.0)
    """
    mixture = betaln(bad + 0.5, n - bad + 0.5) - betaln(0.5, 0.5) - np.log(1 / alpha)

    def short_of(share: float) -> float:
        return float(mixture - bad * np.log(share) - (n - bad) * np.log1p(-share))

    best = min(max(bad / n, 1e-12), 1 - 1e-12) if n else 0.5
    lower = brentq(short_of, 1e-12, best) if bad and short_of(1e-12) > 0 else 0.0
    upper = brentq(short_of, best, 1 - 1e-12) if bad < n and short_of(1 - 1e-12) > 0 else 1.0
    return float(lower), float(upper)


def _share(n: FloatArray, bad: FloatArray) -> FloatArray:
    """Return an estimate that is never 0 or 1."""
    return np.asarray((bad + 0.5) / (n + 1))


def _alternatives(past: FloatArray, edge: FloatArray) -> FloatArray:
    """Return alternatives of the second arm's share, shape (tests, len(RATIOS) + 1), from the null's edge."""
    odds = edge / (1 - edge) * RATIOS
    seen = _share(past[:, CHALLENGER_N], past[:, CHALLENGER_BAD])[:, None]
    return np.asarray(np.clip(np.concatenate([odds / (1 + odds), seen], axis=1), _EDGE, 1 - _EDGE))


def _payoff(block: FloatArray, a: FloatArray, b: FloatArray, margin: FloatArray) -> FloatArray:
    """Return the logarithm of each bet's payoff, shape (tests, alternatives); 0 where the null holds (a, b).

    A request of an arm multiplies wealth by 1 + g (bad - share at (t, t + margin)). With n_a g_a + n_b g_b = 0 and
    g_b >= 0 the expectation under any member (u, w) of the null, w <= u + margin, is at most
    exp(n_a g_a (u - t) + n_b g_b (w - t - margin)) <= 1, whatever t is. So t may be near the projection, not on it.
    """
    n_a, bad_a, n_b, bad_b = (block[:, column] for column in range(4))
    t = _projected(n_a, n_b, a, b, margin)
    s = t + margin
    stake = n_b * np.maximum(b - s, 0) / (s * (1 - s))
    # A stake that one request of the first arm could lose whole is too much.
    stake = np.minimum(stake, 0.99 * n_a / (1 - t))
    g_a, g_b = -stake / np.maximum(n_a, 1), stake / np.maximum(n_b, 1)
    gain = bad_a * np.log1p(g_a * (1 - t)) + (n_a - bad_a) * np.log1p(-g_a * t)
    gain += bad_b * np.log1p(g_b * (1 - s)) + (n_b - bad_b) * np.log1p(-g_b * s)
    return np.where(b > a + margin, gain, 0.0)


def _projected(
    n_a: FloatArray, n_b: FloatArray, a: FloatArray, b: FloatArray, margin: FloatArray
) -> FloatArray:
    """Return t of the member (t, t + margin) that is nearly the nearest one to (a, b): some steps of Newton's."""
    low = np.maximum(0.0, -margin) + _EDGE / 2
    high = np.minimum(1.0, 1 - margin) - _EDGE / 2
    low, high = np.clip(a, low, high), np.clip(b - margin, low, high)
    weight_a, weight_b = n_a / (a * (1 - a)), n_b / (b * (1 - b))
    t = (weight_a * a + weight_b * (b - margin)) / np.maximum(weight_a + weight_b, 1e-300)
    for _ in range(_STEPS):
        t = np.clip(t, low, high)
        s = t + margin
        v_t, v_s = t * (1 - t), s * (1 - s)
        # The slope of the divergence, times v_t v_s, which has no poles.
        value = n_a * (t - a) * v_s + n_b * (s - b) * v_t
        slope = n_a * (v_s + (t - a) * (1 - 2 * s)) + n_b * (v_t + (s - b) * (1 - 2 * t))
        t = np.where(slope > 0, t - value / np.where(slope > 0, slope, 1.0), t)
    return np.clip(t, low, high)


def _log_ratio(n: FloatArray, bad: FloatArray, share: FloatArray, null: FloatArray) -> FloatArray:
    return np.asarray(bad * np.log(share / null) + (n - bad) * np.log((1 - share) / (1 - null)))


def _settled(bets: Bets, gain: FloatArray, block: FloatArray) -> Bets:
    """Return the state after a block: what the bets gained, a little more put in, and the block remembered."""
    wealth = bets.log_wealth.copy()
    wealth[:, :-1] += gain
    rest = 0.5 ** (block[:, CHALLENGER_N, None] / HALF)
    with np.errstate(divide="ignore"):  # nothing new is put in where there was no request
        put_in = wealth[:, -1:] + np.log((1 - rest) / gain.shape[1])
    wealth[:, :-1] = np.logaddexp(wealth[:, :-1], put_in)
    wealth[:, -1:] += np.log(rest)
    kept = np.exp(-block[:, [CHAMPION_N, CHAMPION_N, CHALLENGER_N, CHALLENGER_N]] / MEMORY)
    return Bets(wealth, bets.past * kept + block)
