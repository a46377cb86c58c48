"""The commands on encoders: `vermilion encoders compare`, and how its result looks on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vermilion.errors import InputError
from vermilion.screen import Screen

if TYPE_CHECKING:
    from vermilion.choose.encoders_record import Comparison

app = typer.Typer(no_args_is_help=True, help="Choose an encoder.")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def compare(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled texts: .csv .tsv .jsonl .parquet, or -.")
    ],
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="minilm, static, st:NAME, openai:NAME, fastembed:NAME, model2vec:NAME, or two: minilm+static; "
            "give it once for each candidate."
        ),
    ] = None,
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder of all results; finished parts are kept there.")
    ] = (Path("encoders")),
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the splits.")] = 0,
    max_texts: Annotated[int, typer.Option(help="Most texts to compare on; more are sampled.")] = 5000,
    setfit: Annotated[
        list[str] | None, typer.Option(help="st:NAME to fine-tune with SetFit, too; needs the extra setfit.")
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="USD per million tokens, as openai:NAME=0.02.")
    ] = None,
    machine_price: Annotated[float | None, typer.Option(help="USD per hour of this machine.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="Folder of vectors to share; else in --out.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of openai: encoders.")] = None,
    task: Annotated[
        str, typer.Option(help="auto, binary, multi-class, multi-label, pairs or hierarchical.")
    ] = "auto",
    positive: Annotated[
        str | None, typer.Option(help="Of two labels of pairs the one that says right; else the rarer.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    text_a_column: Annotated[str, typer.Option(help="Column of the first text of each pair.")] = "text_a",
    text_b_column: Annotated[str, typer.Option(help="Column of the second text of each pair.")] = "text_b",
    label_column: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    label_separator: Annotated[
        str | None, typer.Option(help="Splits one cell into several labels, as ';'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print comparison.json to stdout.")] = False,
) -> None:
    """Measure encoders on your own labelled texts or pairs, and say which to take for what."""
    _check(max_texts, machine_price)
    prices = _prices(price or ())

    from vermilion.choose.encoders_bench import DEFAULTS, CompareSettings
    from vermilion.choose.encoders_bench import compare as compare_encoders
    from vermilion.choose.encoders_files import write_comparison
    from vermilion.world.data import read_texts
    from vermilion.world.source import Columns

    columns = Columns(
        text_column,
        label_column,
        label_separator=label_separator,
        text_a=text_a_column,
        text_b=text_b_column,
    )
    labelled = read_texts(data, columns, labelled=True)
    settings = CompareSettings(
        out=out_dir,
        seed=seed,
        most_texts=max_texts,
        vectors=vectors,
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
        token_prices=prices,
        hourly_price=machine_price,
        tune=tuple(setfit or ()),
        task=task,
        positive=positive,
    )
    screen = Screen(err)
    try:
        found = compare_encoders(labelled, tuple(encoder or DEFAULTS), settings, screen)
    finally:
        screen.done()
    paths = write_comparison(found, out_dir)
    if as_json:
        sys.stdout.write(json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    show_comparison(out, found)
    for path in paths:
        out.print(f"{path}", markup=False)


def _check(max_texts: int, machine_price: float | None) -> None:
    if max_texts < 20:
        raise InputError("a whole number from 20", str(max_texts), "--max-texts", "give another value")
    if machine_price is not None and not 0 <= machine_price < float("inf"):
        raise InputError("US dollars from 0", str(machine_price), "--machine-price", "give another value")


def _prices(given: Sequence[str]) -> dict[str, float]:
    """Return the price of a million tokens by the encoder's name."""
    prices = {}
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            price = float(number)
        except ValueError:
            price = -1.0
        if not name.startswith("openai:") or not 0 <= price < float("inf"):
            cure = "give the encoder's name and US dollars per million tokens"
            raise InputError("a name and a number as in openai:NAME=0.02", repr(one), "--price", cure)
        prices[name] = price
    return prices


def show_comparison(console: Console, found: Comparison) -> None:
    """Print the figures as a table, a column for each candidate, and the recommendations."""
    from vermilion.choose.encoders_words import figure_rows, tuned_rows

    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("")
    for row in found.rows:
        table.add_column(row.name, justify="right", overflow="fold")
    for name, cells in figure_rows(found.rows, found.sheet):
        table.add_row(name, *cells)
    console.print(table, soft_wrap=False)
    for line in found.sheet.left_out:
        console.print(line, markup=False)
    for name, cell in tuned_rows(found.tuned):
        console.print(f"{name}: {cell}", markup=False)
    console.print()
    for one in found.recommendations:
        console.print(one.sentence, markup=False)
    for line in (*found.gains, found.tuning, *found.doubts()):
        if line:
            console.print(line, markup=False)
    console.print()
