"""The command `vermilion serve`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from vermilion.cli_home import DatabaseUrl, HomeFolder, open_home

err = Console(stderr=True, highlight=False, soft_wrap=True)


def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or NAME or NAME@ALIAS.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.")] = None,
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="--no-keys lets in who is on this machine.")
    ] = True,
    batch: Annotated[int, typer.Option(help="Most texts that are encoded at once.")] = 32,
    queue: Annotated[int, typer.Option(help="Most texts that wait in a worker; more get 503.")] = 2000,
    deadline: Annotated[
        float, typer.Option(help="Most seconds that a request waits; then it gets 504.")
    ] = 10.0,
    rate: Annotated[
        float, typer.Option(help="Requests a second of a key without a rate of its own.")
    ] = 1000.0,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of an openai: encoder.")] = None,
    log_texts: Annotated[float, typer.Option(help="Share of the texts kept in the journal, redacted.")] = 0.0,
    retain_days: Annotated[
        int | None, typer.Option(help="Days of decisions to keep, with the texts in them; else all.")
    ] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """Answer over HTTP with a model, or with what a name in the registry means."""
    from vermilion.serve.process import serve as run
    from vermilion.serve.settings import ServeSettings
    from vermilion.world.encoders import available_cores

    cores = available_cores()
    count = cores if workers is None else workers
    settings = ServeSettings(
        model=model,
        home=open_home(home, database),
        host=host,
        port=port,
        workers=count,
        keys=keys,
        batch=batch,
        queue=queue,
        deadline=deadline,
        threads=max(1, cores // max(1, count)),
        rate=rate,
        log_texts=log_texts,
        retain_days=retain_days,
        base_url=base_url,
    ).checked()
    if not keys:
        err.print("no keys: anybody on this machine is answered; for trying out only", style="bold red")

    def ready(address: str) -> None:
        err.print(f"serving {model} on {address} with {count} worker{'s'[: count != 1]}", markup=False)

    code = run(settings, ready)
    if code:
        raise typer.Exit(code)
