"""The command, and what it leaves, for tests of whole runs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vermilion import cli

SUMMARY_KEYS = {
    *("texts", "labels", "encoder", "head", "rounds", "calls", "tokens", "cost_usd", "seconds"),
    *("decisions", "certificate", "stopped"),
}


@dataclass(frozen=True)
class Data:
    """Files of one small job.

    The pool has 120 distinct texts and more: of each label one labelled text, and some texts twice.
    """

    labelled: Path
    pool: Path
    gold: Path
    pool_texts: tuple[str, ...]
    given: dict[str, str]
    right: dict[str, str]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Run:
    """A run over the data in a folder of its own; calling it gives the command."""

    data: Data
    folder: Path

    def __call__(self, *options: str) -> Ended:
        """Run or go on, with a simulated expert where no other is named."""
        return vermilion(*self.argv(*options))

    def argv(self, *options: str) -> list[str]:
        """Return the command's arguments."""
        expert = () if "--expert" in options else ("--expert", f"oracle:{self.data.gold}")
        head = () if "--head" in options else ("--head", "flat")
        files = (str(self.data.labelled), str(self.data.pool), "--out", str(self.folder))
        return ["run", *files, "--encoder", "static", *expert, *head, *options]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary that the run left."""
        loaded: dict[str, Any] = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The decisions that the run left."""
        lines = (self.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def vermilion(*argv: str, stdin: bytes = b"") -> Ended:
    """Run the command as its entry point does, in this process, which has paid for the imports."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["vermilion", *argv], io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = _exit_code(cli.main)
    finally:
        sys.argv, sys.stdin = before
    return Ended(code, out.getvalue(), err.getvalue())


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV file; return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path
