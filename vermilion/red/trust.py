"""What is known of an expert before the pool is touched, and whether it is worth its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from vermilion.learn.paired import Paired, wilson

# Each bound, and each of the tests that a judgement rests on, fails with this probability.
DELTA = 0.05

Judgement = Literal["better", "unclear", "worse"]


@dataclass(frozen=True, slots=True)
class Compared:
    """Expert and head on the same labelled texts.

    Attributes
    ----------
    n : int
    expert, head : float
        Share that each had right.
    expert_only, head_only : int
        Texts that one of them alone had right.
    gain : float
        Expert minus head.
    lower, upper : float
        Of the gain, each with 95 % confidence (Newcombe 1998, paired).
    p_value : float
        Two-sided, of McNemar's exact test.
    judgement : {"better", "unclear", "worse"}
        The expert against the head, by the same test one-sided at 5 %.
    """

    n: int
    expert: float
    head: float
    expert_only: int
    head_only: int
    gain: float
    lower: float
    upper: float
    p_value: float
    judgement: Judgement

    @classmethod
    def of(cls, found: Paired) -> Self:
        """Judge from the counts.

        Examples
        --------
        >>> Compared.of(Paired(5, 3, 20, 22)).judgement, Compared.of(Paired(20, 3, 2, 25)).judgement
        ('worse', 'unclear')
        """
        judgement: Judgement = "unclear"
        if found.p_not_better() <= DELTA:
            judgement = "better"
        elif found.p_not_worse() <= DELTA:
            judgement = "worse"
        return cls(
            found.n,
            found.first,
            found.second,
            found.first_only,
            found.second_only,
            found.gain,
            *found.gain_interval(DELTA),
            found.p_value,
            judgement,
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """A share of `n` questions, with Wilson's bounds, each at 95 % confidence."""

    n: int
    count: int
    lower: float
    upper: float

    @classmethod
    def of(cls, count: int, n: int) -> Self:
        """Return the share with its bounds."""
        return cls(n, count, *wilson(count / n, n, DELTA))

    @property
    def share(self) -> float:
        """The share itself."""
        return self.count / self.n


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Another expert on the same texts.

    Attributes
    ----------
    name : str
    agreed : Counted
        Questions that both experts answered alike.
    accuracy : float
        Share that the second one had right.
    gain : float
        First expert minus second, on the same texts.
    lower, upper : float
        Of the gain.
    """

    name: str
    agreed: Counted
    accuracy: float
    gain: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class MixedUp:
    """Two labels that the expert took for each other.

    Attributes
    ----------
    label, other : str
    count : int
        Texts of either label that the expert gave the other one.
    meaning, other_meaning : str
        The label's name where it has no meaning.
    texts : tuple of str
        Some of the texts.
    """

    label: str
    other: str
    count: int
    meaning: str
    other_meaning: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """How far an expert can be trusted, measured on labelled texts whose answer is known.

    Attributes
    ----------
    expert : str
    simulated : bool
    disputed, random : Compared or None
        On the texts where the head is least sure, which are what a run asks about; on random ones.
    none : Counted or None
        Questions that held the right label, and to which the expert said "none of these".
    flips : Counted or None
        Of questions asked a second time, to the letter: those answered otherwise.
    order : Counted or None
        Of questions asked again with their options in reverse: those answered otherwise.
    second : SecondOpinion or None
    mixed_up : tuple of MixedUp
        Most frequent first.
    """

    expert: str
    simulated: bool
    disputed: Compared | None = None
    random: Compared | None = None
    none: Counted | None = None
    flips: Counted | None = None
    order: Counted | None = None
    second: SecondOpinion | None = None
    mixed_up: tuple[MixedUp, ...] = ()

    @property
    def n(self) -> int:
        """Labelled texts that the expert answered."""
        return sum(part.n for part in (self.disputed, self.random) if part is not None)

    @property
    def judgement(self) -> Judgement:
        """The expert against the head on the disputed texts: better, worse, or too few texts to tell."""
        return "unclear" if self.disputed is None else self.disputed.judgement

    @property
    def advises_against(self) -> bool:
        """Whether the expert does not beat the head where it matters, be that proven or not."""
        return self.disputed is not None and self.disputed.gain <= 0

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types; what was not measured is None."""
        return {**asdict(self), "n": self.n, "judgement": self.judgement}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore what `as_json` gave.

        Examples
        --------
        >>> trust = Trust("oracle", True, None, Compared.of(Paired(9, 0, 1, 0)), flips=Counted.of(0, 10))
        >>> Trust.from_json(trust.as_json()) == trust
        True
        """
        parts = {name: _restored(kind, value[name]) for name, kind in PARTS.items()}
        second = value["second"]
        if second is not None:
            second = SecondOpinion(**{**second, "agreed": Counted(**second["agreed"])})
        mixed_up = tuple(MixedUp(**{**pair, "texts": tuple(pair["texts"])}) for pair in value["mixed_up"])
        return cls(value["expert"], value["simulated"], **parts, second=second, mixed_up=mixed_up)


PARTS: dict[str, type[Compared] | type[Counted]] = {
    "disputed": Compared,
    "random": Compared,
    "none": Counted,
    "flips": Counted,
    "order": Counted,
}


def _restored(kind: type[Compared] | type[Counted], value: Mapping[str, Any] | None) -> Any:
    return None if value is None else kind(**value)


def tolerable(trust: Trust) -> bool:
    """Tell whether a run may go on though nobody was asked: unless the expert is proven to do worse than the head."""
    return trust.judgement != "worse"


def advice(trust: Trust) -> str:
    """Return in one sentence whether the expert is worth its price, as far as the report can tell.

    Examples
    --------
    >>> apart = Compared.of(Paired(5, 3, 20, 22))
    >>> advice(Trust("oracle", True, apart))
    'where the head is least sure, the expert is right on 16 % of 50 labelled texts, the head on 50 %: it does worse
    than the head, so its answers are not worth buying'
    """
    found, where = (
        (trust.disputed, "where the head is least sure, ") if trust.disputed else (trust.random, "")
    )
    if found is None:
        return "the expert answered no labelled text"
    told = f"{where}the expert is right on {found.expert:.0%} of {found.n} labelled texts, the head on {found.head:.0%}"
    return f"{told.replace('%', ' %')}: {_conclusion(trust, found)}"


def _conclusion(trust: Trust, found: Compared) -> str:
    if trust.judgement == "worse":
        return "it does worse than the head, so its answers are not worth buying"
    if found.gain <= 0:
        return "it does not beat the head, so its answers may not be worth buying; too few texts to be sure"
    if trust.judgement == "unclear":
        return "it seems better than the head, but so few texts are no proof"
    return "it beats the head"
