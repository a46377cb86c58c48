"""Several labels a text: thresholds for each label, a second layer, and what questions gain.

    python -m benchmarks multi-label DATA_FOLDER [--texts 1000 5000 0] [--asked 0 0.15 0.6] [--seeds 0]

GoEmotions: 28 labels, 1.2 of them a text. First models, on so many texts of train (0: all): macro- and micro-F1 on the
test split of scikit-learn's one-vs-rest logistic regression (its own C) with 0.5 for all labels, and of both heads with
0.5 and with their fitted thresholds. Second whole runs, in which a simulated expert answers as many questions of a
text and a label as the pool has texts, times `--asked`. A row that is in the results is not measured again. A text
that comes several times counts once, with its first labels.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS
from vermilion.config import Caps, RunSettings
from vermilion.learn.label_choice import candidates, choose_label_head
from vermilion.red.progress import Silent
from vermilion.red.run import Tools
from vermilion.red.several_problem import indicator
from vermilion.red.several_run import SeveralJob, run_several
from vermilion.types import BoolArray, FloatArray, Label, Question, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import LabelsOracle
from vermilion.world.store import Store
from vermilion.world.vectors import VectorCache

SET = "goemotions"
TEXTS, ASKED = (1000, 5000, 0), (0.0, 0.15, 0.6)
POOL, GIVEN, ROUNDS = 5000, 1000, 10
# The second layer is tried up to so many texts; beyond, it takes minutes.
STACKED = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets")
    add("--texts", type=int, nargs="*", default=list(TEXTS), help="labelled texts of the models; 0: all")
    add(
        "--asked", type=float, nargs="*", default=list(ASKED), help="questions of the runs for each pool text"
    )
    add("--seeds", type=int, nargs="+", default=[0])
    add("--error", type=float, default=0.0, help="share of the simulated expert's answers that are wrong")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "multi-label.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Do what is not in the results yet."""
    results = Results(arguments.results)
    for seed in arguments.seeds:
        for texts in arguments.texts:
            condition: dict[str, Any] = {"measured": "model", "set": SET, "texts": texts, "seed": seed}
            if not results.has(condition):
                print(results.add(condition, models(condition, arguments.data, arguments.vectors)))
        for asked in arguments.asked:
            condition = {
                "measured": "run",
                "set": SET,
                "asked": asked,
                "error": arguments.error,
                "seed": seed,
            }
            if not results.has(condition):
                print(results.add(condition, runs(condition, arguments.data, arguments.vectors)))


def read(data: Path, part: str) -> dict[str, tuple[str, ...]]:
    """Return the labels of each distinct text."""
    found: dict[str, tuple[str, ...]] = {}
    for line in (data / SET / f"{part}.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["text"], tuple(row["labels"]))
    return found


def shuffled(data: Path, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return the distinct texts of train with their labels, in random order."""
    rows = list(read(data, "train").items())
    return [rows[place] for place in np.random.default_rng(seed).permutation(len(rows)).tolist()]


def label_names(data: Path) -> list[str]:
    """Return the labels, in the source's order."""
    return list(json.loads((data / SET / "labels.json").read_text("utf-8")))


def models(condition: dict[str, Any], data: Path, vectors: Path) -> dict[str, Any]:
    """Measure models on the test split."""
    names = label_names(data)
    rows = shuffled(data, condition["seed"])[: condition["texts"] or None]
    test = read(data, "test")
    cache = VectorCache(vectors, load_encoder("minilm"))
    X, new = cache.encode([text for text, _ in rows]), cache.encode(list(test))
    Y, truth = indicator([own for _, own in rows], names), indicator(list(test.values()), names)
    told: dict[str, Any] = {"rows": len(rows), "positives": Y.sum(axis=0).tolist()}
    began = time.perf_counter()
    plain = OneVsRestClassifier(LogisticRegression(max_iter=1000)).fit(X, Y)
    told["scikit-learn, at 0.5"] = scores(truth, plain.predict(new).astype(bool))
    told["scikit-learn, seconds"] = time.perf_counter() - began
    for kind in ("one-vs-rest", "stacked") if len(rows) <= STACKED else ("one-vs-rest",):
        told |= head(kind, (X, Y), (new, truth))
    return told


def head(
    kind: str, train: tuple[FloatArray, BoolArray], test: tuple[FloatArray, BoolArray]
) -> dict[str, Any]:
    """Measure a head with 0.5 for all labels, and with its own thresholds."""
    (X, Y), (new, truth) = train, test
    began = time.perf_counter()
    choice = choose_label_head(X, Y, candidates(Y, kind))
    fitted: Any = choice.head
    fitted.fit(X, Y)
    seconds = time.perf_counter() - began
    proba = fitted.predict_proba(new)
    proba = proba if choice.scaling is None else choice.scaling.apply(proba)
    return {
        f"{kind}, at 0.5": scores(truth, proba >= 0.5),
        f"{kind}, thresholds": scores(truth, proba >= choice.thresholds),
        f"{kind}, log loss held out": choice.trials[0].log_loss,
        f"{kind}, seconds": seconds,
    }


def scores(truth: BoolArray, said: BoolArray) -> dict[str, float]:
    """Return macro- and micro-F1, and the share of texts with all labels right."""
    return {
        "f1_macro": float(f1_score(truth, said, average="macro", zero_division=0)),
        "f1_micro": float(f1_score(truth, said, average="micro", zero_division=0)),
        "subset_accuracy": float((truth == said).all(axis=1).mean()),
    }


def runs(condition: dict[str, Any], data: Path, vectors: Path) -> dict[str, Any]:
    """Let Vermilion run; measure its decisions on the pool, and its model on the test split."""
    rows = shuffled(data, condition["seed"])
    names = label_names(data)
    given, rest = rows[:GIVEN], rows[GIVEN : GIVEN + POOL]
    used = {name for _, own in given for name in own}
    labels = tuple(Label(name) for name in names if name in used)
    gold = {text: frozenset(own) for text, own in rest}
    labelled, pool = (
        texts_of([text for text, _ in given], [own for _, own in given]),
        texts_of(list(gold), None),
    )
    settings = RunSettings(
        expert="oracle",
        expert_error=condition["error"],
        seed=condition["seed"],
        rounds=ROUNDS,
        caps=Caps(max_calls=round(condition["asked"] * len(pool))),
    ).checked()
    expert = LabelsOracle(gold, condition["error"], condition["seed"])
    encoder = load_encoder("minilm")
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(encoder, lambda problem: expert, store, vectors, Silent())
        result = run_several(SeveralJob(labelled, pool, labels, gold), settings, tools)
    assert result is not None
    test = read(data, "test")
    model, summary = result.outcome.model, result.summary
    said = model.rule.decide(model.predict_proba(VectorCache(vectors, encoder).encode(list(test))))
    found, certificate = result.outcome.decided, summary.certificate
    assert result.problem.gold is not None
    names = [label.name for label in result.problem.labels]
    says = np.array([[_says(expert, text, name) for name in names] for text in result.problem.open_texts])
    certified = float(f1_score(says, found, average="micro", zero_division=0))
    return {
        "given": len(given),
        "pool": len(pool),
        "labels": len(labels),
        "calls": summary.calls,
        "head": summary.head,
        "confirmed": int(sum(record.confirmed for record in summary.rounds)),
        "pool_scores": scores(result.problem.gold, found),
        "test_scores": scores(indicator(list(test.values()), [label.name for label in labels]), said),
        "pair_agreement": float((found == result.problem.gold).mean()),
        "f1_micro_by_expert": certified,
        "certificate": None if certificate is None else [certificate.estimate, certificate.lower],
        "holds": None if certificate is None else certificate.lower <= certified,
        "stopped": summary.stopped,
        "seconds": summary.seconds,
    }


def _says(expert: LabelsOracle, text: str, name: str) -> bool:
    """Tell whether the simulated expert finds the label right."""
    return expert.answer(Question(text, (name,), "validate")) is not None


def texts_of(texts: list[str], labels: list[tuple[str, ...]] | None) -> Texts:
    """Return texts numbered from 0."""
    return Texts(tuple(map(str, range(len(texts)))), tuple(texts), None if labels is None else tuple(labels))
