"""Retention: days of decisions older than they may be are removed, while a service runs."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from vermilion.serve.journal_reading import prune

logger = logging.getLogger("vermilion.serve")

HOUR = 3600.0


class Retention:
    """A thread that looks each hour; the parent of a service runs it.

    Parameters
    ----------
    folder : Path
        Of the journal's days.
    days : int
        How many days before today stay.
    every : float
        Seconds between two looks.
    """

    def __init__(self, folder: Path, days: int, *, every: float = HOUR) -> None:
        self._folder, self._days, self._every = folder, days, every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Look now, and from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Remove what is too old; what cannot be removed is told, and tried again the next time."""
        try:
            gone = prune(self._folder, self._days)
        except OSError as error:
            logger.error("%s: old days cannot be removed (%s)", self._folder, error.strerror or error)
            return
        if gone:
            logger.info("decisions of %s removed, as told by --retain-days", ", ".join(map(str, gone)))

    def _run(self) -> None:
        self.look()
        while not self._stopped.wait(self._every):
            self.look()
