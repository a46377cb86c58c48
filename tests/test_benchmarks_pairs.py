"""Pairs made of a set with labels, and scores put side by side."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pairs import Source, compared, figures, pair_up
from vermilion.world.pairs import split_pair

TEXTS = {name: tuple(f"{name} {number}" for number in range(6)) for name in "abcd"}
NEAR = {name: tuple(other for other in "abcd" if other != name) for name in "abcd"}


def test_each_query_has_its_right_partner_first_and_wrong_ones_behind() -> None:
    source = Source(TEXTS, TEXTS, NEAR)
    pairs = pair_up(source, 20, 2, {"a", "b"}, np.random.default_rng(0))
    assert len(pairs.texts) == 20
    for row, unseen in zip(pairs.texts, pairs.unseen, strict=True):
        (query, right), *wrong = map(split_pair, row)
        assert query != right
        assert query[0] == right[0]
        assert len(wrong) == 2
        assert all(again == query and partner[0] != query[0] for again, partner in wrong)
        assert unseen == (query[0] in "cd")


def test_a_pair_that_is_right_once_is_right() -> None:
    meanings = {name: (f"meaning of {name}",) for name in "abcd"}
    labelled = pair_up(Source(TEXTS, meanings, NEAR), 24, 3, set("abcd"), np.random.default_rng(0)).labelled()
    assert len(set(labelled.texts)) == len(labelled) == 24 * 4
    assert labelled.labels is not None
    assert labelled.labels.count(("yes",)) == 24
    for text, label in zip(labelled.texts, labelled.labels, strict=True):
        query, meaning = split_pair(text)
        assert (label == ("yes",)) == (meaning == f"meaning of {query[0]}")


@pytest.mark.thorough
def test_a_better_score_gains_with_an_interval_above_nothing() -> None:
    rng = np.random.default_rng(0)
    right = np.zeros((80, 5))
    right[:, 0] = 1
    worse, better = (right + rng.normal(scale=scale, size=right.shape) for scale in (1.0, 0.4))
    found = compared(better, worse, rng)
    for name, value in figures(better).items():
        assert found[name]["model"] == pytest.approx(value, abs=1e-4)
        assert 0 < found[name]["lower"] < found[name]["gain"] < found[name]["upper"]
    same = compared(worse, worse, rng)
    assert all(one["gain"] == one["lower"] == one["upper"] == 0 for one in same.values())
