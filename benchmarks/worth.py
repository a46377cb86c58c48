"""Does a run know what its next questions will buy? The expected gain beside the realised one, round by round.

    python -m benchmarks worth DATA_FOLDER [--sets clinc150 banking77] [--seeds 0 1 2] [--errors 0 0.05]

Simulation. What counts is agreement with the expert, so the expert's answers, its errors included, are the gold labels
here. A run that is in the results is not repeated.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import SETS, VECTORS, Case, Task, load
from vermilion.config import Caps, RunSettings
from vermilion.red.progress import Silent
from vermilion.red.record import RoundRecord
from vermilion.red.run import Tools, run
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store


@dataclass(frozen=True, slots=True)
class Foresight:
    """One round: what 100 calls were expected to buy and what they bought, in percentage points."""

    round: int
    expected: float
    lower: float
    upper: float
    realised: float


def foresights(rounds: Sequence[RoundRecord]) -> list[Foresight]:
    """Return expected and realised gain of each round that was learned from; the last fit's has none after it.

    Examples
    --------
    >>> from vermilion.learn.worth import Gain
    >>> first = RoundRecord(1, 9, 50, 50, None, gold_agreement=0.90, gain_per_100_calls=Gain(2.5, 1.0, 4.0))
    >>> then = RoundRecord(2, 9, 50, 50, None, gold_agreement=0.91)
    >>> [round(seen.realised, 6) for seen in foresights([first, then])]
    [2.0]
    """
    found = []
    for now, then in pairwise(rounds):
        gain = now.gain_per_100_calls
        if gain is None or not now.asked or now.gold_agreement is None or then.gold_agreement is None:
            continue
        realised = 100 * (then.gold_agreement - now.gold_agreement) * 100 / now.asked
        found.append(Foresight(now.round, gain.estimate, gain.lower, gain.upper, realised))
    return found


def judged(seen: Sequence[Foresight]) -> dict[str, float]:
    """Return how good forecasts are: bias and root mean squared error in points, share below and above the bounds.

    Examples
    --------
    >>> judged([Foresight(1, 0.5, 0.4, 0.6, 0.7), Foresight(2, 0.3, 0.2, 0.4, 0.3)])
    {'n': 2, 'bias': -0.1, 'rmse': 0.141, 'below': 0.0, 'above': 0.5}
    """
    error = np.array([one.expected - one.realised for one in seen])
    return {
        "n": len(seen),
        "bias": round(float(error.mean()), 3),
        "rmse": round(float(np.sqrt((error**2).mean())), 3),
        "below": round(float(np.mean([one.realised < one.lower for one in seen])), 3),
        "above": round(float(np.mean([one.realised > one.upper for one in seen])), 3),
    }


def foreseen(case: Case, share: float, rounds: int, vectors: Path) -> list[Foresight]:
    """Let a run work on a case, with the expert's answers as the truth; return what it foresaw."""
    names = [label.name for label in case.problem.labels]
    texts = case.problem.open_texts
    truth = {text: names[label] for text, label in zip(texts, case.answers.tolist(), strict=True)}
    settings = RunSettings(
        encoder=case.task.encoder,
        expert="oracle",
        seed=case.task.seed,
        target=1.0,
        rounds=rounds,
        caps=Caps(max_calls=round(share * len(case.gold))),
    ).checked()
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(
            load_encoder(case.task.encoder), lambda _: OracleExpert(truth), store, vectors, Silent()
        )
        result = run(replace(case.split.job, gold=truth), settings, tools)
    assert result is not None
    return foresights(result.summary.rounds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the benchmark's own arguments."""
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["clinc150", "banking77"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--errors", nargs="+", type=float, default=[0.0, 0.05])
    parser.add_argument("--a-label", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--vectors", type=Path, default=VECTORS)
    parser.add_argument("--results", type=Path, default=FOLDER / "worth.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Run what is missing; print each round, and how good all forecasts of a set are."""
    results = Results(arguments.results)
    for name in arguments.sets:
        for seed in arguments.seeds:
            for error in arguments.errors:
                task = Task(name, arguments.a_label, error, seed)
                _once(task, arguments, results)
    for name in arguments.sets:
        rows = [row for row in results.rows() if row["condition"]["set"] == name]
        seen = [Foresight(**one) for row in rows for one in row["figures"]["rounds"]]
        if seen:
            print(name, judged(seen))


def _once(task: Task, arguments: argparse.Namespace, results: Results) -> None:
    condition: dict[str, Any] = {
        **{"set": task.set, "a_label": task.a_label, "error": task.error, "seed": task.seed},
        **{"share": arguments.share, "rounds": arguments.rounds},
    }
    if results.has(condition):
        return
    case = load(task, arguments.data, arguments.vectors)
    seen = foreseen(case, arguments.share, arguments.rounds, arguments.vectors)
    fields = Foresight.__dataclass_fields__
    told = [{name: round(getattr(one, name), 4) for name in fields} for one in seen]
    results.add(condition, {"rounds": told})
    print(condition, judged(seen), flush=True)
