"""Do certificates keep their promise? Hundreds of simulated audits of pools whose agreement is known.

    python -m benchmarks guarantees

No text and no model: a pool is a confidence for each row, and whether the model is right. A simulated expert answers,
wrong as often as told. Three audits may follow each other, as in a run: the model improves from one to the next, each
early audit takes half of what is left of delta, and the first that reaches the target ends it. A run fails where any
certificate that it has seen promises more than is true then. So the bound is looked at each time.

A row of results has the share of runs that held, the bounds' distance from the truth beside that of Clopper and
Pearson's bound on the same answers, and how often the decisions accepted without a look err more than promised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from vermilion.learn.acceptance import accept
from vermilion.learn.certificate import clopper_pearson, share_right
from vermilion.learn.double_sampling import Count, Doubly, corrected
from vermilion.types import BoolArray, FloatArray

ROWS, DELTA = 6000, 0.05
# Decisions may disagree with the expert so much more often than the expert with people.
ROOM = 0.05
# As in a run: two early audits, then the last; the model is right more often from one to the next.
SPENT = (DELTA / 2, DELTA / 4, DELTA / 4)
SHORT_OF = (0.03, 0.015, 0.0)
SIZES, ERRORS, RUNS = (60, 100, 200, 400, 600), (0.0, 0.05, 0.15), 500
# Of the answers, so many are given by people, too.
PEOPLE = 0.3

Make = Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]


def _calibrated(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    confidence = rng.beta(0.96 * 6, 0.04 * 6, ROWS)
    return confidence, confidence


def _too_sure(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    chance = rng.beta(0.96 * 6, 0.04 * 6, ROWS)
    return chance**0.2, chance


def _too_modest(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    chance = rng.beta(0.97 * 8, 0.03 * 8, ROWS)
    return chance**3, chance


def _of_no_use(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    return rng.random(ROWS), np.full(ROWS, 0.96)


def _turned_round(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    confidence = rng.beta(8, 1, ROWS)
    return confidence, np.where(confidence > 0.8, 0.94, 0.99)


def _few_and_foreseen(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    unsure = rng.random(ROWS) < 0.03
    return np.where(unsure, 0.05, 0.995), np.where(unsure, 0.05, 0.995)


# Each gives the confidence of every row, and the chance that the model is right there.
CONFIDENCES: dict[str, Make] = {
    "calibrated": _calibrated,
    "too sure": _too_sure,
    "too modest": _too_modest,
    "of no use": _of_no_use,
    "turned round": _turned_round,
    "few mistakes, foreseen": _few_and_foreseen,
}


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as one audit finds it.

    Attributes
    ----------
    confidence : ndarray of float, shape (rows,)
    right, expert : ndarray of bool, shape (rows,)
        Whether the model, and the expert, have the label that people would give.
    agrees : ndarray of bool, shape (rows,)
        Whether model and expert have the same label: both right, or both wrong in the same way, one time in three.
    """

    confidence: FloatArray
    right: BoolArray
    expert: BoolArray
    agrees: BoolArray

    @classmethod
    def made(cls, make: Make, error: float, worse: float, rng: np.random.Generator) -> Pool:
        """Make a pool whose model is right less often by `worse` than in the end."""
        confidence, chance = make(rng)
        right = rng.random(len(chance)) < chance * (1 - worse)
        expert = rng.random(len(chance)) >= error
        alike = ~right & ~expert & (rng.random(len(chance)) < 1 / 3)
        return cls(confidence, right, expert, (right & expert) | alike)

    def drawn(self, n: int, rng: np.random.Generator) -> BoolArray:
        """Return a simple random sample of so many rows, as a mask."""
        mask = np.zeros(len(self.right), dtype=np.bool_)
        mask[rng.choice(len(mask), n, replace=False)] = True
        return mask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("--runs", type=int, default=RUNS, help="simulated runs under each condition")
    add("--sizes", type=int, nargs="+", default=list(SIZES), help="answers of an audit")
    add("--errors", type=float, nargs="+", default=list(ERRORS), help="share of the expert's wrong answers")
    add("--confidences", nargs="+", default=list(CONFIDENCES), choices=list(CONFIDENCES))
    add("--seed", type=int, default=0)
    add("--results", type=Path, default=FOLDER / "guarantees.jsonl", help="file of results")


def main(arguments: argparse.Namespace) -> None:
    """Do the simulations that are not there yet, then print how many runs held."""
    results = Results(arguments.results)
    for kind in arguments.confidences:
        for error in arguments.errors:
            for size in arguments.sizes:
                one = {"benchmark": "guarantees", "confidence": kind, "error": error, "audit": size}
                one |= {"runs": arguments.runs, "seed": arguments.seed}
                if not results.has(one):
                    results.add(one, simulate(kind, error, size, arguments.runs, arguments.seed))
    for row in results.rows():
        print(told(row["condition"], row["figures"]))


def simulate(kind: str, error: float, size: int, runs: int, seed: int) -> dict[str, Any]:
    """Return what came of so many runs.

    Returns
    -------
    dict
        `agreement`: of the last model with the expert. `held`, `held_people`: shares of runs in which no certificate,
        and no correction for the expert's errors, promised more than is true. `below`, `below_clopper_pearson`: how
        far bounds of the last audit are below the truth. `accepted`: share of rows accepted; `certified`: of runs in
        which some were; `too_many_errors`: of runs in which those err more often than alpha.
    """
    rng = np.random.default_rng([seed, size, round(100 * error), list(CONFIDENCES).index(kind)])
    pools = [Pool.made(CONFIDENCES[kind], error, worse, rng) for worse in SHORT_OF]
    found = [_run(pools, size, error + ROOM, rng) for _ in range(runs)]
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {"agreement": float(pools[-1].agrees.mean()), "alpha": error + ROOM, **means}


def _run(pools: Sequence[Pool], size: int, alpha: float, rng: np.random.Generator) -> dict[str, float]:
    """Do one run: audits until one reaches the target, each of a better model."""
    held = True
    for pool, delta in zip(pools, SPENT, strict=True):
        drawn = pool.drawn(size, rng)
        lower = share_right(pool.agrees[drawn], pool.confidence, drawn, delta).lower
        held &= lower <= pool.agrees.mean()
        if lower >= 1 - alpha:
            break
    return {"held": held, **_accepted(pool, drawn, alpha, delta), **_single(pools[-1], size, rng)}


def _accepted(pool: Pool, drawn: BoolArray, alpha: float, delta: float) -> dict[str, float]:
    """Return what may be accepted by the audit that ended the run, and whether that errs too often."""
    found = accept(pool.agrees[drawn], pool.confidence, drawn, alpha, delta)
    if found.threshold is None:
        return {"accepted": 0.0, "certified": 0.0, "too_many_errors": 0.0}
    inside = pool.confidence >= found.threshold
    return {
        "accepted": float(inside.mean()),
        "certified": 1.0,
        "too_many_errors": float(1 - pool.agrees[inside].mean() > alpha),
    }


def _single(pool: Pool, size: int, rng: np.random.Generator) -> dict[str, float]:
    """Return how far two bounds of one audit, each at all of delta, are below the truth; and people's correction."""
    drawn = pool.drawn(size, rng)
    agreed, truth = pool.agrees[drawn], pool.agrees.mean()
    lower = share_right(agreed, pool.confidence, drawn, DELTA).lower
    plain, _ = clopper_pearson(int(agreed.sum()), size, DELTA)
    seen = rng.permutation(np.flatnonzero(drawn))[: round(PEOPLE * size)]
    same, right = pool.agrees[seen], pool.right[seen]
    confirmed, disputed = (Count(int(right[part].sum()), int(part.sum())) for part in (same, ~same))
    people = corrected(
        Doubly(Count(0, 0), Count(int(agreed.sum()), size), confirmed, disputed, 0, ROWS), DELTA
    )
    assert people is not None
    return {
        "held_single": lower <= truth,
        "below": truth - lower,
        "held_clopper_pearson": plain <= truth,
        "below_clopper_pearson": truth - plain,
        "held_people": people.lower <= pool.right.mean(),
        "below_people": float(pool.right.mean() - people.lower),
    }


def told(condition: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a condition's figures in a line."""
    return (
        f"confidence {condition['confidence']}, expert {condition['error']:.0%} wrong, {condition['audit']} answers,"
        f" {condition['runs']} runs: held {found['held']:.1%} (one look {found['held_single']:.1%}, people"
        f" {found['held_people']:.1%}); {100 * found['below']:.1f} points below"
        f" (Clopper-Pearson {100 * found['below_clopper_pearson']:.1f}); accepted {found['accepted']:.0%},"
        f" too many errors {found['too_many_errors']:.1%}"
    )
