"""What a rollout comes to: go on, take the next step, promote, take back; from what was counted, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vermilion.learn.sequential import share_bounds
from vermilion.serve.evidence import Evidence, Question, Seen
from vermilion.world.rollout import Arm, Kind, Rollout

Action = Literal["wait", "advance", "successful", "failed", "inconclusive", "stopped"]
WORDS = {
    "error": "failed requests",
    "slow": "slow requests",
    "wrong": "answers that feedback calls wrong",
    "disagree": "answers that differ from the champion's",
    "paired": "settled disagreements in which the champion was right",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done now, and why, in a line."""

    action: Action
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One question as it stands.

    Attributes
    ----------
    name : str
        A metric, or "paired".
    champion, challenger : tuple of int
        Requests, and bad ones.
    bounds : dict of str to (float, float)
        Of each arm that had requests, an interval of its share that holds at all looks together.
    difference : tuple of float or None
        Of an A/B test, such an interval of the challenger's share less the champion's.
    worse, better : float
        Evidence against the challenger, and for it; what is needed stands in `worse_needed` and `better_needed`.
    """

    name: str
    champion: tuple[int, int]
    challenger: tuple[int, int]
    bounds: dict[str, tuple[float, float]]
    difference: tuple[float, float] | None
    worse: float
    worse_needed: float
    better: float
    better_needed: float | None


def judge(rollout: Rollout, evidence: Evidence, seen: Seen) -> tuple[Evidence, Verdict]:
    """Take what was counted since the last look, and say what is to be done.

    Pure: the same counts at the same looks give the same verdict on every machine. It may be called as often as one
    likes; the chance of taking back a challenger that is no worse, in all looks and steps and by all questions
    together, is at most `plan.alpha`, and so is that of promoting one that is worse by a margin.
    """
    evidence = evidence.grown(rollout, seen)
    for look in (_gross, _JUDGES[rollout.kind], _over):
        if verdict := look(rollout, evidence, seen):
            if verdict.action == "advance":
                evidence = replace(evidence, step=rollout.step + 1, began=seen.requests())
            return evidence, verdict
    return evidence, Verdict("wait", "")


def findings(rollout: Rollout, evidence: Evidence, seen: Seen) -> list[Finding]:
    """Return how each question stands, for people to read."""
    alpha, found = rollout.plan.alpha, []
    for place, one in enumerate(evidence.asked):
        n_a, bad_a, n_b, bad_b = (int(number) for number in seen.row(one))
        arms: dict[Arm, tuple[int, int]] = {"champion": (n_a, bad_a), "challenger": (n_b, bad_b)}
        found.append(
            Finding(
                one.name,
                arms["champion"],
                arms["challenger"],
                {arm: share_bounds(bad, n, alpha) for arm, (n, bad) in arms.items() if n},
                evidence.difference(one.name, alpha),
                _finite(evidence.worse.log_evidence[place]),
                len(evidence.asked) / alpha,
                _finite(evidence.better.log_evidence[place]),
                1 / alpha if one.needed else None,
            )
        )
    return found


def _gross(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    """Trip where nothing of the challenger's works at all, with or without a champion's request to compare with."""
    n, bad = seen.of("challenger", "error")
    beside, bad_beside = seen.of("champion", "error")
    if n >= rollout.plan.gross and bad == n and 2 * bad_beside < max(beside, 1):
        return Verdict("failed", f"all of the challenger's first {n} requests failed")
    return None


def _worse(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    """Take back where the mean of the evidence reaches 1 / alpha: a mean of fair games is one, however they depend."""
    found = evidence.worse.log_evidence
    if np.logaddexp.reduce(found) - np.log(len(found)) < np.log(1 / rollout.plan.alpha):
        return None
    most = int(np.argmax(found))
    return Verdict("failed", f"more {_shares(evidence.asked[most], seen)}")


def _canary(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    if verdict := _worse(rollout, evidence, seen):
        return verdict
    plan, requests = rollout.plan, evidence.in_step(seen)
    if requests < plan.least[rollout.step]:
        return None
    if rollout.step + 1 < len(plan.shares):
        share = plan.shares[rollout.step + 1]
        return Verdict("advance", f"{requests:,} requests of each at {rollout.share:.0%}; on to {share:.0%}")
    return _good(rollout, evidence, seen)


def _shadow(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    if verdict := _worse(rollout, evidence, seen):
        return verdict
    enough = evidence.in_step(seen) >= rollout.plan.least[rollout.step]
    return _good(rollout, evidence, seen) if enough else None


def _ab(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    return None


def _good(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    """Success is what each question that needs to be is answered well; each test may err with alpha by itself."""
    needed = [place for place, one in enumerate(evidence.asked) if one.needed]
    if not needed or (evidence.better.log_evidence[needed] < np.log(1 / rollout.plan.alpha)).any():
        return None
    told = "; ".join(_shares(evidence.asked[place], seen) for place in needed)
    return Verdict("successful", f"shown to be good enough: {told}")


def _over(rollout: Rollout, evidence: Evidence, seen: Seen) -> Verdict | None:
    """End what has gone on for as long as the plan lets it."""
    action: Action = "stopped" if rollout.kind == "ab" else "inconclusive"
    if sum(seen.requests()) >= rollout.plan.most_requests:
        return Verdict(action, f"{sum(seen.requests()):,} requests, as many as planned")
    if seen.seconds >= rollout.plan.most_seconds:
        return Verdict(action, f"{seen.seconds / 3600:.1f} hours in service, as long as planned")
    return None


_JUDGES: dict[Kind, Callable[[Rollout, Evidence, Seen], Verdict | None]] = {
    "canary": _canary,
    "shadow": _shadow,
    "ab": _ab,
}


def _shares(question: Question, seen: Seen) -> str:
    n_a, bad_a, n_b, bad_b = seen.row(question)
    beside = "" if question.alone else f", champion {_share(bad_a, n_a)}"
    return f"{WORDS[question.name]}: challenger {_share(bad_b, n_b)}{beside}"


def _share(bad: int, n: int) -> str:
    return f"{bad:,} of {n:,} ({bad / n:.1%})" if n else "none yet"


def _finite(log_evidence: float) -> float:
    return float(np.exp(min(log_evidence, 700.0)))
