"""Further columns of a file of texts, for whoever compares its rows by them."""

from __future__ import annotations

from dataclasses import replace

from vermilion.errors import InputError
from vermilion.types import Texts
from vermilion.world.rows import raw_rows
from vermilion.world.source import BadRows, Columns, Source


def read_column(texts: Texts, name: str, columns: Columns, option: str) -> tuple[str | None, ...]:
    r"""Return a column's cell for each text, as a string; None where it is empty.

    Parameters
    ----------
    texts : Texts
        As read from a file before.
    name : str
        The column.
    columns : Columns
        As the texts were read by.
    option : str
        What asked for the column, for the message.

    Raises
    ------
    InputError
        The texts came from standard input, which cannot be read twice; or the file has no such column.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from vermilion.world.data import read_texts
    >>> path = Path(tempfile.mkdtemp()) / "two.csv"
    >>> _ = path.write_text("text,label,language\nhello,greeting,en\nhallo,greeting,\n")
    >>> texts = read_texts(path, labelled=True)
    >>> read_column(texts, "language", Columns(), "--slice")
    ('en', None)
    """
    if not texts.rows or texts.source == "<stdin>":
        raise InputError(
            "a file, to read a column of it", "standard input", f"{option} {name}", "name a file"
        )
    source = Source(texts.source, replace(columns, label=name), True, BadRows())
    try:
        cells = {raw.row: raw.label for raw in raw_rows(source)}
    except InputError as error:
        cure = error.cure.replace("name the column with --label-column", f"give {option} another column")
        raise InputError(error.expected, error.found, error.where, cure) from None
    return tuple(_shown(cells.get(row)) for row in texts.rows)


def _shown(cell: object) -> str | None:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    return str(cell).strip()
