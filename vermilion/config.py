"""One place for the settings of a run, their defaults and what they may be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any, Literal

from vermilion.errors import InputError
from vermilion.types import QuestionKind

HEAD_CHOICES = ("auto", "flat", "subset", "centroid")
TASK_CHOICES = ("auto", "binary", "multi-class", "multi-label", "pairs", "hierarchical")
IMBALANCE_CHOICES = ("auto", "none", "weights", "oversample", "undersample", "smote")
UNCERTAINTY_CHOICES = ("margin", "entropy", "least-confidence", "committee")
TRUST_CHOICES = ("stop", "warn", "off")


@dataclass(frozen=True, slots=True)
class Caps:
    """What a run may spend in all; None: no cap."""

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None

    def check(self) -> None:
        """Raise InputError where a cap is not a number from 0."""
        for option, cap in (("--max-calls", self.max_calls), ("--max-tokens", self.max_tokens)):
            if cap is not None:
                _whole(option, cap, 0)
        if self.max_cost is not None:
            _within("--max-cost", self.max_cost, (0, math.inf), "US dollars from 0")


@dataclass(frozen=True, slots=True)
class Worth:
    """What more questions must be expected to buy: percentage points of agreement, for 100 calls or for a dollar."""

    points: float
    per: Literal["100 calls", "dollar"] = "100 calls"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """All that steers a run besides its data. What `identity` leaves out may change when a run is continued.

    Attributes
    ----------
    candidates : int or "auto"
        Options of a `choose` question; "auto": as many as hold 98 % of the probability, from 3 to 20 (50
        beyond 500 labels).
    names, pool : bool
        Whether label names, and the open texts as a whole, may be learned from: where they help on labelled texts
        held out.
    target : float
        Agreement with the expert to certify; the run stops once it is certified.
    confidence : float
        Of the certificate: its bound fails with probability at most 1 - confidence.
    trust : {"stop", "warn", "off"}
        What follows where the expert does worse than the head on labelled texts; "off" asks it none.
    second_expert : str or None
        Another model that answers the same labelled texts.
    out_of_scope : float or None
        Texts that look foreign to all labels get none; the share of texts in scope to which that may happen.
        None: a text gets no label only where the expert refused them all.
    worth : Worth or None
        The run stops once its next questions are expected to buy less.
    task : str
        One of TASK_CHOICES; "auto" infers it from the data.
    """

    encoder: str = "minilm"
    head: Literal["auto", "flat", "subset", "centroid"] = "auto"
    subset_size: int = 10
    umap: bool = False
    expert: str = "none"
    expert_error: float = 0.0
    base_url: str | None = None
    ask: QuestionKind = "choose"
    candidates: int | Literal["auto"] = "auto"
    uncertainty: str = "margin"
    names: bool = True
    pool: bool = True
    target: float = 0.95
    confidence: float = 0.95
    out_of_scope: float | None = None
    rounds: int = 20
    seed: int = 0
    trust: Literal["stop", "warn", "off"] = "stop"
    second_expert: str | None = None
    worth: Worth | None = None
    caps: Caps = Caps()
    task: str = "auto"

    def identity(self) -> dict[str, Any]:
        """Return the settings that make two runs the same run."""
        free = {"task", "caps", "rounds", "target", "base_url", "trust", "second_expert", "worth"}
        kept = {name: value for name, value in asdict(self).items() if name not in free}
        # A run with several labels a text asks otherwise; all others are told by their data.
        return kept | ({"task": self.task} if self.task == "multi-label" else {})

    def checked(self) -> RunSettings:
        """Return the settings themselves, each of them within its bounds.

        Raises
        ------
        InputError
            Names the option, what it may be and what came.

        Examples
        --------
        >>> RunSettings(rounds=0).checked()
        Traceback (most recent call last):
        vermilion.errors.InputError: --rounds: expected a whole number from 1, found 0; give another value
        """
        _one_of("--task", self.task, TASK_CHOICES)
        _one_of("--head", self.head, HEAD_CHOICES)
        _one_of("--ask", self.ask, ("choose", "validate"))
        _one_of("--uncertainty", self.uncertainty, UNCERTAINTY_CHOICES)
        _one_of("--trust", self.trust, TRUST_CHOICES)
        _whole("--subset-size", self.subset_size, 2)
        _whole("--rounds", self.rounds, 1)
        _whole("--seed", self.seed, 0)
        if self.candidates != "auto":
            _whole("--candidates", self.candidates, 1, "auto or ")
        _within("--expert-error", self.expert_error, (0, 1), "a share from 0 to 1")
        _within("--target", self.target, (0, 1), "a share from 0 to 1")
        _within("--confidence", self.confidence, (0.5, 0.999), "a share from 0.5 to 0.999")
        if self.out_of_scope is not None:
            check_out_of_scope(self.out_of_scope)
        if self.worth is not None:
            _within("--worth", self.worth.points, (0, 100), "percentage points from 0 to 100")
        self.caps.check()
        return self


@dataclass(frozen=True, slots=True)
class Goal:
    """What a threshold on a probability is to be good for.

    Attributes
    ----------
    by : {"auto", "f1", "cost", "precision", "recall", "fixed"}
        "auto" is F1 where there are examples enough to tell, else 0.5.
    value : float
        The wanted precision or recall, the cost of a false positive, or the fixed threshold.
    other : float
        The cost of a false negative.
    """

    by: Literal["auto", "f1", "cost", "precision", "recall", "fixed"] = "auto"
    value: float = 0.5
    other: float = 1.0

    @classmethod
    def parse(cls, given: str) -> Goal:
        """Return what `auto`, `f1`, `cost:FP,FN`, `precision:P`, `recall:R` or a number asks for.

        Raises
        ------
        InputError
            It is none of these, or a number is out of its bounds.

        Examples
        --------
        >>> Goal.parse("cost:1,5")
        Goal(by='cost', value=1.0, other=5.0)
        """
        kind, _, rest = given.partition(":")
        try:
            if given in ("auto", "f1"):
                return cls(given)  # type: ignore[arg-type]
            if kind == "cost":
                positive, negative = (float(part) for part in rest.split(","))
                if 0 < positive < math.inf and 0 < negative < math.inf:
                    return cls("cost", positive, negative)
            elif (share := float(rest if kind in ("precision", "recall") else given)) <= 1 and share >= 0:
                return cls(kind if kind in ("precision", "recall") else "fixed", share)  # type: ignore[arg-type]
        except ValueError:
            pass
        forms = "auto, f1, cost:FP,FN, precision:P, recall:R or a number from 0 to 1"
        raise InputError(forms, repr(given), "--threshold", "give one of them")

    def __str__(self) -> str:
        if self.by in ("auto", "f1"):
            return self.by
        if self.by == "cost":
            return f"cost:{self.value:g},{self.other:g}"
        return f"{self.value:g}" if self.by == "fixed" else f"{self.by}:{self.value:g}"


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """All that steers learning from labelled texts alone.

    Attributes
    ----------
    task : str
        One of TASK_CHOICES; "auto" infers it from the data.
    imbalance : str
        One of IMBALANCE_CHOICES; what is done about rare labels.
    threshold : str
        See `Goal.parse`; of the positive label of two, or of each label where a text may have several.
    positive : str or None
        Of two labels the one that the threshold is about; None: the rarer one.
    """

    encoder: str = "minilm"
    head: str = "auto"
    task: str = "auto"
    imbalance: str = "auto"
    threshold: str = "auto"
    positive: str | None = None
    seed: int = 0
    base_url: str | None = None

    @property
    def goal(self) -> Goal:
        """What the threshold is to be good for."""
        return Goal.parse(self.threshold)

    def checked(self) -> TrainSettings:
        """Return the settings themselves, each of them within its bounds.

        Raises
        ------
        InputError
            Names the option, what it may be and what came.
        """
        _one_of("--task", self.task, TASK_CHOICES)
        _one_of("--imbalance", self.imbalance, IMBALANCE_CHOICES)
        _whole("--seed", self.seed, 0)
        Goal.parse(self.threshold)
        return self


def check_out_of_scope(rate: object) -> None:
    """Raise InputError where a rate of false alarms is not a share that makes sense."""
    _within("--out-of-scope", rate, (0, 0.5), "a share from 0 to 0.5")


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"one of {', '.join(choices)}", repr(value), option, "give one of them")


def _whole(option: str, value: object, least: int, before: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{before}a whole number from {least}", str(value), option, "give another value")


def _within(option: str, value: object, bounds: tuple[float, float], expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not bounds[0] <= float(value) <= bounds[1]:
        raise InputError(expected, str(value), option, "give another value")
