"""The journal: what was answered, durable before it is sent; a file for each UTC day and writer, JSON Lines."""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vermilion.errors import InputError, JournalError

WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SEGMENT_BYTES = 256 * 2**20
# More than a request of a hundred texts leaves behind.
ROOM_BYTES = 32 * 1024
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_TAIL = 64 * 1024


@dataclass(slots=True)
class _Ticket:
    """The lines of one caller that waits, and what became of them."""

    lines: bytes
    done: bool = False
    error: JournalError | None = None


class Journal:
    r"""The journal of one writer, which is the only one of its files. Safe to use from several threads.

    Who calls while another's lines are being written waits, and all who wait share the next write and fsync.

    Parameters
    ----------
    folder : Path
        Where the folders of days lie; made where it is missing, mode 0700.
    writer : str
        Names the files: letters, digits, `_` and `-`. Two writers of one name are refused.
    segment_bytes : int
        From this size on a day goes on in a further file.
    clock : callable
        Gives seconds since 1970.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Journal(folder, "w1", clock=lambda: 1_795_348_800) as journal:
    ...     journal.append([{"id": "a", "at": "2026-11-22T12:00:00.000+00:00", "label": "café"}])
    >>> (folder / "2026-11-22" / "w1.jsonl").read_text("utf-8")
    '{"id":"a","at":"2026-11-22T12:00:00.000+00:00","label":"café"}\n'
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not WRITER.fullmatch(writer):
            raise InputError(
                "letters, digits, _ and -", repr(writer), "the journal's writer", "give another name"
            )
        self._folder, self._writer = folder, writer
        self._segment_bytes, self._clock = segment_bytes, clock
        self._segment: _Segment | None = None
        self._waiting: list[_Ticket] = []
        self._queueing, self._writing = threading.Lock(), threading.Lock()

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records in their order; they are on the disk when this returns.

        Raises
        ------
        JournalError
            They could not be written: none of them counts as recorded. The next call tries anew.
        """
        if not records:
            return
        ticket = _Ticket(b"".join(map(_line, records)))
        with self._queueing:
            self._waiting.append(ticket)
        with self._writing:
            if not ticket.done:  # else who wrote before took these lines along
                self._write_waiting()
        if ticket.error is not None:
            raise ticket.error

    def check(self) -> None:
        """Leave nothing, but find out whether writing would work now: the file can be had, and there is room.

        Raises
        ------
        JournalError
        """
        with self._writing:
            self._current().make_room()

    def close(self) -> None:
        """Close the file; another writer may then take the name."""
        with self._writing:
            self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_waiting(self) -> None:
        with self._queueing:
            group, self._waiting = self._waiting, []
        problem: JournalError | None = None
        try:
            self._current().write(b"".join(ticket.lines for ticket in group))
        except JournalError as error:
            problem = error
            if self._segment is not None and self._segment.broken:
                self._leave()
        finally:
            # Whatever happens nobody may take these for written.
            for ticket in group:
                ticket.done, ticket.error = True, problem

    def _current(self) -> _Segment:
        """Return the file to write to, after midnight or beyond its size a new one."""
        day = self._day()
        segment = self._segment
        if segment is not None and segment.day == day and segment.fits(self._segment_bytes):
            return segment
        self._segment = self._open(day)
        return self._segment

    def _day(self) -> date:
        """Return today; a clock put back over midnight by less than a day does not lead to a finished day."""
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        if self._segment is not None and today == self._segment.day - timedelta(days=1):
            return self._segment.day
        return today

    def _open(self, day: date) -> _Segment:
        self._leave()  # its lock would stand in the way of opening the same file once more
        number = 0
        while True:
            path = self._folder / day.isoformat() / segment_name(self._writer, number)
            segment = _Segment.open(path, day)
            if segment.fits(self._segment_bytes):
                return segment
            segment.close()
            number += 1

    def _leave(self) -> None:
        if self._segment is not None:
            self._segment.close()
        self._segment = None


@dataclass(slots=True)
class _Segment:
    """One open file, all of whose bytes up to `size` are on the disk and whole lines."""

    path: Path
    day: date
    handle: int
    size: int = field(default=0)
    broken: bool = field(default=False)

    @classmethod
    def open(cls, path: Path, day: date) -> _Segment:
        """Open or make the file, take it for this writer alone, and cut a torn last line off."""
        try:
            _make_folder(path.parent)
            fresh = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
        except OSError as error:
            raise _failed(path, error) from None
        segment = cls(path, day, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            segment.size = whole_length(handle)
            segment._cut()
            if fresh:
                sync_folder(path.parent)
        except BlockingIOError:
            segment.close()
            raise JournalError(
                f"{path}: another process writes there; end it, or give this writer another name"
            ) from None
        except OSError as error:
            segment.close()
            raise _failed(path, error) from None
        return segment

    def fits(self, most: int) -> bool:
        """Tell whether more may go in: it is not full, and nobody has taken the file away."""
        return self.size < most and os.fstat(self.handle).st_nlink > 0

    def write(self, lines: bytes) -> None:
        """Append whole lines and wait for the disk; on failure the file is what it was."""
        try:
            view, at = memoryview(lines), self.size
            while view:
                written = os.pwrite(self.handle, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            self._undo()
            raise _failed(self.path, error) from None
        try:
            os.fdatasync(self.handle)
        except OSError as error:
            # What a failed sync leaves in memory may pass for written at the next one: begin anew.
            self.broken = True
            self._undo()
            raise _failed(self.path, error) from None
        self.size += len(lines)

    def make_room(self) -> None:
        """Take room for the next records and give it back; what a kill leaves of it is cut off as a torn line is."""
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self.handle, self.size, ROOM_BYTES)
            os.ftruncate(self.handle, self.size)
        except OSError as error:
            self._undo()
            raise _failed(self.path, error) from None

    def close(self) -> None:
        """Close the file, which gives its lock back."""
        with suppress(OSError):
            os.close(self.handle)

    def _cut(self) -> None:
        if os.fstat(self.handle).st_size != self.size:
            os.ftruncate(self.handle, self.size)
            os.fdatasync(self.handle)

    def _undo(self) -> None:
        try:
            self._cut()
        except OSError:
            self.broken = True


def segment_name(writer: str, number: int) -> str:
    """Return a file's name.

    Examples
    --------
    >>> segment_name("w1", 0), segment_name("w1", 2)
    ('w1.jsonl', 'w1.2.jsonl')
    """
    return f"{writer}.{number}.jsonl" if number else f"{writer}.jsonl"


def whole_length(handle: int) -> int:
    """Return how many bytes of a file, from its start, are whole lines."""
    end = os.fstat(handle).st_size
    while end > 0:
        start = max(0, end - _TAIL)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(day: Path) -> None:
    for folder in (day.parent, day):
        if not folder.is_dir():
            folder.mkdir(mode=PRIVATE_FOLDER, parents=folder == day.parent, exist_ok=True)
            sync_folder(folder.parent)


def _line(record: Mapping[str, Any]) -> bytes:
    # A lone surrogate cannot be written as UTF-8; escaped, it survives.
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _failed(path: Path, error: OSError) -> JournalError:
    problem = error.strerror or type(error).__name__
    return JournalError(
        f"{path}: cannot be written ({problem}), so nothing is acknowledged; make room or mend the disk, "
        "then it goes on by itself"
    )
