"""A sample for people as a spreadsheet: it shows no decision, and comes back with their answers."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vermilion.errors import InputError
from vermilion.world.data_writer import replacing
from vermilion.world.human import guarded, match_option, read_sheet, unguarded
from vermilion.world.labels import NONE_OF_THESE
from vermilion.world.pairs import named
from vermilion.world.source import shown


@dataclass(frozen=True, slots=True)
class Line:
    """One text for people.

    Attributes
    ----------
    options : tuple of str
        Labels to choose from; any other label of the run may be written, too.
    probability : float
        That the text had of being drawn.
    """

    id: str
    text: str
    options: tuple[str, ...]
    probability: float


def write_sheet(path: Path, draw: str, lines: Iterable[Line]) -> None:
    """Write the sample; a file that is there is never overwritten, since it may hold answers.

    Raises
    ------
    InputError
        There is a file already, or the folder cannot be written.
    """
    if path.exists():
        raise InputError(
            "a new file",
            "one that is there",
            str(path),
            "name another with --out, or remove it if nobody answered",
        )
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        rows = [_row(draw, line) for line in lines]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(draw: str, line: Line) -> dict[str, str]:
    return {
        "draw": draw,
        "id": guarded(line.id),
        **{name: guarded(text) for name, text in named(line.text).items()},
        "options": guarded("\n".join((*line.options, NONE_OF_THESE))),
        "answer": "",
        "inclusion_probability": f"{line.probability:.6g}",
    }


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back.

    Attributes
    ----------
    draw : str
    labels : dict of id to str or None
        None is "none of these".
    """

    draw: str
    labels: dict[str, str | None]


def read_answers(path: Path, labels: Sequence[str]) -> Answers:
    """Read the answers; every row must have one.

    Raises
    ------
    InputError
        A column, an id or an answer is missing, comes twice, or is no label of the run; names row and cure.
    """
    if not path.exists():
        raise InputError("the sheet with people's answers", "no such file", str(path), "give its path")
    rows = read_sheet(path)
    for name in ("draw", "id", "answer"):
        if not rows or name not in rows[0]:
            raise InputError(
                "the columns draw, id and answer",
                f"no {name}",
                str(path),
                "give the file that audit has written",
            )
    found: dict[str, str | None] = {}
    empty = [number for number, row in enumerate(rows, start=1) if not row["answer"].strip()]
    if empty:
        raise InputError(
            "an answer in every row",
            f"{len(empty):,} without one",
            f"{path}, row {empty[0]}",
            f"answer it; where no label fits, write {NONE_OF_THESE}",
        )
    draws = {row["draw"].strip() for row in rows}
    if len(draws) > 1:
        raise InputError("the rows of one draw", f"{len(draws)} draws", str(path), "give each file by itself")
    for number, row in enumerate(rows, start=1):
        id_ = unguarded(row["id"])
        if id_ in found:
            raise InputError(
                "each id once", f"{shown(id_)} twice", f"{path}, row {number}", "keep one of them"
            )
        found[id_] = _label(row["answer"].strip(), labels, f"{path}, row {number}, column answer")
    return Answers(draws.pop(), found)


def _label(answer: str, labels: Sequence[str], where: str) -> str | None:
    said = match_option(answer, (*labels, NONE_OF_THESE))
    if said is None:
        close = difflib.get_close_matches(answer, labels, 1)
        cure = (
            f"did you mean {shown(close[0])}?" if close else f"write a label of the run, or {NONE_OF_THESE}"
        )
        raise InputError("a label of the run", shown(answer), where, cure)
    return None if said == NONE_OF_THESE else said
