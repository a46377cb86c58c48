"""Finished parts of a longer piece of work, each a JSON file under the hash of all that determines it."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from vermilion.errors import StoreError


class Parts:
    """A folder of results that need not be computed again.

    A part is written under a temporary name and then renamed, so that it is there as a whole or not at all. One that
    cannot be read counts as not there.

    Parameters
    ----------
    folder : Path
        Made where missing.

    Raises
    ------
    StoreError
        The folder cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> parts = Parts(Path(tempfile.mkdtemp()))
    >>> parts.get("0a"), parts.put("0a", {"accuracy": 0.9}), parts.get("0a")
    (None, None, {'accuracy': 0.9})
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error) from error

    def get(self, key: str) -> dict[str, Any] | None:
        """Return what was put under a key, or None."""
        try:
            found = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put(self, key: str, part: dict[str, Any]) -> None:
        """Keep a part; it is on the disk when this returns."""
        temporary = self._folder / f"{uuid.uuid4().hex}.tmp"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(part, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / f"{key}.json")
        except OSError as error:
            raise self._refused(error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._folder}: results cannot be kept here ({error.strerror}); free space or give another folder"
        )
