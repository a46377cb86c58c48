"""Decisions read back from the file that a run has written."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from vermilion.errors import InputError
from vermilion.world.pairs import gathered
from vermilion.world.rows import longest_field

FIELDS = ("id", "text", "label", "confidence", "source", "candidates")
SEVERAL_FIELDS = ("id", "text", "labels", "source", "candidates", "confirmed", "refused")
JSON_CELLS = ("candidates", "labels", "confirmed", "refused")

Row = dict[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Decided:
    """One row of the file; candidates are label names, the likeliest first."""

    id: str
    text: str
    label: str | None
    confidence: float
    source: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeveralDecided:
    """One row of the file of a run with several labels a text.

    Attributes
    ----------
    labels : tuple of str
    proba : dict of label to float
        Of the likeliest labels.
    confirmed, refused : frozenset of str
        Labels about which the expert said yes, and no.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    source: str
    proba: dict[str, float]
    confirmed: frozenset[str]
    refused: frozenset[str]


def read_several_decisions(path: Path) -> list[SeveralDecided]:
    """Read the decisions of a run with several labels a text from .jsonl, .csv or .parquet.

    Raises
    ------
    InputError
        The file is missing, or is not what such a run writes.
    """
    return _read(path, _several, SEVERAL_FIELDS)


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
    return _read(path, _decided, FIELDS)


def _read(path: Path, made: Callable[[Row], Made], fields: Sequence[str]) -> list[Made]:
    read = READERS.get(path.suffix)
    if read is None:
        raise InputError(
            "decisions in .jsonl, .csv or .parquet", repr(path.name), str(path), "name the run's file"
        )
    try:
        return [made(row) for row in read(path)]
    except FileNotFoundError:
        raise InputError(
            "the decisions of a finished run",
            "no such file",
            str(path),
            "finish the run, or name its file with --decisions",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"rows with {', '.join(fields)}",
            f"another file ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            str(path),
            "name the file that the run has written",
        ) from None


def digest(decisions: Sequence[Decided | SeveralDecided]) -> str:
    """Return a hash of who decided what, as 16 hex digits: the name of a run's result.

    Examples
    --------
    >>> one = Decided("0", "hi", "a", 0.9, "auto", ())
    >>> digest([one]) != digest([Decided("0", "hi", "b", 0.9, "auto", ())])
    True
    """
    found = [[row.id, row.text, _said(row), row.source] for row in decisions]
    rows = json.dumps(found, ensure_ascii=False)
    return hashlib.sha256(rows.encode()).hexdigest()[:16]


def _said(row: Decided | SeveralDecided) -> str | tuple[str, ...] | None:
    return row.labels if isinstance(row, SeveralDecided) else row.label


def _several(row: Row) -> SeveralDecided:
    return SeveralDecided(
        str(row["id"]),
        gathered(row),
        tuple(row["labels"]),
        str(row["source"]),
        {
            _name(one): float(one["probability"] if isinstance(one, dict) else one[1])
            for one in row["candidates"]
        },
        frozenset(row["confirmed"]),
        frozenset(row["refused"]),
    )


def _decided(row: Row) -> Decided:
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
            lists = {name: json.loads(row[name]) for name in JSON_CELLS if name in row}
            yield {**row, **lists, "label": row.get("label") or None}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    yield from pl.read_parquet(path, glob=False).iter_rows(named=True)


READERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
