"""What needs no library beyond scikit-learn: random questions, and confident self-training without any."""

from __future__ import annotations

import numpy as np
from sklearn.semi_supervised import SelfTrainingClassifier

from benchmarks.peers.contest import Contest, Scribe, learner, main, play


def random(contest: Contest, scribe: Scribe) -> None:
    """Ask about texts drawn at random."""
    order = np.random.default_rng(contest.seed).permutation(len(contest.X_pool))
    play(contest, scribe, lambda _, asked, more: order[len(asked) : len(asked) + more])


def self_training(contest: Contest, scribe: Scribe) -> None:
    """Take confident predictions on the pool (0.75 and above, scikit-learn's default) as labels; ask nothing."""
    X = np.concatenate([contest.X_given, contest.X_pool])
    y = np.concatenate([contest.y_given, np.full(len(contest.X_pool), -1)])
    scribe.point(SelfTrainingClassifier(learner(contest)).fit(X, y), np.empty(0, dtype=np.int64))


STRATEGIES = {"random": random, "self-training": self_training}

if __name__ == "__main__":
    main(STRATEGIES)
