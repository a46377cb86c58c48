"""Decisions read back from the file that a run has written."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from vermilion.errors import InputError
from vermilion.world.pairs import gathered
from vermilion.world.rows import longest_field

FIELDS = ("id", "text", "label", "confidence", "source", "candidates")


@dataclass(frozen=True, slots=True)
class Decided:
    """One row of the file; candidates are label names, the likeliest first."""

    id: str
    text: str
    label: str | None
    confidence: float
    source: str
    candidates: tuple[str, ...]


def read_decisions(path: Path) -> list[Decided]:
    """Read a run's decisions from .jsonl, .csv or .parquet.

    Raises
    ------
    InputError
        The file is missing, or is not what a run writes.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "decisions.jsonl"
    >>> _ = path.write_text(
    ...     '{"id": "0", "text": "hi", "label": "a", "confidence": 0.9, "source": "auto", "candidates": [["a", 0.9]]}'
    ... )
    >>> read_decisions(path)
    [Decided(id='0', text='hi', label='a', confidence=0.9, source='auto', candidates=('a',))]
    """
    read = READERS.get(path.suffix)
    if read is None:
        raise InputError(
            "decisions in .jsonl, .csv or .parquet", repr(path.name), str(path), "name the run's file"
        )
    try:
        return [_decided(row) for row in read(path)]
    except FileNotFoundError:
        raise InputError(
            "the decisions of a finished run",
            "no such file",
            str(path),
            "finish the run, or name its file with --decisions",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"rows with {', '.join(FIELDS)}",
            f"another file ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            str(path),
            "name the file that the run has written",
        ) from None


def digest(decisions: Sequence[Decided]) -> str:
    """Return a hash of who decided what, as 16 hex digits: the name of a run's result.

    Examples
    --------
    >>> one = Decided("0", "hi", "a", 0.9, "auto", ())
    >>> digest([one]) != digest([Decided("0", "hi", "b", 0.9, "auto", ())])
    True
    """
    rows = json.dumps([[row.id, row.text, row.label, row.source] for row in decisions], ensure_ascii=False)
    return hashlib.sha256(rows.encode()).hexdigest()[:16]


def _decided(row: dict[str, Any]) -> Decided:
    label = row["label"]
    return Decided(
        str(row["id"]),
        gathered(row),
        None if label is None else str(label),
        float(row["confidence"]),
        str(row["source"]),
        tuple(_name(candidate) for candidate in row["candidates"]),
    )


def _name(candidate: Any) -> str:
    return str(candidate["label"] if isinstance(candidate, dict) else candidate[0])


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with longest_field(sys.maxsize), path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {**row, "label": row["label"] or None, "candidates": json.loads(row["candidates"])}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    yield from pl.read_parquet(path, glob=False).iter_rows(named=True)


READERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
