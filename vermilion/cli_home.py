"""What the commands of a service share: where its home is, and who gives a command."""

from __future__ import annotations

import getpass
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vermilion.errors import InputError
from vermilion.world.home import Home

if TYPE_CHECKING:
    from vermilion.world.predictor import Predictor

HomeFolder = Annotated[
    Path | None, typer.Option("--home", help="Folder of the service; else VERMILION_HOME, or ~/.vermilion.")
]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="postgresql://...; else VERMILION_DATABASE, or a file in it.")
]
By = Annotated[str | None, typer.Option("--by", help="Who does this; else your user name.")]
Why = Annotated[str, typer.Option("--why", help="Why, for the log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


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


def load_predictor(model: str, home: Path | None, database: str | None) -> Predictor:
    """Load a model from its folder, or from the registry where there is no such folder.

    Raises
    ------
    InputError, ModelError
        There is no such model, or it is damaged.
    """
    from vermilion.world.predictor import Predictor
    from vermilion.world.registry import Registry

    if Path(model).exists() or "/" in model:
        return Predictor.load(Path(model))
    with Registry.open(open_home(home, database)) as registry:
        return Predictor.of(registry.load(registry.resolve(model)), where=model)


def parse_duration(text: str, option: str) -> timedelta:
    """Return a time as people write it.

    Raises
    ------
    InputError

    Examples
    --------
    >>> parse_duration("90d", "--expires"), parse_duration("1.5h", "--grace")
    (datetime.timedelta(days=90), datetime.timedelta(seconds=5400))
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])", text.strip(), re.ASCII)
    if not found:
        raise InputError(
            "a number with s, m, h or d", repr(text[:40]), option, "give it as 45s, 30m, 24h or 90d"
        )
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
