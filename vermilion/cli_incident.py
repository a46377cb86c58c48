"""The command on incidents: what is needed to look into one afterwards, as one folder."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, DatabaseUrl, HomeFolder, open_home, parse_duration
from vermilion.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Look into what a service did.")
out = Console(highlight=False, soft_wrap=True)


@app.callback()
def incident() -> None:
    """Look into what a service did."""


@app.command("export")
def export_incident(
    start: Annotated[
        str, typer.Option("--from", help="When it began, as 2026-11-22T10:00; UTC if not told.")
    ],
    end: Annotated[str, typer.Option("--to", help="When it ended.")],
    out_dir: Annotated[Path, typer.Option("--out", help="A new folder.")],
    before: Annotated[
        str | None, typer.Option(help="How long a time before it to compare with, as 24h; else as long.")
    ] = None,
    as_json: AsJson = False,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """Write what was decided, by which versions, what was changed, and a page that compares it with before."""
    since, until = parse_time(start, "--from"), parse_time(end, "--to")
    lasts = until - since if before is None else parse_duration(before, "--before")
    if lasts <= timedelta(0) and before is not None:
        raise InputError("a time above 0", before, "--before", "give another")

    from vermilion.serve.incident import Window, export
    from vermilion.serve.incident_page import render_incident, sentences

    found = export(open_home(home, database), Window(since, until, lasts), out_dir, render_incident)
    if as_json:
        sys.stdout.write(json.dumps(found.figures(), indent=1, ensure_ascii=False) + "\n")
        return
    for line in sentences(found):
        out.print(line, markup=False)
    out.print(str(out_dir / "index.html"), markup=False)


def parse_time(text: str, option: str) -> datetime:
    """Return a time in UTC.

    Raises
    ------
    InputError

    Examples
    --------
    >>> parse_time("2026-11-22T10:00", "--from"), parse_time("2026-11-22T10:00+01:00", "--to").hour
    (datetime.datetime(2026, 11, 22, 10, 0, tzinfo=datetime.timezone.utc), 9)
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError("a time as 2026-11-22T10:00", repr(text[:40]), option, "give it so") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
