"""Proposing, selecting and finding nearest examples for one round over a large pool."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.speed.fitting import our_head
from benchmarks.speed.machine import PeakMemory
from benchmarks.speed.rows import RealRows, Rows, a_label, noisy
from benchmarks.speed.timing import Times
from vermilion.learn.uncertainty import candidate_counts, select
from vermilion.red.asking import Confirmed, Examples, nearest_examples
from vermilion.red.planning import MOST_OPTIONS_OF_MANY
from vermilion.red.proposals import Model, Proposals, propose

PARTS = ("propose", "select", "examples")
FIT_ROWS = 5


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How large one round is."""

    texts: int
    labels: int
    a_label: int
    questions: int
    repeats: int
    seed: int = 0

    def condition(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "part": "search",
            "texts": self.texts,
            "labels": self.labels,
            "a_label": self.a_label,
            "questions": self.questions,
            "seed": self.seed,
        }


def measure(plan: SearchPlan, real: RealRows) -> dict[str, Any]:
    """Do one round's work but for fitting and asking, and measure each part and its memory."""
    rng = np.random.default_rng(plan.seed)
    train = real.train.of_labels(plan.labels)
    known, pool = a_label(train, plan.a_label, rng), _pool(plan, real, rng)
    few = a_label(train, FIT_ROWS, rng)
    model = Model(our_head().fit(few.X, few.y), 1.0)
    confirmed = Confirmed(known.X, known.y, -1 - np.arange(len(known)))
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}
    with PeakMemory() as memory:
        for _ in range(plan.repeats):
            _round(plan, model, (pool, confirmed), seconds)
    times = {part: Times(tuple(found)) for part, found in seconds.items()}
    return {
        "seconds": {part: own.figures() for part, own in times.items()},
        "known_rows": len(known),
        "memory_mib": memory.figures(),
    }


def _pool(plan: SearchPlan, real: RealRows, rng: np.random.Generator) -> Rows:
    """Return as many rows as wanted: all real ones first, then noisy copies."""
    all_real = (real.train + real.test).of_labels(plan.labels)
    some = all_real.take(rng.permutation(len(all_real))[: plan.texts])
    missing = plan.texts - len(some)
    return some + noisy(all_real.take(rng.choice(len(all_real), size=missing)), rng)


def _round(
    plan: SearchPlan, model: Model, rows: tuple[Rows, Confirmed], seconds: dict[str, list[float]]
) -> None:
    pool, confirmed = rows
    width = min(MOST_OPTIONS_OF_MANY, plan.labels)
    proposals: Proposals = _timed(seconds["propose"], lambda: propose(model, pool.X, {}, width))
    eligible = np.ones(len(pool), dtype=bool)
    chosen = _timed(seconds["select"], lambda: select(proposals.score, eligible, pool.X, plan.questions))
    counts = candidate_counts(proposals.proba[chosen], most=width)

    def examples() -> None:
        by_label = Examples.of(confirmed)
        for row, count in zip(chosen.tolist(), counts.tolist(), strict=True):
            nearest_examples(by_label, pool.X[row], proposals.labels[row, :count].tolist())

    _timed(seconds["examples"], examples)


def _timed(seconds: list[float], work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    found = work()
    seconds.append(time.perf_counter() - start)
    return found
