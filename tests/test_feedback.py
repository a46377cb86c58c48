"""Feedback on real SQLite and PostgreSQL: durable, said once, only about decisions that there were."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.errors import InputError, UnknownDecisionError
from vermilion.world.decision_ids import DecisionIds
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home


@pytest.fixture
def home(place: str, tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home", place, environment={})


@pytest.fixture
def feedback(home: Home) -> Iterator[Feedback]:
    with Feedback.open(home) as feedback:
        yield feedback


def test_what_was_said_is_there_again(home: Home, feedback: Feedback) -> None:
    one, two = feedback.ids.new(), feedback.ids.new()
    first = feedback.add(one, "refund é 🙂", key="k1")
    second = feedback.add(two, ["a", "b", "a"], key="k1", at="2026-11-22T12:00:00.000+00:00")
    none = feedback.add(feedback.ids.new(), [], key="k1")  # of several labels none may be right
    assert (first.labels, second.labels, none.labels) == (("refund é 🙂",), ("a", "b"), ())
    with Feedback.open(home) as again:
        assert list(again.since()) == [first, second, none]
        assert list(again.since(first.number)) == [second, none]
        assert again.ids.made_at(one) == feedback.ids.made_at(one)  # ids are known to every process


def test_the_same_again_changes_nothing_and_something_else_replaces_it(feedback: Feedback) -> None:
    decision = feedback.ids.new()
    first = feedback.add(decision, "a", key="k1")
    assert feedback.add(decision, "a", key="k1") == first
    second = feedback.add(decision, "b", key="k1")
    assert (second.replaces, second.number > first.number) == (first.number, True)
    third = feedback.add(decision, "a", key="k1")  # back again is a change, too
    other = feedback.add(decision, "c", key="k2")
    assert list(feedback.since()) == [first, second, third, other]
    assert feedback.of(decision) == [third, other]
    assert feedback.of(feedback.ids.new()) == []


def test_all_is_read_however_much_it_is(feedback: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.world.feedback.PAGE", 3)
    said = [feedback.add(feedback.ids.new(), f"{i}", key="k") for i in range(7)]
    assert list(feedback.since()) == said
    assert list(feedback.since(said[3].number)) == said[4:]


def test_who_reads_on_misses_nothing_that_many_write(home: Home) -> None:
    """A number must not come to be seen after a greater one."""
    with Feedback.open(home) as feedback:
        begin = threading.Barrier(5)
        seen: list[int] = []

        def write(key: str) -> None:
            begin.wait()
            for i in range(5):
                feedback.add(feedback.ids.new(), f"{i}", key=key)

        threads = [threading.Thread(target=write, args=(f"k{i}",)) for i in range(4)]
        for one in threads:
            one.start()
        begin.wait()
        last = 0
        while any(one.is_alive() for one in threads):
            for row in feedback.since(last):
                seen.append(row.number)
                last = row.number
        seen += [row.number for row in feedback.since(last)]
        assert len(seen) == 20
        assert seen == sorted(row.number for row in feedback.since())


def test_one_key_that_says_the_same_from_many_threads_says_it_once(feedback: Feedback) -> None:
    decision, begin = feedback.ids.new(), threading.Barrier(6)

    def write() -> None:
        begin.wait()
        feedback.add(decision, "a", key="k")

    threads = [threading.Thread(target=write) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(list(feedback.since())) == 1


@pytest.mark.parametrize("decision", ["", "d123", "x" * 10_000, "d" + "a" * 32, "d" + "A" * 32, "é"])
def test_ids_that_were_never_given_out_are_refused_in_one_line(feedback: Feedback, decision: str) -> None:
    with pytest.raises(UnknownDecisionError, match="expected an id that this service gave out") as caught:
        feedback.add(decision, "a", key="k")
    assert len(str(caught.value)) < 200
    assert list(feedback.since()) == []


def test_an_id_of_another_service_is_refused(feedback: Feedback) -> None:
    with pytest.raises(UnknownDecisionError):
        feedback.add(DecisionIds(b"another").new(), "a", key="k")


@pytest.mark.parametrize(
    "label", ["", " ", "x" * 501, "a\0b", "\ud800", ["a", ""], [f"{i}" for i in range(101)]]
)
def test_labels_that_are_none_are_refused(feedback: Feedback, label: str | list[str]) -> None:
    with pytest.raises(InputError, match="label: expected"):
        feedback.add(feedback.ids.new(), label, key="k")
    assert list(feedback.since()) == []


@given(
    at=st.datetimes(datetime(1971, 1, 1), datetime(9999, 1, 1)),
    place=st.integers(1, 32),
    letter=st.sampled_from("az27"),
)
def test_an_id_tells_its_time_and_no_letter_may_change(at: datetime, place: int, letter: str) -> None:
    ids = DecisionIds(b"secret")
    told = at.replace(tzinfo=UTC)
    found = ids.new(told.timestamp())
    assert abs((ids.made_at(found) - told).total_seconds()) < 0.002
    changed = found[:place] + letter + found[place + 1 :]
    if changed != found:
        with pytest.raises(UnknownDecisionError):
            ids.made_at(changed)


def test_ids_are_never_given_out_twice() -> None:
    ids = DecisionIds(b"secret")
    assert len({ids.new(1.0) for _ in range(10_000)}) == 10_000


CHILD = """
import sys
from pathlib import Path
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home
feedback = Feedback.open(Home.open(Path(sys.argv[1]), environment={}))
while True:
    told = feedback.add(feedback.ids.new(), "a", key="k")
    print(told.decision, flush=True)
"""


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline().strip() for _ in range(5)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    with Feedback.open(Home.open(tmp_path, environment={})) as feedback:
        found = [row.decision for row in feedback.since()]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
