"""The keys in a worker's memory: looked up without the database, brought up to date within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from vermilion.errors import VermilionError
from vermilion.world.database import now
from vermilion.world.keys import Key, Keys, Lock, hash_token, id_of

EVERY_SECONDS = 0.5
# So long a copy is good that could not be compared: a revoked key must not live as long as the database is away.
MOST_STALE_SECONDS = 300.0
USED_SECONDS = 60.0


class KeyRing:
    """A copy of the keys of a service, with a thread that keeps it up to date.

    Parameters
    ----------
    keys : Keys
        Stays the caller's, to be closed after this.
    every : float
        Seconds between two looks at the generation.
    clock : callable
        Gives seconds and never goes back.

    Raises
    ------
    StoreError
        The keys cannot be read at the start.
    """

    def __init__(
        self, keys: Keys, *, every: float = EVERY_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys, self._every, self._clock = keys, every, clock
        self._locks: dict[str, Lock] = {}
        self._generation = -1
        self._seen_at = self._used_at = clock()
        self._used: set[str] = set()
        self._refreshing, self._stopping = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self.refresh()

    def start(self) -> Self:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop the thread, and write down which keys were used."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._write_used()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Return how many keys there are that were not revoked."""
        return sum(lock.key.revoked_at is None for lock in self._locks.values())

    def __bool__(self) -> bool:
        """A ring is a ring, with no key on it, too."""
        return True

    @property
    def stale(self) -> bool:
        """Whether the database has been away for so long that no key is to be trusted."""
        return self._clock() - self._seen_at > MOST_STALE_SECONDS

    def find(self, token: str) -> Key | None:
        """Return the key that a token opens now, or None; takes as long for a wrong secret as for a right one."""
        key_id = id_of(token)
        lock = self._locks.get(key_id) if key_id else None
        if lock is None or not lock.opens(hash_token(token), now() if lock.timed else ""):
            return None
        self._used.add(lock.key.id)
        return lock.key

    def refresh(self, older: float = 0.0) -> bool:
        """Look whether the keys have changed and take them over; tell whether they had. `StoreError` goes through.

        Parameters
        ----------
        older : float
            Only where the last look is more than so many seconds ago.
        """
        with self._refreshing:
            if older and self._clock() - self._seen_at <= older:
                return False
            generation = self._keys.generation()
            changed = generation != self._generation
            if changed:
                self._locks = {lock.key.id: lock for lock in self._keys.locks()}
                self._generation = generation
            self._seen_at = self._clock()
            return changed

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self.refresh()
                if self._clock() - self._used_at > USED_SECONDS:
                    self._write_used()
            except VermilionError:
                continue  # the copy goes on; `stale` tells when it is too old

    def _write_used(self) -> None:
        used, self._used = self._used, set()
        self._used_at = self._clock()
        try:
            if used:
                self._keys.note_used(sorted(used))
        except VermilionError:
            self._used |= used
