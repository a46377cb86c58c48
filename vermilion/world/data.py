"""The door for data: texts and labels are checked here, once, so that nothing behind it checks again."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.data_writer import RowWriter, write_decisions
from vermilion.world.pairs import SEPARATOR, join_pair
from vermilion.world.rows import raw_rows
from vermilion.world.source import LABELS, BadRow, BadRows, Columns, Fault, FileFormat, RawRow, Source, shown

__all__ = [
    "BadRow",
    "BadRows",
    "Columns",
    "FileFormat",
    "RowWriter",
    "check_labels",
    "data_hash",
    "iter_texts",
    "name_fault",
    "read_texts",
    "stray",
    "write_decisions",
]

MAX_TEXT = 100_000
SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One good row."""

    row: int
    id: str
    text: str
    labels: tuple[str, ...]


def read_texts(
    path: str | Path,
    columns: Columns = Columns(),  # noqa: B008  frozen
    *,
    labelled: bool,
    skipped: BadRows | None = None,
    file_format: FileFormat | None = None,
    unanimous: bool = True,
) -> Texts:
    r"""Read and check a whole file of texts.

    Parameters
    ----------
    path : path
        .csv, .tsv, .jsonl (.ndjson) or .parquet; "-" is standard input.
    columns : Columns
        Two of them may hold the texts of pairs; see `vermilion.world.pairs` for what a pair becomes.
    labelled : bool
        Whether a label is required in each row; else labels are not read.
    skipped : BadRows or None
        Where rows with faults are kept instead of stopping at the first. Faults of a whole file always stop.
    file_format : {"csv", "tsv", "jsonl", "parquet"} or None
        None goes by the extension; for standard input, by its first line.
    unanimous : bool
        Whether a text that occurs twice must have the same labels each time. In a test other labels are evidence, too:
        people disagree.

    Returns
    -------
    Texts
        At least one; ids are unique.

    Raises
    ------
    InputError
        One line with file, row and column of the first fault and what to do.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "two.csv"
    >>> _ = path.write_text("id,text,label\n007,where is my card?,card_arrival\n008,,card_arrival\n")
    >>> bad = BadRows()
    >>> texts = read_texts(path, labelled=True, skipped=bad)
    >>> texts.ids, texts.texts, texts.labels
    (('007',), ('where is my card?',), (('card_arrival',),))
    >>> bad.rows[0].row, bad.rows[0].column, bad.rows[0].reason
    (2, 'text', 'expected a text, found an empty cell')
    """
    source = Source(str(path), columns, labelled, skipped, file_format)
    rows = list(_without_clashes(source, unanimous=unanimous))
    if not rows:
        raise _no_rows(source)
    return _as_texts(rows, source)


def iter_texts(
    path: str | Path,
    columns: Columns = Columns(),  # noqa: B008  frozen
    *,
    batch_size: int = 10_000,
    skipped: BadRows | None = None,
    file_format: FileFormat | None = None,
) -> Iterator[Texts]:
    """Yield the texts of a file of any size in batches, holding one batch at a time; labels are not read.

    Rows are checked as by `read_texts`, but ids may repeat: to know, all would have to be kept.

    Raises
    ------
    InputError
        When the fault is reached; batches before it have been yielded by then.
    """
    source = Source(str(path), columns, False, skipped, file_format)
    rows: list[Row] = []
    empty = True
    for row in _checked(source):
        rows.append(row)
        if len(rows) == batch_size:
            yield _as_texts(rows, source)
            rows, empty = [], False
    if rows:
        yield _as_texts(rows, source)
    elif empty:
        raise _no_rows(source)


def data_hash(texts: Texts) -> str:
    """Return the sha256 of ids, texts and labels in their order, as 64 hex digits.

    Examples
    --------
    >>> a, b = Texts(("0",), ("xy",)), Texts(("0x",), ("y",))
    >>> data_hash(a) != data_hash(b)
    True
    """
    digest = hashlib.sha256()
    string = json.JSONEncoder().encode  # quick for a string alone; a list takes it three times as long
    for i, (id_, text) in enumerate(zip(texts.ids, texts.texts, strict=True)):
        names = "null" if texts.labels is None else f"[{', '.join(map(string, texts.labels[i]))}]"
        digest.update(f"[{string(id_)}, {string(text)}, {names}]\n".encode())
    return digest.hexdigest()


def check_labels(labelled: Texts, known: Sequence[Label] | None) -> None:
    """Check the labels of texts against each other and against the known labels.

    Parameters
    ----------
    labelled : Texts
    known : sequence of Label or None
        None accepts every label.

    Raises
    ------
    InputError
        No labels at all; a label that is not known; a known label without an example, unless it is the parent
        of another; the same text with different labels.
    """
    where = labelled.source or "texts"
    if labelled.labels is None:
        raise InputError("labelled texts", "texts without labels", where, "read them with a label column")
    _check_unanimous(labelled, labelled.labels)
    if known is None:
        return
    names = [label.name for label in known]
    used = _check_known(labelled, labelled.labels, names)
    groups = {label.parent for label in known}
    if idle := [name for name in names if name not in used and name not in groups]:
        first = ", ".join(f"'{name}'" for name in idle[:5]) + ", ..." * (len(idle) > 5)
        found = f"none for {len(idle)} of {len(known)}: {first}"
        cure = "add examples, or take the labels out of the label file"
        raise InputError("an example of each label", found, where, cure)


def name_fault(name: object, what: str = "label") -> Fault | None:
    """Return what is wrong with a label's or id's name (expected, found, cure), or None."""
    if isinstance(name, str) and name.isprintable() and name.strip():  # nearly always, so this comes first
        return None
    expected = f"{'an' if what == 'id' else 'a'} {what}"
    if name is None or (isinstance(name, str) and not name.strip()):
        found = "nothing" if name is None else "an empty cell"
        return expected, found, f"give the row its {what} or remove it"
    if not isinstance(name, str):
        return expected, shown(name), f"write each {what} as a string"
    found = stray(name) or ("a line break" if name.splitlines() != [name] else "")
    return (expected, found, f"remove it from the {what}") if found else None


def stray(text: str) -> str:
    """Name the first sign of a text that no UTF-8 file or no database can hold; '' where there is none."""
    if "\0" in text:
        return f"a NUL at character {text.index(chr(0)) + 1}"
    found = SURROGATE.search(text)
    return f"a lone surrogate U+{ord(found[0]):04X} at character {found.start() + 1}" if found else ""


class _BadCellError(Exception):
    """Carries a fault from the cell to the place that knows the row; never leaves this module."""

    def __init__(self, column: str, fault: Fault) -> None:
        super().__init__(column)
        self.column, self.fault = column, fault


def _checked(source: Source) -> Iterator[Row]:
    """Yield the rows that are good by themselves."""
    for raw in raw_rows(source):
        try:
            row = _row(raw, source)
        except _BadCellError as bad:
            source.bad(raw.row, bad.column, bad.fault)
        else:
            yield row


def _row(raw: RawRow, source: Source) -> Row:
    columns = source.columns
    if source.has_pairs:
        text = join_pair(_text(raw.text, columns.text_a), _text(raw.other, columns.text_b))
    else:
        text = _text(raw.text, columns.text)
    labels: tuple[str, ...] = ()
    if source.labelled:
        names = [_name(name, "label", columns.label) for name in _split(raw.label, columns)]
        labels = tuple(dict.fromkeys(names))
    id_ = _name(raw.id, "id", columns.id) if source.has_ids else str(raw.row - 1)
    return Row(raw.row, id_, text, labels)


def _text(cell: object, column: str) -> str:
    if not isinstance(cell, str):
        cure = "give the row a text or remove it" if cell is None else "write the text as a string"
        raise _BadCellError(column, ("a text", shown(cell), cure))
    if not cell or cell.isspace():
        found = "white space" if cell else "an empty cell"
        raise _BadCellError(column, ("a text", found, "give the row a text or remove it"))
    if len(cell) > MAX_TEXT:
        expected, found = f"up to {MAX_TEXT:,} characters", f"{len(cell):,}"
        raise _BadCellError(column, (expected, found, "split the text or remove the row"))
    if not cell.isprintable() and (found := stray(cell) or _separator(cell)):
        raise _BadCellError(column, ("a text", found, "remove it from the text"))
    return cell


def _separator(cell: str) -> str:
    """Name the sign that stands between the texts of a pair, and so in no text; '' where there is none."""
    return f"a unit separator at character {cell.index(SEPARATOR) + 1}" if SEPARATOR in cell else ""


def _split(cell: object, columns: Columns) -> list[object]:
    """Return a cell's labels. None at all is meant where several could stand: an empty list of `labels`."""
    if isinstance(cell, list):
        return cell if cell or columns.label == LABELS else [None]
    if columns.label_separator and isinstance(cell, str):
        return [name.strip() for name in cell.split(columns.label_separator)] if cell.strip() else []
    return [cell]


def _name(cell: object, what: str, column: str) -> str:
    name = str(cell) if type(cell) is int else cell  # true and 7.0 are no names: they would not survive a CSV
    if fault := name_fault(name, what):
        raise _BadCellError(column, fault)
    assert isinstance(name, str)
    return name


def _without_clashes(source: Source, *, unanimous: bool) -> Iterator[Row]:
    """Yield the good rows that do not contradict an earlier one."""
    ids: set[str] = set()
    labels: dict[str, tuple[str, ...]] = {}
    for row in _checked(source):
        if row.id in ids:
            source.bad(
                row.row, source.columns.id, ("ids that differ", f"'{row.id}' again", "give each row its own")
            )
            continue
        if unanimous and source.labelled and (clash := _clash(row.text, row.labels, labels)):
            source.bad(row.row, source.columns.label, clash)
            continue
        ids.add(row.id)
        yield row


def _clash(text: str, names: tuple[str, ...], seen: dict[str, tuple[str, ...]]) -> Fault | None:
    """Compare a text's labels with those it had before, and note them."""
    before = seen.setdefault(text, names)
    if before == names or sorted(before) == sorted(names):
        return None
    old, new = (" + ".join(f"'{name}'" for name in some) for some in (before, names))
    return f"{old} as for the same text before", new, f"settle the label of {shown(text)}"


def _check_unanimous(texts: Texts, labels: Sequence[tuple[str, ...]]) -> None:
    seen: dict[str, tuple[str, ...]] = {}
    for i, (text, names) in enumerate(zip(texts.texts, labels, strict=True)):
        if fault := _clash(text, names, seen):
            raise _at(texts, i, fault)


def _check_known(texts: Texts, labels: Sequence[tuple[str, ...]], known: Sequence[str]) -> set[str]:
    """Return the labels in use, all of them known."""
    used: set[str] = set()
    allowed = set(known)
    for i, names in enumerate(labels):
        for name in names:
            if name not in allowed:
                close = difflib.get_close_matches(name, known, 1)
                cure = (
                    f"did you mean '{close[0]}'? " if close else ""
                ) + "mend the row or add it to the label file"
                raise _at(texts, i, (f"one of {len(known)} known labels", f"'{name}'", cure))
        used.update(names)
    return used


def _at(texts: Texts, index: int, fault: Fault) -> InputError:
    row = texts.rows[index] if texts.rows else index + 1
    expected, found, cure = fault
    return InputError(expected, found, f"{texts.source or 'texts'}, row {row}, column label", cure)


def _no_rows(source: Source) -> InputError:
    left_out = source.skipped.count if source.skipped else 0
    found = f"none but {left_out} bad rows left out" if left_out else "none"
    return source.refuse("at least one row", found, "check how the file was written")


def _as_texts(rows: Sequence[Row], source: Source) -> Texts:
    return Texts(
        ids=tuple(row.id for row in rows),
        texts=tuple(row.text for row in rows),
        labels=tuple(row.labels for row in rows) if source.labelled else None,
        source=source.name,
        rows=tuple(row.row for row in rows),
    )
