"""The command `vermilion export`: a model as files that run without Vermilion."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, DatabaseUrl, HomeFolder, load_predictor
from vermilion.errors import InputError
from vermilion.screen import show_table

if TYPE_CHECKING:
    from vermilion.export.folder import Exported, Size

out = Console(highlight=False, soft_wrap=True)


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's folder, or NAME, NAME@3, ... of the registry.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the export; made anew.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="ONNX files and a script for ONNX Runtime.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Weights as int8: smaller, not quite equal.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Also a page that classifies in the browser.")
    ] = False,
    npm: Annotated[
        Path | None, typer.Option("--npm", help="Folder with the npm archives; else they are fetched.")
    ] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX files that run without Vermilion, and check that they say the same."""
    if not onnx:
        raise InputError("--onnx", "no form to export to", "vermilion export", "give --onnx")
    if npm is not None and not browser:
        raise InputError("--npm with --browser", "--npm alone", "--npm", "give --browser, or leave it out")

    from vermilion.export.folder import ExportSettings, export_model

    done = export_model(load_predictor(model, home, database), ExportSettings(out_dir, int8, browser, npm))
    if as_json:
        sys.stdout.write(json.dumps(done.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    show_exported(out, done, int8=int8, browser=browser)


def show_exported(console: Console, done: Exported, *, int8: bool, browser: bool) -> None:
    """Print sizes, how equal the export is, and how to use it."""
    columns = [("part", False), ("as it is", True), ("int8", True), ("written", False)]
    rows = [[one.name, _bytes(one.whole), _bytes(one.int8), _written(one, int8=int8)] for one in done.sizes]
    show_table(console, "", columns, rows)
    console.print(
        f"checked on {done.texts} texts: {done.tokens} with the same tokens, {done.decisions} with the same decision; "
        f"vectors differ by {done.vectors:.1e} at most, probabilities by {done.probabilities:.1e} "
        f"(allowed {done.tolerance:g})"
    )
    if done.left_out:
        console.print(f"left out: {done.left_out}", markup=False)
    console.print(f"{done.folder}", markup=False)
    console.print(f'  python {done.folder}/classify.py "a text"', markup=False)
    if browser:
        serve = f"python -m http.server --bind 127.0.0.1 --directory {done.folder} 8000"
        console.print(f"  {serve}   then http://127.0.0.1:8000/", markup=False)


def _written(size: Size, *, int8: bool) -> str:
    return "int8" if int8 or size.whole == size.int8 else "as it is"


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
