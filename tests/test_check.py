"""The expert against the head on labelled texts whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from problems import make_problem

from vermilion.config import Caps, RunSettings
from vermilion.red.asking import Desk
from vermilion.red.check import advice, check_expert, check_rows
from vermilion.red.progress import Silent
from vermilion.red.training import choose
from vermilion.types import Meter, Question, Reply
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

PROBLEM = make_problem(n_labels=6)
CHOICE = choose(PROBLEM, RunSettings(head="flat"))


class Watched(OracleExpert):
    """Keeps what it was asked."""

    def __init__(self, error: float) -> None:
        names = [PROBLEM.labels[number].name for number in PROBLEM.y_given]
        super().__init__(dict(zip(PROBLEM.given_texts, names, strict=True)), error, 0, PROBLEM.rivals())
        self.questions: list[Question] = []

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Note the questions, then answer them."""
        self.questions += questions
        return super().ask(questions, meter)


def check(expert: Watched, folder: Path) -> dict[str, float]:
    """Check an expert on at most 12 texts with at most 3 options."""
    with Store.open(folder / "run.sqlite") as store:
        return check_expert(PROBLEM, CHOICE, Desk(expert, store, store.meter(Caps()), Silent()), (0, 12, 3))


def test_half_are_those_on_which_the_head_is_least_sure() -> None:
    rows = check_rows(CHOICE, 0, 8)
    top = np.sort(CHOICE.proba, axis=1)
    gap = top[:, -1] - top[:, -2]
    assert len(set(rows.tolist())) == 8
    assert set(rows[:4].tolist()) == set(np.argsort(gap, kind="stable")[:4].tolist())
    assert len(check_rows(CHOICE, 0, 1000)) == len(CHOICE.held_out)


def test_an_expert_that_knows_is_right_also_where_the_options_miss_the_truth(tmp_path: Path) -> None:
    scores = check(Watched(0.0), tmp_path)
    assert (scores["n"], scores["expert"], scores["expert_hard"]) == (12, 1, 1)
    assert scores["head"] < 1


def test_an_expert_that_errs_is_found_out(tmp_path: Path) -> None:
    scores = check(Watched(1.0), tmp_path)
    assert scores["expert"] == 0
    assert "not worth buying" in advice(scores)


def test_no_question_shows_its_own_text_as_an_example(tmp_path: Path) -> None:
    expert = Watched(0.0)
    check(expert, tmp_path)
    assert all(question.text not in dict(question.examples) for question in expert.questions)
    assert all(question.examples for question in expert.questions)


@pytest.mark.parametrize(
    ("hard", "worth"),
    [({}, True), ({"expert_hard": 0.5, "head_hard": 0.6}, False)],
    ids=["whole", "hard half"],
)
def test_the_advice_goes_by_the_hard_half(hard: dict[str, float], worth: bool) -> None:
    told = advice({"n": 60, "expert": 0.9, "head": 0.8} | hard)
    assert ("not worth buying" in told) is not worth
