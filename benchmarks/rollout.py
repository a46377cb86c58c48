"""Does a canary take back what is worse, and leave alone what is not? Hundreds of simulated canaries.

    python -m benchmarks rollout

No text, model or server: a canary is the counts that each second brings, some hundred requests of which hashing gives
the challenger its share. They go to the judge that the service has, with its steps, margins and looks each second.
Beside it, on the same counts, stand rules that people use: roll back once the challenger's share of errors is over 1.2,
or 1.5, times the champion's, from 100 of its requests on; and a one-sided z-test at 5 %, looked at each second.

Worlds: `steady`; `drift`, in which errors of both arms rise and fall threefold; `incident`, in which both arms fail ten
times as often for five seconds; `users`, in which hashing goes by user, and some of the 2,000 send more requests and
meet more errors than others; `few users`, in which there are only 50; `late`, in which the challenger is as good as the
champion for 3,000 requests.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from vermilion.serve.evidence import Evidence, Seen
from vermilion.serve.rollout import judge
from vermilion.types import BoolArray, FloatArray
from vermilion.world.rollout import Limit, Plan, Rollout

A_SECOND, MOST, RUNS = 100, 12_000, 500
CHAMPION = 0.05
FROM = 100
Z = 1.6449


@dataclass(frozen=True, slots=True)
class World:
    """How errors come about.

    Attributes
    ----------
    factor : callable
        Of the number of requests so far, what both arms' shares of errors are multiplied by.
    begins : int
        After so many requests the challenger gets its own share of errors; until then it has the champion's.
    users : int
        Where not 0, so many send all requests, each always meets the same arm, and has errors of his own.
    """

    factor: Callable[[int], float] = lambda _: 1.0
    begins: int = 0
    users: int = 0


WORLDS = {
    "steady": World(),
    "drift": World(lambda n: 1.0 + 0.5 * np.sin(2 * np.pi * n / 3000)),
    "incident": World(lambda n: 10.0 if 2000 <= n < 2500 else 1.0),
    "users": World(users=2000),
    "late": World(begins=3000),
    "few users": World(users=50),
}
# World, and the challenger's share of errors; the champion's is 5 %.
CONDITIONS = (
    *(("steady", share) for share in (0.05, 0.06, 0.07, 0.10, 0.20)),
    *((world, share) for world in ("drift", "incident") for share in (0.05, 0.10)),
    ("users", 0.05),
    ("late", 0.10),
    ("few users", 0.05),
)
STEPS = Plan(limits={"error": Limit(0.02), "slow": Limit(0.05), "wrong": Limit(0.05, needed=False)})
PLANS = {
    "steps": STEPS,
    "half": replace(STEPS, shares=(0.5,), least=(200,)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("--runs", type=int, default=RUNS, help="simulated canaries under each condition")
    add("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    add(
        "--plans",
        nargs="+",
        default=list(PLANS),
        choices=list(PLANS),
        help="5, 25, 50 % in steps; half at once",
    )
    add("--seed", type=int, default=0)
    add("--results", type=Path, default=FOLDER / "rollout.jsonl", help="file of results")


def main(arguments: argparse.Namespace) -> None:
    """Do the simulations that are not there yet, then print what became of the canaries."""
    results = Results(arguments.results)
    for plan in arguments.plans:
        for world, share in CONDITIONS:
            if world not in arguments.worlds or (
                plan == "half" and (world != "steady" or share in (0.06, 0.07))
            ):
                continue
            one = {"benchmark": "rollout", "plan": plan, "world": world, "challenger": share}
            one |= {"runs": arguments.runs, "seed": arguments.seed}
            if not results.has(one):
                results.add(one, simulate(plan, world, share, arguments.runs, arguments.seed))
    for row in results.rows():
        print(told(row["condition"], row["figures"]))


def simulate(plan: str, world: str, share: float, runs: int, seed: int) -> dict[str, Any]:
    """Return what became of so many canaries by each rule.

    Returns
    -------
    dict
        For each rule the shares of canaries that `failed` (and for the judge `successful`), and of those that failed
        the median and mean of `requests`, and of the challenger's requests, until then; for the judge those to
        success, too, and the share of keys that the challenger had when it failed.
    """
    found: dict[str, list[_End]] = {"judge": [], **{name: [] for name in RULES}}
    for run in range(runs):
        rng = np.random.default_rng([seed, run, list(WORLDS).index(world), round(1000 * share)])
        canary = drawn(PLANS[plan], WORLDS[world], share, rng)
        found["judge"].append(judged(PLANS[plan], canary))
        for name, rule in RULES.items():
            found[name].append(_by_rule(canary, rule))
    return {name: _figures(ends) for name, ends in found.items()}


@dataclass(frozen=True, slots=True)
class Canary:
    """What the looks of a canary find while nobody ends it.

    Attributes
    ----------
    sums : ndarray of float, shape (looks, 4)
        Requests and errors of the champion, then of the challenger, since the beginning.
    shares : ndarray of float, shape (looks,)
        Of the keys, the challenger's.
    """

    sums: FloatArray
    shares: FloatArray

    def end(self, look: int, state: str) -> _End:
        """Return that it ended there."""
        n, _, m, _ = self.sums[look]
        return _End(state, int(n + m), int(m), float(self.shares[look]))


@dataclass(frozen=True, slots=True)
class _End:
    state: str
    requests: int
    challenger: int
    share: float


def drawn(plan: Plan, world: World, share: float, rng: np.random.Generator) -> Canary:
    """Draw a canary whose steps are taken after as many requests of each arm as the plan wants."""
    place, rate, luck = rng.random(MOST), np.ones(MOST), rng.random(MOST)
    if world.users:
        weights = 1 / (np.arange(world.users) + 20.0)
        users = rng.choice(world.users, MOST, p=weights / weights.sum())
        place, rate = rng.random(world.users)[users], rng.gamma(1.0, 1.0, world.users)[users]
    ends = np.cumsum(np.maximum(rng.poisson(A_SECOND, 2 * MOST // A_SECOND), 1))
    sums, shares, began, step, first = [np.zeros(4)], [], np.zeros(4), 0, 0
    for last in ends[ends <= MOST]:
        part = slice(first, last)
        other = place[part] < plan.shares[step]
        own = np.where(other & (first >= world.begins), share, CHAMPION)
        bad = luck[part] < own * rate[part] * world.factor(first)
        counts = [(~other).sum(), (bad & ~other).sum(), other.sum(), (bad & other).sum()]
        sums.append(sums[-1] + np.array(counts, dtype=np.float64))
        shares.append(plan.shares[step])
        if step + 1 < len(plan.shares) and (sums[-1] - began)[[0, 2]].min() >= plan.least[step]:
            step, began = step + 1, sums[-1]
        first = int(last)
    return Canary(np.array(sums[1:]), np.array(shares))


def judged(plan: Plan, canary: Canary) -> _End:
    """Return what the service's judge does with a canary."""
    rollout = Rollout(1, "simulated", "canary", 1, 2, plan, "epoch")
    evidence = Evidence.none(rollout)
    for look, sums in enumerate(canary.sums):
        assert rollout.share == canary.shares[look]
        evidence, verdict = judge(rollout, evidence, _seen(sums))
        if verdict.action == "advance":
            rollout = replace(rollout, step=rollout.step + 1)
        elif verdict.action != "wait":
            return canary.end(look, verdict.action)
    return canary.end(len(canary.sums) - 1, "inconclusive")


def _seen(sums: FloatArray) -> Seen:
    n, bad, m, wrong = (int(number) for number in sums)
    # Nothing is slow, so that errors alone decide.
    return Seen(
        {
            ("champion", "error"): (n, bad),
            ("challenger", "error"): (m, wrong),
            ("champion", "slow"): (n, 0),
            ("challenger", "slow"): (m, 0),
        }
    )


def _static(times: float) -> Callable[[FloatArray], BoolArray]:
    def rule(sums: FloatArray) -> BoolArray:
        n, bad, m, wrong = sums.T
        return np.asarray((m >= FROM) & (wrong * n > times * bad * m))

    return rule


def _z_test(sums: FloatArray) -> BoolArray:
    n, bad, m, wrong = sums.T
    n, m = np.maximum(n, 1), np.maximum(m, 1)
    pooled = (bad + wrong) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.asarray((np.minimum(n, m) >= 30) & (wrong / m - bad / n > Z * spread))


RULES = {"static 1.2": _static(1.2), "static 1.5": _static(1.5), "z-test": _z_test}


def _by_rule(canary: Canary, rule: Callable[[FloatArray], BoolArray]) -> _End:
    """Return what a rule does that only rolls back."""
    reached = np.flatnonzero(rule(canary.sums))
    return canary.end(int(reached[0]), "failed") if len(reached) else canary.end(-1, "inconclusive")


def _figures(ends: list[_End]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for state in ("failed", "successful"):
        some = [end for end in ends if end.state == state]
        told[state] = len(some) / len(ends)
        if some:
            told[f"{state}_requests"] = [
                float(f([end.requests for end in some])) for f in (np.median, np.mean)
            ]
            told[f"{state}_challenger"] = [
                float(f([end.challenger for end in some])) for f in (np.median, np.mean)
            ]
            told[f"{state}_share"] = float(np.median([end.share for end in some]))
    return told


def told(condition: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a condition's figures in a line."""
    own = found["judge"]
    line = (
        f"{condition['plan']}, {condition['world']}, errors 5% -> {condition['challenger']:.0%}, {condition['runs']}"
        f" canaries: taken back {own['failed']:.1%}, promoted {own['successful']:.1%}"
    )
    for state, word in (("failed", "to the failure"), ("successful", "to the promotion")):
        if own[state]:
            (requests, mean), (challenger, _) = own[f"{state}_requests"], own[f"{state}_challenger"]
            line += f"; median {requests:,.0f} requests {word} (mean {mean:,.0f}), {challenger:,.0f} the challenger's"
    others = ", ".join(f"{name} {found[name]['failed']:.1%}" for name in RULES)
    return f"{line}; taken back by other rules: {others}"
