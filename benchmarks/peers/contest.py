"""What all peers share: the contest they are given, their learner and how their points are written.

Nothing here needs more than NumPy and scikit-learn, so it runs in every peer's environment:

    PYTHON -m benchmarks.peers.MODULE contest.npz points.jsonl STRATEGY
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

Array = NDArray[Any]

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
# With more labels the strength is chosen on the texts of so many of them: the choice would take longer than the rest.
LABELS_TO_CHOOSE_BY = 150


class Predicts(Protocol):
    """A fitted classifier."""

    def predict(self, X: Array) -> Array:
        """Return a label number a row."""
        ...


@dataclass(frozen=True)
class Contest:
    """Labelled texts, a pool, the expert's answers, and how many may be asked at each checkpoint.

    Attributes
    ----------
    X_given, y_given, X_pool, gold, answers, X_test, y_test : ndarray
        Vectors are unit rows; labels are numbers from 0; every label has a labelled text.
    checkpoints : ndarray of int
        Questions answered in all, from 0, at which a point is written.
    """

    X_given: Array
    y_given: Array
    X_pool: Array
    gold: Array
    answers: Array
    X_test: Array
    y_test: Array
    checkpoints: Array
    seed: int

    @classmethod
    def load(cls, path: Path) -> Contest:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        return cls(**{**arrays, "seed": int(arrays["seed"])})

    def save(self, path: Path) -> None:
        """Write the arrays as npz."""
        arrays = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez(path, **arrays)  # type: ignore[arg-type]  # none of the names is "allow_pickle"

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return int(self.y_given.max()) + 1

    def training(self, asked: Array) -> tuple[Array, Array]:
        """Return the labelled texts and those of the pool that were asked, with their labels."""
        X = np.concatenate([self.X_given, self.X_pool[asked]])
        return X, np.concatenate([self.y_given, self.answers[asked]])


@dataclass
class Scribe:
    """Writes a point of the curve as soon as it is known, so that a run cut short keeps what it had."""

    contest: Contest
    path: Path
    start: float = field(default_factory=time.perf_counter)

    def point(self, model: Predicts, asked: Array) -> None:
        """Measure the pool's decisions (asked texts take the answer) and the model on the test split."""
        decided = model.predict(self.contest.X_pool)
        decided[asked] = self.contest.answers[asked]
        right = model.predict(self.contest.X_test) == self.contest.y_test
        point = {
            "asked": len(asked),
            "agreement": float((decided == self.contest.gold).mean()),
            "test_accuracy": float(right.mean()),
            "seconds": time.perf_counter() - self.start,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")


def learner(contest: Contest) -> LogisticRegression:
    """Return a logistic regression whose C is the best in cross-validation on the labelled texts."""
    kept = np.random.default_rng(contest.seed).permutation(contest.n_labels)[:LABELS_TO_CHOOSE_BY]
    rows = np.isin(contest.y_given, kept)
    X, y = contest.X_given[rows], contest.y_given[rows]
    fewest = int(np.bincount(y)[np.unique(y)].min())
    if fewest < 2:
        return LogisticRegression(C=STRENGTHS[2])
    folds = StratifiedKFold(min(3, fewest), shuffle=True, random_state=contest.seed)
    scores = [cross_val_score(LogisticRegression(C=C), X, y, cv=folds).mean() for C in STRENGTHS]
    return LogisticRegression(C=STRENGTHS[int(np.argmax(scores))])


def play(contest: Contest, scribe: Scribe, pick: Callable[[LogisticRegression, Array, int], Array]) -> None:
    """Ask from checkpoint to checkpoint.

    Parameters
    ----------
    pick : callable
        From the fitted learner, the pool rows asked so far and a number to that many further pool rows.
    """
    model, asked = learner(contest), np.empty(0, dtype=np.int64)
    scribe.point(model.fit(*contest.training(asked)), asked)
    for least in contest.checkpoints[1:]:
        asked = np.concatenate([asked, pick(model, asked, int(least) - len(asked))])
        scribe.point(model.fit(*contest.training(asked)), asked)


def main(strategies: Mapping[str, Callable[[Contest, Scribe], None]]) -> None:
    """Play the contest that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contest", type=Path)
    parser.add_argument("points", type=Path)
    parser.add_argument("strategy", choices=list(strategies))
    arguments = parser.parse_args()
    # A hundred steps of the solver serve accuracy as well as more do; scikit-learn warns each time.
    warnings.simplefilter("ignore", ConvergenceWarning)
    contest = Contest.load(arguments.contest)
    strategies[arguments.strategy](contest, Scribe(contest, arguments.points))
