"""Cost to agreement: pool agreement and test accuracy against questions and tokens, beside the peers.

Every contestant gets the same vectors, split and simulated expert. A pool text that was asked about takes the
expert's answer, any other the model's prediction; agreement is that of these decisions with gold. A run that is in
the results is not repeated, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.contestants import CONTESTANTS, Terms
from benchmarks.results import FOLDER, Results
from benchmarks.tasks import SETS, VECTORS, Task, load

# A quick version whose order of contestants is that of the whole; what takes longest and wins least is left out. With
# 3,000 texts the random questions behind the certificate would be too large a part of the 450 that are asked.
SLOW = ("small-text: PredictionEntropy", "scikit-activeml: TypiClust", "scikit-activeml: BADGE")
SMALL = {
    "sets": ["banking77", "clinc150"],
    "a_label": [5],
    "errors": [0.05],
    "seeds": [0],
    "most_pool": 6000,
    "contestants": [name for name in CONTESTANTS if name not in SLOW],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets' folders, each with train.jsonl and test.jsonl")
    add("--sets", nargs="+", default=list(SETS))
    add("--a-label", nargs="+", type=int, default=[5, 10, 30], help="labelled texts of each label")
    add("--errors", nargs="+", type=float, default=[0.0, 0.05, 0.10], help="shares of wrong answers")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    add("--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS), metavar="NAME")
    add("--share", type=float, default=0.15, help="of the pool that may be asked")
    add("--rounds", type=int, default=20)
    add("--most-pool", type=int, help="texts in the pool at most (default: all)")
    add("--minutes", type=float, default=15.0, help="time limit of a peer's run")
    add("--encoder", default="minilm")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=None, help="file of results")
    add("--small", action="store_true", help="two sets, a pool of 6,000, one seed: minutes instead of hours")


def main(arguments: argparse.Namespace) -> None:
    """Do the runs that are not there yet, then print the table."""
    if arguments.small:
        vars(arguments).update(SMALL)
    default = FOLDER / ("cost-small.jsonl" if arguments.small else "cost.jsonl")
    results = Results(arguments.results or default)
    terms = Terms(arguments.share, arguments.rounds, arguments.minutes, arguments.vectors)
    for task in tasks(arguments):
        measure(task, terms, arguments, results)
    print(figures.table(figures.lines(results.rows())))


def tasks(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield every task: one seed of everything before the next seed, so that a part of the runs is of use."""
    parts = itertools.product(arguments.seeds, arguments.sets, arguments.a_label, arguments.errors)
    for seed, name, a_label, error in parts:
        yield Task(name, a_label, error, seed, arguments.most_pool, arguments.encoder)


def condition(task: Task, terms: Terms, contestant: str) -> dict[str, Any]:
    """Return what tells one run from another."""
    own = {"share": terms.share, "rounds": terms.rounds, "contestant": contestant}
    return {"benchmark": "cost", **asdict(task), **own}


def measure(task: Task, terms: Terms, arguments: argparse.Namespace, results: Results) -> None:
    """Let each contestant work on a task, unless it has."""
    wanted = {name: condition(task, terms, name) for name in arguments.contestants}
    missing = {name: one for name, one in wanted.items() if not results.has(one)}
    if not missing:
        return
    case = load(task, arguments.data, arguments.vectors)
    for name, one in missing.items():
        found = CONTESTANTS[name](case, terms)
        found |= {"pool": len(case.gold), "labels": len(case.problem.labels), "minutes": terms.minutes}
        results.add(one, found)
        curve = found["curve"]
        end = (
            f"{curve['asked'][-1]:,} asked, agreement {curve['agreement'][-1]:.4f}" if curve["asked"] else "-"
        )
        told = f"seed {task.seed}, {task.set}, {task.a_label} a label, {task.error:.0%} wrong, {name}"
        print(f"{told}: {end}, {found['seconds']:.0f} s {found.get('why', '')}".rstrip(), flush=True)
