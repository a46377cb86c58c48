"""The journal on real files: what was acknowledged is there, after kills, full disks and clocks put back."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.errors import InputError, JournalError
from vermilion.serve.journal import Journal, whole_length
from vermilion.serve.journal_reading import Damage, days, prune, read

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FOREVER = (NOON - timedelta(days=400), NOON + timedelta(days=400))


def record(name: str, at: datetime = NOON, **further: Any) -> dict[str, Any]:
    return {"id": name, "at": at.isoformat(timespec="milliseconds"), **further}


def names(folder: Path, damage: Damage | None = None) -> list[str]:
    return [one["id"] for one in read(folder, *FOREVER, damage)]


class Clock:
    """A clock that is set by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at.timestamp()


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    odd = record("a", text='é \u2028 "\n\0 🙂', half="\ud800", none=None, labels=["x", "y"], p=0.1 + 0.2)
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([odd, record("b")])
        journal.append([])
        journal.append([record("c")])
    assert list(read(tmp_path, *FOREVER)) == [odd, record("b"), record("c")]


def test_nobody_else_can_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Journal(tmp_path / "decisions", "w1", clock=Clock()) as journal:
            journal.append([record("a")])
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {
        "decisions": 0o700,
        "decisions/2026-11-22": 0o700,
        "decisions/2026-11-22/w1.jsonl": 0o600,
    }


def test_a_record_that_is_no_json_spoils_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        for wrong in (object(), float("nan")):
            with pytest.raises((TypeError, ValueError)):
                journal.append([record("a"), record("b", value=wrong)])
        journal.append([record("c")])
    assert names(tmp_path) == ["c"]


@given(
    whole=st.lists(st.text(max_size=8), max_size=5), torn=st.binary(max_size=300), more=st.text(max_size=8)
)
def test_a_torn_tail_never_fuses_with_the_next_record(
    tmp_path_factory: pytest.TempPathFactory, whole: list[str], torn: bytes, more: str
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with Journal(folder, "w1", clock=Clock()) as journal:
        journal.append([record(name) for name in whole] or [record("first")])
    path = folder / "2026-11-22" / "w1.jsonl"
    torn = torn.replace(b"\n", b"")
    with path.open("ab") as stream:
        stream.write(torn)
    damage = Damage()
    assert names(folder, damage) == (whole or ["first"])
    with Journal(folder, "w1", clock=Clock()) as journal:
        journal.append([record(more)])
    assert names(folder, damage) == [*(whole or ["first"]), more]
    assert damage.lines == 0


@given(content=st.binary(max_size=400), cut=st.integers(0, 400))
def test_whatever_a_file_holds_its_whole_lines_stay_and_the_rest_goes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / "2026-11-22").mkdir()
    path = folder / "2026-11-22" / "w1.jsonl"
    path.write_bytes(content[:cut])
    kept = content[:cut][: content[:cut].rfind(b"\n") + 1]
    with Journal(folder, "w1", clock=Clock()) as journal:
        journal.append([record("new")])
    assert path.read_bytes().startswith(kept)
    assert json.loads(path.read_bytes()[len(kept) :]) == record("new")
    assert names(folder)[-1:] == ["new"]


def test_a_tail_longer_than_what_is_looked_at_at_once_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n" + b"\0" * 200_000)
    with path.open("rb") as stream:
        assert whole_length(stream.fileno()) == 4


def test_damaged_lines_are_passed_over_and_told(tmp_path: Path) -> None:
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("a")])
    path = tmp_path / "2026-11-22" / "w1.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"id": "b", "a\n[1]\n\xff\xfe\n' + b"[" * 100_000 + b"\n" + b'{"id": "no time"}\n')
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("c")])
    damage = Damage()
    assert names(tmp_path, damage) == ["a", "c"]
    assert damage == Damage(5, f"{path}, line 2")


def test_a_hole_without_lines_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vermilion.serve.journal_reading.MOST_LINE_BYTES", 100)
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("a")])
        path = tmp_path / "2026-11-22" / "w1.jsonl"
        with path.open("ab") as stream:
            stream.write(b"\0" * 1000 + b"\n")
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("b")])
    damage = Damage()
    assert names(tmp_path, damage) == ["a", "b"]
    assert damage.lines == 1


def test_midnight_and_size_begin_new_files(tmp_path: Path) -> None:
    clock = Clock()
    with Journal(tmp_path, "w1", clock=clock, segment_bytes=100) as journal:
        for i in range(4):
            journal.append([record(f"a{i}", clock.at)])
        clock.at += timedelta(days=1)
        journal.append([record("b", clock.at)])
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jsonl")}
    assert found == {"2026-11-22/w1.jsonl", "2026-11-22/w1.1.jsonl", "2026-11-23/w1.jsonl"}
    assert names(tmp_path) == ["a0", "a1", "a2", "a3", "b"]


def test_after_a_start_a_day_goes_on_in_the_file_that_is_not_full(tmp_path: Path) -> None:
    for i in range(4):
        with Journal(tmp_path, "w1", clock=Clock(), segment_bytes=100) as journal:
            journal.append([record(f"a{i}")])
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2
    assert names(tmp_path) == ["a0", "a1", "a2", "a3"]


@pytest.mark.parametrize("back", [timedelta(minutes=10), timedelta(days=5)])
def test_a_clock_put_back_loses_nothing(tmp_path: Path, back: timedelta) -> None:
    clock = Clock(datetime(2026, 11, 23, 0, 1, tzinfo=UTC))
    with Journal(tmp_path, "w1", clock=clock) as journal:
        journal.append([record("a", clock.at)])
        clock.at -= back
        journal.append([record("b", clock.at)])
        clock.at += timedelta(seconds=1)
        journal.append([record("c", clock.at)])
    assert sorted(names(tmp_path)) == ["a", "b", "c"]
    # The window that the clock told finds them, wherever their files lie.
    window = read(tmp_path, clock.at - timedelta(minutes=1), clock.at + timedelta(milliseconds=1))
    assert [one["id"] for one in window] == ["b", "c"]


def test_a_clock_put_back_a_little_does_not_lead_to_a_finished_day(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 23, 0, 1, tzinfo=UTC))
    with Journal(tmp_path, "w1", clock=clock) as journal:
        journal.append([record("a", clock.at)])
        clock.at -= timedelta(minutes=2)
        journal.append([record("b", clock.at)])
    assert days(tmp_path) == [date(2026, 11, 23)]
    assert names(tmp_path) == ["a", "b"]


def test_two_writers_of_one_name_are_refused_and_of_two_names_merged(tmp_path: Path) -> None:
    with Journal(tmp_path, "w1", clock=Clock()) as one, Journal(tmp_path, "w2", clock=Clock()) as two:
        one.append([record("a", NOON), record("c", NOON + timedelta(seconds=2))])
        two.append([record("b", NOON + timedelta(seconds=1)), record("d", NOON + timedelta(seconds=3))])
        with pytest.raises(JournalError, match="another process writes there"):
            Journal(tmp_path, "w1", clock=Clock()).append([record("x")])
    with Journal(tmp_path, "w1", clock=Clock()) as journal:  # the lock went with its writer
        journal.append([record("e", NOON + timedelta(seconds=4))])
    assert names(tmp_path) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a.1", "x" * 65, "é"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        Journal(tmp_path, name)


def test_many_threads_share_writes_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    sync = os.fdatasync

    def counted(handle: int) -> None:
        syncs.append(handle)
        sync(handle)

    monkeypatch.setattr(os, "fdatasync", counted)
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        begin = threading.Barrier(16)

        def work(thread: int) -> None:
            begin.wait()
            for i in range(25):
                journal.append([record(f"{thread}.{i}.{j}") for j in range(2)])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    found = names(tmp_path)
    assert len(found) == len(set(found)) == 800
    for thread in range(16):  # of each thread in its order
        mine = [name for name in found if name.startswith(f"{thread}.")]
        assert mine == [f"{thread}.{i}.{j}" for i in range(25) for j in range(2)]
    assert len(syncs) < 400  # one for each call would be 400


def test_a_file_that_somebody_took_away_is_made_anew(tmp_path: Path) -> None:
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("a")])
        (tmp_path / "2026-11-22" / "w1.jsonl").unlink()
        journal.append([record("b")])
    assert names(tmp_path) == ["b"]


# --- failing disks


def fail(monkeypatch: pytest.MonkeyPatch, function: str) -> Callable[[], None]:
    """Make one function of the system fail until the returned one is called."""
    real = getattr(os, function)
    failing = True

    def maybe(*arguments: Any) -> Any:
        if failing:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    def heal() -> None:
        nonlocal failing
        failing = False

    monkeypatch.setattr(os, function, maybe)
    return heal


@pytest.mark.parametrize("function", ["pwrite", "fdatasync"])
def test_what_fails_is_not_recorded_and_the_next_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    with Journal(tmp_path, "w1", clock=Clock()) as journal:
        journal.append([record("a")])
        heal = fail(monkeypatch, function)
        for _ in range(2):
            with pytest.raises(JournalError, match="No space left on device"):
                journal.append([record("b")])
        assert names(tmp_path) == ["a"]
        heal()
        journal.append([record("c")])
    assert names(tmp_path) == ["a", "c"]


def test_half_a_write_is_taken_back(tmp_path: Path) -> None:
    """RLIMIT_FSIZE cuts a write short and refuses the rest, as a disk does that fills up."""
    code = f"""
import resource, sys
from pathlib import Path
from vermilion.errors import JournalError
from vermilion.serve.journal import Journal
folder = Path({str(tmp_path)!r})
journal = Journal(folder, "w1", clock=lambda: {NOON.timestamp()})
line = {{"id": "a", "at": {NOON.isoformat(timespec="milliseconds")!r}}}
journal.append([line])
size = (folder / "2026-11-22" / "w1.jsonl").stat().st_size
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 70, hard))
try:
    journal.append([line | {{"id": "b"}}, line | {{"id": "c"}}])
except JournalError as error:
    print(error)
assert (folder / "2026-11-22" / "w1.jsonl").stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append([line | {{"id": "d"}}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    damage = Damage()
    assert names(tmp_path, damage) == ["a", "d"]
    assert damage.lines == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_survived(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Journal(small_disk / "decisions", "w1", clock=Clock()) as journal:
        journal.append([record("a")])
        ballast.write_bytes(b"x" * 50_000)
        with pytest.raises(JournalError, match=r"No space left on device.*make room"):
            journal.append([record("big", text="x" * 20_000)])
        assert names(small_disk / "decisions") == ["a"]
        with pytest.raises(JournalError, match="No space left on device"):
            journal.check()
        ballast.unlink()
        journal.check()
        assert names(small_disk / "decisions") == ["a"]
        journal.append([record("big", text="x" * 20_000)])
    assert names(small_disk / "decisions") == ["a", "big"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Journal(tmp_path / "file", "w1") as journal, pytest.raises(JournalError, match="cannot be written"):
        journal.check()


# --- kills

WRITER = """
import sys
from pathlib import Path
from vermilion.serve.journal import Journal
journal = Journal(Path(sys.argv[1]), "w1", clock=lambda: float(sys.argv[2]))
for i in range(1_000_000):
    name = f"{sys.argv[3]}.{i}"
    journal.append([{"id": name, "at": sys.argv[4], "text": "x" * 3000}])
    print(name, flush=True)
"""


def test_what_was_acknowledged_outlives_kills(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(4):
        arguments = [
            str(tmp_path),
            str(NOON.timestamp()),
            str(life),
            NOON.isoformat(timespec="milliseconds"),
        ]
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            acknowledged += [child.stdout.readline().strip() for _ in range(20 + life)]
            child.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    damage = Damage()
    found = names(tmp_path, damage)
    assert [name for name in found if name in set(acknowledged)] == acknowledged
    # At most the one that was not told of any more is there beyond.
    assert len(found) <= len(acknowledged) + 4
    assert damage.lines == 0


# --- retention


def test_old_days_go_whole_and_today_never(tmp_path: Path) -> None:
    clock = Clock()
    for back in range(5):
        clock.at = NOON - timedelta(days=back)
        with Journal(tmp_path, "w1", clock=clock) as journal:
            journal.append([record(str(back), clock.at)])
    (tmp_path / "notes").mkdir()
    (tmp_path / ".going-2026-01-01").mkdir()  # an earlier removal was interrupted
    (tmp_path / "2020-01-01").symlink_to(tmp_path / "notes")
    assert prune(tmp_path, 2, today=NOON.date()) == [date(2026, 11, 18), date(2026, 11, 19)]
    assert days(tmp_path) == [date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)]
    assert {one.name for one in tmp_path.iterdir()} == {
        *("2026-11-20", "2026-11-21", "2026-11-22", "notes", "2020-01-01")
    }
    assert prune(tmp_path, 1, today=date(2020, 1, 1)) == []  # a clock that is years behind removes nothing
    with pytest.raises(InputError, match="from 1, found 0"):
        prune(tmp_path, 0)
    assert prune(tmp_path / "missing", 3) == []


def test_reading_wants_a_window_with_time_zones(tmp_path: Path) -> None:
    for start, end in [(NOON, NOON), (NOON.replace(tzinfo=None), NOON)]:
        with pytest.raises(InputError, match="a start before its end"):
            list(read(tmp_path, start, end))
    assert list(read(tmp_path / "missing", *FOREVER)) == []
