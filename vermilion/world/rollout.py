"""A rollout: a challenger tried beside a champion, and which of the two a request belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Literal, get_args

from vermilion.errors import InputError

Kind = Literal["shadow", "canary", "ab"]
Arm = Literal["champion", "challenger"]
State = Literal["running", "successful", "failed", "inconclusive", "stopped"]
# error: the request failed. slow: it took longer than the plan allows. wrong: feedback named another label.
# disagree: both were asked, and the challenger's answer was another than the champion's.
Metric = Literal["error", "slow", "wrong", "disagree"]
METRICS: tuple[Metric, ...] = get_args(Metric)
KINDS: tuple[Kind, ...] = get_args(Kind)
_WHOLE = 1 << 64


@dataclass(frozen=True, slots=True)
class Limit:
    """How much worse the challenger may be, as a difference of two shares of requests.

    Attributes
    ----------
    margin : float
        It is promoted only once it is shown to be worse by less than this.
    slack : float
        It is taken back once it is shown to be worse by more than this.
    needed : bool
        Whether it is only promoted once that is shown; if not, this one can only take it back.
    """

    margin: float
    slack: float = 0.0
    needed: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.slack < self.margin <= 1:
            raise InputError(
                "0 <= slack < margin <= 1",
                f"slack {self.slack}, margin {self.margin}",
                "limit",
                "give others",
            )


def _limits() -> dict[Metric, Limit]:
    return {"error": Limit(0.02), "slow": Limit(0.05), "wrong": Limit(0.05, needed=False)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried, and by what it is judged.

    Attributes
    ----------
    shares : tuple of float
        Of the keys that the challenger answers, step by step, rising; of a shadow, the share that it sees.
    least : tuple of int
        Requests that each arm must have answered within a step before the next one, or the verdict of success.
    limits : mapping of metric to Limit
        What is compared between the arms.
    alpha : float
        Chance that a challenger that is no worse is taken back, and that one that is worse by a margin is promoted.
    slow_ms : float
        A request that takes longer is slow.
    both : float
        Of the keys for which both are asked, although one answers, so that their answers can be compared.
    disagreement : float, optional
        Largest share of answers that may differ; None: any.
    most_requests, most_seconds : float
        The rollout ends as inconclusive after so many requests of both arms, or so much time in service.
    gross : int
        A challenger whose first so many requests all fail is taken back at once.
    """

    shares: tuple[float, ...] = (0.05, 0.25, 0.5)
    least: tuple[int, ...] = (30, 100, 200)
    limits: Mapping[Metric, Limit] = field(default_factory=_limits)
    alpha: float = 0.05
    slow_ms: float = 1000.0
    both: float = 0.0
    disagreement: float | None = None
    most_requests: int = 200_000
    most_seconds: float = 7 * 86_400.0
    gross: int = 20

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise((0.0, *self.shares))) and self.shares[-1:] <= (1.0,)
        _check(bool(self.shares) and rising, "rising shares between 0 and 1", self.shares, "shares")
        _check(len(self.least) == len(self.shares), "as many as shares", self.least, "least")
        _check(all(n >= 1 for n in self.least), "whole numbers from 1", self.least, "least")
        _check(0 < self.alpha <= 0.5, "a number over 0, at most 0.5", self.alpha, "alpha")
        _check(0 < self.slow_ms < float("inf"), "milliseconds over 0", self.slow_ms, "slow_ms")
        _check(0 <= self.both <= 1, "a share", self.both, "both")
        _check(
            self.disagreement is None or 0 < self.disagreement < 1,
            "a share",
            self.disagreement,
            "disagreement",
        )
        _check(
            self.most_requests >= sum(self.least), "enough for all steps", self.most_requests, "most_requests"
        )
        _check(self.most_seconds > 0, "seconds over 0", self.most_seconds, "most_seconds")
        _check(self.gross >= 1, "a whole number from 1", self.gross, "gross")
        _check(
            set(self.limits) <= set(METRICS) - {"disagree"}, "error, slow, wrong", set(self.limits), "limits"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return asdict(self) | {"limits": {name: asdict(limit) for name, limit in self.limits.items()}}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Plan:
        """Return the plan that `as_dict` gave."""
        limits = {name: Limit(**limit) for name, limit in given["limits"].items()}
        lists = {name: tuple(given[name]) for name in ("shares", "least")}
        return cls(**{**given, **lists, "limits": limits})


def _check(fine: bool, expected: str, found: object, where: str) -> None:
    if not fine:
        raise InputError(expected, str(found), where, "give another value")


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout as it stands. All that routes a request is in here, so that every worker routes it alike.

    Attributes
    ----------
    id : int
    name : str
        Whose versions they are.
    kind : {"shadow", "canary", "ab"}
    champion, challenger : int
        Numbers of versions of the name.
    plan : Plan
    epoch : str
        Decides, with a key, on the arm: another rollout has other keys in its first step.
    step : int
        From 0; which of the plan's shares holds.
    state : {"running", "successful", "failed", "inconclusive", "stopped"}
        Only a running one gives the challenger anything to do, and no other state is ever left.
    started_at : str
        ISO 8601 in UTC.
    ended_at : str
        Empty while it runs.
    why : str
        Why it ended, or why it was started.

    Examples
    --------
    >>> rollout = Rollout(1, "intents", "canary", 3, 4, Plan(), "intents/1", started_at="2026-11-22T00:00:00+00:00")
    >>> arms = [rollout.arm(f"request {i}") for i in range(10_000)]
    >>> arms.count("challenger")
    487
    >>> from dataclasses import replace
    >>> further = replace(rollout, step=1)
    >>> all(further.arm(f"request {i}") == "challenger" for i, arm in enumerate(arms) if arm == "challenger")
    True
    """

    id: int
    name: str
    kind: Kind
    champion: int
    challenger: int
    plan: Plan
    epoch: str
    step: int = 0
    state: State = "running"
    started_at: str = ""
    ended_at: str = ""
    why: str = ""

    @property
    def share(self) -> float:
        """Of the keys that belong to the challenger now."""
        return self.plan.shares[self.step] if self.state == "running" else 0.0

    @property
    def references(self) -> dict[Arm, str]:
        """What the registry calls the two versions."""
        return {"champion": f"{self.name}@{self.champion}", "challenger": f"{self.name}@{self.challenger}"}

    def arm(self, key: str) -> Arm:
        """Return who answers a request with this key: of a shadow, always the champion."""
        if self.kind == "shadow" or self.state != "running":
            return "champion"
        return "challenger" if self._place(key, "arm") < self.share else "champion"

    def asks_both(self, key: str) -> bool:
        """Tell whether the one that does not answer is asked, too, to compare its answer."""
        if self.state != "running":
            return False
        if self.kind == "shadow":
            return self._place(key, "arm") < self.share
        return self.plan.both > 0 and self._place(key, "both") < self.plan.both

    def _place(self, key: str, what: str) -> float:
        """Return a key's place between 0 and 1; for each `what` an independent one."""
        # A lone surrogate is no reason to fail a request.
        told = f"{self.epoch}\0{what}\0{key}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(told, digest_size=8).digest(), "big") / _WHOLE


@dataclass(frozen=True, slots=True)
class Count:
    """Of so many requests, so many were bad."""

    arm: Arm
    metric: Metric
    n: int
    bad: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A request that champion and challenger answered differently; `right` is what feedback says, if it has."""

    decision: str
    champion: str
    challenger: str
    right: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm answered, by the decision's id, so that feedback on it can be counted; see `one_label`."""

    decision: str
    arm: Arm
    label: str


def one_label(labels: Iterable[str]) -> str:
    """Return labels as one string: equal where the same labels were meant, in whatever order.

    Examples
    --------
    >>> one_label(["refund", "fee"]) == one_label(["fee", "refund"]), one_label(["fee"]), one_label([])
    (True, 'fee', '')
    """
    return "\x1f".join(sorted(set(labels)))


Totals = Mapping[tuple[Arm, Metric], tuple[int, int]]
"""Of each arm and metric, (requests, bad ones) since the rollout began."""
