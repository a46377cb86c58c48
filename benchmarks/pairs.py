"""Does a model of pairs rank better than the cosine of the two vectors? Learned from some labels, tried on others, too.

    python -m benchmarks pairs DATA_FOLDER [--sets clinc150 banking77 wordnet_hypernym] [--seeds 0 1 2]

Each set becomes pairs: clinc150 a question and an intent's name in words, wordnet_hypernym a definition and its class's
own, banking77 two questions that have the same intent or not. A third of the labels is kept from training. Each test
text is new, and comes with one right partner and the wrong ones most like it, of labels known and unseen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import VECTORS
from vermilion.choose.train import train
from vermilion.config import TrainSettings
from vermilion.types import BoolArray, FloatArray, IntArray, Texts
from vermilion.world.data import Columns, read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import PairEncoder, keep_vectors
from vermilion.world.pairs import join_pair
from vermilion.world.vectors import VectorCache

SETS = ("clinc150", "banking77", "wordnet_hypernym")
# Wrong partners of a text, drawn from so many labels that are most like its own.
WRONG_TRAIN, WRONG_TEST, NEAR = 4, 9, 20
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Setting:
    """A set, how many texts are paired and how they are drawn."""

    set: str
    train: int = 400
    test: int = 600
    encoder: str = "minilm"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Queries with their partners, one row a query: the right partner first.

    Attributes
    ----------
    texts : tuple of tuple of str
        The pairs of each query.
    unseen : ndarray of bool, shape (n_queries,)
        Whether the query's label was kept from training.
    """

    texts: tuple[tuple[str, ...], ...]
    unseen: BoolArray

    @property
    def flat(self) -> tuple[str, ...]:
        """All pairs, query by query."""
        return tuple(pair for row in self.texts for pair in row)

    def labelled(self) -> Texts:
        """Return the distinct pairs with their labels; a pair that is right for one text is right for all."""
        found = {pair: "yes" for row in self.texts for pair in row[:1]}
        for row in self.texts:
            for pair in row[1:]:
                found.setdefault(pair, "no")
        ids = tuple(map(str, range(len(found))))
        return Texts(ids, tuple(found), tuple((label,) for label in found.values()), "pairs")


@dataclass(frozen=True, slots=True)
class Source:
    """A set's texts by label, what may stand beside them, and which labels are most alike.

    Attributes
    ----------
    texts : dict of label to texts
    partners : dict of label to texts
        What a text of a label may be paired with: the label's meaning, or other texts of it.
    near : dict of label to labels
        The most similar first.
    """

    texts: Mapping[str, tuple[str, ...]]
    partners: Mapping[str, tuple[str, ...]]
    near: Mapping[str, tuple[str, ...]]


def read(data: Path, name: str, part: str) -> dict[str, tuple[str, ...]]:
    """Return the distinct texts of each label of one part of a set, those of "other kinds" left out."""
    found: dict[str, dict[str, None]] = {}
    rows = read_texts(data / name / f"{part}.jsonl", Columns(), labelled=True)
    for text, labels in zip(rows.texts, rows.labels or (), strict=True):
        found.setdefault(labels[0], {})[text] = None
    return {label: tuple(texts) for label, texts in sorted(found.items()) if not label.startswith("other")}


def meanings(data: Path, name: str, labels: list[str]) -> dict[str, tuple[str, ...]]:
    """Return what each label means in words, from the set's description or from the label's name."""
    told = json.loads((data / name / "labels.json").read_text(encoding="utf-8"))
    found: dict[str, tuple[str, ...]] = {}
    for label in labels:
        about = told.get(label, {})
        words = about.get("name", label).split(",")[0].replace("_", " ")
        found[label] = (f"{words}: {about['description']}" if about.get("description") else words,)
    return found


def source(data: Path, name: str, part: str, among: list[str], cache: VectorCache) -> Source:
    """Return a part of a set among some labels, the labels most alike by the vectors of what stands for them."""
    texts = {label: rows for label, rows in read(data, name, part).items() if label in set(among)}
    labels = list(texts)
    partners = texts if name == "banking77" else meanings(data, name, labels)
    centres = np.stack([cache.encode(partners[label]).mean(axis=0) for label in labels])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    order = np.argsort(-(centres @ centres.T), axis=1, kind="stable")
    near = {
        label: tuple(labels[other] for other in row if labels[other] != label)[:NEAR]
        for label, row in zip(labels, order.tolist(), strict=True)
    }
    return Source(texts, partners, near)


def pair_up(source: Source, queries: int, wrong: int, known: set[str], rng: np.random.Generator) -> Pairs:
    """Draw queries, each with one right partner and `wrong` partners of labels that are like its own."""
    rows = [(text, label) for label, texts in source.texts.items() for text in texts]
    texts, unseen = [], []
    for row in rng.permutation(len(rows))[:queries]:
        text, label = rows[row]
        right = [partner for partner in source.partners[label] if partner != text]
        if not right:
            continue
        others = rng.choice(np.array(source.near[label], dtype=object), wrong, replace=False)
        beside = [right[rng.integers(len(right))]]
        beside += [source.partners[other][rng.integers(len(source.partners[other]))] for other in others]
        texts.append(tuple(join_pair(text, partner) for partner in beside))
        unseen.append(label not in known)
    return Pairs(tuple(texts), np.array(unseen, dtype=np.bool_))


def scores_of(setting: Setting, data: Path, vectors: Path) -> tuple[Pairs, FloatArray, FloatArray]:
    """Return the test pairs, what the model says of them and their cosines, both of shape (n_queries, partners)."""
    rng = np.random.default_rng(setting.seed)
    labels = list(read(data, setting.set, "train"))
    known = rng.permutation(np.array(labels, dtype=object))[: 2 * len(labels) // 3].tolist()
    single = load_encoder(setting.encoder)
    cache = VectorCache(vectors, single)
    seen = source(data, setting.set, "train", known, cache)
    learned = pair_up(seen, setting.train, WRONG_TRAIN, set(known), rng)
    all_labels = source(data, setting.set, "test", labels, cache)
    test = pair_up(all_labels, setting.test, WRONG_TEST, set(known), rng)
    encoder = PairEncoder(single)
    kept = keep_vectors(vectors, encoder)
    settings = TrainSettings(
        encoder=encoder.name, head="flat", imbalance="none", threshold="0.5", positive="yes"
    )
    model, _, _ = train(learned.labelled(), None, settings, (encoder, partial(kept.encode)))
    shape = (len(test.texts), 1 + WRONG_TEST)
    features = kept.encode(test.flat)
    positive = [label.name for label in model.labels].index("yes")
    said = model.predict_proba(features)[:, positive].reshape(shape)
    sides = [cache.encode([pair.split("\x1f")[side] for pair in test.flat]) for side in (0, 1)]
    return test, said, np.einsum("ij,ij->i", *sides).reshape(shape)


def figures(scores: FloatArray) -> dict[str, float]:
    """Return ROC AUC and average precision over all pairs, and nDCG over the partners of each query.

    Examples
    --------
    >>> figures(np.array([[0.9, 0.1, 0.2], [0.4, 0.5, 0.1]]))
    {'roc_auc': 0.875, 'average_precision': 0.8333333333333333, 'ndcg': 0.8154648767857287}
    """
    right = np.zeros(scores.shape, dtype=np.int64)
    right[:, 0] = 1
    return {
        "roc_auc": float(roc_auc_score(right.ravel(), scores.ravel())),
        "average_precision": float(average_precision_score(right.ravel(), scores.ravel())),
        "ndcg": float(ndcg_score(right, scores)),
    }


def compared(said: FloatArray, cosine: FloatArray, rng: np.random.Generator) -> dict[str, Any]:
    """Return both scores' figures and the gain, with an interval of 95 % from resampled queries.

    A query is resampled with all its partners: its pairs are not independent of each other.
    """
    first, second = figures(said), figures(cosine)
    gains = []
    for _ in range(RESAMPLES):
        rows: IntArray = rng.integers(len(said), size=len(said))
        one, other = figures(said[rows]), figures(cosine[rows])
        gains.append([one[name] - other[name] for name in first])
    lower, upper = np.quantile(np.array(gains), [0.025, 0.975], axis=0)
    return {
        name: {
            "model": round(first[name], 4),
            "cosine": round(second[name], 4),
            "gain": round(first[name] - second[name], 4),
            "lower": round(float(lower[place]), 4),
            "upper": round(float(upper[place]), 4),
        }
        for place, name in enumerate(first)
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the benchmark's own arguments."""
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=400, help="texts to learn from, each in five pairs")
    parser.add_argument("--test", type=int, default=600, help="texts to try it on, each in ten pairs")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--vectors", type=Path, default=VECTORS)
    parser.add_argument("--results", type=Path, default=FOLDER / "pairs.jsonl")


def main(arguments: argparse.Namespace) -> None:
    """Run what is missing, and print what it gained."""
    results = Results(arguments.results)
    for name in arguments.sets:
        for seed in arguments.seeds:
            setting = Setting(name, arguments.train, arguments.test, arguments.encoder, seed)
            if results.has(asdict(setting)):
                continue
            test, said, cosine = scores_of(setting, arguments.data, arguments.vectors)
            found: dict[str, Any] = {}
            for group, rows in (("known", ~test.unseen), ("unseen", test.unseen)):
                rng = np.random.default_rng(seed)
                found[group] = {"queries": int(rows.sum()), **compared(said[rows], cosine[rows], rng)}
            results.add(asdict(setting), found)
            print(name, seed, json.dumps(found), flush=True)
