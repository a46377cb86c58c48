"""The same question asked once more, under a key of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from vermilion.config import Caps
from vermilion.errors import CapReachedError
from vermilion.red.asking import Desk
from vermilion.red.progress import Silent
from vermilion.types import Question
from vermilion.world.asked_again import AskedAgain
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

GOLD = {f"text {number}": "ab"[number % 2] for number in range(6)}
QUESTIONS = [Question(text, ("a", "b")) for text in GOLD]
ORACLE = OracleExpert(GOLD)


def test_the_second_time_is_asked_counted_and_kept(tmp_path: Path) -> None:
    with Store.open(tmp_path / "run.sqlite") as store:
        desk = Desk(ORACLE, store, store.meter(Caps()), Silent())
        again = Desk(AskedAgain(ORACLE), store, store.meter(Caps()), Silent())
        first = desk.ask(QUESTIONS, -1)
        assert again.known(QUESTIONS) == {}
        second = again.ask(QUESTIONS, -1)
        assert [second[i].label for i in range(6)] == [first[i].label for i in range(6)]
        assert (store.spent().calls, store.count_verdicts()) == (12, 12)
        assert again.ask(QUESTIONS, -1) == second
        assert (store.spent().calls, store.count_verdicts()) == (12, 12), "the third time is found"


def test_each_time_has_its_own_key() -> None:
    keys = [expert.key(QUESTIONS[0]) for expert in (ORACLE, AskedAgain(ORACLE), AskedAgain(ORACLE, 3))]
    assert len(set(keys)) == 3
    assert AskedAgain(ORACLE).key(QUESTIONS[0]) == keys[1]
    assert AskedAgain(ORACLE).worst_case(QUESTIONS[0]) == ORACLE.worst_case(QUESTIONS[0])


def test_a_cap_holds_for_the_second_time_too(tmp_path: Path) -> None:
    with Store.open(tmp_path / "run.sqlite") as store:
        meter = store.meter(Caps(max_calls=8))
        list(ORACLE.ask(QUESTIONS, meter))
        replies = AskedAgain(ORACLE).ask(QUESTIONS, meter)
        with pytest.raises(CapReachedError):
            list(replies)
        assert store.spent().calls == 8
