"""The store on real SQLite and real PostgreSQL: nothing stored is lost, no cap is passed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from vermilion.config import Caps
from vermilion.errors import CapReachedError, StoreError
from vermilion.types import Question, Spend, Verdict
from vermilion.world import store_schema
from vermilion.world.ledger import PICO
from vermilion.world.store import Store

QUESTION = Question("where is my card?", ("arrival", "loss"))
WORST = Spend(1, 100, 20, 0.01)


def verdict(key: str, label: str | None = "arrival", cost: float = 0.0) -> tuple[Verdict, Question, int]:
    return Verdict(key, label, Spend(1, 10, 2, cost)), QUESTION, 0


def test_what_was_stored_is_there_again(place: str) -> None:
    with Store.open(place) as store:
        store.add_verdicts([verdict("a"), verdict("b", None, 0.25)])
        store.put("step/0001", {"rows": [1, 2], "name": "é\u2028🙂"})
    with Store.open(place) as store:
        assert store.verdicts(["a", "b", "c"]) == {
            "a": Verdict("a", "arrival", Spend(1, 10, 2, 0.0)),
            "b": Verdict("b", None, Spend(1, 10, 2, 0.25)),
        }
        assert store.get("step/0001") == {"rows": [1, 2], "name": "é\u2028🙂"}
        assert store.get("step/0002") is None
        assert store.count_verdicts() == 2


def test_the_first_verdict_of_a_key_stays(place: str) -> None:
    with Store.open(place) as store:
        store.add_verdicts([verdict("a", "arrival")])
        store.add_verdicts([verdict("a", "loss"), verdict("b", "loss")])
        store.add_verdicts([])
        labels = {key: found.label for key, found in store.verdicts(["a", "b"]).items()}
    assert labels == {"a": "arrival", "b": "loss"}


def test_bulk_lookup_of_many_keys(place: str) -> None:
    keys = [f"key{i}" for i in range(2_345)]
    with Store.open(place) as store:
        store.add_verdicts([verdict(key) for key in keys])
        assert list(store.verdicts([*keys, "other"])) != []
        assert set(store.verdicts([*keys, "other"])) == set(keys)
        assert store.verdicts([]) == {}


def test_values_by_name(place: str) -> None:
    with Store.open(place) as store:
        for name in ("step/2", "step/1", "step%", "Step/3"):
            store.put(name, name)
        store.put("step/1", [None])
        assert store.names("step/") == ["step/1", "step/2"]
        assert store.names("step%") == ["step%"]
        assert sorted(store.names()) == ["Step/3", "step%", "step/1", "step/2"]
        assert store.get("step/1") == [None]


def test_events_are_kept_in_order(place: str) -> None:
    with Store.open(place) as store:
        for number in range(3):
            store.log("round", {"number": number})
        store.clear()
        assert [(kind, body["number"]) for _, kind, body in store.events()[:3]] == [
            ("round", n) for n in range(3)
        ]


def test_starting_over_loses_nothing_that_was_paid_for(place: str) -> None:
    with Store.open(place) as store:
        meter = store.meter(Caps())
        meter.settle(meter.reserve("a", WORST), WORST)
        store.add_verdicts([verdict("a")])
        store.put("step/1", 1)
        store.put("meaning/x", "use when", keep=True)
        store.clear()
        assert store.names() == ["meaning/x"]
        assert set(store.verdicts(["a"])) == {"a"}
        assert store.spent() == Spend()
        assert store.events()[-1][1:] == ("cleared", asdict(WORST))


def test_beginning_anew_puts_values_in_place_of_plans_and_says_why(place: str) -> None:
    with Store.open(place) as store:
        store.meter(Caps()).charge(["a"], WORST)
        store.add_verdicts([verdict("a")])
        store.put("step/1", 1)
        store.put("meaning/x", "use when", keep=True)
        store.begin_anew({"relabelled": [1], "identity": {"seed": 0}}, "labels changed", {"rename": 1})
        assert store.names() == ["identity", "meaning/x", "relabelled"]
        assert store.get("relabelled") == [1]
        assert store.spent() == Spend()
        assert set(store.verdicts(["a"])) == {"a"}
        assert store.events()[-1][1:] == ("labels changed", asdict(WORST) | {"why": {"rename": 1}})


def test_what_another_run_has_paid_for_is_taken_over(place: str) -> None:
    many = [verdict(f"k{number}") for number in range(1200)]
    with Store.open(place, run="one") as one, Store.open(place, run="two") as two:
        one.add_verdicts(many)
        one.put("meaning/x", "use when", keep=True)
        one.put("step/1", 1)
        two.add_verdicts([verdict("k0", "loss")])
        two.take_over(one)
        assert two.count_verdicts() == one.count_verdicts() == 1200
        assert two.verdicts(["k0", "k1"])["k0"].label == "loss"  # the first of a key stays
        assert two.names() == ["meaning/x"]
        assert two.spent() == Spend()


def test_runs_in_one_database_do_not_see_each_other(place: str) -> None:
    with Store.open(place, run="one") as one, Store.open(place, run="two") as two:
        one.add_verdicts([verdict("a", "arrival")])
        one.put("name", 1)
        one.log("event", 1)
        one.meter(Caps(max_calls=1)).reserve("a", WORST)
        two.meter(Caps(max_calls=1)).reserve("a", WORST)
        assert two.verdicts(["a"]) == {}
        assert two.get("name") is None
        assert two.events() == []
        two.add_verdicts([verdict("a", "loss")])
        two.clear()
        assert one.get("name") == 1
        assert one.verdicts(["a"])["a"].label == "arrival"


# --- the ledger


def test_a_reservation_counts_until_it_is_settled(place: str) -> None:
    with Store.open(place) as store:
        meter = store.meter(Caps(max_cost=0.02))
        ticket = meter.reserve("a", WORST)
        assert store.spent() == WORST
        meter.reserve("b", WORST)
        with pytest.raises(
            CapReachedError, match=r"--max-cost \$0.02: \$0.02 spent or set aside.*take \$0.01"
        ):
            meter.reserve("c", WORST)
        meter.settle(ticket, Spend(1, 50, 5, 0.001))
        meter.settle(ticket, Spend(1, 99, 99, 99.0))
        assert store.spent() == Spend(2, 150, 25, 0.011)
        with pytest.raises(CapReachedError):
            meter.reserve("c", WORST)
        assert store.meter(Caps(max_cost=0.021)).reserve("c", WORST)


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (Caps(max_calls=2), "--max-calls 2: 2 spent"),
        (Caps(max_tokens=240), "--max-tokens 240 tokens: 240 tokens"),
    ],
)
def test_each_cap_has_its_message(place: str, caps: Caps, said: str) -> None:
    with Store.open(place) as store:
        meter = store.meter(caps)
        meter.reserve("a", WORST)
        meter.reserve("b", WORST)
        with pytest.raises(CapReachedError, match=said):
            meter.reserve("c", WORST)
        assert store.spent().calls == 2


def test_a_question_counts_once_however_often_it_is_asked(place: str) -> None:
    failed, answered = Spend(0, 10, 1, 0.0), Spend(1, 10, 1, 0.0)
    with Store.open(place) as store:
        meter = store.meter(Caps(max_calls=2))
        meter.settle(meter.reserve("a", WORST), failed)
        assert store.spent().calls == 0
        meter.settle(meter.reserve("a", WORST), answered)
        assert store.spent() == Spend(1, 20, 2, 0.0)
        meter.reserve("b", WORST)  # a crash leaves it open
        ticket = meter.reserve("b", WORST)
        assert store.spent() == Spend(2, 220, 42, 0.02)
        meter.settle(ticket, failed)
        assert store.spent() == Spend(1, 130, 23, 0.01)
        meter.settle(meter.reserve("b", WORST), answered)
        assert store.spent().calls == 2
        with pytest.raises(CapReachedError):
            meter.reserve("c", WORST)


def test_charging_books_as_many_as_fit(place: str) -> None:
    keys = [f"key{i}" for i in range(1_200)]
    with Store.open(place) as store:
        meter = store.meter(Caps(max_calls=1_000))
        assert meter.charge(keys[:3], Spend(1)) == 3
        assert meter.charge(keys, Spend(1)) == 1_000
        assert store.spent() == Spend(1_000)
        assert meter.charge(keys[:10], Spend(1)) == 10  # booked already: they count no more
        assert meter.charge([], Spend(1)) == 0
        with pytest.raises(CapReachedError, match="--max-calls 1,000"):
            meter.charge(keys[1_000:], Spend(1))
        assert store.spent() == Spend(1_000)


def test_dollars_add_up_exactly(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s") as store:
        meter = store.meter(Caps(max_cost=1.0))
        for number in range(10):
            meter.reserve(str(number), Spend(1, 0, 0, 0.1))
        assert store.spent().cost_usd == 1.0
        with pytest.raises(CapReachedError):
            meter.reserve("more", Spend(1, 0, 0, 1 / PICO))


def test_many_threads_and_meters_never_pass_a_cap(place: str) -> None:
    caps = Caps(max_calls=40, max_cost=0.5)
    refused = threading.Event()
    with Store.open(place) as one, Store.open(place) as two:
        meters = [one.meter(caps), one.meter(caps), two.meter(caps)]

        def ask(number: int) -> int:
            meter = meters[number % 3]
            try:
                ticket = meter.reserve(f"key{number}", WORST)
            except CapReachedError:
                refused.set()
                return 0
            if number % 2:
                meter.settle(ticket, Spend(1, 100, 20, 0.01))
            return 1

        with ThreadPoolExecutor(8) as pool:
            taken = sum(pool.map(ask, range(90)))
        assert taken == 40
        assert refused.is_set()
        assert one.spent() == two.spent() == Spend(40, 4_000, 800, 0.4)


# --- what goes wrong

WRITER = """
import sys
from vermilion.config import Caps
from vermilion.types import Question, Spend, Verdict
from vermilion.world.store import Store
store = Store.open(sys.argv[1])
meter = store.meter(Caps(max_cost=1000.0))
for number in range(10**9):
    ticket = meter.reserve(f"key{number}", Spend(1, 10, 1, 0.5))
    print("reserved", number, flush=True)
    meter.settle(ticket, Spend(1, 5, 1, 0.25))
    store.add_verdicts([(Verdict(f"key{number}", "x"), Question("t", ("x",)), 0)])
    print("stored", number, flush=True)
"""


@pytest.mark.parametrize("lines", [7, 24])
def test_a_killed_writer_loses_nothing_it_had_stored(place: str, lines: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, place], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        told = [writer.stdout.readline().split() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        told += [line.split() for line in writer.stdout]
    writer.wait()
    stored = [f"key{number}" for what, number in told if what == "stored"]
    reserved = [number for what, number in told if what == "reserved"]
    with Store.open(place) as store:
        assert set(stored) <= set(store.verdicts([f"key{i}" for i in range(len(reserved) + 1)]))
        assert store.spent().calls >= len(reserved)
        assert store.spent().cost_usd >= 0.25 * len(reserved)


@pytest.mark.parametrize(
    "content", [b"this is no database, just a text file\n" * 200, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"run\.sqlite: damaged or no database") as caught:
        Store.open(path)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == content


def test_damage_within_is_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store.open(path) as store:
        store.add_verdicts([verdict(f"key{i}") for i in range(2_000)])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[40_000:60_000] = b"\xa5" * 20_000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(path)


def test_a_newer_schema_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = (*store_schema.SCHEMA.migrations, ("something new", lambda connection: None))
    with monkeypatch.context() as patched:
        patched.setattr(store_schema, "SCHEMA", replace(store_schema.SCHEMA, migrations=newer))
        Store.open(place).close()
    with pytest.raises(StoreError, match="written by a newer version"):
        Store.open(place)


def test_a_migration_runs_once_and_whole_or_not_at_all(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def column(fail: bool) -> Callable[[sa.Connection], None]:
        def apply(connection: sa.Connection) -> None:
            connection.execute(sa.text("ALTER TABLE vermilion_verdicts ADD COLUMN remark TEXT"))
            ran.append(1)
            if fail:
                connection.execute(sa.text("SELECT no_such_column FROM vermilion_verdicts"))

        return apply

    first = store_schema.SCHEMA
    with Store.open(place) as store:
        store.add_verdicts([verdict("a")])
    for fail in (True, False):
        further = (*first.migrations, ("remark", column(fail)))
        monkeypatch.setattr(store_schema, "SCHEMA", replace(first, migrations=further))
        if fail:
            with pytest.raises(StoreError):
                Store.open(place)
    for _ in range(2):
        with Store.open(place) as store:
            assert store.count_verdicts() == 1
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("mysql://me:secret@host/db", "mysql://host/db: expected SQLite or PostgreSQL"),
        ("postgresql://me:secret@127.0.0.1:1/db", "postgresql://127.0.0.1/db: the database refuses"),
        ("://", "the database: expected"),
        ("/no/such/folder/run.sqlite", "/no/such/folder/run.sqlite: "),
        ("/tmp", "/tmp: "),
    ],
)
def test_what_cannot_be_opened_is_told_without_secrets(place: str, said: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(place)
    assert str(caught.value).startswith(said)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(str(caught.value).splitlines()) == 1


def test_a_store_answers_after_another_process_wrote(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s") as one, Store.open(tmp_path / "s") as two:
        one.put("name", 1)
        assert two.get("name") == 1
        two.put("name", 2)
        assert one.get("name") == 2


def test_commits_are_durable(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s") as store, store._database.read() as connection:
        settings = [
            connection.scalar(sa.text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
