"""Texts that no label fits: how well they are told, and what is certified where they lie in the pool.

    python -m benchmarks out-of-scope DATA_FOLDER [--shares 0 0.02 0.18] [--rates 0.05] [--seeds 0]

Two measurements on CLINC150, whose folder has out-of-scope texts of its own (oos_*.jsonl). First the scores: AUROC of
the test split against those texts, false alarms on the test split, and what leave-labels-out makes of each score.
Second whole runs, with so large a share of the pool out of scope: the simulated expert answers "none of these" about
those texts, but for its share of errors. A certificate holds where its lower bound is not above the agreement with the
expert's own answers. A run that is in the results is not repeated.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS, Split, Task, split
from vermilion.config import Caps, RunSettings
from vermilion.learn.flat import FlatHead
from vermilion.learn.out_of_scope import SCORES, OutOfScope, choose_score, fit_out_of_scope
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.record import Decision
from vermilion.red.run import Job, Result, Tools, run
from vermilion.types import FloatArray, Question, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store
from vermilion.world.vectors import VectorCache

SET, NOWHERE = "clinc150", "out of scope"
FILES = ("oos_test.jsonl", "oos_val.jsonl", "oos_train.jsonl")
RATE, ROUNDS = 0.05, 20
SHARES, RATES, A_LABEL = (0.0, 0.02, 0.18), (0.05,), (5, 30)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One run.

    Attributes
    ----------
    share : float
        Of the pool that is out of scope.
    rate : float or None
        Of false alarms, as the run is told.
    asked : float
        Share of the pool that may be asked about.
    most_pool : int or None
        In-scope texts of the pool.
    """

    share: float
    rate: float | None
    a_label: int
    seed: int
    asked: float
    error: float
    most_pool: int | None

    def condition(self) -> dict[str, Any]:
        """Return what makes this run this run."""
        names = self.__dataclass_fields__
        return {"measured": "run", "set": SET, **{name: getattr(self, name) for name in names}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets; clinc150 has the files oos_*.jsonl")
    add("--shares", type=float, nargs="+", default=list(SHARES), help="of the pool out of scope")
    add("--rates", type=float, nargs="*", default=list(RATES), help="of false alarms, besides none")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--a-label", type=int, default=5, help="labelled texts of each label in a run")
    add("--asked", type=float, default=0.15, help="share of the pool that may be asked about")
    add("--error", type=float, default=0.05, help="of the simulated expert")
    add("--most-pool", type=int, default=None, help="in-scope texts of the pool at most")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "out-of-scope.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Do what is not in the results yet."""
    results = Results(arguments.results)
    for a_label in A_LABEL:
        for seed in arguments.seeds:
            condition = {"measured": "scores", "set": SET, "a_label": a_label, "seed": seed}
            if not results.has(condition):
                print(results.add(condition, scores(condition, arguments.data, arguments.vectors)))
    for wanted in _wanted(arguments):
        if not results.has(wanted.condition()):
            print(results.add(wanted.condition(), measure(wanted, arguments.data, arguments.vectors)))


def _wanted(arguments: argparse.Namespace) -> Iterable[Wanted]:
    for seed in arguments.seeds:
        for share in arguments.shares:
            for rate in (None, *arguments.rates):
                yield Wanted(
                    share,
                    rate,
                    arguments.a_label,
                    seed,
                    arguments.asked,
                    arguments.error,
                    arguments.most_pool,
                )


def foreign_texts(data: Path) -> list[str]:
    """Return the distinct out-of-scope texts, those of the test file first."""
    lines = [line for name in FILES for line in (data / SET / name).read_text("utf-8").splitlines()]
    return list(dict.fromkeys(json.loads(line)["text"] for line in lines))


def scores(condition: dict[str, Any], data: Path, vectors: Path) -> dict[str, Any]:
    """Measure each score on the test split beside the out-of-scope texts of the test file."""
    parts = split(Task(SET, condition["a_label"], seed=condition["seed"]), data)
    cache = VectorCache(vectors, load_encoder("minilm"))
    foreign = [json.loads(line)["text"] for line in (data / SET / FILES[0]).read_text("utf-8").splitlines()]
    X, inside, outside = (cache.encode(texts) for texts in (parts.labelled.texts, parts.test.texts, foreign))
    y = np.unique([row[0] for row in parts.labelled.labels or ()], return_inverse=True)[1]
    C = float(FlatHead().fit(X, y).C_)
    chosen, trials = choose_score(X, y, C, condition["seed"])
    left_out = {trial.score: trial.auroc for trial in trials}
    told = {}
    for name in SCORES:
        fitted = fit_out_of_scope((X, y), (X[:0], y[:0]), name, C)
        told[name] = {"labels_left_out": left_out.get(name), **_measured(fitted, inside, outside)}
    return {"chosen": chosen, "held_out": len(y), "rate": RATE, "scores": told}


def _measured(fitted: OutOfScope, inside: FloatArray, outside: FloatArray) -> dict[str, float]:
    known, foreign = fitted.scores(inside), fitted.scores(outside)
    truth = np.arange(len(known) + len(foreign)) >= len(known)
    return {
        "auroc": float(roc_auc_score(truth, np.concatenate([known, foreign]))),
        "false_alarms": float((fitted.p_values(known) <= RATE).mean()),
        "found": float((fitted.p_values(foreign) <= RATE).mean()),
    }


def mixed(wanted: Wanted, parts: Split, foreign: list[str]) -> Job:
    """Return a run's job, its pool mixed with out-of-scope texts, whose gold is no label."""
    rng = np.random.default_rng([wanted.seed, 7])
    inside = parts.pool.texts
    count = min(round(wanted.share / (1 - wanted.share) * len(inside)), len(foreign))
    taken = [foreign[place] for place in rng.permutation(len(foreign))[:count].tolist()]
    taken = [text for text in taken if text not in parts.gold]
    texts = np.array([*inside, *taken], dtype=object)[rng.permutation(len(inside) + len(taken))].tolist()
    pool = Texts(tuple(map(str, range(len(texts)))), tuple(texts), None, "pool")
    return Job(parts.labelled, pool, parts.labels, parts.gold | dict.fromkeys(taken, NOWHERE))


def measure(wanted: Wanted, data: Path, vectors: Path) -> dict[str, Any]:
    """Let Vermilion run; return what was decided, what was certified, and whether that is true."""
    task = Task(SET, wanted.a_label, wanted.error, wanted.seed, wanted.most_pool)
    job = mixed(wanted, split(task, data), foreign_texts(data))
    settings = RunSettings(
        expert="oracle",
        expert_error=wanted.error,
        seed=wanted.seed,
        target=1.0,
        rounds=ROUNDS,
        out_of_scope=wanted.rate,
        caps=Caps(max_calls=round(wanted.asked * len(job.pool))),
    ).checked()
    assert job.gold is not None
    gold = job.gold
    experts: list[OracleExpert] = []

    def hire(problem: Problem) -> OracleExpert:
        experts.append(OracleExpert(gold, wanted.error, wanted.seed, problem.rivals()))
        return experts[-1]

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        result = run(job, settings, Tools(load_encoder(task.encoder), hire, store, vectors, Silent()))
    assert result is not None
    return figures(result, job, experts[-1])


def figures(result: Result, job: Job, expert: OracleExpert) -> dict[str, Any]:
    """Return a run's figures, in the pool's rows that were not given."""
    gold = job.gold or {}
    rows = [decision for decision in result.ran.decisions if decision.source != "given"]
    names = tuple(label.name for label in job.labels)
    answers = [expert.answer(Question(decision.text, names)) for decision in rows]
    truth = [None if gold[decision.text] == NOWHERE else gold[decision.text] for decision in rows]
    foreign = np.array([label is None for label in truth])
    null = np.array([decision.label is None for decision in rows])
    summary, certificate = result.summary, result.summary.certificate
    with_expert = float(np.mean([d.label == answer for d, answer in zip(rows, answers, strict=True)]))
    return {
        "pool": len(rows),
        "out_of_scope": int(foreign.sum()),
        "calls": summary.calls,
        "agreement_gold": float(np.mean([d.label == label for d, label in zip(rows, truth, strict=True)])),
        "agreement_expert": with_expert,
        "certificate": None if certificate is None else [certificate.estimate, certificate.lower],
        "holds": None if certificate is None else certificate.lower <= with_expert,
        "null": {source: _split(rows, foreign, source) for source in ("none", "out_of_scope")},
        "false_alarms": float(null[~foreign].mean()),
        "found": float(null[foreign].mean()) if foreign.any() else None,
        "told": summary.out_of_scope,
        "stopped": summary.stopped,
        "seconds": summary.seconds,
    }


def _split(rows: list[Decision], foreign: Any, source: str) -> list[int]:
    """Return the decisions of a source, on texts in scope and out of it."""
    own = np.array([decision.source == source for decision in rows])
    return [int((own & ~foreign).sum()), int((own & foreign).sum())]
