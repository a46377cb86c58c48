"""Candidates and uncertainty of every open text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import make_problem

from vermilion.config import UNCERTAINTY_CHOICES
from vermilion.learn.heads import CentroidHead, FlatHead
from vermilion.learn.uncertainty import SCORES, disagreement
from vermilion.red import proposals
from vermilion.red.proposals import Model, propose
from vermilion.types import Head

PROBLEM = make_problem(n_labels=6, n_open=40)
NOTHING: dict[int, tuple[int, ...]] = {}


def fitted(head: Head) -> Head:
    return head.fit(PROBLEM.X_given, PROBLEM.y_given)


FLAT, CENTROID = fitted(FlatHead(C=10.0)), fitted(CentroidHead())


def test_candidates_are_the_likeliest_labels_with_their_probabilities() -> None:
    model = Model(FLAT, 0.7)
    proba = model.predict_proba(PROBLEM.X_open)
    found = propose(model, PROBLEM.X_open, NOTHING, 3)
    order = np.argsort(-proba, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found.labels, order)
    np.testing.assert_array_equal(found.proba, np.take_along_axis(proba, order, axis=1))
    ordered = np.sort(proba, axis=1)
    np.testing.assert_allclose(found.gap, ordered[:, -1] - ordered[:, -2], atol=1e-6)


@pytest.mark.parametrize("width", [1, 6])
def test_the_width_may_be_one_or_all(width: int) -> None:
    found = propose(Model(FLAT, 1.0), PROBLEM.X_open, NOTHING, width)
    assert found.labels.shape == found.proba.shape == (40, width)
    if width == 6:
        np.testing.assert_allclose(found.proba.sum(axis=1), 1, rtol=1e-5)
        assert (np.sort(found.labels, axis=1) == np.arange(6)).all()


@pytest.mark.parametrize("measure", UNCERTAINTY_CHOICES)
@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, measure: str, chunk: int) -> None:
    model = Model(FLAT, 1.3, measure, (CENTROID,))
    ruled_out = {3: (0, 1), 8: (5,), 39: tuple(range(6))}
    whole = propose(model, PROBLEM.X_open, ruled_out, 4)
    monkeypatch.setattr(proposals, "CHUNK", chunk)
    parts = propose(model, PROBLEM.X_open, ruled_out, 4)
    np.testing.assert_array_equal(parts.labels[:39], whole.labels[:39])
    for name in ("proba", "score", "gap"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-6)


@pytest.mark.parametrize("measure", SCORES)
def test_the_score_is_the_measure_of_the_calibrated_probabilities(measure: str) -> None:
    model = Model(FLAT, 0.5, measure)
    expected = SCORES[measure](model.predict_proba(PROBLEM.X_open))
    np.testing.assert_array_equal(propose(model, PROBLEM.X_open, NOTHING, 2).score, expected)


def test_a_committee_scores_by_how_far_its_heads_differ() -> None:
    model = Model(FLAT, 1.0, "committee", (CENTROID,))
    heads = np.stack([FLAT.predict_proba(PROBLEM.X_open), CENTROID.predict_proba(PROBLEM.X_open)])
    np.testing.assert_allclose(propose(model, PROBLEM.X_open, NOTHING, 2).score, disagreement(heads))
    alone = propose(Model(FLAT, 1.0, "committee", (FLAT,)), PROBLEM.X_open, {0: (1,), 5: (0, 2)}, 2)
    np.testing.assert_allclose(alone.score, 0, atol=1e-6)


@given(
    ruled_out=st.dictionaries(
        st.integers(0, 39), st.sets(st.integers(0, 5), min_size=1, max_size=6).map(tuple), max_size=10
    )
)
def test_what_is_ruled_out_has_no_probability_and_the_others_share_it(
    ruled_out: dict[int, tuple[int, ...]],
) -> None:
    before = propose(Model(FLAT, 1.0), PROBLEM.X_open, NOTHING, 6)
    found = propose(Model(FLAT, 1.0), PROBLEM.X_open, ruled_out, 6)
    for row in range(40):
        out = ruled_out.get(row, ())
        given_to = dict(zip(found.labels[row].tolist(), found.proba[row].tolist(), strict=True))
        was = dict(zip(before.labels[row].tolist(), before.proba[row].tolist(), strict=True))
        assert all(given_to[label] == 0 for label in out)
        if len(out) < 6:
            assert sum(given_to.values()) == pytest.approx(1, rel=1e-5)
            left = sum(p for label, p in was.items() if label not in out)
            for label in set(was) - set(out):
                assert given_to[label] == pytest.approx(was[label] / left, rel=1e-4)


def test_labels_that_share_nothing_share_alike() -> None:
    sure = FlatHead(C=10.0)
    coef = np.zeros((4, 1), dtype=np.float32)
    coef[0] = 2000  # exp(-2000) is 0 in every float
    sure.from_tensors({"coef": coef, "intercept": np.zeros(4, np.float32), "C": np.ones(1)}, np.arange(4))
    X = np.ones((2, 1), dtype=np.float32)
    found = propose(Model(sure, 1.0), X, {1: (0,)}, 4)
    assert found.proba[0].tolist() == [1, 0, 0, 0]
    assert found.proba[1] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert found.labels[1, 3] == 0
    assert found.gap[1] == pytest.approx(0, abs=1e-6)


def test_no_texts_have_no_proposals() -> None:
    found = propose(Model(FLAT, 1.0), PROBLEM.X_open[:0], NOTHING, 5)
    assert found.labels.shape == found.proba.shape == (0, 5)
    assert found.score.shape == found.gap.shape == (0,)
    assert found.labels.dtype == np.int32
