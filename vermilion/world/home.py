"""The home: where a service keeps its models, its database and what it has answered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vermilion.errors import InputError

FOLDER_VARIABLE, DATABASE_VARIABLE = "VERMILION_HOME", "VERMILION_DATABASE"
# What is classified lies in there, and the hashes of keys: nobody else's business.
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of a service lies.

    Attributes
    ----------
    folder : Path
    database : str or Path
        A SQLite file in `folder`, or a URL of PostgreSQL, which may hold a password: never show it.
    """

    folder: Path
    database: str | Path

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        database: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Home:
        """Find the home, and make it where there is none: what is given comes first, then the environment.

        Raises
        ------
        InputError
            It cannot be made or written to.

        Examples
        --------
        >>> import tempfile
        >>> home = Home.open(Path(tempfile.mkdtemp()) / "home", environment={})
        >>> home.database == home.folder / "vermilion.sqlite", oct(home.folder.stat().st_mode & 0o777)
        (True, '0o700')
        """
        told = environment.get(FOLDER_VARIABLE)
        chosen = (folder or (Path(told) if told else Path.home() / ".vermilion")).absolute()
        try:
            chosen.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(chosen, error.strerror or "an error") from None
        if not os.access(chosen, os.W_OK | os.X_OK):
            raise _unusable(chosen, "not yours to write to")
        return cls(chosen, database or environment.get(DATABASE_VARIABLE) or chosen / "vermilion.sqlite")

    @property
    def models(self) -> Path:
        """The folders of versions, each named by its digest."""
        return self.folder / "models"

    @property
    def decisions(self) -> Path:
        """What was answered, a folder a day."""
        return self.folder / "decisions"

    @property
    def runtime(self) -> Path:
        """What only matters while a service runs."""
        return self.folder / "runtime"


def _unusable(folder: Path, problem: str) -> InputError:
    return InputError(
        "a folder to write to", problem, str(folder), f"name another with --home or {FOLDER_VARIABLE}"
    )
