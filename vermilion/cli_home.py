"""What the commands of a service share: where its home is, and who gives a command."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from vermilion.world.home import Home

HomeFolder = Annotated[
    Path | None, typer.Option("--home", help="Folder of the service; else VERMILION_HOME, or ~/.vermilion.")
]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="postgresql://...; else VERMILION_DATABASE, or a file in it.")
]
By = Annotated[str | None, typer.Option("--by", help="Who does this; else your user name.")]
Why = Annotated[str, typer.Option("--why", help="Why, for the log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]


def open_home(folder: Path | None, database: str | None) -> Home:
    """Return the home that a command is about.

    Raises
    ------
    InputError
        It cannot be made or written to.
    """
    return Home.open(folder, database)


def who(by: str | None) -> str:
    """Return who gives the command: the name that was given, else the user's."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in some containers
        return "somebody"
