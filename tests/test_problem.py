"""Distinct texts, where each pool row finds its own, and what is reckoned from their vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import make_problem, texts_of

from vermilion.red.problem import build, lay_out
from vermilion.types import Label, Texts

WORDS = st.sampled_from("abcdefgh")


@given(labelled=st.lists(WORDS, max_size=8), pool=st.lists(WORDS, max_size=12))
def test_every_pool_row_finds_its_own_text(labelled: list[str], pool: list[str]) -> None:
    layout = lay_out(texts_of(labelled, [word.upper() for word in labelled]), texts_of(pool))
    found = [
        layout.open_texts[place] if place >= 0 else layout.given_texts[-1 - place]
        for place in layout.owner.tolist()
    ]
    assert found == pool
    assert layout.given_texts == tuple(dict.fromkeys(labelled))
    assert layout.open_texts == tuple(dict.fromkeys(text for text in pool if text not in labelled))
    assert layout.given_labels == tuple(text.upper() for text in layout.given_texts)


def test_a_labelled_text_in_the_pool_is_not_asked_about() -> None:
    layout = lay_out(texts_of(["pay me", "hello"], ["refund", "greeting"]), texts_of(["hello", "bye"]))
    assert layout.open_texts == ("bye",)
    assert layout.owner.tolist() == [-2, 0]


def test_an_empty_pool_and_a_pool_of_given_texts_leave_nothing_open() -> None:
    labelled = texts_of(["x", "y"], ["a", "b"])
    for pool in ([], ["y", "x"]):
        layout = lay_out(labelled, texts_of(pool))
        assert layout.open_texts == ()
        problem = build(layout, [Label("a"), Label("b")], (np.eye(2), np.zeros((0, 2))))
        assert problem.weights.tolist() == []


def test_texts_without_labels_are_not_taken_for_labelled_ones() -> None:
    with pytest.raises(ValueError, match="shorter"):
        lay_out(texts_of(["x"]), texts_of(["y"]))


def test_places_lead_back_to_texts() -> None:
    problem = make_problem(n_open=3)
    assert [problem.text(place) for place in (0, 2, -1, -12)] == [
        "open 0",
        "open 2",
        "a given 0",
        "d given 2",
    ]


@given(copies=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_weights_count_the_rows_of_each_open_text(copies: list[int]) -> None:
    problem = make_problem(n_open=len(copies), copies=copies)
    assert problem.weights.tolist() == [count for count in copies if count]
    assert len(problem.owner) == sum(copies) + len(problem.labels)


def test_gold_is_a_number_or_minus_one_where_it_is_no_label() -> None:
    layout = lay_out(texts_of(["x", "y"], ["a", "b"]), texts_of(["p", "q", "r"]))
    vectors = (np.eye(2), np.zeros((3, 2)))
    labels = [Label("b"), Label("a")]
    problem = build(layout, labels, vectors, {"p": "a", "q": "out of scope"})
    assert problem.gold is not None
    assert problem.gold.tolist() == [1, -1, -1]
    assert problem.y_given.tolist() == [1, 0]
    assert build(layout, labels, vectors).gold is None


def test_centroids_are_the_directions_of_the_means() -> None:
    problem = make_problem()
    for number in range(len(problem.labels)):
        mean = problem.X_given[problem.y_given == number].mean(axis=0)
        np.testing.assert_allclose(problem.centroids[number], mean / np.linalg.norm(mean), rtol=1e-5)


def test_rivals_are_all_others_the_most_similar_first() -> None:
    labelled = Texts(tuple("0123"), tuple("wxyz"), (("near",), ("it",), ("far",), ("middle",)))
    angles = np.radians([10, 0, 170, 60])
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    labels = [Label(name) for name in ("it", "far", "near", "middle")]
    problem = build(lay_out(labelled, texts_of([])), labels, (X, X[:0]))
    rivals = problem.rivals()
    assert rivals["it"] == ("near", "middle", "far")
    assert rivals["far"] == ("middle", "near", "it")
    assert all({name, *others} == {"it", "far", "near", "middle"} for name, others in rivals.items())


def test_rivals_that_are_alike_keep_the_order_of_the_labels_and_no_label_is_its_own() -> None:
    problem = make_problem(n_labels=5)
    same = replace(problem, X_given=np.ones_like(problem.X_given))
    assert same.rivals() == {name: tuple("abcde".replace(name, "")) for name in "abcde"}
    alone = replace(problem, labels=problem.labels[:1], X_given=problem.X_given[:3], y_given=np.zeros(3, int))
    assert alone.rivals() == {"a": ()}
