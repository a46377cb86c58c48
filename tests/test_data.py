"""What comes in is checked at the door; what goes out is whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.data import (
    BadRows,
    Columns,
    FileFormat,
    RowWriter,
    check_labels,
    data_hash,
    iter_texts,
    read_texts,
    write_decisions,
)
from vermilion.world.human import read_sheet

USUAL = Columns()
Save = Callable[[str, str | bytes], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path: str | Path, columns: Columns = USUAL) -> InputError:
    with pytest.raises(InputError) as caught:
        read_texts(path, columns, labelled=True)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


HEAD = "id,text,label\n0,fine,a\n"
LINE = '{"id": "0", "text": "fine", "label": "a"}\n'

# Faults of one row: name, content, the row, the column and words that the message must have.
BAD_ROWS = [
    ("few.csv", HEAD + "1,cut in half\n", 2, "", "expected 3 fields, found 2"),
    ("many.csv", HEAD + "1,a,b,c\n", 2, "", "expected 3 fields, found 4"),
    ("many.tsv", "text\tlabel\na\tb\tc\n", 1, "", "expected 2 fields, found 3"),
    ("quote_last.csv", HEAD + '1,"never closed,a\n', 2, "", "a quote that never closes"),
    ("after_quote.csv", HEAD + '1,"well" said,a\n', 2, "", "text after a closing quote"),
    ("empty_text.csv", HEAD + "1,,a\n", 2, "text", "found an empty cell"),
    ("blank_text.csv", HEAD + '1,"  \t ",a\n', 2, "text", "found white space"),
    ("empty_label.csv", HEAD + "1,x,\n", 2, "label", "found an empty cell"),
    ("blank_label.csv", HEAD + "1,x, \n", 2, "label", "found an empty cell"),
    ("empty_id.csv", HEAD + ",x,a\n", 2, "id", "found an empty cell"),
    ("same_id.csv", HEAD + "0,x,a\n", 2, "id", "found '0' again"),
    (
        "two_labels.csv",
        HEAD + "1,fine,b\n",
        2,
        "label",
        "'a' as for the same text before, found 'b'",
    ),
    ("nul.csv", HEAD + "1,a\0b,a\n", 2, "text", "a NUL at character 2"),
    ("latin1.csv", HEAD.encode() + "1,caf\xe9,a\n".encode("latin-1"), 2, "", "0xE9 at byte 28"),
    ("long.csv", HEAD + f"1,{'x' * 100_001},a\n", 2, "text", "found 100,001"),
    ("longer.csv", HEAD + f"1,{'x' * 200_000},a\n", 2, "", "a field of over 131,072 characters"),
    ("label_break.csv", HEAD + '1,x,"a\nb"\n', 2, "label", "a line break"),
    ("half.jsonl", LINE + '{"id": "1", "text": "cut in', 2, "", "cut in half"),
    ("not_json.jsonl", LINE + "plain words\n", 2, "", "Expecting value at character 1"),
    ("list.jsonl", LINE + "[1, 2]\n", 2, "", "found a list"),
    ("string.jsonl", LINE + '"words"\n', 2, "", "found 'words'"),
    ("null_text.jsonl", LINE + '{"id": "1", "text": null, "label": "a"}\n', 2, "text", "found nothing"),
    ("no_text.jsonl", LINE + '{"id": "1", "label": "a"}\n', 2, "text", "found nothing"),
    ("number_text.jsonl", LINE + '{"id": "1", "text": 12, "label": "a"}\n', 2, "text", "found the number 12"),
    ("list_text.jsonl", LINE + '{"id": "1", "text": ["a"], "label": "a"}\n', 2, "text", "found a list"),
    ("null_label.jsonl", LINE + '{"id": "1", "text": "x", "label": null}\n', 2, "label", "found nothing"),
    ("true_label.jsonl", LINE + '{"id": "1", "text": "x", "label": true}\n', 2, "label", "true or false"),
    ("real_label.jsonl", LINE + '{"id": "1", "text": "x", "label": 7.5}\n', 2, "label", "the number 7.5"),
    ("no_labels.jsonl", LINE + '{"id": "1", "text": "x", "label": []}\n', 2, "label", "found nothing"),
    (
        "part_label.jsonl",
        LINE + '{"id": "1", "text": "x", "label": ["a", ""]}\n',
        2,
        "label",
        "an empty cell",
    ),
    ("surrogate.jsonl", LINE + '{"id": "1", "text": "a\\ud800", "label": "a"}\n', 2, "text", "U+D800"),
    ("surrogate_id.jsonl", LINE + '{"id": "\\udc80", "text": "a", "label": "a"}\n', 2, "id", "U+DC80"),
    ("nul.jsonl", LINE + '{"id": "1", "text": "a\\u0000", "label": "a"}\n', 2, "text", "a NUL"),
    ("latin1.jsonl", LINE.encode() + '{"text": "\xe9"}\n'.encode("latin-1"), 2, "", "0xE9 at byte"),
    ("huge_number.jsonl", LINE + '{"id": ' + "9" * 5000 + "}\n", 2, "", "too large"),
    ("nested.jsonl", LINE + "[" * 100_000 + "\n", 2, "", "too large"),
]

# Faults of a whole file: name, content, words of the message.
BAD_FILES = [
    ("empty.csv", "", "an empty file"),
    ("blank.jsonl", "\n \n", "an empty file"),
    ("header.csv", "id,text,label\n", "expected at least one row, found none"),
    ("no_text.csv", "id,txet,label\n0,a,b\n", "did you mean 'txet'? name the column with --text-column"),
    ("no_label.csv", "id,text\n0,a\n", "expected a column 'label', found columns 'id', 'text'"),
    ("semicolons.csv", "text;label\na;b\n", "'text;label'"),
    ("twice.csv", "text,text,label\na,b,c\n", "expected one column 'text', found 2"),
    (
        "no_text.jsonl",
        '{"body": "a", "label": "b"}\n',
        "expected a column 'text', found columns 'body', 'label'",
    ),
    ("array.jsonl", '[{"text": "a", "label": "b"}]\n', "found a JSON array; turn the array into lines: jq"),
    ("quote.csv", HEAD + '1,"never closed,a\n2,x,a\n3,y,a\n', "row 2: expected a whole CSV row"),
    ("utf16.csv", HEAD.encode("utf-16"), "expected UTF-8, found UTF-16; convert the file: iconv"),
    ("utf16le.jsonl", LINE.encode("utf-16-le"), "expected UTF-8, found UTF-16"),
    ("latin1.csv", "text,label,caf\xe9\na,b,c\n".encode("latin-1"), "0xE9 at byte 14"),
    ("mac.csv", "text,label\ra,b\r", "a lone carriage return"),
    ("wide.jsonl", '{"text": "' + "x" * 10_000_001 + '"}', "lines of up to 10,000,000 bytes"),
    ("data.xlsx", "PK", "extension '.xlsx'"),
    ("data", "text\n", "no extension"),
    ("damaged.parquet", b"PAR1 and nothing good PAR1", "expected a Parquet file"),
    ("empty.parquet", b"", "expected a Parquet file"),
    ("missing_folder/data.csv", None, "no such file"),
]


@pytest.mark.parametrize(("name", "content", "row", "column", "words"), BAD_ROWS, ids=lambda v: str(v)[:20])
def test_a_bad_row_is_named_in_one_line_and_can_be_left_out(
    save: Save, tmp_path: Path, name: str, content: str | bytes, row: int, column: str, words: str
) -> None:
    path = save(name, content)
    error = refusal(path)
    assert error.where == f"{path}, row {row}" + (f", column {column}" if column else "")
    assert words in str(error)

    bad = BadRows()
    kept = ("fine",) if row == 2 else ()
    if kept:
        assert read_texts(path, labelled=True, skipped=bad).texts == kept
        assert next(iter_texts(path, skipped=BadRows())).texts[0] == "fine"
    else:
        with pytest.raises(InputError, match="none but 1 bad rows left out"):
            read_texts(path, labelled=True, skipped=bad)
    assert [(b.file, b.row, b.column) for b in bad.rows] == [(str(path), row, column)]
    assert words in bad.rows[0].reason
    bad.write(tmp_path / "left_out.jsonl")
    written = [json.loads(line) for line in (tmp_path / "left_out.jsonl").read_text().splitlines()]
    assert written[0].keys() == {"file", "row", "column", "reason"}
    assert len(written) == bad.count == 1


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES, ids=lambda v: str(v)[:20])
def test_a_bad_file_stops_even_where_rows_may_be_left_out(
    save: Save, tmp_path: Path, name: str, content: str | bytes | None, words: str
) -> None:
    path = tmp_path / name if content is None else save(name, content)
    error = refusal(path)
    assert error.where.startswith(str(path))
    assert words in str(error)
    with pytest.raises(InputError):
        read_texts(path, labelled=True, skipped=BadRows())


def test_a_directory_and_a_name_with_nul_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "a directory" in str(refusal(folder))
    assert "null byte" in str(refusal("a\0b.csv"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_refused(save: Save) -> None:
    path = save("secret.csv", HEAD)
    path.chmod(0)
    assert "no permission" in str(refusal(path))


def test_an_id_column_that_was_asked_for_must_be_there(save: Save) -> None:
    path = save("a.csv", "text,label\nx,a\n")
    assert read_texts(path, labelled=True).ids == ("0",)
    assert "expected a column 'key'" in str(refusal(path, Columns(id="key")))


def test_an_empty_list_of_labels_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "labels": ["a", "b"]}\n{"text": "y", "labels": []}\n')
    assert read_texts(path, labelled=True).labels == (("a", "b"), ())
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,a; b\ny,\n")
    assert read_texts(path, Columns(label_separator=";"), labelled=True).labels == (("a", "b"), ())
    assert "row 2, column label: expected a label, found an empty cell" in str(refusal(path))


PARQUET_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"text": [1, 2], "label": ["a", "b"]}, "expected texts in column 'text', found Int64"),
    ({"text": ["x", None], "label": ["a", "b"]}, "row 2, column text: expected a text, found nothing"),
    ({"text": ["x", " "], "label": ["a", "b"]}, "row 2, column text: expected a text, found white space"),
    ({"text": ["x", "a\0"], "label": ["a", "b"]}, "row 2, column text: expected a text, found a NUL"),
    ({"text": ["x", "y"], "label": ["a", None]}, "row 2, column label: expected a label, found nothing"),
    ({"text": ["x", "y"], "label": [["a"], []]}, "row 2, column label: expected a label, found nothing"),
    (
        {"text": ["x", "y"], "label": [1.0, 2.0]},
        "row 1, column label: expected a label, found the number 1.0",
    ),
    ({"body": ["x", "y"], "label": ["a", "b"]}, "expected a column 'text', found columns 'body', 'label'"),
    ({"text": ["x", "y"], "label": ["a", "b"], "id": [7, 7]}, "row 2, column id"),
]


@pytest.mark.parametrize(("columns", "words"), PARQUET_FAULTS, ids=lambda v: str(v)[:30])
def test_parquet_faults(tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(columns).write_parquet(path)
    assert words in str(refusal(path))


def test_a_parquet_file_cut_in_half_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": [f"text {i}" for i in range(5000)], "label": ["a"] * 5000}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "expected a Parquet file" in str(refusal(path))


# What must be taken as it is.


def test_no_cell_is_read_as_a_number(save: Save, tmp_path: Path) -> None:
    path = save("a.csv", "id,text,label\n007,1e3,NA\n08,null,010\n")
    texts = read_texts(path, labelled=True)
    assert texts == Texts(("007", "08"), ("1e3", "null"), (("NA",), ("010",)), str(path))
    assert texts.rows == (1, 2)


def test_numbers_as_labels_and_ids_agree_in_jsonl_and_parquet(save: Save, tmp_path: Path) -> None:
    lines = save("a.jsonl", '{"id": 7, "text": "x", "label": 1}\n{"id": 8, "text": "y", "label": [2, "b"]}\n')
    texts = read_texts(lines, labelled=True)
    assert (texts.ids, texts.labels) == (("7", "8"), (("1",), ("2", "b")))
    pl.DataFrame({"id": [7], "text": ["x"], "label": [1]}).write_parquet(tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet", labelled=True).labels == (("1",),)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_marks_and_breaks_in_quotes(save: Save, end: str, mark: str) -> None:
    rows = ["text,label,extra", '"one\ntwo, ""three""",a,1', "", "four,b,2"]
    texts = read_texts(save("a.csv", mark + end.join(rows) + end), labelled=True)
    assert texts.texts == ('one\ntwo, "three"', "four")
    assert texts.rows == (1, 3)
    lines = read_texts(save("a.jsonl", mark + end + LINE.replace("\n", end)), labelled=True)
    assert (lines.texts, lines.rows) == (("fine",), (2,))


def test_a_text_may_repeat_under_the_same_labels(save: Save) -> None:
    path = save("a.jsonl", '{"text": "x", "labels": ["a", "b"]}\n{"text": "x", "labels": ["b", "a", "a"]}\n')
    assert read_texts(path, labelled=True).labels == (("a", "b"), ("b", "a"))


def test_a_cell_is_split_only_when_asked(save: Save) -> None:
    path = save("a.csv", "text,label\nx,a | b\n")
    assert read_texts(path, labelled=True).labels == (("a | b",),)
    assert read_texts(path, Columns(label_separator="|"), labelled=True).labels == (("a", "b"),)


def test_labels_serves_only_where_label_was_not_asked_for(save: Save) -> None:
    path = save("a.jsonl", '{"text": "x", "labels": ["a"]}\n')
    assert read_texts(path, labelled=True).labels == (("a",),)
    assert "expected a column 'intent'" in str(refusal(path, Columns(label="intent")))
    assert read_texts(path, labelled=False).labels is None


@pytest.mark.parametrize(
    ("content", "file_format"),
    [(HEAD, None), (LINE, None), (HEAD.replace(",", "\t"), None), (HEAD, "csv"), (LINE, "jsonl")],
)
def test_standard_input_is_sniffed_or_told(
    monkeypatch: pytest.MonkeyPatch, content: str, file_format: FileFormat | None
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    texts = read_texts("-", labelled=True, file_format=file_format)
    assert texts == Texts(("0",), ("fine",), (("a",),), "<stdin>")


def test_parquet_on_standard_input_is_refused() -> None:
    with pytest.raises(InputError, match="<stdin>: expected CSV or JSONL"):
        read_texts("-", labelled=False, file_format="parquet")


# Streams.


def test_batches_come_before_the_rest_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pool.jsonl"
    os.mkfifo(pipe)
    first_seen = threading.Event()

    def write() -> None:
        with pipe.open("w") as stream:
            stream.writelines(f'{{"text": "text {i}"}}\n' for i in range(500))
            stream.flush()
            assert first_seen.wait(10)
            stream.write('{"text": "last"}\n')

    writer = threading.Thread(target=write)
    writer.start()
    batches = iter_texts(pipe, batch_size=100)
    assert next(batches).texts[-1] == "text 99"
    first_seen.set()
    rest = list(batches)
    writer.join()
    assert [len(b) for b in rest] == [100] * 4 + [1]
    assert rest[-1].ids == ("500",)


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_a_stream_stops_only_at_its_fault(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"pool.{extension}"
    write_decisions(path, ({"text": f"text {i}" if i < 25_000 else " "} for i in range(25_001)))
    batches = iter_texts(path)
    assert [len(next(batches)) for _ in range(2)] == [10_000, 10_000]
    with pytest.raises(InputError, match="row 25001, column text"):
        next(batches)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("extension", ["csv", pytest.param("jsonl", marks=pytest.mark.thorough)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"pool.{extension}"
    write_decisions(path, ({"text": f"{i} " + "word " * 200} for i in range(60_000)))
    assert path.stat().st_size > 60e6
    program = (
        "import resource, sys; from vermilion.world.data import iter_texts\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "batches = iter_texts(sys.argv[1], batch_size=1000); next(batches); before = peak()\n"
        "print(sum(map(len, batches)), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 59_000
    assert grown < 16 * 1024


# Round trips.

# Any text that a user may have, but for what `read_texts` refuses.
good = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f"), min_size=1, max_size=40)
good_texts = good.filter(lambda text: bool(text.strip()))
good_names = good_texts.filter(lambda name: name.splitlines() == [name])


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.dictionaries(good_texts, good_names, min_size=1, max_size=6))
def test_what_is_written_is_read_again(extension: str, rows: dict[str, str]) -> None:
    ids, labels = tuple(f"0{i}" for i in range(len(rows))), tuple((name,) for name in rows.values())
    texts = Texts(ids, tuple(rows), labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{extension}"
        cells = zip(ids, rows, rows.values(), strict=True)
        write_decisions(path, [dict(zip(("id", "text", "label"), row, strict=True)) for row in cells])
        back = read_texts(path, labelled=True)
    assert (back.ids, back.texts, back.labels) == (texts.ids, texts.texts, texts.labels)
    assert data_hash(back) == data_hash(texts)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200), extension=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
def test_no_bytes_bring_another_error(content: bytes, extension: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{extension}"
        path.write_bytes(b"text\n" * (extension != "parquet") + content)
        try:
            texts = read_texts(path, labelled=False, skipped=BadRows())
        except InputError as error:
            refused = str(error)
        else:
            refused = "no"
            assert all(text.strip() and text.encode() for text in texts.texts)
    assert len(refused.splitlines()) == 1


# Writing.

DECISIONS: list[dict[str, Any]] = [
    {"id": "0", "text": "x", "label": None, "confidence": 0.5, "candidates": (("a", 0.5), ("b", 0.25))},
    {"id": "1", "text": "y", "label": "a", "confidence": np.float32(1), "candidates": [("a", 1)]},
]


def test_candidates_in_each_format(tmp_path: Path) -> None:
    for extension in ("jsonl", "csv", "parquet"):
        with RowWriter(tmp_path / f"out.{extension}") as writer:
            for row in DECISIONS:
                writer.write([row])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[0]["candidates"] == [["a", 0.5], ["b", 0.25]]
    assert lines[0]["label"] is None
    with (tmp_path / "out.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert json.loads(cells[0]["candidates"]) == [["a", 0.5], ["b", 0.25]]
    assert [c["label"] for c in cells] == ["", "a"]
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame["candidates"][0].to_list()[1] == {"label": "b", "probability": 0.25}
    assert frame["confidence"].to_list() == [0.5, 1.0]


def test_parquet_parts_of_different_types_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.world.data_writer.PART_ROWS", 1)
    rows: list[dict[str, Any]] = [
        {"label": None, "score": 1, "candidates": []},
        {"label": "a", "score": 0.5, "candidates": [("a", 1.0)]},
    ]
    with RowWriter(tmp_path / "out.parquet") as writer:
        for row in rows:
            writer.write([row])
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame["label"].to_list() == [None, "a"]
    assert frame["score"].to_list() == [1.0, 0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("extension", ["jsonl", "csv", "parquet"])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    path.write_text("old")

    def rows() -> Iterator[dict[str, str]]:
        yield {"id": "0"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_decisions(path, rows())
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_number_that_json_does_not_know_is_not_half_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_decisions(tmp_path / "out.jsonl", [{"p": 0.5}, {"p": float("nan")}])
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected an extension out of .*, found '.txt'"):
        RowWriter(tmp_path / "out.txt")
    with pytest.raises(InputError, match="no such folder; mkdir -p"):
        write_decisions(tmp_path / "none" / "out.csv", [])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="found a directory"):
        write_decisions(tmp_path / "folder.csv", [])
    with pytest.raises(RuntimeError, match="only inside"):
        RowWriter(tmp_path / "out.csv").write([])


# Labels against each other.


def labelled(*labels: str) -> Texts:
    numbers = range(len(labels))
    texts = tuple(f"text {i}" for i in numbers)
    return Texts(tuple(map(str, numbers)), texts, tuple((name,) for name in labels), "f.csv")


def test_check_labels_accepts_known_labels_with_examples_and_groups() -> None:
    check_labels(labelled("a", "b"), None)
    check_labels(labelled("a", "b"), [Label("group"), Label("a", parent="group"), Label("b")])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (
            labelled("card", "crad"),
            "f.csv, row 2, column label: expected one of 2 known labels, found 'crad'",
        ),
        (labelled("card"), "expected an example of each label, found none for 1 of 2: 'loan'"),
        (Texts(("0",), ("x",), source="f.csv"), "expected labelled texts"),
        (
            Texts(("0", "1"), ("x", "x"), (("card",), ("loan",)), "f.csv", (4, 9)),
            "f.csv, row 9, column label",
        ),
    ],
)
def test_check_labels_refuses(texts: Texts, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(texts, [Label("card"), Label("loan")])
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "other",
    [
        Texts(("1",), ("x",), (("a",),)),
        Texts(("0",), ("y",), (("a",),)),
        Texts(("0",), ("x",), (("b",),)),
        Texts(("0",), ("x",), (("a", "b"),)),
        Texts(("0",), ("x",)),
    ],
)
def test_data_hash_sees_each_part(other: Texts) -> None:
    assert data_hash(other) != data_hash(Texts(("0",), ("x",), (("a",),), "where.csv"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(rows=st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=3)), max_size=4), labelled=st.booleans())
def test_the_data_hash_is_that_of_the_rows_as_json(
    rows: list[tuple[str, str, list[str]]], labelled: bool
) -> None:
    """A run is continued only where the hash is the one that its record has: it must never change."""
    ids, texts = tuple(id_ for id_, _, _ in rows), tuple(text for _, text, _ in rows)
    labels = tuple(tuple(names) for _, _, names in rows) if labelled else None
    lines = [json.dumps([id_, text, names if labelled else None]) + "\n" for id_, text, names in rows]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert data_hash(Texts(ids, texts, labels)) == expected


def test_long_fields_of_one_reader_are_no_others_business(tmp_path: Path) -> None:
    """The longest field is a setting of the process, and a person's sheet may have longer ones."""
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"key,answer\nk,{'x' * 200_000}\n")
    before = csv.field_size_limit()
    assert len(read_sheet(sheet)[0]["answer"]) == 200_000
    assert csv.field_size_limit() == before
