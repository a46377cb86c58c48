"""When another round is no longer worth its questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import cohen_kappa_score

from vermilion.types import IntArray


@dataclass(frozen=True, slots=True)
class Progress:
    """What the stopping rules look at after one round's fit.

    Attributes
    ----------
    uncertain : int
        Open pool rows whose margin is small.
    asked, confirmed, corrected : int
        In the round before: questions answered; those that gave a label; those answered otherwise than
        the head proposed.
    kappa : float or None
        Agreement of this model with the one before on the stop set.
    """

    uncertain: int
    asked: int
    confirmed: int
    corrected: int
    kappa: float | None


Rule = Callable[[Sequence[Progress]], bool]


def model_kappa(before: IntArray, after: IntArray) -> float:
    """Return Cohen's kappa between two models' labels of the same texts; 1 where all labels are the same.

    Bloodgood and Vijay-Shanker (2009) stop active learning when it stays at 0.99 over three rounds.

    Examples
    --------
    >>> model_kappa(np.array([0, 1, 1]), np.array([0, 1, 1]))
    1.0
    """
    if np.array_equal(before, after):
        return 1.0
    return float(cohen_kappa_score(before, after))


def nothing_confirmed(history: Sequence[Progress]) -> bool:
    """Tell whether the last round asked and got no label at all."""
    return bool(history) and history[-1].asked > 0 and history[-1].confirmed == 0


def few_corrected(history: Sequence[Progress], rounds: int, share: float) -> bool:
    """Tell whether the head was right on all but `share` of the texts asked about, `rounds` rounds running.

    Examples
    --------
    >>> calm = Progress(uncertain=10, asked=100, confirmed=100, corrected=0, kappa=None)
    >>> few_corrected([calm], 2, 0.01), few_corrected([calm, calm], 2, 0.01)
    (False, True)
    """
    recent = [p for p in history if p.asked][-rounds:]
    return len(recent) == rounds and all(p.corrected <= share * p.asked for p in recent)


def nothing_corrected(history: Sequence[Progress]) -> bool:
    """Tell whether the head was right on 99 % of the hardest texts, two rounds running."""
    return few_corrected(history, 2, 0.01)


def stable(history: Sequence[Progress], rounds: int = 3, kappa: float = 0.99) -> bool:
    """Tell whether successive models have agreed at `kappa` or more, `rounds` rounds running."""
    recent = [p.kappa for p in history][-rounds:]
    return len(recent) == rounds and all(k is not None and k >= kappa for k in recent)


def inflected(history: Sequence[Progress], rounds: int = 2) -> bool:
    """Tell whether the count of uncertain texts has stopped falling by more than the texts that were asked.

    While a head learns, each answer settles further texts. Once the count falls by no more than was asked
    away, or rises, `rounds` rounds running, an answer teaches nothing about other texts: the curve's
    inflection.

    Examples
    --------
    >>> fall = [Progress(count, 50, 50, 9, None) for count in (900, 700, 560, 520, 480)]
    >>> inflected(fall[:3]), inflected(fall)
    (False, True)
    """
    if len(history) <= rounds + 1:
        return False
    pairs = list(zip(history[-rounds - 1 :], history[-rounds:], strict=False))
    return all(before.uncertain - after.uncertain <= after.asked for before, after in pairs)


def at_rest(rule: Rule, share: float = 0.05) -> Rule:
    """Let a rule count only where the expert hardly corrects the head any more.

    A model that has come to rest may still be wrong on the texts it is unsure of; each correction of one is a
    gain of its own, even where nothing else is learned from it.
    """
    return lambda history: rule(history) and few_corrected(history, 1, share)


RULES: dict[str, Rule] = {
    "nothing confirmed": nothing_confirmed,
    "no gain": nothing_corrected,
    "inflection": at_rest(inflected),
    "kappa": at_rest(stable),
}


def met(history: Sequence[Progress]) -> tuple[str, ...]:
    """Return the names of all rules that hold now, the most telling first."""
    return tuple(name for name, rule in RULES.items() if rule(history))
