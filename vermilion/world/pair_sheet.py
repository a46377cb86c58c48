"""A sample of pairs of a text and a label for people as a spreadsheet: is this label right for this text?"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vermilion.errors import InputError
from vermilion.world.data_writer import replacing
from vermilion.world.human import NO, YES, guarded, match_option, read_sheet, unguarded
from vermilion.world.pairs import named
from vermilion.world.source import shown

COLUMNS = ("draw", "id", "label", "answer")


@dataclass(frozen=True, slots=True)
class PairLine:
    """One pair for people. Its chance of being drawn is not shown: it would tell what was decided."""

    id: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class PairAnswers:
    """What came back: by id and label, whether people say that the label is right."""

    draw: str
    said: dict[tuple[str, str], bool]


def write_pairs(path: Path, draw: str, lines: Iterable[PairLine]) -> None:
    """Write the sample; a file that is there is never overwritten, since it may hold answers.

    Raises
    ------
    InputError
        There is a file already, or the folder cannot be written.
    """
    if path.exists():
        cure = "name another with --out, or remove it if nobody answered"
        raise InputError("a new file", "one that is there", str(path), cure)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        rows = [_row(draw, line) for line in lines]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(draw: str, line: PairLine) -> dict[str, str]:
    return {
        "draw": draw,
        "id": guarded(line.id),
        **{name: guarded(text) for name, text in named(line.text).items()},
        "label": guarded(line.label),
        "options": f"{YES}\n{NO}",
        "answer": "",
    }


def read_pairs(path: Path) -> PairAnswers:
    """Read the answers; every row must have one.

    Raises
    ------
    InputError
        A column or an answer is missing, a pair comes twice, or an answer is neither yes nor no; names row and cure.
    """
    if not path.exists():
        raise InputError("the sheet with people's answers", "no such file", str(path), "give its path")
    rows = read_sheet(path)
    if missing := [name for name in COLUMNS if not rows or name not in rows[0]]:
        found = f"no {missing[0]}"
        raise InputError(
            f"the columns {', '.join(COLUMNS)}", found, str(path), "give the file that audit has written"
        )
    said: dict[tuple[str, str], bool] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        pair = unguarded(row["id"]), unguarded(row["label"])
        if pair in said:
            raise InputError(
                "each pair once", f"{shown(pair[1])} of {shown(pair[0])} twice", where, "keep one"
            )
        answer = match_option(row["answer"].strip(), (YES, NO))
        if answer is None:
            found = shown(row["answer"]) if row["answer"].strip() else "no answer"
            raise InputError(f"{YES} or {NO}", found, f"{where}, column answer", "answer every row")
        said[pair] = answer == YES
    draws = {row["draw"].strip() for row in rows}
    if len(draws) > 1:
        raise InputError("the rows of one draw", f"{len(draws)} draws", str(path), "give each file by itself")
    return PairAnswers(draws.pop(), said)
