"""scikit-activeml's query strategies around the same logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, TypiClust, UncertaintySampling
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression

from benchmarks.peers.contest import Array, Contest, Scribe, main, play

# BADGE holds a vector of labels x dimensions for each candidate: so many bytes of them at most, drawn at random.
MOST_GRADIENTS = 2**28

Query = Callable[..., Any]


def _margin(contest: Contest) -> Query:
    strategy = UncertaintySampling(method="margin_sampling", random_state=contest.seed)
    return partial(_with_model, contest, strategy)


def _badge(contest: Contest) -> Query:
    return partial(_with_model, contest, Badge(random_state=contest.seed))


def _typiclust(contest: Contest) -> Query:
    # Full k-means into thousands of clusters, ten times over, is slow: small batches and ten passes stand in for it.
    clusters = {"batch_size": 4096, "max_iter": 10, "n_init": 1}
    strategy = TypiClust(
        cluster_algo=MiniBatchKMeans, cluster_algo_dict=clusters, random_state=contest.seed, missing_label=-1
    )

    def query(X: Array, y: Array, model: LogisticRegression, candidates: Array, size: int) -> Any:
        return strategy.query(X, y, candidates=candidates, batch_size=size)

    return query


def _with_model(
    contest: Contest, strategy: Any, X: Array, y: Array, model: LogisticRegression, rows: Array, size: int
) -> Any:
    """Query a strategy that looks at the model; it is the learner, fitted on the same texts already."""
    wrapped = SklearnClassifier(model, classes=np.arange(contest.n_labels), missing_label=-1)
    strategy.set_params(missing_label=-1)
    return strategy.query(X, y, wrapped.fit(X, y), fit_clf=False, candidates=rows, batch_size=size)


STRATEGIES: dict[str, Callable[[Contest], Query]] = {
    "margin": _margin,
    "badge": _badge,
    "typiclust": _typiclust,
}


def run(name: str, contest: Contest, scribe: Scribe) -> None:
    """Let scikit-activeml choose."""
    query = STRATEGIES[name](contest)
    rng = np.random.default_rng(contest.seed)
    X = np.concatenate([contest.X_given, contest.X_pool])
    given = len(contest.y_given)

    def pick(model: LogisticRegression, asked: Array, more: int) -> Array:
        y = np.concatenate([contest.y_given, np.full(len(contest.X_pool), -1)])
        y[asked + given] = contest.answers[asked]
        rows = np.flatnonzero(y < 0)
        if name == "badge":
            most = MOST_GRADIENTS // (8 * contest.n_labels * X.shape[1])
            rows = rng.permutation(rows)[: max(most, 2 * more)]
        return np.asarray(query(X, y, model, rows, more)) - given

    play(contest, scribe, pick)


if __name__ == "__main__":
    main({name: partial(run, name) for name in STRATEGIES})
