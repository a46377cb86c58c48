"""The commands on API keys: make, list, rotate and revoke them; a secret is shown once and never again."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, By, DatabaseUrl, HomeFolder, open_home, parse_duration, who
from vermilion.screen import show_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vermilion.world.keys import Key, Keys

app = typer.Typer(no_args_is_help=True, help="Make, rotate and revoke the API keys of a service.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of a key, as keys list shows it.")]


@app.command()
def create(
    label: Annotated[str, typer.Option(help="What the key is for; lists and logs show it.")],
    scope: Annotated[
        list[str], typer.Option(help="classify, feedback, models, metrics or admin; once for each.")
    ],
    rate: Annotated[float | None, typer.Option(help="Requests a second; else the service's limit.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="How long it opens, as 90d; else until revoked.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """Make a key and print it to stdout: this once, for only its hash is kept."""
    lasts = None if expires is None else parse_duration(expires, "--expires")
    with _keys(home, database) as keys:
        key, token = keys.create(label, scope, rate=rate, expires=lasts, by=who(by))
    _show_secret(key, token, as_json=as_json)


@app.command("list")
def list_keys(as_json: AsJson = False, home: HomeFolder = None, database: DatabaseUrl = None) -> None:
    """Show all keys: what each may do, until when, and about when it was last used. Never a secret."""
    from vermilion.world.database import now

    with _keys(home, database) as keys:
        found, at = keys.all(), now()
    if as_json:
        _print_json([_shown(key) | {"state": key.state(at)} for key in found])
        return
    if not found:
        out.print("no keys yet: vermilion keys create --label NAME --scope classify")
        return
    names = ("id", "label", "scopes", "state", "rate", "expires", "last used")
    rows = [
        (
            *(key.id, key.label, " ".join(sorted(key.scopes)), _state(key, at)),
            *("" if key.rate is None else f"{key.rate:g}/s", _minute(key.expires_at), _minute(key.used_at)),
        )
        for key in found
    ]
    show_table(out, "", [(name, name == "rate") for name in names], rows)


@app.command()
def revoke(key_id: KeyId, by: By = None, home: HomeFolder = None, database: DatabaseUrl = None) -> None:
    """Have a key open nothing any more; running services know within a second."""
    with _keys(home, database) as keys:
        key = keys.revoke(key_id, by=who(by))
    out.print(f"{key.id} ({key.label}) opens nothing since {_minute(key.revoked_at)} UTC", markup=False)


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the secret before opens, too; 0s for not at all.")
    ] = "24h",
    by: By = None,
    as_json: AsJson = False,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """Give a key a new secret and print it to stdout; the one before goes on for a time of grace."""
    lasts = parse_duration(grace, "--grace")
    with _keys(home, database) as keys:
        key, token = keys.rotate(key_id, grace=lasts, by=who(by))
    _show_secret(key, token, as_json=as_json)


@contextmanager
def _keys(home: Path | None, database: str | None) -> Iterator[Keys]:
    from vermilion.world.keys import Keys

    with Keys.open(open_home(home, database)) as keys:
        yield keys


def _show_secret(key: Key, token: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(_shown(key) | {"secret": token})
        return
    err.print(
        f"{key.id} ({key.label}): {', '.join(sorted(key.scopes))}. Keep it: nobody can show it again.",
        markup=False,
    )
    if key.old_until:
        err.print(f"The secret before opens until {_minute(key.old_until)} UTC.", markup=False)
    sys.stdout.write(token + "\n")


def _shown(key: Key) -> dict[str, Any]:
    return asdict(key) | {"scopes": sorted(key.scopes)}


def _state(key: Key, at: str) -> str:
    state = key.state(at)
    rotating = state == "active" and key.old_until is not None and key.old_until > at
    return f"active, old secret until {_minute(key.old_until)}" if rotating else state


def _minute(at: str | None) -> str:
    return "" if at is None else at[:16].replace("T", " ")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
