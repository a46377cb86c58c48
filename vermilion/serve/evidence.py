"""What speaks for and against a challenger so far: each question of a rollout as two tests, grown look by look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vermilion.learn.sequential import Bets, compare, compare_to_limit, difference_bounds, turned
from vermilion.types import FloatArray
from vermilion.world.rollout import Arm, Metric, Rollout, Totals

# Differences between the arms for which an A/B test asks whether the true one is larger or smaller.
_STEPS = np.geomspace(0.0005, 1.0, 50)
DELTAS: FloatArray = np.concatenate([-_STEPS[::-1], [0.0], _STEPS])


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked of a challenger.

    Attributes
    ----------
    name : str
        A metric; or "paired": of the disagreements that feedback settled in favour of one of the two, the share in
        which that was the champion.
    worse : float
        It counts against the challenger where its share is over the champion's by more than this, or over this.
    better : float
        It counts for the challenger where its share is over the champion's by less than this, or under this.
    alone : bool
        Whether the challenger's share is compared with a number instead of the champion's share.
    needed : bool
        Whether success needs it.
    """

    name: str
    worse: float
    better: float
    alone: bool
    needed: bool


def questions(rollout: Rollout) -> tuple[Question, ...]:
    """Return what is asked in a rollout, comparisons of the arms first."""
    plan = rollout.plan
    found = [
        Question(metric, limit.slack, limit.margin, alone=False, needed=limit.needed)
        for metric, limit in plan.limits.items()
    ]
    if plan.disagreement is not None:
        found.append(Question("disagree", plan.disagreement, plan.disagreement, alone=True, needed=True))
    if rollout.kind == "shadow":
        found.append(Question("paired", 0.5, 0.5, alone=True, needed=plan.disagreement is None))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted since a rollout began.

    Attributes
    ----------
    totals : mapping of (arm, metric) to (requests, bad ones)
    champion_right, challenger_right : int
        Disagreements that feedback settled in favour of one.
    seconds : float
        Time in service.
    """

    totals: Totals
    champion_right: int = 0
    challenger_right: int = 0
    seconds: float = 0.0

    def of(self, arm: Arm, metric: Metric) -> tuple[int, int]:
        """Return requests and bad ones."""
        return self.totals.get((arm, metric), (0, 0))

    def requests(self) -> tuple[int, int]:
        """Return the requests of champion and challenger: each is counted as an error or none."""
        return self.of("champion", "error")[0], self.of("challenger", "error")[0]

    def row(self, question: Question) -> list[int]:
        """Return a question's counts in the order of a block of `compare`."""
        if question.name == "paired":
            return [0, 0, self.champion_right + self.challenger_right, self.champion_right]
        metric: Metric = question.name  # type: ignore[assignment]
        return [*self.of("champion", metric), *self.of("challenger", metric)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The tests of a rollout as they stand.

    Attributes
    ----------
    worse, better : Bets
        A test for each question: against "no worse than by `worse`", and against "worse by `better` or more".
    counted : ndarray of float, shape (questions, 4)
        What the tests have seen.
    step, began : int, tuple of int
        The rollout's step, and the requests of champion and challenger when it began.
    above, below : Bets or None
        Of an A/B test: for each comparison of the arms and each of DELTAS, whether the difference is larger, smaller.
    """

    worse: Bets
    better: Bets
    counted: FloatArray
    step: int = 0
    began: tuple[int, int] = (0, 0)
    above: Bets | None = None
    below: Bets | None = None
    asked: tuple[Question, ...] = field(default=())

    @classmethod
    def none(cls, rollout: Rollout) -> Evidence:
        """Return what is known before the first request."""
        asked = questions(rollout)
        n = len(asked)
        counted = np.zeros((n, 4))
        if rollout.kind != "ab":
            return cls(Bets.none(n), Bets.none(n), counted, asked=asked)
        many = Bets.none(sum(not one.alone for one in asked) * len(DELTAS))
        return cls(Bets.none(n), Bets.none(n), counted, above=many, below=many, asked=asked)

    def grown(self, rollout: Rollout, seen: Seen) -> Evidence:
        """Return what is known after a look: what was counted since the last one is a block of each test."""
        totals = np.array([seen.row(one) for one in self.asked], dtype=np.float64)
        # Sums only grow; were a row taken out by hand, it is better to wait than to bet on less than nothing.
        block = np.maximum(totals - self.counted, 0)
        block[:, [1, 3]] = np.minimum(block[:, [1, 3]], block[:, [0, 2]])
        limits = np.array([[one.worse, one.better] for one in self.asked])
        began = self.began if rollout.step == self.step else seen.requests()
        worse, better = self._bet(block, limits)
        return Evidence(
            worse,
            better,
            np.maximum(totals, self.counted),
            rollout.step,
            began,
            _bet_on_each(self.above, block, DELTAS),
            _bet_on_each(self.below, turned(block), -DELTAS),
            self.asked,
        )

    def _bet(self, block: FloatArray, limits: FloatArray) -> tuple[Bets, Bets]:
        """Bet on both sides of each question at once: bad ones that are too many, and good ones."""
        n, arms = len(self.asked), sum(not one.alone for one in self.asked)
        both = _joined(self.worse, self.better)
        sides = np.concatenate([block, turned(block)])
        first, rest = np.r_[:arms, n : n + arms], np.r_[arms:n, n + arms : 2 * n]
        margins = np.concatenate([limits[:arms, 0], -limits[:arms, 1]])
        edges = np.concatenate([limits[arms:, 0], 1 - limits[arms:, 1]])
        wealth, past = both.log_wealth, both.past
        for places, test, against in ((first, compare, margins), (rest, compare_to_limit, edges)):
            if len(places):
                found = test(Bets(both.log_wealth[places], both.past[places]), sides[places], against)
                wealth[places], past[places] = found.log_wealth, found.past
        return Bets(wealth[:n], past[:n]), Bets(wealth[n:], past[n:])

    def in_step(self, seen: Seen) -> int:
        """Return the requests that the arm with fewer has had since the step began."""
        return min(now - then for now, then in zip(seen.requests(), self.began, strict=True))

    def difference(self, name: str, alpha: float) -> tuple[float, float] | None:
        """Return an A/B test's interval of the challenger's share less the champion's; None of other rollouts."""
        names = [one.name for one in self.asked if not one.alone]
        if self.above is None or self.below is None or name not in names:
            return None
        place = slice(names.index(name) * len(DELTAS), (names.index(name) + 1) * len(DELTAS))
        return difference_bounds(
            DELTAS, self.above.log_evidence[place], self.below.log_evidence[place], alpha
        )

    def dumps(self) -> str:
        """Return it as JSON."""
        told = {
            name: None if bets is None else [np.round(bets.log_wealth, 9).tolist(), bets.past.tolist()]
            for name, bets in self._bets().items()
        }
        return json.dumps(told | {"counted": self.counted.tolist(), "step": self.step, "began": self.began})

    @classmethod
    def loads(cls, text: str, rollout: Rollout) -> Evidence:
        """Return what `dumps` gave."""
        told = json.loads(text)
        bets = {
            name: None
            if told[name] is None
            else Bets(*(np.array(part, dtype=np.float64) for part in told[name]))
            for name in ("worse", "better", "above", "below")
        }
        counted, began = (
            np.array(told["counted"], dtype=np.float64),
            (int(told["began"][0]), int(told["began"][1])),
        )
        return cls(**bets, counted=counted, step=told["step"], began=began, asked=questions(rollout))  # type: ignore[arg-type]

    def _bets(self) -> Mapping[str, Bets | None]:
        return {"worse": self.worse, "better": self.better, "above": self.above, "below": self.below}


def _joined(one: Bets, other: Bets) -> Bets:
    return Bets(np.concatenate([one.log_wealth, other.log_wealth]), np.concatenate([one.past, other.past]))


def _bet_on_each(bets: Bets | None, block: FloatArray, deltas: FloatArray) -> Bets | None:
    """Bet on the first questions, those that compare arms, for each of the deltas."""
    if bets is None:
        return None
    arms = len(bets.past) // len(deltas)
    return compare(bets, np.repeat(block[:arms], len(deltas), axis=0), np.tile(deltas, arms))
