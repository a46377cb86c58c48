"""How fast an encoder is, on the user's own texts, and what a text costs where it is paid for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import numpy as np

from vermilion.types import Encoder, FloatArray

WARM_UP, FIRST = 16, 48
# Timed in so many turns, which take so many seconds together, with no more texts than these.
TURNS, SECONDS, MOST = 5, 5.0, 20_000


@dataclass(frozen=True, slots=True)
class Speed:
    """Texts a second in each turn, over how many texts.

    Attributes
    ----------
    rates : tuple of float
    texts : int
    tokens : float or None
        Billed tokens a text, where an endpoint told.
    cores : float or None
        How many cores were at work on average: far below one, the machine had other work and the speed says little.
    """

    rates: tuple[float, ...]
    texts: int
    tokens: float | None = None
    cores: float | None = None

    @property
    def rate(self) -> float:
        """The median turn's texts a second."""
        return float(median(self.rates))


def measure_speed(
    encoder: Encoder, texts: Sequence[str], keep: Callable[[Sequence[str], FloatArray], None]
) -> Speed:
    """Encode texts in turns and time each; `keep` gets every text's vector, so that none is paid for twice."""
    tokens, began, worked = getattr(encoder, "tokens", None), perf_counter(), process_time()
    keep(texts[:WARM_UP], encoder.encode(texts[:WARM_UP]))
    first = _timed(encoder, texts[WARM_UP : WARM_UP + FIRST] or texts, keep)
    rest = texts[WARM_UP + FIRST :][: min(round(first * SECONDS), MOST)]
    turns = [turn.tolist() for turn in np.array_split(np.array(rest, dtype=object), TURNS) if len(turn)]
    rates = tuple(_timed(encoder, turn, keep) for turn in turns) if len(rest) >= TURNS * FIRST else (first,)
    seen = min(WARM_UP + FIRST, len(texts)) + (len(rest) if len(rates) > 1 else 0)
    paid = None if not tokens else (encoder.tokens - tokens) / seen  # type: ignore[attr-defined]
    cores = (process_time() - worked) / max(perf_counter() - began, 1e-9)
    return Speed(rates, seen, paid, None if paid is not None else cores)


def _timed(
    encoder: Encoder, texts: Sequence[str], keep: Callable[[Sequence[str], FloatArray], None]
) -> float:
    began = perf_counter()
    vectors = encoder.encode(texts)
    seconds = perf_counter() - began
    keep(texts, vectors)
    return len(texts) / max(seconds, 1e-9)


def cost_per_million(speed: Speed, token_price: float | None, hourly_price: float | None) -> float | None:
    """Return US dollars for a million texts like these; None where no price applies.

    Parameters
    ----------
    speed : Speed
    token_price : float or None
        US dollars per million tokens of the endpoint's model.
    hourly_price : float or None
        US dollars per hour of the machine, for an encoder that runs on it.

    Examples
    --------
    >>> cost_per_million(Speed((100.0,), 500, tokens=15.0), 0.02, None)
    0.3
    >>> round(cost_per_million(Speed((100.0,), 500), None, 0.36), 2)
    1.0
    """
    if speed.tokens is not None:
        return None if token_price is None else speed.tokens * token_price
    return None if hourly_price is None else 1e6 / speed.rate / 3600 * hourly_price
