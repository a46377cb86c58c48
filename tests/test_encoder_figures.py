"""What encoders are compared by, against scikit-learn and on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, silhouette_samples

from vermilion.learn.clusters import cluster, silhouettes
from vermilion.learn.encoder_choice import Contender, Scores, choose
from vermilion.learn.left_out_labels import label_groups, left_out_auroc
from vermilion.learn.probes import (
    few_shot,
    held_out_labels,
    linear,
    nearest_centroid,
    nearest_neighbours,
    penalty,
)
from vermilion.learn.same_label import same_label_retrieval
from vermilion.learn.shared_splits import Splits
from vermilion.types import FloatArray, IntArray


def clouds(seed: int, labels: int = 6, each: int = 12, noise: float = 0.25) -> tuple[FloatArray, IntArray]:
    """Return unit rows around a direction for each label."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(labels), each)
    X = rng.normal(size=(labels, 16))[codes] + noise * 4 * rng.normal(size=(len(codes), 16))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), codes


# Retrieval


@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_that_of_scikit_learn(seed: int) -> None:
    X, codes = clouds(seed, labels=5, each=7, noise=0.5)
    found = same_label_retrieval(X, codes, np.arange(len(X)))
    cosines = (X @ X.T).astype(np.float64)
    for row, own in zip(found.queries, found.ndcg, strict=True):
        others = np.delete(np.arange(len(X)), row)
        relevant = (codes[others] == codes[row])[None].astype(float)
        assert own == pytest.approx(ndcg_score(relevant, cosines[row, others][None], k=10))


def test_the_reciprocal_rank_is_that_of_the_first_text_of_the_label() -> None:
    X, codes = clouds(4, noise=0.6)
    found = same_label_retrieval(X, codes, np.arange(len(X)))
    order = np.argsort(-(X @ X.T - 9 * np.eye(len(X))), axis=1)
    first = [1 + int(np.argmax(codes[order[row]] == codes[row])) for row in range(len(X))]
    np.testing.assert_allclose(found.reciprocal_rank, 1 / np.array(first))


def test_a_text_alone_in_its_label_is_no_query_and_one_pair_has_a_whole_list() -> None:
    X = np.eye(3, 4, dtype=np.float32)
    found = same_label_retrieval(X, np.array([0, 1, 1]), np.arange(3))
    assert found.queries.tolist() == [1, 2]
    assert not len(same_label_retrieval(X, np.arange(3), np.arange(3)).ndcg)


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = clouds(5)
    whole = same_label_retrieval(X, codes, np.arange(len(X)))
    monkeypatch.setattr("vermilion.learn.same_label.BLOCK_CELLS", 5 * len(X))
    parts = same_label_retrieval(X, codes, np.arange(len(X)))
    np.testing.assert_allclose(parts.ndcg, whole.ndcg)


# Probes and clusters


@pytest.mark.parametrize("fit", [linear(10.0), nearest_centroid, nearest_neighbours])
def test_what_is_easy_is_right_and_what_is_random_is_not(fit: object) -> None:
    X, codes = clouds(0, noise=0.05)
    splits = Splits.draw(codes, 0)
    assert (held_out_labels(X, splits, fit) == codes).all()  # type: ignore[arg-type]
    shuffled = Splits.draw(np.random.default_rng(1).permutation(codes), 0)
    right = held_out_labels(X, shuffled, fit) == shuffled.codes  # type: ignore[arg-type]
    assert right.mean() < 0.45


def test_a_label_alone_is_never_held_out() -> None:
    X, codes = clouds(0)
    codes = np.append(codes[:-1], 6)
    predicted = held_out_labels(X, Splits.draw(codes, 0), nearest_centroid)
    assert predicted[-1] == -1
    assert (predicted[:-1] >= 0).all()


def test_more_texts_a_label_help_and_each_fold_has_a_figure() -> None:
    X, codes = clouds(2, noise=0.5)
    splits = Splits.draw(codes, 0)
    few, more = few_shot(X, splits, 1), few_shot(X, splits, 8)
    assert few.shape == more.shape == (5,)
    assert more.mean() > few.mean() + 0.05
    assert penalty(X, splits, splits.training(0)) > 0


def test_silhouettes_are_those_of_scikit_learn_and_none_where_they_are_not_defined() -> None:
    X, codes = clouds(3)
    np.testing.assert_allclose(silhouettes(X, codes), silhouette_samples(X, codes, metric="cosine"))
    assert not len(silhouettes(X[:4], np.arange(4)))
    assert not len(silhouettes(X[:4], np.zeros(4, dtype=int)))


def test_clusters_are_the_labels_where_labels_are_clusters() -> None:
    X, codes = clouds(0, noise=0.02)
    assert cluster(X, codes, 0).starts.max() == pytest.approx(1.0)
    mixed = np.random.default_rng(0).permutation(codes)
    assert cluster(X, mixed, 0).starts.max() < 0.5


def test_the_spread_of_a_v_measure_is_a_jackknifes() -> None:
    X, codes = clouds(2, noise=0.3)
    found = cluster(X, codes, 0)
    assert (len(found.starts), len(found.groups)) == (10, 20)
    assert found.groups.mean() == pytest.approx(found.starts.mean())
    assert 0 < found.groups.std(ddof=1) / np.sqrt(20) < 0.1
    np.testing.assert_array_equal(cluster(X, codes, 0).groups, found.groups)


# Labels left out


def test_a_label_left_out_stands_out_where_labels_are_far_apart() -> None:
    X, codes = clouds(1, labels=10, noise=0.05)
    assert left_out_auroc(X, Splits.draw(codes, 0), 10.0).min() > 0.97
    mixed = np.random.default_rng(0).permutation(codes)
    assert left_out_auroc(X, Splits.draw(mixed, 0), 10.0).mean() == pytest.approx(0.5, abs=0.12)


def test_fewer_than_five_labels_cannot_be_left_out() -> None:
    X, codes = clouds(1, labels=4)
    assert not len(left_out_auroc(X, Splits.draw(codes, 0), 10.0))


def test_every_label_is_left_out_once() -> None:
    groups = label_groups(23, seed=5)
    assert np.bincount(groups).tolist() == [5, 5, 5, 4, 4]


# The choice


def test_an_interval_over_folds_is_students() -> None:
    from scipy.stats import t, ttest_1samp

    values = np.array([0.7, 0.72, 0.69, 0.75, 0.71])
    found = Scores(values, "folds").estimate()
    expected = ttest_1samp(values, 0).confidence_interval()
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))
    noisy = Scores(values, "folds", noise=0.0004).estimate()
    error = np.sqrt(values.var(ddof=1) / 5 + 0.0004)
    assert noisy.upper == pytest.approx(values.mean() + t.ppf(0.975, 4) * error)
    ahead = Scores(values + 0.1, "folds", noise=0.0001).ahead_of(Scores(values, "folds", noise=0.0003))
    assert ahead.upper == pytest.approx(0.1 + t.ppf(0.975, 4) * 0.02)


@pytest.mark.parametrize("unit", ["texts", "folds"])
def test_a_difference_is_judged_pair_by_pair(unit: str) -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(size=40)  # texts differ much more than encoders do
    gain = 0.01 + 1e-5 * rng.normal(size=40)
    one, other = Scores(hard + gain, unit), Scores(hard, unit)  # type: ignore[arg-type]
    ahead = one.ahead_of(other)
    assert ahead.lower == pytest.approx(0.01, abs=1e-3)
    assert ahead.upper == pytest.approx(0.01, abs=1e-3)
    with pytest.raises(ValueError, match="other texts"):
        one.ahead_of(Scores(hard[1:], unit))  # type: ignore[arg-type]


def contender(name: str, accuracy: float, speed: float, n: int = 2000, seed: int = 0) -> Contender:
    right = np.random.default_rng(seed).uniform(size=n) < accuracy
    return Contender(name, Scores(right.astype(float), "texts"), speed)


def test_the_clearly_best_is_taken_whatever_its_speed() -> None:
    chosen = choose([contender("slow", 0.95, 1.0), contender("fast", 0.80, 1000.0)])
    assert chosen is not None
    assert (chosen.taken, chosen.tied) == ("slow", ("slow",))
    assert chosen.behind["fast"].lower is not None
    assert chosen.behind["fast"].lower > 0.1


def test_within_the_noise_the_faster_is_taken() -> None:
    chosen = choose([contender("slow", 0.902, 1.0), contender("fast", 0.9, 1000.0, seed=1)])
    assert chosen is not None
    assert chosen.taken == "fast"
    assert set(chosen.tied) == {"slow", "fast"}


def test_what_has_no_figure_is_no_contender() -> None:
    nothing = Contender("none", Scores(np.zeros(0), "texts"), 1.0)
    assert choose([nothing]) is None
    chosen = choose([nothing, contender("one", 0.9, 1.0)])
    assert chosen is not None
    assert (chosen.taken, chosen.behind) == ("one", {})
