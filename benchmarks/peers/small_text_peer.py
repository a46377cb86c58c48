"""small-text's active learner with its own scikit-learn adapter, for each strategy that is usable with one.

GreedyCoreset is left out: it computes all distances anew for each single question, hours at this size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from small_text import (
    BreakingTies,
    ContrastiveActiveLearning,
    DiscriminativeActiveLearning,
    EmbeddingKMeans,
    LeastConfidence,
    LightweightCoreset,
    PoolBasedActiveLearner,
    PredictionEntropy,
    SklearnClassifier,
    SklearnClassifierFactory,
    SklearnDataset,
)

from benchmarks.peers.contest import Contest, Scribe, learner, main


class OnVectors(SklearnClassifier):  # type: ignore[misc]
    """Gives the vectors themselves as the embeddings that some strategies ask for."""

    def embed(self, data_set: Any, return_proba: bool = False, pbar: Any = None) -> Any:
        """Return the rows, and with `return_proba` their probabilities."""
        return (data_set.x, self.predict_proba(data_set)) if return_proba else data_set.x


class Factory(SklearnClassifierFactory):  # type: ignore[misc]
    """Makes classifiers `OnVectors`."""

    def new(self) -> OnVectors:
        """Return an unfitted one."""
        return OnVectors(super().new().model, self.num_classes)


def _discriminative(factory: Factory) -> Any:
    return DiscriminativeActiveLearning(SklearnClassifierFactory(factory.base_estimator, 2), 10, pbar=None)


QUERIES: dict[str, Callable[[Factory], Any]] = {
    "breaking-ties": lambda _: BreakingTies(),
    "least-confidence": lambda _: LeastConfidence(),
    "entropy": lambda _: PredictionEntropy(),
    "kmeans": lambda _: EmbeddingKMeans(),
    "lightweight-coreset": lambda _: LightweightCoreset(),
    "contrastive": lambda _: ContrastiveActiveLearning(pbar=None),
    "discriminative": _discriminative,
}


def run(query: str, contest: Contest, scribe: Scribe) -> None:
    """Let small-text choose and learn; its labelled texts stand before the pool in one data set."""
    np.random.seed(contest.seed)  # noqa: NPY002 - small-text draws from NumPy's global generator
    given = len(contest.y_given)
    factory = Factory(learner(contest), contest.n_labels)
    X = np.concatenate([contest.X_given, contest.X_pool])
    y = np.concatenate([contest.y_given, np.zeros(len(contest.X_pool), dtype=np.int64)])
    dataset = SklearnDataset(X, y, target_labels=np.arange(contest.n_labels))
    active = PoolBasedActiveLearner(factory, QUERIES[query](factory), dataset)
    active.initialize_data(np.arange(given), contest.y_given)
    scribe.point(active.classifier.model, active.indices_labeled[given:] - given)
    for least in contest.checkpoints[1:]:
        rows = active.query(num_samples=int(least) + given - len(active.indices_labeled))
        active.update(contest.answers[rows - given])
        scribe.point(active.classifier.model, active.indices_labeled[given:] - given)


if __name__ == "__main__":
    main({query: partial(run, query) for query in QUERIES})
