"""What is read: which file, which columns, and what becomes of its bad rows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from vermilion.errors import InputError
from vermilion.world.data_writer import write_decisions
from vermilion.world.pairs import TEXT_A, TEXT_B

Fault = tuple[str, str, str]  # what was expected, what was found, what to do
FileFormat = Literal["csv", "tsv", "jsonl", "parquet"]
Role = Literal["text", "text_a", "text_b", "label", "id"]

SHOWN_NAMES = 10
# A column of this name holds lists: of several labels, of one, or of none.
LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns to read; others are ignored.

    Attributes
    ----------
    text : str
    label : str
        Where the file has no column "label", "labels" serves as well.
    id : str
        Optional in the file under its usual name; without it, ids are row numbers from 0.
    label_separator : str or None
        Splits one cell into several labels, an empty one into none. None takes a cell as one label, as names may hold
        any sign.
    text_a, text_b : str
        The two texts of a pair. A file is one of pairs where it has both and no `text`, or where one of them is named
        otherwise than here.
    """

    text: str = "text"
    label: str = "label"
    id: str = "id"
    label_separator: str | None = None
    text_a: str = TEXT_A
    text_b: str = TEXT_B

    def are_pairs(self, found: Sequence[str]) -> bool:
        """Tell whether a file with these columns is one of pairs."""
        if (self.text_a, self.text_b) != (TEXT_A, TEXT_B):
            return True
        return self.text not in found and self.text_a in found and self.text_b in found


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that was left out; `row` counts from 1, `column` is empty where the whole row is bad."""

    file: str
    row: int
    column: str
    reason: str


@dataclass(slots=True)
class BadRows:
    """Rows left out rather than refused, in the order met."""

    rows: list[BadRow] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of rows left out."""
        return len(self.rows)

    def write(self, path: str | Path) -> None:
        """Write file, row, column and reason of each to a .jsonl, .csv or .parquet file."""
        write_decisions(path, (asdict(row) for row in self.rows))


class RawRow(NamedTuple):
    """One row as parsed, its cells not yet checked; a missing cell is None. `other` is the second text of a pair."""

    row: int
    text: object
    label: object
    id: object
    other: object = None


class Picks(NamedTuple):
    """The file's own names of the columns to take."""

    text: str
    label: str | None
    id: str | None
    other: str | None = None


@dataclass(slots=True)
class Source:
    """What is read, and what becomes of its bad rows.

    Attributes
    ----------
    path : str
        "-" is standard input.
    columns : Columns
        The names wanted, and once the file's columns are known, the names found.
    labelled : bool
        Whether a label column is required.
    skipped : BadRows or None
        Where bad rows are kept; None makes each an InputError.
    file_format : FileFormat or None
        None goes by the extension, or for standard input by its first line.
    has_ids, has_pairs : bool
        Whether there is an id column, and whether rows are pairs of texts; known with the columns.
    """

    path: str
    columns: Columns
    labelled: bool
    skipped: BadRows | None = None
    file_format: FileFormat | None = None
    has_ids: bool = field(default=False, init=False)
    has_pairs: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The file's name for messages."""
        return "<stdin>" if self.path == "-" else self.path

    def refuse(self, expected: str, found: str, cure: str, row: int | None = None) -> InputError:
        """Return the error for a fault of the whole file."""
        return InputError(expected, found, self._where(row, ""), cure)

    def bad(self, row: int, column: str, fault: Fault) -> None:
        """Raise the fault (expected, found, cure) of one row, or keep it where rows may be left out."""
        expected, found, cure = fault
        error = InputError(expected, found, self._where(row, column), cure)
        if self.skipped is None:
            raise error
        reason = " ".join(f"expected {expected}, found {found}".split())
        self.skipped.rows.append(BadRow(self.name, row, column, reason))

    def pick(self, found: Sequence[str], row: int | None = None) -> Picks:
        """Find the wanted columns among those found, or raise InputError."""
        self.has_pairs = self.columns.are_pairs(found)
        text = self._column("text_a" if self.has_pairs else "text", found, row)
        other = self._column("text_b", found, row) if self.has_pairs else None
        label = self._column("label", found, row) if self.labelled else None
        self.has_ids = self.columns.id in found or self.columns.id != Columns().id
        return Picks(text, label, self._column("id", found, row) if self.has_ids else None, other)

    def _column(self, role: Role, found: Sequence[str], row: int | None) -> str:
        name: str = getattr(self.columns, role)
        if role == "label" and name == Columns().label and name not in found and LABELS in found:
            name = LABELS
            self.columns = replace(self.columns, label=name)
        if found.count(name) == 1:
            return name
        if name in found:
            raise self.refuse(
                f"one column '{name}'", f"{found.count(name)} of that name", "rename all but one", row
            )
        names = ", ".join(f"'{n}'" for n in found[:SHOWN_NAMES]) + (
            ", ..." if len(found) > SHOWN_NAMES else ""
        )
        close = difflib.get_close_matches(name, found, 1)
        cure = (
            f"did you mean '{close[0]}'? " if close else ""
        ) + f"name the column with --{role.replace('_', '-')}-column"
        raise self.refuse(f"a column '{name}'", f"columns {names or '(none)'}", cure, row)

    def _where(self, row: int | None, column: str) -> str:
        return self.name + (f", row {row}" if row else "") + (f", column {column}" if column else "")


def shown(value: object) -> str:
    """Return a value as a message may show it: short, on one line.

    Examples
    --------
    >>> shown({"a": 1}), shown(None), shown(12), shown("x" * 50)
    ('an object', 'nothing', 'the number 12', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")
    """
    kinds = {dict: "an object", list: "a list", type(None): "nothing", bool: "true or false"}
    if type(value) in kinds:
        return kinds[type(value)]
    said = repr(value) if len(repr(value)) <= 42 else repr(value)[:39] + "..."
    return f"the number {said}" if isinstance(value, int | float) else said
