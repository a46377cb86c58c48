"""Scores of foreignness: what they tell apart, what their thresholds promise, and what a file keeps of them."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.out_of_scope import (
    DEFAULT,
    SCORES,
    OutOfScope,
    choose_score,
    false_discovery_flags,
    fit_out_of_scope,
    foreign_share,
    rows_needed,
)
from vermilion.types import FloatArray, IntArray

CENTRES = np.random.default_rng(0).normal(size=(16, 12))


def draw(rng: np.random.Generator, labels: range, each: int) -> tuple[FloatArray, IntArray]:
    """Return unit rows around the centres of these labels, and the labels."""
    y = np.repeat(np.array(labels), each)
    X = CENTRES[y] + 0.5 * rng.normal(size=(len(y), 12))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def none(X: FloatArray) -> tuple[FloatArray, IntArray]:
    return X[:0], np.zeros(0, dtype=np.int64)


@pytest.mark.parametrize("score", SCORES)
def test_texts_of_unknown_labels_look_foreign(score: str) -> None:
    rng = np.random.default_rng(1)
    X, y = draw(rng, range(10), 12)
    found = fit_out_of_scope((X, y), none(X), score, 10.0)
    known, unknown = (found.scores(draw(rng, labels, 20)[0]) for labels in (range(10), range(10, 16)))
    assert np.median(unknown) > np.quantile(known, 0.75)
    assert len(found.held_out) == len(X)


@pytest.mark.parametrize("score", SCORES)
def test_a_file_keeps_all_that_scoring_needs(score: str) -> None:
    rng = np.random.default_rng(2)
    X, y = draw(rng, range(5), 8)
    found = fit_out_of_scope((X, y), none(X), score, 10.0)
    again = OutOfScope.from_tensors(score, found.to_tensors())
    fresh = draw(rng, range(16), 5)[0]
    # Rows that texts are compared with are kept in half precision.
    assert np.allclose(again.scores(fresh), found.scores(fresh), atol=2e-2)
    assert np.array_equal(again.held_out, found.held_out)


def test_a_file_that_lacks_a_part_is_refused() -> None:
    X, y = draw(np.random.default_rng(3), range(5), 8)
    tensors = fit_out_of_scope((X, y), none(X), "logit + nearest", 10.0).to_tensors()
    for name in ("coef", "rows", "held_out"):
        with pytest.raises(KeyError):
            OutOfScope.from_tensors("logit + nearest", {n: t for n, t in tensors.items() if n != name})
    with pytest.raises(ValueError, match="ascending"):
        OutOfScope.from_tensors("logit + nearest", tensors | {"held_out": np.array([1.0, 0.0])})
    with pytest.raises(KeyError):
        OutOfScope.from_tensors("no such score", tensors)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_false_alarms_are_as_rare_as_the_rate_says(rate: float) -> None:
    """Over many small labelled sets, no more than the rate, but for the simulation's own error."""
    alarms = []
    for seed in range(40):
        rng = np.random.default_rng([4, seed])
        X, y = draw(rng, range(4), 10)
        found = fit_out_of_scope((X, y), none(X), DEFAULT, 10.0)
        fresh = draw(rng, range(4), 25)[0]
        alarms.append((found.p_values(found.scores(fresh)) <= rate).mean())
    mean, error = np.mean(alarms), np.std(alarms) / len(alarms) ** 0.5
    assert mean <= rate + 3 * error
    assert mean >= rate / 4  # a rate of nothing would keep any promise


def test_too_few_labelled_texts_flag_nothing() -> None:
    X, y = draw(np.random.default_rng(5), range(3), 5)
    found = fit_out_of_scope((X, y), none(X), DEFAULT, 10.0)
    assert len(found.held_out) == 15 < rows_needed(0.05)
    assert found.p_values(np.array([np.inf])) > 0.05


def test_labels_with_one_text_each_hold_nothing_out() -> None:
    X, y = draw(np.random.default_rng(6), range(6), 1)
    assert choose_score(X, y, 10.0, 0) == (DEFAULT, ())
    found = fit_out_of_scope((X, y), none(X), DEFAULT, 10.0)
    assert not len(found.held_out)
    assert found.p_values(found.scores(X)).tolist() == [1.0] * 6


def test_rows_learned_from_in_every_fold_are_never_held_out() -> None:
    rng = np.random.default_rng(7)
    given, more = draw(rng, range(5), 4), draw(rng, range(5), 30)
    alone = fit_out_of_scope(given, none(given[0]), "nearest", 10.0)
    helped = fit_out_of_scope(given, more, "nearest", 10.0)
    assert len(helped.held_out) == len(alone.held_out) == 20
    assert helped.held_out.mean() < alone.held_out.mean()


def test_the_choice_needs_five_labels_and_names_every_score() -> None:
    rng = np.random.default_rng(8)
    few, many = draw(rng, range(4), 6), draw(rng, range(10), 6)
    assert choose_score(*few, 10.0, 0) == (DEFAULT, ())
    name, trials = choose_score(*many, 10.0, 0)
    assert [trial.score for trial in trials] == list(SCORES)
    assert [trial.score for trial in trials if trial.chosen] == [name]
    assert all(0.5 < trial.auroc <= 1 for trial in trials)
    assert choose_score(*many, 10.0, 0) == (name, trials)


def test_false_discoveries_are_a_share_of_what_is_flagged() -> None:
    rng = np.random.default_rng(9)
    wrong = []
    for _ in range(200):
        calibration = np.sort(rng.normal(size=500))
        scores = np.concatenate([rng.normal(size=400), rng.normal(4, size=100)])
        p = (1 + 500 - np.searchsorted(calibration, scores)) / 501
        flags = false_discovery_flags(p, 0.1)
        wrong.append(flags[:400].sum() / max(flags.sum(), 1))
        assert flags[400:].mean() > 0.5
    assert np.mean(wrong) <= 0.1


def test_where_nothing_is_foreign_hardly_anything_is_flagged() -> None:
    rng = np.random.default_rng(10)
    p = [(1 + rng.integers(0, 501, size=1000)) / 501 for _ in range(50)]
    assert np.mean([false_discovery_flags(one, 0.1).any() for one in p]) <= 0.1
    assert not false_discovery_flags(np.zeros(0), 0.1).any()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2])
def test_the_share_of_foreign_texts_is_estimated(share: float) -> None:
    rng = np.random.default_rng(11)
    foreign = round(20_000 * share)
    p = np.concatenate([rng.uniform(size=20_000 - foreign), np.full(foreign, 0.001)])
    assert foreign_share(p) == pytest.approx(share, abs=0.006)
    weights = np.r_[np.zeros(20_000 - foreign), np.ones(foreign)] if foreign else np.ones(20_000)
    assert foreign_share(p, weights) == pytest.approx(1.0 if foreign else 0.0, abs=0.006)
