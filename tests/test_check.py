"""The expert against the head on labelled texts whose answer is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from problems import make_problem

from vermilion.config import RunSettings
from vermilion.red.check import Checked, Size, check_rows, trust_in
from vermilion.red.training import choose
from vermilion.red.trust import Trust
from vermilion.types import Expert, Label, Meter, Question, Reply, Spend, Verdict
from vermilion.world.experts import OracleExpert

PROBLEM = make_problem(n_labels=6)
CHOICE = choose(PROBLEM, RunSettings(head="flat"))
NAMES = [PROBLEM.labels[number].name for number in PROBLEM.y_given]
GOLD = dict(zip(PROBLEM.given_texts, NAMES, strict=True))
CHECKED = Checked.of(PROBLEM, CHOICE, 12, 3, 0)

Answer = Callable[[Question, int], str | None]


class Scripted:
    """Answers by a function of the question and of how often it was asked to the letter; keeps what it was asked."""

    name, simulated = "scripted", False

    def __init__(self, answer: Answer) -> None:
        self.answer, self.questions = answer, list[Question]()

    def key(self, question: Question) -> str:
        return hashlib.sha256(repr(question).encode()).hexdigest()

    def worst_case(self, question: Question) -> Spend:
        return Spend(1, 10, 10)

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        for question in questions:
            said, key = self.answer(question, self.questions.count(question)), self.key(question)
            self.questions.append(question)
            yield Reply(question, key, Verdict(key, said, Spend(1)))


class Free:
    """A meter that lets all pass."""

    def reserve(self, key: str, worst: Spend) -> int:
        return 0

    def settle(self, ticket: int, spent: Spend) -> None:
        pass

    def charge(self, keys: Sequence[str], each: Spend) -> int:
        return len(keys)


def ask(expert: Expert, questions: Sequence[Question]) -> Mapping[int, Verdict]:
    """Return all verdicts by place."""
    replies = enumerate(expert.ask(questions, Free()))
    return {place: reply.verdict for place, reply in replies if reply.verdict is not None}


def trust_of(expert: Expert, second: Expert | None = None, again: int = 6) -> Trust:
    """Check an expert on twelve texts with at most three options."""
    return trust_in((expert, second), PROBLEM.labels, CHECKED, again, ask)


def right(question: Question) -> str | None:
    truth = GOLD[question.text]
    return truth if truth in question.options else None


def test_half_are_those_on_which_the_head_is_least_sure() -> None:
    rows = check_rows(CHOICE, 0, 8)
    top = np.sort(CHOICE.proba, axis=1)
    gap = top[:, -1] - top[:, -2]
    assert len(set(rows.tolist())) == 8
    assert set(rows[:4].tolist()) == set(np.argsort(gap, kind="stable")[:4].tolist())
    assert len(check_rows(CHOICE, 0, 1000)) == len(CHOICE.held_out)
    assert CHECKED.disputed.tolist() == [True] * 6 + [False] * 6


def test_an_expert_that_knows_is_right_also_where_the_options_miss_the_truth() -> None:
    trust = trust_of(OracleExpert(GOLD))
    assert trust.disputed is not None
    assert trust.random is not None
    assert any(CHECKED.expected(place) is None for place in range(12)), "else this tests little"
    assert (trust.n, trust.disputed.expert, trust.random.expert) == (12, 1, 1)
    assert trust.disputed.head < 1
    assert trust.none is not None
    assert trust.none.count == 0
    assert (trust.mixed_up, trust.simulated) == ((), True)


def test_an_expert_that_errs_is_found_out() -> None:
    trust = trust_of(OracleExpert(GOLD, 1.0, 0, PROBLEM.rivals()))
    assert trust.disputed is not None
    assert trust.disputed.expert == 0
    assert trust.advises_against


def test_no_question_shows_its_own_text_as_an_example() -> None:
    assert all(question.text not in dict(question.examples) for question in CHECKED.questions)
    assert all(question.examples for question in CHECKED.questions)


def test_answers_that_differ_between_identical_calls_are_counted() -> None:
    flipped = {question.text for question in CHECKED.questions[:2]}

    def answer(question: Question, before: int) -> str | None:
        return None if before and question.text in flipped else right(question) or question.options[0]

    trust = trust_of(Scripted(answer))
    assert trust.flips is not None
    assert (trust.flips.count, trust.flips.n) == (2, 6)


def test_an_expert_that_takes_the_first_option_gives_itself_away_by_the_order() -> None:
    expert = Scripted(lambda question, before: question.options[0])
    trust = trust_of(expert)
    assert trust.flips is not None
    assert trust.order is not None
    assert (trust.flips.count, trust.order.count, trust.order.n) == (0, 6, 6)
    asked = {question.text: question.options for question in expert.questions[:12]}
    assert all(asked[question.text] == question.options[::-1] for question in expert.questions[-6:])


def test_a_second_expert_answers_the_same_texts_only() -> None:
    wrong = {question.text for question in CHECKED.questions[:3]}
    other = Scripted(lambda question, before: None if question.text in wrong else right(question))
    trust = trust_of(OracleExpert(GOLD), other)
    assert other.questions == list(CHECKED.questions)
    assert trust.second is not None
    none = sum(CHECKED.expected(place) is None for place in range(3))
    assert trust.second.agreed.count == 9 + none
    assert trust.second.accuracy == pytest.approx((9 + none) / 12)
    assert trust.second.gain == pytest.approx((3 - none) / 12)


def test_labels_taken_for_each_other_stand_side_by_side() -> None:
    pairs = {"a": "b", "b": "a"}

    def answer(question: Question, before: int) -> str | None:
        truth = right(question)
        rival = pairs.get(truth or "")
        return rival if rival in question.options else truth

    expert = Scripted(answer)
    labels = [Label("a", "use when a"), *PROBLEM.labels[1:]]
    checked = Checked.of(PROBLEM, CHOICE, 18, 6, 0)
    checked = replace(
        checked, questions=tuple(replace(q, options=tuple("abcdef")) for q in checked.questions)
    )
    trust = trust_in((expert, None), labels, checked, 0, ask)
    (pair,) = trust.mixed_up
    assert (pair.label, pair.other, pair.meaning, pair.other_meaning) == ("a", "b", "use when a", "b")
    assert pair.count == 6
    assert {GOLD[text] for text in pair.texts} <= {"a", "b"}
    assert (trust.flips, trust.order) == (None, None)


def test_none_of_these_is_counted_where_the_label_was_there() -> None:
    trust = trust_of(Scripted(lambda question, before: None))
    assert trust.none is not None
    assert trust.none.count == trust.none.n == sum(CHECKED.expected(place) is not None for place in range(12))


@pytest.mark.parametrize("experts", [1, 2])
def test_the_report_takes_at_most_a_tenth_of_a_capped_budget(experts: int) -> None:
    for budget in range(0, 4000, 7):
        size = Size.within(budget, 300, capped=True, experts=experts)
        if size is not None:
            assert size.texts * experts + 2 * size.again <= budget / 10
            assert 10 <= size.texts <= 100
            assert size.again <= size.texts // 2
    assert Size.within(4000, 300, capped=True, experts=experts) == Size(100, 20)
    assert Size.within(0, 300, capped=False, experts=experts) == Size(60, 0)
    assert Size.within(4000, 40, capped=True, experts=experts) == Size(40, 20)
    assert Size.within(4000, 9, capped=True, experts=experts) is None
