"""The folder of a run: one run at a time in it, and where its store is."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vermilion.errors import InputError, StoreError
from vermilion.red.progress import Progress
from vermilion.world.source import BadRows
from vermilion.world.store import Store

STORE, VECTORS, LOCK, LEFT_OUT = "run.sqlite", "vectors", ".lock", "left_out.jsonl"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a run lies.

    Attributes
    ----------
    path : Path
    store : str or None
        A database's URL; None is a file in the folder.
    named : Path or None
        What the run is called in a database, where that is not its path.
    """

    path: Path
    store: str | None = None
    named: Path | None = None

    @property
    def vectors(self) -> Path:
        """Its cache of vectors."""
        return self.path / VECTORS

    def open(self) -> Store:
        """Open the store: a file of the run's own, or a database, where the folder's path tells runs apart."""
        if self.store is None:
            return Store.open(self.path / STORE)
        return Store.open(self.store, run=str((self.named or self.path).resolve()))

    @contextmanager
    def at_work(self, progress: Progress, left_out: BadRows | None, *, fresh: bool) -> Iterator[Store]:
        """Open the store, other runs kept out; begin anew where asked to, and list the bad rows that were left out.

        Raises
        ------
        InputError, StoreError
            As `locked`.
        """
        with self.locked(), self.open() as store:
            if fresh:
                store.clear()
            if left_out is not None and left_out.count:
                left_out.write(self.path / LEFT_OUT)
                progress.note(f"{left_out.count} bad rows left out, listed in {self.path / LEFT_OUT}")
            yield store

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other runs out of it; the lock goes with the process.

        A folder that was made here and into which nothing came is taken away again.

        Raises
        ------
        InputError
            It cannot be made or written.
        StoreError
            Another run is at work there.
        """
        out = self.path
        new = not out.exists()
        try:
            out.mkdir(parents=True, exist_ok=True)
            lock = (out / LOCK).open("w")
        except OSError as error:
            found = error.strerror or "an error"
            raise InputError("a folder to write to", found, str(out), "name another") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(
                    f"{out}: another run is at work there; wait for it, or use another --out"
                ) from None
            try:
                yield
            finally:
                if new and [path.name for path in out.iterdir()] == [LOCK]:
                    (out / LOCK).unlink()
                    out.rmdir()
