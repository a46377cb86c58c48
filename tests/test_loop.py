"""The loop on small problems: what was asked stays asked, and is not asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from problems import make_problem

from vermilion.config import Caps, RunSettings
from vermilion.learn.heads import HEADS
from vermilion.red.asking import Desk
from vermilion.red.loop import LEAST_ROUND, Loop, Outcome
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model
from vermilion.types import Meter, Question, Reply
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

PROBLEM = make_problem(n_labels=4, n_open=200)


class Forgetful(OracleExpert):
    """Leaves every fifth text without an answer; counts what it is asked."""

    def __init__(self, problem: Problem) -> None:
        assert problem.gold is not None
        names = [problem.labels[number].name for number in problem.gold]
        super().__init__(dict(zip(problem.open_texts, names, strict=True)), error=0.2)
        self.silent = set(problem.open_texts[::5])
        self.asked = 0

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Answer those that it can."""
        self.asked += len(questions)
        for question in questions:
            if question.text in self.silent:
                yield Reply(question, self.key(question), None, "no answer")
        yield from super().ask([q for q in questions if q.text not in self.silent], meter)


def go(store: Store, expert: Forgetful, calls: int) -> Outcome:
    """Run the loop to its end, or on from where it was."""
    settings = RunSettings(expert="oracle:gold.csv", target=1.0, rounds=3, caps=Caps(max_calls=calls))
    desk = Desk(expert, store, store.meter(settings.caps), Silent())
    model = Model(HEADS["centroid"](), 1.0)
    return Loop(PROBLEM, settings, model, desk, desk.meter, calls).run()


def test_a_closed_step_is_not_asked_again(tmp_path: Path) -> None:
    expert = Forgetful(PROBLEM)
    with Store.open(tmp_path / "run.sqlite") as store:
        first = go(store, expert, 90)
        assert len(first.rounds) > 2
        before, expert.asked = expert.asked, 0
        again = go(store, expert, 90)
    # Only the last step is still open, and only its texts without an answer are tried again.
    assert 0 < expert.asked < before / 3
    assert (again.stopped, again.certificate) == (first.stopped, first.certificate)
    assert [r.asked for r in again.rounds] == [r.asked for r in first.rounds]


def test_a_closed_step_stays_as_it_was_even_where_answers_could_be_had_now(tmp_path: Path) -> None:
    expert = Forgetful(PROBLEM)
    with Store.open(tmp_path / "run.sqlite") as store:
        first = go(store, expert, 90)
        expert.silent = set()
        again = go(store, expert, 90)
    assert [r.asked for r in again.rounds[:-1]] == [r.asked for r in first.rounds[:-1]]


def test_a_round_is_not_smaller_than_tells_anything(tmp_path: Path) -> None:
    expert = Forgetful(PROBLEM)
    with Store.open(tmp_path / "run.sqlite") as store:
        go(store, expert, 45)
        step = store.get(store.names("step/")[0])
    assert step is not None
    assert len(step["asked"]) == LEAST_ROUND


def test_a_raised_cap_goes_on_beyond_the_rounds_first_planned(tmp_path: Path) -> None:
    expert = Forgetful(PROBLEM)
    expert.silent = set()
    with Store.open(tmp_path / "run.sqlite") as store:
        first = go(store, expert, 90)
        more = go(store, expert, 150)
    assert more.rounds[-1].calls == 150 > first.rounds[-1].calls
    assert [r.asked for r in more.rounds[: len(first.rounds)]] == [r.asked for r in first.rounds]


def test_a_cap_raised_by_less_than_an_audit_keeps_the_certificate(tmp_path: Path) -> None:
    expert = Forgetful(PROBLEM)
    expert.silent = set()
    with Store.open(tmp_path / "run.sqlite") as store:
        first = go(store, expert, 90)
        again = go(store, expert, 95)
    assert first.certificate is not None
    assert again.certificate == first.certificate
