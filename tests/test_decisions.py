"""One decision a pool row, and what is counted over all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from problems import make_problem, propose_for, texts_of

from vermilion.red.decisions import (
    as_row,
    as_rows,
    confidence_counts,
    count_sources,
    decide,
    gold_scores,
    hardest_pairs,
    label_counts,
    least_certain,
)
from vermilion.red.loop import Outcome
from vermilion.red.problem import Problem
from vermilion.red.record import Decision, RoundRecord
from vermilion.red.state import Asked, State, Step
from vermilion.types import Texts, Verdict

# The pool: open texts 0 to 7, the even ones once, the odd ones twice, then four given ones.
PROBLEM = make_problem(n_open=8, copies=(1, 2))
POOL = texts_of([PROBLEM.text(place) for place in PROBLEM.owner.tolist()])
PROPOSED = propose_for(PROBLEM, State.empty(8))[1].labels[:, 0].tolist()


def outcome(verdicts: dict[int, int | None], problem: Problem = PROBLEM) -> Outcome:
    """Return how a run of three rounds ended in whose second the expert gave these labels (by open text)."""
    names = [label.name for label in problem.labels]
    state = State.empty(len(problem.open_texts))
    step = Step("round", tuple(Asked(row, (PROPOSED[row],)) for row in verdicts))
    said = {
        place: Verdict("k", None if label is None else names[label])
        for place, label in enumerate(verdicts.values())
    }
    state.apply(problem, step, said, 1)
    model, proposals = propose_for(problem, state)
    rounds = tuple(RoundRecord(number, 0, 0, 0, None) for number in range(3))
    return Outcome(state, model, proposals, rounds, None, "rounds: 2 asked", {})


def other(label: int) -> int:
    return (label + 1) % 4


ENDED = outcome({0: PROPOSED[0], 1: other(PROPOSED[1]), 2: None})
DECISIONS = decide(PROBLEM, ENDED, POOL)
BY_TEXT = {decision.text: decision for decision in DECISIONS}


def test_every_pool_row_is_decided_in_the_pools_order() -> None:
    assert [(d.id, d.text) for d in DECISIONS] == list(zip(POOL.ids, POOL.texts, strict=True))


def test_sources_tell_how_each_came_about() -> None:
    assert count_sources(DECISIONS) == {
        **{"given": 4, "verified": 1, "corrected": 2, "auto": 8},
        **{"none": 0, "out_of_scope": 0, "review": 1},
    }
    names = "abcd"
    assert BY_TEXT["c given 0"] == Decision(
        BY_TEXT["c given 0"].id, "c given 0", "c", 1.0, "given", 0, (("c", 1.0),)
    )
    verified, corrected, review = (BY_TEXT[f"open {row}"] for row in range(3))
    assert (verified.source, verified.label) == ("verified", names[PROPOSED[0]])
    assert (corrected.source, corrected.label) == ("corrected", names[other(PROPOSED[1])])
    assert verified.confidence == corrected.confidence == 1.0
    assert verified.round == corrected.round == 1
    assert review.source == "review"
    assert review.label != names[PROPOSED[2]]


def test_what_the_model_decided_has_its_probability_and_the_last_round() -> None:
    auto = BY_TEXT["open 5"]
    assert (auto.source, auto.round) == ("auto", 2)
    assert (auto.label, auto.confidence) == auto.candidates[0]
    assert auto.confidence == pytest.approx(float(ENDED.proposals.proba[5, 0]), abs=1e-6)


def test_copies_of_a_text_have_the_same_decision() -> None:
    copies = [replace(d, id="") for d in DECISIONS if d.text == "open 1"]
    assert len(copies) == 2
    assert copies[0] == copies[1]


def test_at_most_five_candidates_are_told_the_likeliest_first() -> None:
    problem = make_problem(n_labels=9, n_open=8)
    pool = texts_of([problem.text(place) for place in problem.owner.tolist()])
    for decision in decide(problem, outcome({}, problem), pool):
        values = [p for _, p in decision.candidates]
        assert values == sorted(values, reverse=True)
        assert len(values) == (1 if decision.source == "given" else 5)


def test_rows_of_the_output_have_the_fields_that_were_promised() -> None:
    row = as_row(BY_TEXT["open 0"])
    assert list(row) == [
        *("id", "text", "label", "confidence", "source", "round", "candidates"),
        "out_of_scope",
    ]
    assert row["candidates"][0].keys() == {"label", "probability"}
    assert [r["id"] for r in as_rows(DECISIONS)] == list(POOL.ids)


def test_scores_against_gold_count_pool_rows() -> None:
    gold = np.array(PROPOSED)
    gold[[1, 4, 5]] = [other(PROPOSED[1]), other(PROPOSED[4]), -1]
    problem = replace(PROBLEM, gold=gold)
    # Weights are 1, 2, 1, 2, ...; wrong are the review (2), and by the model 4 and 5.
    ended = outcome({0: PROPOSED[0], 1: other(PROPOSED[1]), 2: None})
    scores = gold_scores(problem, ended)
    assert scores == pytest.approx({"agreement": 8 / 12, "auto_agreement": 5 / 9, "expert_agreement": 1.0})
    wrong_expert = gold_scores(problem, outcome({0: other(PROPOSED[0]), 1: other(PROPOSED[1])}))
    assert wrong_expert is not None
    assert wrong_expert["expert_agreement"] == pytest.approx(2 / 3)


def test_scores_are_left_out_where_nothing_is_scored() -> None:
    assert gold_scores(replace(PROBLEM, gold=None), ENDED) is None
    untouched = gold_scores(PROBLEM, outcome({}))
    assert untouched is not None
    assert set(untouched) == {"agreement", "auto_agreement"}
    everything = gold_scores(PROBLEM, outcome(dict(enumerate(PROPOSED))))
    assert everything is not None
    assert set(everything) == {"agreement", "expert_agreement"}
    nothing_open = make_problem(n_open=0)
    model, proposals = propose_for(nothing_open, State.empty(0))
    ended = Outcome(State.empty(0), model, proposals, (), None, "", {})
    assert gold_scores(nothing_open, ended) == {}


def test_confidence_is_counted_in_twenty_bins_and_every_decision_once() -> None:
    counts = confidence_counts(DECISIONS)
    assert set(counts) == {"given", "verified", "corrected", "auto", "review"}
    assert {len(bins) for bins in counts.values()} == {20}
    assert {source: sum(bins) for source, bins in counts.items()} == {
        source: count for source, count in count_sources(DECISIONS).items() if count
    }
    assert counts["given"] == (*[0] * 19, 4)


def test_the_hardest_pairs_are_those_overruled_most_often() -> None:
    pairs = hardest_pairs(PROBLEM, outcome({row: other(PROPOSED[row]) for row in range(8)}))
    assert sum(pair.count for pair in pairs) == 8
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)
    for pair in pairs:
        assert "abcd".index(pair.answered) == other("abcd".index(pair.proposed))
        assert len(pair.texts) == min(pair.count, 3)
        for text in pair.texts:
            assert "abcd"[PROPOSED[PROBLEM.open_texts.index(text)]] == pair.proposed
    assert hardest_pairs(PROBLEM, outcome(dict(enumerate(PROPOSED)))) == ()


def test_labels_are_counted_in_their_order() -> None:
    counts = label_counts(PROBLEM, DECISIONS)
    assert [(name, labelled) for name, _, labelled in counts] == [(name, 3) for name in "abcd"]
    assert sum(decided for _, decided, _ in counts) == len(DECISIONS)


def test_a_person_is_shown_the_models_least_certain_decisions() -> None:
    shown = least_certain(DECISIONS)
    assert {decision.source for decision in shown} == {"auto", "review"}
    values = [decision.confidence for decision in shown]
    assert values == sorted(values)
    many = [replace(DECISIONS[0], source="auto", confidence=p) for p in np.linspace(1, 0, 100)]
    assert [d.confidence for d in least_certain(many)] == pytest.approx(np.linspace(0, 1, 100)[:25])


def test_an_empty_pool_has_no_decisions() -> None:
    empty = make_problem(n_open=0)
    model, proposals = propose_for(empty, State.empty(0))
    ended = Outcome(State.empty(0), model, proposals, (), None, "", {})
    problem = replace(empty, owner=empty.owner[:0])
    assert decide(problem, ended, Texts((), ())) == []
    assert set(count_sources([]).values()) == {0}
    assert confidence_counts([]) == {}
