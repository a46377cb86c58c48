"""Agreement with gold labels after a capped number of questions to a simulated expert.

    python benchmarks/agreement.py DATA_FOLDER --sets clinc150 banking77 --seeds 0 1 2 --out out/agreement

DATA_FOLDER holds one folder a set, each with train.jsonl and test.jsonl (`text`, `label`). Some texts a label are
labelled, the rest of train is the pool, an oracle that errs in 5 of 100 answers is the expert. Each run's figures
are added to OUT/agreement.jsonl as they come; runs that are there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.config import Caps, RunSettings
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.run import Job, Result, Tools, run
from vermilion.types import Expert, Texts
from vermilion.world.data import Columns, read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import OracleExpert
from vermilion.world.labels import labels_from
from vermilion.world.store import Store
from vermilion.world.vectors import VectorCache

VARIANTS: dict[str, dict[str, Any]] = {
    "default (auto, margin, choose)": {},
    "head flat": {"head": "flat"},
    "head subset": {"head": "subset"},
    "entropy": {"uncertainty": "entropy"},
    "validate": {"ask": "validate"},
    "subset, entropy, validate (R.E.D. as first published)": {
        "head": "subset",
        "uncertainty": "entropy",
        "ask": "validate",
    },
}


@dataclass(frozen=True)
class Task:
    """A set, how it is split and how much is asked."""

    name: str
    folder: Path
    a_label: int
    most_pool: int
    share: float
    seed: int


def split(task: Task) -> tuple[Texts, Texts, dict[str, str]]:
    """Return labelled texts, the pool, and the pool's gold labels; one text has one label."""
    everything = read_texts(task.folder / "train.jsonl", Columns(), labelled=True)
    labels = [row[0] for row in everything.labels or ()]
    rng = np.random.default_rng(task.seed)
    labelled: list[int] = []
    for label in sorted(set(labels)):
        rows = [row for row, own in enumerate(labels) if own == label]
        labelled += rng.permutation(rows)[: min(task.a_label, len(rows) - 1)].tolist()
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), labelled))[: task.most_pool].tolist()
    given = _take(everything, sorted(labelled))
    pool = _take(everything, rest)
    return given, replace(pool, labels=None), {everything.texts[row]: labels[row] for row in rest}


def _take(texts: Texts, rows: list[int]) -> Texts:
    labels = texts.labels or ()
    return Texts(
        tuple(texts.ids[row] for row in rows),
        tuple(texts.texts[row] for row in rows),
        tuple(labels[row] for row in rows),
        texts.source,
    )


def measure(task: Task, variant: str, encoder: str, vectors: Path) -> dict[str, Any]:
    """Do one run and return its figures."""
    labelled, pool, gold = split(task)
    settings = RunSettings(
        encoder=encoder,
        expert="oracle",
        expert_error=0.05,
        seed=task.seed,
        target=1.0,
        caps=Caps(max_calls=round(task.share * len(pool))),
        **VARIANTS[variant],
    ).checked()
    job = Job(labelled, pool, labels_from(labelled), gold)

    def hire(problem: Problem) -> Expert:
        return OracleExpert(gold, 0.05, task.seed, problem.rivals())

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(load_encoder(encoder), hire, store, vectors, Silent())
        result = run(job, settings, tools)
    assert result is not None
    summary = result.summary
    return {
        "set": task.name,
        "variant": variant,
        "seed": task.seed,
        "encoder": encoder,
        "labels": summary.labels,
        "labelled a label": task.a_label,
        "pool": summary.texts,
        "asked": summary.calls,
        "head": summary.head,
        "before": summary.rounds[0].gold_agreement,
        "agreement": (summary.gold or {}).get("agreement"),
        "test accuracy": accuracy(result, task, encoder, vectors),
        "stopped": summary.stopped,
        "certificate": None if summary.certificate is None else summary.certificate.lower,
        "seconds": summary.seconds,
    }


def accuracy(result: Result, task: Task, encoder: str, vectors: Path) -> float:
    """Return the learned model's accuracy on the set's own test split."""
    test = read_texts(task.folder / "test.jsonl", Columns(), labelled=True)
    X = VectorCache(vectors, load_encoder(encoder)).encode(test.texts)
    names = [label.name for label in result.ran.problem.labels]
    head = result.ran.outcome.model.head
    right = 0
    for start in range(0, len(X), 8192):
        predicted = head.predict(X[start : start + 8192]).tolist()
        wanted = (test.labels or ())[start : start + 8192]
        right += sum(names[p] == row[0] for p, row in zip(predicted, wanted, strict=True))
    return right / len(X)


def tasks(arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield each set with each seed."""
    for seed in arguments.seeds:
        for name in arguments.sets:
            yield Task(
                name, arguments.data / name, arguments.a_label, arguments.most_pool, arguments.share, seed
            )


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["clinc150", "banking77"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--a-label", type=int, default=5)
    parser.add_argument("--most-pool", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.15)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--out", type=Path, default=Path("out/agreement"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / "agreement.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    done = {(row["set"], row["variant"], row["seed"]) for row in map(json.loads, lines)}
    for task in tasks(arguments):
        for variant in arguments.variants:
            if (task.name, variant, task.seed) in done:
                continue
            row = measure(task, variant, arguments.encoder, arguments.out / "vectors")
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
