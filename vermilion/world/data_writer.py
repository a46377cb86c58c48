"""Results onto disk: JSONL, CSV or Parquet by extension, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl

from vermilion.errors import InputError
from vermilion.world.pairs import spread

Rows = Sequence[Mapping[str, Any]]
Write = Callable[[Rows], None]

PART_ROWS = 50_000


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success its file is synced and takes the place of `path`.

    Whatever interrupts the writing, `path` is either what it was or complete.

    Raises
    ------
    InputError
        The folder does not exist or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    _refuse_unwritable(target, temporary)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_unwritable(target: Path, temporary: Path) -> None:
    if target.is_dir():
        raise InputError("a file to write", "a directory", str(target), "name a file in it")
    try:
        temporary.open("xb").close()
    except FileNotFoundError:
        found, cure = "no such folder", f"mkdir -p {target.parent}"
    except OSError as error:
        found, cure = f"an error: {error.strerror}", "choose another folder"
    else:
        return
    raise InputError("a folder to write to", found, str(target), cure)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder; its rename is durable by itself
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    r"""Yield each row as a line of a .jsonl file.

    Examples
    --------
    >>> list(json_lines([{"id": "0", "label": "café"}]))
    ['{"id": "0", "label": "café"}\n']
    """
    return (_json(spread(row)) + "\n" for row in rows)


@contextmanager
def _jsonl_sink(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yield lambda rows: stream.writelines(json_lines(rows))


@contextmanager
def _csv_sink(path: Path) -> Iterator[Write]:
    """Columns are those of the first row; texts are quoted, so that a lone carriage return survives."""
    columns: list[str] = []
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")

        def write(rows: Rows) -> None:
            if rows and not columns:
                columns.extend(rows[0])
                writer.writerow(columns)
            writer.writerows([_cell(row[name]) for name in columns] for row in rows)

        yield write


@contextmanager
def _parquet_sink(path: Path) -> Iterator[Write]:
    """Spools parts and joins them at the end: only then are the types of all columns known."""
    waiting: list[dict[str, Any]] = []
    parts: list[Path] = []

    def spool() -> None:
        parts.append(Path(folder) / f"{len(parts)}.parquet")
        pl.DataFrame(waiting, infer_schema_length=None).write_parquet(parts[-1])
        waiting.clear()

    def write(rows: Rows) -> None:
        waiting.extend({name: _nested(value) for name, value in row.items()} for row in rows)
        if len(waiting) >= PART_ROWS:
            spool()

    with TemporaryDirectory(prefix=path.name, dir=path.parent) as folder:
        yield write
        if waiting or not parts:
            spool()
        frames = [pl.scan_parquet(part, glob=False) for part in parts]
        pl.concat(frames, how="vertical_relaxed").sink_parquet(path)


SINKS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".jsonl": _jsonl_sink,
    ".ndjson": _jsonl_sink,
    ".csv": _csv_sink,
    ".parquet": _parquet_sink,
}


class RowWriter:
    """Writes batches of rows to a .jsonl, .csv or .parquet file that appears only when the block ends well.

    All rows have the same keys. Nested values stay nested in JSONL and Parquet, and become JSON text in CSV.
    Parquet knows no mixed lists: there, pairs of a label and a number become {"label", "probability"}. A text that is
    a pair becomes the columns text_a and text_b.

    Raises
    ------
    InputError
        Unknown extension, or a folder that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "out.csv"
    >>> with RowWriter(path) as writer:
    ...     writer.write([{"id": "0", "label": None, "candidates": [("a", 0.5)]}])
    >>> print(path.read_text())
    "id","label","candidates"
    "0","","[[""a"", 0.5]]"
    """

    def __init__(self, path: str | Path) -> None:
        suffix = Path(path).suffix.lower()
        if suffix not in SINKS:
            found = f"'{suffix}'" if suffix else "none"
            raise InputError(f"an extension out of {', '.join(SINKS)}", found, str(path), "rename the output")
        self._path, self._sink = path, SINKS[suffix]
        self._stack = ExitStack()
        self._write: Write | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._write = stack.enter_context(self._sink(stack.enter_context(replacing(self._path))))
            self._stack = stack.pop_all()
        return self

    def write(self, rows: Rows) -> None:
        """Append rows."""
        if self._write is None:
            raise RuntimeError("write only inside `with RowWriter(path) as writer`")
        self._write([spread(row) for row in rows])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write = None
        self._stack.__exit__(kind, error, trace)


def write_decisions(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to a .jsonl, .csv or .parquet file, whole or not at all; see `RowWriter`."""
    with RowWriter(path) as writer:
        batch: list[Mapping[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == PART_ROWS:
                writer.write(batch)
                batch = []
        writer.write(batch)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return _json(value) if isinstance(value, Mapping | list | tuple | np.ndarray) else value


def _nested(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, list | tuple):
        return value
    return [_pair(item) for item in value]


def _pair(item: Any) -> Any:
    match item:
        case [str() as label, int() | float() | np.floating() as probability]:
            return {"label": label, "probability": float(probability)}
    return _nested(item)
