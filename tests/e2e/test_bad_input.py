"""What cannot be used is refused in one line, before anything is written or spent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.command import Data, Run, vermilion, write_csv

HEADER = "text,label\n"


class Case:
    """The files of a good run, to be spoiled; `options` come after the good ones."""

    def __init__(self, data: Data, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.labelled, self.pool, self.gold = (
            self.write(path.name, path.read_bytes()) for path in (data.labelled, data.pool, data.gold)
        )
        self.data = data
        self.options: list[str] = []

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file; return its path."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def argv(self) -> list[str]:
        """Return the command."""
        good = [str(self.labelled), str(self.pool), "--out", str(self.out), "--encoder", "static"]
        expert = [] if "--expert" in self.options else ["--expert", f"oracle:{self.gold}"]
        return ["run", *good, "--head", "flat", *expert, *self.options]


Spoil = Callable[[Case], None]


def missing_file(case: Case) -> None:
    case.pool = case.folder / "nowhere.csv"


def directory(case: Case) -> None:
    case.pool = case.folder / "d.csv"
    case.pool.mkdir()


def empty_file(case: Case) -> None:
    case.pool.write_bytes(b"")


def header_alone(case: Case) -> None:
    case.pool.write_text("id,text\n")


def missing_column(case: Case) -> None:
    case.pool.write_text("id,texts\n1,hello\n")


def empty_text(case: Case) -> None:
    case.pool.write_text("id,text\n1,hello\n2,\n")


def blank_text(case: Case) -> None:
    case.pool.write_text('id,text\n1,hello\n2,"  "\n')


def nul(case: Case) -> None:
    case.pool.write_bytes(b"id,text\n1,hello\n2,a\0b\n")


def lone_surrogate(case: Case) -> None:
    case.pool = case.write("pool.jsonl", '{"text": "fine"}\n{"text": "a\\ud800b"}\n')


def latin_1(case: Case) -> None:
    case.pool.write_bytes("id,text\n1,hello\n2,café\n".encode("latin-1"))


def utf_16(case: Case) -> None:
    case.pool.write_bytes("id,text\n1,hello\n".encode("utf-16"))


def truncated_json(case: Case) -> None:
    case.pool = case.write("pool.jsonl", '{"text": "fine"}\n{"text": "cut in ha')


def not_an_object(case: Case) -> None:
    case.pool = case.write("pool.jsonl", '{"text": "fine"}\n["text"]\n')


def number_as_text(case: Case) -> None:
    case.pool = case.write("pool.jsonl", '{"text": "fine"}\n{"text": 7}\n')


def half_a_row(case: Case) -> None:
    case.labelled.write_text(HEADER + "one,a\ntwo,b\nthree")


def open_quote(case: Case) -> None:
    case.labelled.write_text(HEADER + 'one,a\n"two,b\n')


def damaged_parquet(case: Case) -> None:
    case.pool = case.write("pool.parquet", b"PAR1 and nothing more")


def duplicate_ids(case: Case) -> None:
    case.pool.write_text("id,text\n1,hello\n1,there\n")


def two_labels_for_one_text(case: Case) -> None:
    case.labelled.write_text(HEADER + "one,a\ntwo,b\none,b\n")


def no_label_at_all(case: Case) -> None:
    rows = '{"text": "one", "labels": ["a"]}\n{"text": "two", "labels": []}\n{"text": "three", "labels": ["b"]}\n'
    case.labelled = case.write("labelled.jsonl", rows)


def unknown_label(case: Case) -> None:
    labels = case.write("labels.yaml", "a: use when a\nb: use when b\n")
    case.labelled.write_text(HEADER + "one,a\ntwo,b\nthree,c\n")
    case.options = ["--labels", str(labels)]


def label_without_examples(case: Case) -> None:
    labels = case.write("labels.yaml", "a: use when a\nb: use when b\nz: use when z\n")
    case.labelled.write_text(HEADER + "one,a\ntwo,b\n")
    case.options = ["--labels", str(labels)]


def bad_labels_yaml(case: Case) -> None:
    case.options = ["--labels", str(case.write("labels.yaml", "a: [one\nb: two\n"))]


def missing_labels_yaml(case: Case) -> None:
    case.options = ["--labels", str(case.folder / "nolabels.yaml")]


def text_of_10_mb(case: Case) -> None:
    case.pool.write_text("id,text\n1,hello\n2," + "x" * 10_000_000 + "\n")


def text_of_1_mb(case: Case) -> None:
    case.pool = case.write("pool.jsonl", '{"text": "fine"}\n{"text": "' + "x" * 1_000_000 + '"}\n')


def unknown_extension(case: Case) -> None:
    case.pool = case.pool.rename(case.folder / "pool.xlsx")


def bad_encoder(case: Case) -> None:
    case.options = ["--encoder", "minilmm"]


def bad_expert(case: Case) -> None:
    case.options = ["--expert", "oracel:gold.csv"]


def expert_without_key(case: Case) -> None:
    case.options = ["--expert", "openai:some-model"]


def gold_lacks_a_text(case: Case) -> None:
    case.gold.write_text("".join(case.gold.read_text().splitlines(keepends=True)[:-1]))


def missing_gold(case: Case) -> None:
    case.gold = case.folder / "nogold.csv"


def bad_price(case: Case) -> None:
    case.options = ["--price", "cheap"]


def price_without_end(case: Case) -> None:
    case.options = ["--price", "nan,inf"]


def cost_cap_without_price(case: Case) -> None:
    case.options = ["--expert", "openai:m", "--base-url", "http://127.0.0.1:9/v1", "--max-cost", "1"]


def bad_base_url(case: Case) -> None:
    case.options = ["--expert", "openai:m", "--base-url", "127.0.0.1 nonsense"]


def one_label(case: Case) -> None:
    case.labelled.write_text(HEADER + "one,a\ntwo,a\n")


def unwritable_out(case: Case) -> None:
    case.out = case.write("file", "in the way") / "out"


def out_is_a_file(case: Case) -> None:
    case.out = case.write("file", "in the way")


def bad_candidates(case: Case) -> None:
    case.options = ["--candidates", "many"]


def bad_decisions(case: Case) -> None:
    case.options = ["--decisions", "d.xlsx"]


def bad_target(case: Case) -> None:
    case.options = ["--target", "95"]


def no_rounds(case: Case) -> None:
    case.options = ["--rounds", "0"]


def negative_cap(case: Case) -> None:
    case.options = ["--max-calls", "-1"]


def bad_store(case: Case) -> None:
    case.options = ["--store", "mysql://here/there"]


def stdin_twice(case: Case) -> None:
    case.labelled = case.pool = Path("-")


# What is spoiled, and what the message must name: the file and row, or the option.
CASES: list[tuple[Spoil, str]] = [
    (missing_file, "nowhere.csv: "),
    (directory, "d.csv: "),
    (empty_file, "pool.csv: "),
    (header_alone, "pool.csv: "),
    (missing_column, "did you mean 'texts'? "),
    (empty_text, "pool.csv, row 2, column text: "),
    (blank_text, "pool.csv, row 2, column text: "),
    (nul, "pool.csv, row 2"),
    (lone_surrogate, "pool.jsonl, row 2, column text: "),
    (latin_1, "pool.csv, row 2: "),
    (utf_16, "pool.csv: "),
    (truncated_json, "pool.jsonl, row 2: "),
    (not_an_object, "pool.jsonl, row 2: "),
    (number_as_text, "pool.jsonl, row 2, column text: "),
    (half_a_row, "labelled.csv, row 3: "),
    (open_quote, "labelled.csv, row 2: "),
    (damaged_parquet, "pool.parquet: "),
    (duplicate_ids, "pool.csv, row 2, column id: "),
    (two_labels_for_one_text, "labelled.csv, row 3, column label: "),
    (no_label_at_all, "labelled.jsonl, row 2"),
    (unknown_label, "labelled.csv, row 3, column label: "),
    (label_without_examples, "'z'"),
    (bad_labels_yaml, "labels.yaml, line "),
    (missing_labels_yaml, "nolabels.yaml: "),
    (text_of_10_mb, "pool.csv"),
    (text_of_1_mb, "pool.jsonl, row 2, column text: "),
    (unknown_extension, "pool.xlsx: "),
    (bad_encoder, "'minilmm'"),
    (bad_expert, "--expert: "),
    (expert_without_key, "OPENAI_API_KEY"),
    (gold_lacks_a_text, "gold.csv: "),
    (missing_gold, "nogold.csv: "),
    (bad_price, "--price: "),
    (price_without_end, "--price: "),
    (cost_cap_without_price, "--price: "),
    (bad_base_url, "--base-url: "),
    (one_label, "labelled.csv"),
    (unwritable_out, "file/out: "),
    (out_is_a_file, "file: "),
    (bad_candidates, "--candidates: "),
    (bad_decisions, "--decisions: "),
    (bad_target, "--target: "),
    (no_rounds, "--rounds: "),
    (negative_cap, "--max-calls: "),
    (bad_store, "mysql"),
    (stdin_twice, "standard input"),
]


@pytest.mark.parametrize(("spoil", "named"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_refused_in_one_line_with_nothing_written(
    spoil: Spoil, named: str, data: Data, tmp_path: Path
) -> None:
    case = Case(data, tmp_path)
    spoil(case)

    ended = vermilion(*case.argv())

    assert (ended.code, ended.out) == (1, ""), ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith("vermilion: ")
    assert named in ended.err
    assert len(ended.err) < 500
    assert not case.out.is_dir() or not any(case.out.iterdir())


def test_folder_that_forbids_writing(data: Data, tmp_path: Path) -> None:
    case = Case(data, tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("the superuser may write anywhere")
    case.out = closed / "out"
    ended = vermilion(*case.argv())
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)


def test_bad_rows_can_be_left_out(data: Data, tmp_path: Path) -> None:
    case = Case(data, tmp_path)
    case.pool.write_bytes(case.pool.read_bytes() + b"bad,\nworse,a\0b\n")
    case.options = ["--skip-bad-rows"]

    ended = vermilion(*case.argv())

    assert ended.code == 0
    assert "2 bad rows" in ended.err
    left_out = (case.out / "left_out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(left_out) == 2
    decided = (case.out / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(decided) == len(data.pool_texts)


@pytest.mark.parametrize("damage", ["missing", "not a model", "half"])
def test_predict_refuses_a_folder_that_is_no_model(run: Run, damage: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    if damage != "missing":
        model.mkdir()
    if damage == "half":
        assert run("--expert", "none").code == 0
        for path in (run.folder / "model").glob("*.json"):
            (model / path.name).write_bytes(path.read_bytes())
    target = tmp_path / "labels.jsonl"

    ended = vermilion("predict", str(model), str(run.data.pool), "--out", str(target))

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), ended.err
    assert str(model) in ended.err
    assert not target.exists()


def test_predict_leaves_nothing_when_the_input_is_bad_at_its_end(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--expert", "none").code == 0
    monkeypatch.setattr("vermilion.red.predict.BATCH", 10)
    rows = [(str(place), f"text {place}") for place in range(30)]
    source = write_csv(tmp_path / "in.csv", ("id", "text"), [*rows, ("30", "")])

    ended = vermilion("predict", str(run.folder / "model"), str(source))

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "in.csv, row 31, column text: " in ended.err
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out"}
