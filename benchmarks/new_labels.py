"""Labels added to a finished run: what is asked again, beside a fresh run with all labels.

A few labels are left out of the labelled texts; their texts lie in the pool as none of these. The run ends; the labels
are added with as many examples each as the others have; the run goes on. A fresh run has had them from the start. All
three with the simulated expert, which says "none of these" where the right label is not offered. A run that is in the
results is not repeated.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS, Split, Task, split
from vermilion.config import Caps, RunSettings
from vermilion.red.applying import relabelled_job
from vermilion.red.carried import known_of
from vermilion.red.progress import Silent
from vermilion.red.relabelling import Ended, Pool, relabel
from vermilion.red.run import Job, Result, Tools, run
from vermilion.types import Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import OracleExpert
from vermilion.world.label_changes import Changes, Named, NewLabel
from vermilion.world.store import Store

ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """A task with some labels left out.

    Attributes
    ----------
    new : tuple of str
        The labels that are added later.
    before : Job
        Without them; their labelled texts lie in the pool.
    whole : Job
        With all labels from the start.
    examples : dict of label to texts
        Labelled texts of the new labels.
    """

    new: tuple[str, ...]
    before: Job
    whole: Job
    examples: dict[str, list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets' folders, each with train.jsonl and test.jsonl")
    add("--set", default="clinc150")
    add("--new", type=int, default=10, help="labels that are added")
    add("--a-label", type=int, default=5, help="labelled texts of each label")
    add("--error", type=float, default=0.05, help="share of wrong answers")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--share", type=float, default=0.15, help="of the pool that may be asked")
    add("--most-pool", type=int, help="texts in the pool at most (default: all)")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "new-labels.jsonl", help="file of results")


def main(arguments: argparse.Namespace) -> None:
    """Do the runs that are not there yet, and print what they give."""
    results = Results(arguments.results)
    for seed in arguments.seeds:
        task = Task(arguments.set, arguments.a_label, arguments.error, seed, arguments.most_pool)
        own = {"new": arguments.new, "share": arguments.share, "rounds": ROUNDS}
        condition = {"benchmark": "new-labels", **asdict(task), **own}
        if not results.has(condition):
            parts = left_out(split(task, arguments.data), arguments.new, seed)
            results.add(condition, measure(parts, task, arguments.share, arguments.vectors))
    for row in results.rows():
        print(row["condition"]["set"], row["condition"]["seed"], row["figures"], flush=True)


def left_out(parts: Split, count: int, seed: int) -> Parts:
    """Leave labels out, drawn at random."""
    rng = np.random.default_rng([seed, 7])
    names = [label.name for label in parts.labels]
    new = set(rng.choice(names, count, replace=False).tolist())
    labelled, pool = parts.labelled, parts.pool
    labels = [row[0] for row in labelled.labels or ()]
    kept = [row for row, label in enumerate(labels) if label not in new]
    moved = [row for row, label in enumerate(labels) if label in new]
    given = Texts(
        tuple(labelled.ids[row] for row in kept),
        tuple(labelled.texts[row] for row in kept),
        tuple((labels[row],) for row in kept),
    )
    more = [(f"new {row}", labelled.texts[row]) for row in moved]
    open_ = Texts((*pool.ids, *(id_ for id_, _ in more)), (*pool.texts, *(text for _, text in more)))
    gold = {**parts.gold, **{labelled.texts[row]: labels[row] for row in moved}}
    before = Job(given, open_, tuple(label for label in parts.labels if label.name not in new), gold)
    examples = {name: [labelled.texts[row] for row in moved if labels[row] == name] for name in sorted(new)}
    return Parts(tuple(sorted(new)), before, parts.job, examples)


def measure(parts: Parts, task: Task, share: float, vectors: Path) -> dict[str, Any]:
    """Run with all labels, run without some, add them, and go on."""
    fresh, _ = _run(parts.whole, task, share, vectors)
    old, _ = _run(parts.before, task, share, vectors)
    changed = with_new_labels(parts, old)
    after, again = _run(changed, task, share, vectors, old)
    answered = old.ran.outcome.state.answers >= 0
    return {
        "pool": len(parts.whole.pool),
        "labels": len(parts.whole.labels),
        "fresh": _told(fresh),
        "before": _told(old),
        "after": {**_told(after), "answered_before": int(answered.sum()), "asked_again": again},
    }


def with_new_labels(parts: Parts, old: Result) -> Job:
    """Return the job of the run that goes on, made as `vermilion labels apply` makes it."""
    problem = old.ran.problem
    ended = Ended(problem.labels, parts.before.labelled, known_of(problem, old.ran.outcome.state))
    add = tuple(
        NewLabel(name, tuple(Named("text", text) for text in texts)) for name, texts in parts.examples.items()
    )
    pool = Pool(dict(zip(parts.before.pool.ids, parts.before.pool.texts, strict=True)), {})
    return relabelled_job(parts.before, relabel(ended, Changes("new labels", add=add), pool))


def _run(
    job: Job, task: Task, share: float, vectors: Path, before: Result | None = None
) -> tuple[Result, int]:
    """Run; return the result and how many texts that had an answer before were asked about."""
    settings = RunSettings(
        encoder=task.encoder,
        expert="oracle",
        expert_error=task.error,
        seed=task.seed,
        target=1.0,
        rounds=ROUNDS,
        caps=Caps(max_calls=round(share * len(job.pool))),
    ).checked()
    gold = job.gold or {}
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(
            load_encoder(task.encoder),
            lambda problem: OracleExpert(gold, task.error, task.seed, problem.rivals()),
            store,
            vectors,
            Silent(),
        )
        result = run(job, settings, tools)
    assert result is not None
    return result, _asked_again(result, before) if before else 0


def _asked_again(result: Result, before: Result) -> int:
    state, old = result.ran.outcome.state, before.ran.outcome.state
    asked = {result.ran.problem.open_texts[row] for row in np.flatnonzero(state.answered_in >= 0)}
    answered = {before.ran.problem.open_texts[row] for row in np.flatnonzero(old.answers >= 0)}
    return len(asked & answered)


def _told(result: Result) -> dict[str, Any]:
    summary = result.summary
    agreement = (summary.gold or {})["agreement"]
    told = {"asked": summary.calls, "agreement": round(agreement, 5), "stopped": summary.stopped}
    return told | {"seconds": round(summary.seconds["total"], 1)}
