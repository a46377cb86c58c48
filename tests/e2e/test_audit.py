"""A finished run is audited by people: drawn, answered, read back, and told in the report of the same command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from e2e.command import Data, Run, vermilion

OPTIONS = ("--expert-error", "0.1", "--target", "1", "--max-calls", "100")


@pytest.fixture(scope="module")
def run(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Finish a run."""
    done = Run(data, tmp_path_factory.mktemp("audit") / "out")
    assert done(*OPTIONS).code in (0, 3)
    return done


def answer(path: Path, right: dict[str, str]) -> None:
    """Fill in what people would say."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "answer": right[row["text"].removeprefix("'")]} for row in rows)


def test_the_runs_own_audit_is_written_down_with_every_chance(run: Run) -> None:
    lines = (run.folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    certificate = run.summary["certificate"]
    assert len(rows) == certificate["n"] >= 30
    assert {row["id"] for row in rows} <= {decision["id"] for decision in run.decisions}
    assert all(0 < row["inclusion_probability"] <= 1 for row in rows)
    assert {group["name"] for group in run.summary["groups"]} >= {"verified, corrected", "auto"}
    assert run.summary["acceptance"]["threshold"] is None
    assert "people" not in run.summary


def test_people_answer_a_sample_and_the_report_tells_what_it_proves(run: Run, data: Data) -> None:
    drawn = vermilion("audit", str(run.folder), "--size", "60")
    path = run.folder / "audit.csv"
    assert drawn.code == 0
    assert f"vermilion audit {run.folder} --answers {path}" in drawn.out
    decided = {row["text"]: row["label"] for row in run.decisions}
    assert not any(name in path.name for name in decided)
    answer(path, data.right)
    read = vermilion("audit", str(run.folder), "--answers", str(path))
    assert (read.code, read.err) == (0, "")
    assert "Agreement with people is at least" in read.out
    assert "Simulation" in read.out
    people = run.summary["people"]
    gold = sum(decided[text] == label for text, label in data.right.items()) / len(data.right)
    assert people["agreement"]["lower"] <= gold <= people["agreement"]["upper"]

    assert run(*OPTIONS).code in (0, 3)
    assert run.summary["people"] == people
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Agreement with people is at least" in report

    as_json = vermilion("audit", str(run.folder), "--answers", str(path), "--json")
    assert json.loads(as_json.out) == people


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--size", "0"), "--size: expected a whole number from 1, found 0; give another value"),
        (
            ("--answers", "nowhere.csv"),
            "nowhere.csv: expected the sheet with people's answers, found no such file",
        ),
        (
            ("--decisions", "other.jsonl"),
            "other.jsonl: expected the decisions of a finished run, found no such file",
        ),
        (
            ("--out", "nowhere/sheet.csv"),
            "nowhere/sheet.csv: expected a folder to write to, found no such folder",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(run: Run, options: tuple[str, ...], told: str) -> None:
    ended = vermilion("audit", str(run.folder), *options)
    assert ended.code == 1
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    ended = vermilion("audit", str(tmp_path))
    assert ended.code == 1
    assert "expected the folder of a finished run, found no summary.json" in ended.err
