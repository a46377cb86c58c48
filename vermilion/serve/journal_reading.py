"""The journal read back: in the order of time, a record at a time, past whatever a crash has left."""

from __future__ import annotations

import heapq
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from vermilion.errors import InputError

DAY = re.compile(r"\d{4}-\d\d-\d\d")
FILE = re.compile(r"(?P<writer>[A-Za-z0-9][A-Za-z0-9_-]*)(?:\.(?P<number>\d+))?\.jsonl")
# A record is some hundred bytes; what is longer by far is a hole in the file.
MOST_LINE_BYTES = 16 * 2**20
_GOING = ".going-"


@dataclass(slots=True)
class Damage:
    """What could not be read, to be filled while reading.

    Attributes
    ----------
    lines : int
        Whole lines that are no records. A torn last line is none of them: nobody was told of it.
    first : str
        Where the first of them is.
    """

    lines: int = 0
    first: str = ""

    def add(self, path: Path, number: int) -> None:
        """Count one more."""
        self.lines += 1
        self.first = self.first or f"{path}, line {number}"


def read(
    folder: Path, start: datetime, end: datetime, damage: Damage | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the records from `start` on and before `end`, of all writers, in the order of their time.

    Of one writer the order is that of writing, even where its clock was put back. Memory holds a record a writer.

    Parameters
    ----------
    folder : Path
        Where the folders of days lie.
    start, end : datetime
        With a time zone.
    damage : Damage, optional
        Told of lines that are no records, which are passed over.

    Examples
    --------
    >>> import tempfile
    >>> from vermilion.serve.journal import Journal
    >>> folder, noon = Path(tempfile.mkdtemp()), datetime(2026, 11, 22, 12, tzinfo=UTC)
    >>> with Journal(folder, "w1", clock=noon.timestamp) as journal:
    ...     journal.append([{"id": "a", "at": "2026-11-22T12:00:00.000+00:00"}])
    >>> [record["id"] for record in read(folder, noon, noon + timedelta(hours=1))]
    ['a']
    """
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        found = f"{start.isoformat()} and {end.isoformat()}"
        raise InputError("a start before its end, both with a time zone", found, "the window", "give others")
    damage = Damage() if damage is None else damage
    # A day more on both sides: a record is made before its file's day is looked up, and clocks are put back.
    first, last = _date(start) - timedelta(days=1), _date(end) + timedelta(days=1)
    since, until = _text(start), _text(end)
    for day in days(folder):
        if first <= day <= last:
            for record in _day(folder / day.isoformat(), damage):
                if since <= record["at"] < until:
                    yield record


def days(folder: Path) -> list[date]:
    """Return the days of which there are records, in order."""
    if not folder.is_dir():
        return []
    found = []
    for one in folder.iterdir():
        if DAY.fullmatch(one.name) and one.is_dir() and not one.is_symlink():
            with suppress(ValueError):
                found.append(date.fromisoformat(one.name))
    return sorted(found)


def prune(folder: Path, retain_days: int, *, today: date | None = None) -> list[date]:
    """Remove the days that lie more than `retain_days` before today, whole; return them.

    Today's records stay whatever is asked for, and so do those of days to come: clocks may have been wrong.

    Raises
    ------
    InputError
        Fewer days than one are to be kept.
    """
    if retain_days < 1:
        raise InputError("a whole number of days from 1", str(retain_days), "retain_days", "give another")
    oldest = (today or datetime.now(UTC).date()) - timedelta(days=retain_days)
    gone = [day for day in days(folder) if day < oldest]
    for day in gone:
        # Half a day must not pass for a whole one, should this be interrupted.
        (folder / day.isoformat()).rename(folder / f"{_GOING}{day.isoformat()}")
    if folder.is_dir():
        for leftover in folder.glob(f"{_GOING}*"):
            shutil.rmtree(leftover)
    return gone


def _day(folder: Path, damage: Damage) -> Iterator[dict[str, Any]]:
    """Yield the records of one day, those of all writers merged."""
    writers: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.glob("*.jsonl"):
        if found := FILE.fullmatch(path.name):
            writers.setdefault(found["writer"], []).append((int(found["number"] or 0), path))
    streams = [
        chain.from_iterable(_records(path, damage) for _, path in sorted(parts))
        for _, parts in sorted(writers.items())
    ]
    return heapq.merge(*streams, key=lambda record: record["at"])


def _records(path: Path, damage: Damage) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        stream = path.open("rb")
    except FileNotFoundError:  # the day was removed meanwhile
        return
    with stream:
        whole = True  # whether the piece at hand begins a line
        while piece := stream.readline(MOST_LINE_BYTES):
            begins, whole = whole, piece.endswith(b"\n")
            number += whole
            if begins and whole:
                record = _parsed(piece)
                if record is None:
                    damage.add(path, number)
                else:
                    yield record
            elif whole:
                damage.add(path, number)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("at"), str) else None


def _date(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
