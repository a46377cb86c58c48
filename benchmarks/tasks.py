"""What every benchmark works on: a data set, split by a seed, with a simulated expert's answers and vectors.

DATA_FOLDER holds one folder a set, each with train.jsonl and test.jsonl (`text`, `label`). Some texts a label are
labelled, the rest of train is the pool. A text that comes several times counts once, with its first label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vermilion.red.problem import Problem, build, lay_out
from vermilion.red.run import Job
from vermilion.types import FloatArray, IntArray, Label, Question, Texts
from vermilion.world.data import Columns, read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import OracleExpert
from vermilion.world.labels import labels_from
from vermilion.world.vectors import VectorCache

SETS = ("clinc150", "banking77", "wordnet_hypernym")
VECTORS = Path("build/benchmarks/vectors")


@dataclass(frozen=True, slots=True)
class Task:
    """A set, how it is split and how the simulated expert errs.

    Attributes
    ----------
    set : str
        Its folder's name.
    a_label : int
        Labelled texts of each label; a label with no more texts than that keeps one for the pool.
    error : float
        Share of the pool's texts on which the expert errs.
    seed : int
    most_pool : int or None
        Texts of the pool at most, drawn at random; None: all.
    """

    set: str
    a_label: int = 5
    error: float = 0.05
    seed: int = 0
    most_pool: int | None = None
    encoder: str = "minilm"


@dataclass(frozen=True, slots=True)
class Split:
    """A task's texts; the pool's own labels are None."""

    labelled: Texts
    pool: Texts
    test: Texts
    labels: tuple[Label, ...]
    gold: dict[str, str]

    @property
    def job(self) -> Job:
        """What a run of Vermilion works on."""
        return Job(self.labelled, self.pool, self.labels, self.gold)


@dataclass(frozen=True, slots=True)
class Case:
    """A task ready to be worked on.

    Attributes
    ----------
    problem : Problem
        Its `open_texts` are the pool's texts in their order, `gold` their label numbers.
    answers : ndarray of int, shape (n_pool,)
        The simulated expert's answers with all labels offered.
    X_test, y_test : ndarray of shape (n_test, d) and (n_test,)
        The official test split.
    """

    task: Task
    split: Split
    problem: Problem
    answers: IntArray
    X_test: FloatArray
    y_test: IntArray

    @property
    def gold(self) -> IntArray:
        """Right label numbers of the pool, shape (n_pool,)."""
        assert self.problem.gold is not None
        return self.problem.gold

    def expert(self) -> OracleExpert:
        """Return the simulated expert: on its share of texts it answers with the likeliest rival offered."""
        return oracle(self.task, self.split, self.problem)


def split(task: Task, data: Path) -> Split:
    """Read a set and split it; the same seed gives the same split."""
    train = _distinct(read_texts(data / task.set / "train.jsonl", Columns(), labelled=True))
    labels = [row[0] for row in train.labels or ()]
    rng = np.random.default_rng(task.seed)
    labelled = _draw(labels, task.a_label, rng)
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), labelled))[: task.most_pool].tolist()
    given, pool = _take(train, labelled), _take(train, rest)
    test = read_texts(data / task.set / "test.jsonl", Columns(), labelled=True)
    gold = {train.texts[row]: labels[row] for row in rest}
    return Split(given, replace(pool, labels=None), test, labels_from(given), gold)


def load(task: Task, data: Path, vectors: Path = VECTORS) -> Case:
    """Split a set, encode it and let the simulated expert answer for the whole pool.

    Parameters
    ----------
    data : Path
        Folder of the sets' folders.
    vectors : Path
        Folder of the vector cache.
    """
    parts = split(task, data)
    layout = lay_out(parts.labelled, parts.pool)
    cache = VectorCache(vectors, load_encoder(task.encoder))
    given, opened, X_test = (
        cache.encode(t) for t in (layout.given_texts, layout.open_texts, parts.test.texts)
    )
    problem = build(layout, parts.labels, (given, opened), parts.gold)
    number = {label.name: place for place, label in enumerate(parts.labels)}
    y_test = np.array([number.get(row[0], -1) for row in parts.test.labels or ()], dtype=np.int64)
    answers = answers_of(oracle(task, parts, problem), problem)
    return Case(task, parts, problem, answers, X_test, y_test)


def oracle(task: Task, parts: Split, problem: Problem) -> OracleExpert:
    """Return a task's simulated expert."""
    return OracleExpert(parts.gold, task.error, task.seed, problem.rivals())


def answers_of(expert: OracleExpert, problem: Problem) -> IntArray:
    """Return the label number that the expert gives for each text of the pool, all labels offered."""
    names = tuple(label.name for label in problem.labels)
    number = {name: place for place, name in enumerate(names)}
    found = [expert.answer(Question(text, names)) for text in problem.open_texts]
    return np.array([-1 if name is None else number[name] for name in found], dtype=np.int64)


def _draw(labels: list[str], a_label: int, rng: np.random.Generator) -> list[int]:
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows_of.setdefault(label, []).append(row)
    drawn: list[int] = []
    for label in sorted(rows_of):
        rows = rows_of[label]
        drawn += rng.permutation(rows)[: max(1, min(a_label, len(rows) - 1))].tolist()
    return sorted(drawn)


def _distinct(texts: Texts) -> Texts:
    first: dict[str, int] = {}
    for row, text in enumerate(texts.texts):
        first.setdefault(text, row)
    return _take(texts, first.values())


def _take(texts: Texts, rows: Iterable[int]) -> Texts:
    labels, rows = texts.labels or (), list(rows)
    return Texts(
        tuple(texts.ids[row] for row in rows),
        tuple(texts.texts[row] for row in rows),
        tuple(labels[row] for row in rows),
        texts.source,
    )
