"""The labels of a run examined: what is told of them, and the file that people edit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from problems import make_problem, texts_of

from vermilion.learn.heads import FlatHead
from vermilion.red.carried import Carried, Known, state_of
from vermilion.red.examining import ADDITIONS, PROPOSALS, examine, propose_changes
from vermilion.red.health import Health, MergePair, SplitLabel, StarvingLabel, SuspectText
from vermilion.red.problem import Problem
from vermilion.red.record import Decision
from vermilion.red.report.health import health_section
from vermilion.red.state import State
from vermilion.red.training import Choice
from vermilion.world.label_changes import Named, read_changes

CHOICE = Choice(
    "flat", FlatHead(C=10.0), 1.0, (), np.zeros(0, dtype=np.intp), np.zeros((0, 4), dtype=np.float32)
)
FOUND = Health(
    40,
    (StarvingLabel("d", 2, 9, 0.5, "few texts"),),
    (SuspectText(-1, "given: 0\n# x", "a", "b", -0.9, 0.93), SuspectText(4, "open 4", "b", "a", -0.5, 0.7)),
    0.815,
    (MergePair(("a", "c"), 0.51, 20, 4, 0.93, ("one", "other")),),
    (SplitLabel("b", (("open 1", "open 2"), ("given: 1",)), 0.3, 0.2),),
)


def clear_problem(n_open: int = 120) -> Problem:
    """Return a problem whose open texts lie near their label's given ones."""
    problem = make_problem(seed=2, n_labels=4, n_open=n_open)
    X = problem.X_open + 1.5 * problem.centroids[problem.gold]
    return replace(problem, X_open=(X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32))


def decided(problem: Problem, state: State) -> list[Decision]:
    names = [label.name for label in problem.labels]
    return [
        Decision(f"p{row}", text, names[state.answers[row]], 1.0, "verified", 0, ())
        for row, text in enumerate(problem.open_texts)
    ]


def all_answered(problem: Problem, wrong: tuple[int, ...] = ()) -> State:
    assert problem.gold is not None
    names = [label.name for label in problem.labels]
    said = [
        (gold + 1) % len(names) if row in wrong else gold for row, gold in enumerate(problem.gold.tolist())
    ]
    known = [
        Known(text, names[label], names[label]) for text, label in zip(problem.open_texts, said, strict=True)
    ]
    return state_of(problem, Carried(tuple(known)))


def test_wrong_answers_are_found_among_right_ones() -> None:
    problem = clear_problem()
    wrong = (7, 40, 81, 102)
    state = all_answered(problem, wrong)

    health = examine(problem, CHOICE, state, decided(problem, state))

    found = {suspect.place: suspect for suspect in health.suspects}
    assert health.texts == 132
    assert len(found.keys() & set(wrong)) >= 3
    assert health.expected_precision is not None
    for row in found.keys() & set(wrong):
        assert found[row].text == problem.open_texts[row]
        assert problem.gold is not None
        assert found[row].suggested == problem.labels[problem.gold[row]].name


def test_two_labels_with_the_same_texts_are_proposed_for_merging() -> None:
    problem = clear_problem()
    state = all_answered(problem)
    second = np.flatnonzero(state.answers == 0)[::2]
    # Half of label a's texts are called d, d's are called c: d is a under another name.
    state.answers[state.answers == 3] = 2
    state.answers[second] = 3

    health = examine(problem, CHOICE, state, decided(problem, state))

    assert [set(pair.labels) for pair in health.merge] == [{"a", "d"}]
    assert len(health.merge[0].examples) == 2


def test_summary_tells_in_short_and_the_report_in_words() -> None:
    short = FOUND.short()

    assert json.loads(json.dumps(short)) == short
    section = health_section(short)
    assert (
        "1 pair to merge, 1 label to split, 2 texts probably labelled wrongly, 1 label that starves"
        in section.line
    )
    assert len(section.tables) == 4


def test_proposals_can_be_accepted_one_by_one(tmp_path: Path) -> None:
    labelled = texts_of(["given: 0\n# x", "given: 1"], ["a", "b"])
    decisions = [Decision(f"p{row}", f"open {row}", "b", 1.0, "auto", 0, ()) for row in range(5)]
    (tmp_path / ADDITIONS).write_text(
        json.dumps({"add": [{"name": "parking", "size": 3, "examples": ["p0"]}]})
    )

    propose_changes(tmp_path, FOUND, labelled, decisions)

    path = tmp_path / PROPOSALS
    written = path.read_text(encoding="utf-8")
    assert "82 % are expected" in written or "81 % are expected" in written
    path.write_text(written.replace("accept: no", "accept: yes"), encoding="utf-8")
    changes = read_changes(path)
    assert changes.counts() == {"add": 1, "merge": 1, "split": 1, "relabel": 2}
    assert changes.merge[0].labels == ("a", "c")
    assert [part.examples for part in changes.split[0].into] == [
        (Named("pool", "p1"), Named("pool", "p2")),
        (Named("labelled", "1"),),
    ]
    assert [(change.text, change.to) for change in changes.relabel] == [
        (Named("labelled", "0"), "b"),
        (Named("pool", "p4"), "a"),
    ]


def test_a_run_without_answers_is_judged_by_its_labelled_texts() -> None:
    problem = make_problem()
    state = State.empty(len(problem.open_texts))

    health = examine(problem, CHOICE, state, [])

    assert health.texts == 12
    assert {starving.why for starving in health.starving} <= {"low recall", "hardly used"}
