"""Half of the labels with few texts: what each method makes of it, and whether `auto` finds the best one.

    python -m benchmarks imbalance DATA_FOLDER [--sets clinc150] [--few 5] [--seeds 0 1 2]

Half of a set's labels, drawn by the seed, keep so many texts of train.jsonl; the others keep all. Every method is
fitted on that and judged on test.jsonl, whose labels are as frequent as they come; `auto` is the method that
cross-validation on the labelled texts alone chooses. SMOTE needs the extra `imbalance`. What is in the results is not
repeated.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS
from vermilion.learn.flat import FlatHead
from vermilion.learn.imbalance import METHODS, compare_methods, fit_rebalanced, smote_installed
from vermilion.types import BoolArray, FloatArray, IntArray, Texts
from vermilion.world.data import Columns, read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.vectors import VectorCache


@dataclass(frozen=True, slots=True)
class Setting:
    """A set, and how many texts half of its labels keep."""

    set: str
    few: int = 5
    encoder: str = "minilm"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A set with half of its labels cut.

    Attributes
    ----------
    X, y : ndarray of shape (n, d) and (n,)
    X_test, y_test : ndarray of shape (m, d) and (m,)
    few : ndarray of bool, shape (K,)
        Which labels were cut.
    """

    X: FloatArray
    y: IntArray
    X_test: FloatArray
    y_test: IntArray
    few: BoolArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets")
    add("--sets", nargs="+", default=["clinc150"])
    add("--few", type=int, default=5, help="texts that half of the labels keep")
    add("--encoder", default="minilm")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "imbalance.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Do what is not in the results yet."""
    results = Results(arguments.results)
    for name in arguments.sets:
        for seed in arguments.seeds:
            setting = Setting(name, arguments.few, arguments.encoder, seed)
            if not results.has(asdict(setting)):
                print(results.add(asdict(setting), measure(setting, arguments.data, arguments.vectors)))


def load(setting: Setting, data: Path, vectors: Path) -> Cut:
    """Read a set, encode it and cut half of its labels."""
    cache = VectorCache(vectors, load_encoder(setting.encoder))
    parts = [
        read_texts(data / setting.set / f"{part}.jsonl", Columns(), labelled=True)
        for part in ("train", "test")
    ]
    names = sorted({row[0] for row in parts[0].labels or ()})
    number = {name: place for place, name in enumerate(names)}
    (texts, y), (test, y_test) = (_distinct(part, number) for part in parts)
    rng = np.random.default_rng(setting.seed)
    few = rng.permutation(len(names)) < len(names) // 2
    keys = rng.permutation(len(y))
    order = np.lexsort((keys, y))
    place_in_label = np.empty(len(y), dtype=np.int64)
    place_in_label[order] = np.arange(len(y)) - np.repeat(
        np.cumsum(np.bincount(y)) - np.bincount(y), np.bincount(y)
    )
    kept = np.flatnonzero(~few[y] | (place_in_label < setting.few))
    X = cache.encode([texts[row] for row in kept.tolist()])
    return Cut(X, y[kept], cache.encode(test), y_test, few)


def _distinct(part: Texts, number: dict[str, int]) -> tuple[list[str], IntArray]:
    found = {text: number[row[0]] for text, row in zip(part.texts, part.labels or (), strict=True)}
    return list(found), np.array(list(found.values()), dtype=np.int64)


def measure(setting: Setting, data: Path, vectors: Path) -> dict[str, Any]:
    """Return test figures of every method, and what cross-validation says of each."""
    cut = load(setting, data, vectors)
    head = FlatHead(random_state=setting.seed).tuned(cut.X, cut.y)
    methods = [name for name in METHODS if name != "smote" or smote_installed()]
    told = {method: _judged(head, method, cut, setting.seed) for method in methods}
    began = time.perf_counter()
    attempts, _ = compare_methods(head, cut.X, cut.y, methods, setting.seed, time.perf_counter)
    for attempt in attempts:
        told[attempt.method] |= {"cross_validation": asdict(replace(attempt, chosen=False))}
    auto = next(attempt.method for attempt in attempts if attempt.chosen)
    single = max(told, key=lambda method: float(told[method]["macro_f1"]))
    return {
        "labelled": len(cut.y),
        "C": float(head.C),
        "methods": told,
        "auto": auto,
        "best": single,
        "auto_less_best": told[auto]["macro_f1"] - told[single]["macro_f1"],
        "choosing_seconds": time.perf_counter() - began,
    }


def _judged(head: FlatHead, method: str, cut: Cut, seed: int) -> dict[str, Any]:
    began = time.perf_counter()
    fitted = fit_rebalanced(clone(head), method, cut.X, cut.y, seed)
    seconds = time.perf_counter() - began
    said = fitted.predict(cut.X_test)
    f1 = f1_score(cut.y_test, said, labels=np.arange(len(cut.few)), average=None, zero_division=0.0)
    return {
        "macro_f1": float(f1.mean()),
        "few_f1": float(f1[cut.few].mean()),
        "others_f1": float(f1[~cut.few].mean()),
        "accuracy": float(accuracy_score(cut.y_test, said)),
        "seconds": seconds,
    }
