"""Further columns of a file, row by row beside its texts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from vermilion.errors import InputError
from vermilion.types import Texts
from vermilion.world.data import read_texts
from vermilion.world.data_columns import read_column
from vermilion.world.source import BadRows, Columns


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_cells_stand_beside_their_texts(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = pl.DataFrame({"text": ["x", "y"], "label": ["a", "b"], "age": [30, None]})
    if name.endswith((".csv", ".tsv")):
        frame.write_csv(path, separator="\t" if name.endswith("tsv") else ",")
    elif name.endswith("jsonl"):
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)
    texts = read_texts(path, labelled=True)
    assert read_column(texts, "age", Columns(), "--slice") == ("30", None)


def test_rows_left_out_leave_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label,kind\nx,a,one\n,a,two\n\nz,b,three\n")
    texts = read_texts(path, labelled=True, skipped=BadRows())
    assert texts.texts == ("x", "z")
    assert read_column(texts, "kind", Columns(), "--slice") == ("one", "three")


def test_a_column_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,a\n")
    texts = read_texts(path, labelled=True)
    with pytest.raises(InputError, match=r"expected a column 'kind'.*give --slice another column"):
        read_column(texts, "kind", Columns(), "--slice")


def test_standard_input_cannot_be_read_twice() -> None:
    with pytest.raises(InputError, match="standard input; name a file"):
        read_column(Texts(("0",), ("x",), (("a",),), "<stdin>", (1,)), "kind", Columns(), "--slice")
