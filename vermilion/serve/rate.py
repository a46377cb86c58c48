"""How often is too often: one file of buckets that all workers of a machine share, each a time and nothing more.

The generic cell rate algorithm: of a name it is kept until when what it has asked for is paid off at its rate; who is
further ahead than its burst allows has to wait. Nothing runs in the background, and a kill at any moment leaves a
time that is right or, at worst, is set right at the next request.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from vermilion.errors import InputError

# A name has one place in a group of eight; of a full group the bucket goes that has been idle the longest.
GROUP = 8
GROUPS = 4096
_SLOTS = struct.Struct("<" + "Qd" * GROUP)
_SLOT = struct.Struct("<Qd")
_SAME = 1e-9  # seconds: what is less is rounding

# Strangers can invent addresses, and must not push the buckets of keys out.
KINDS = ("key", "client")
Kind = Literal["key", "client"]


@dataclass(frozen=True, slots=True)
class Pace:
    """What is allowed: `rate` requests a second on average, `burst` at once."""

    rate: float
    burst: float

    def __post_init__(self) -> None:
        if not (0 < self.rate < math.inf and 1 <= self.burst < math.inf):
            raise InputError(
                "a rate above 0 and a burst from 1",
                f"{self.rate} and {self.burst}",
                "the limit",
                "give other values",
            )


class Buckets:
    """Buckets in a file. Safe to use from several threads and processes; one object a process and file.

    Parameters
    ----------
    path : Path
        In the home's `runtime`; made where it is missing. 1 MiB.
    clock : callable
        Gives seconds, the same in all processes of the machine, and never goes back.

    Examples
    --------
    >>> import tempfile
    >>> buckets = Buckets(Path(tempfile.mkdtemp()) / "rates", clock=lambda: 100.0)
    >>> [buckets.take("key", "shop", Pace(rate=2, burst=2)) for _ in range(3)]
    [0.0, 0.0, 0.5]
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        size = len(KINDS) * GROUPS * _SLOTS.size
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # With holes in the file, a full disk would kill the process at its first write to the map.
            os.posix_fallocate(self._handle, 0, size)
        except OSError as error:
            found = error.strerror or "an error"
            raise InputError(
                "a file to write to", found, str(path), "make room, or name another --home"
            ) from None
        self._map = mmap.mmap(self._handle, size)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._map.close()
            with suppress(OSError):
                os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, kind: Kind, name: str, pace: Pace, cost: float = 1.0) -> float:
        """Ask for `cost` requests; return 0.0 where that is allowed, else the seconds to wait, and nothing is taken."""
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        group = KINDS.index(kind) * GROUPS + int.from_bytes(digest[:8], "little") % GROUPS
        tag = int.from_bytes(digest[8:], "little") or 1  # 0 is a free place
        at = group * _SLOTS.size
        # The lock of the file holds other processes off, the other one this process's threads.
        with self._lock:
            fcntl.lockf(self._handle, fcntl.LOCK_EX, _SLOTS.size, at)
            try:
                return self._settle(at, tag, pace, cost)
            finally:
                fcntl.lockf(self._handle, fcntl.LOCK_UN, _SLOTS.size, at)

    def _settle(self, at: int, tag: int, pace: Pace, cost: float) -> float:
        now = self._clock()
        slots = _SLOTS.unpack_from(self._map, at)
        tags = slots[::2]
        place = tags.index(tag) if tag in tags else _oldest(slots)
        paid = slots[2 * place + 1] if tags[place] == tag else 0.0
        ahead = pace.burst / pace.rate
        # After a reboot the clock begins anew: what lies further ahead than anybody could get is no debt.
        most = now + ahead
        due = now if math.isnan(paid) else min(max(paid, now), most)
        wait = max(0.0, due + cost / pace.rate - most)
        if wait <= _SAME:
            wait, due = 0.0, due + cost / pace.rate
        if not wait or not paid <= most:
            _SLOT.pack_into(self._map, at + place * _SLOT.size, tag, due)
        return wait


def _oldest(slots: tuple[float, ...]) -> int:
    """Return the place that is free or whose bucket was paid off first."""
    return min(range(GROUP), key=lambda place: slots[2 * place + 1] if slots[2 * place] else -math.inf)
