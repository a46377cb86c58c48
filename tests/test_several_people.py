"""Agreement with people where a text may have several labels: pairs drawn for them, read back, and what they prove."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.errors import InputError
from vermilion.learn.label_thresholds import f1
from vermilion.red.people import draw_for_people, read_from_people
from vermilion.red.report.certificates import people_lines
from vermilion.red.several_people import FinishedPairs, _draw, judge, known_people
from vermilion.types import BoolArray
from vermilion.world.data_writer import write_decisions
from vermilion.world.pair_sheet import PairAnswers

NAMES = ("a", "=b", "c", "d", "e")


def finished(folder: Path, n: int = 200, name: str = "decisions.jsonl") -> BoolArray:
    """Write a finished run's folder; return the labels that people find right, of the rows that were not given."""
    rng = np.random.default_rng(0)
    truth = rng.random((n, len(NAMES))) < 0.25
    said = np.where(rng.random(truth.shape) < 0.9, truth, rng.random(truth.shape) < 0.25)
    folder.mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = [
        {
            "id": f"-{i}",
            "text": f"=text {i}",
            "labels": [label for label, on in zip(NAMES, said[i], strict=True) if on],
            "confidence": 0.8,
            "source": "given" if i % 10 == 0 else "auto",
            "round": 0,
            "candidates": [
                {"label": label, "probability": 0.9 if on else 0.1}
                for label, on in zip(NAMES, said[i], strict=True)
            ],
            "confirmed": [],
            "refused": [],
        }
        for i in range(n)
    ]
    write_decisions(folder / name, rows)
    (folder / "labels.yaml").write_text(json.dumps(list(NAMES)))
    summary = {
        "task": "multi-label",
        "settings": {"confidence": 0.95},
        "expert": "oracle",
        "simulated": True,
        "tokens": {"prompt": 0, "completion": 0},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    people: BoolArray = truth[np.arange(n) % 10 != 0]
    return people


def fill(path: Path, people: dict[tuple[str, str], bool]) -> list[dict[str, str]]:
    """Answer a sheet as people would; return its rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["answer"] = "yes" if people[row["id"].lstrip("'"), row["label"].lstrip("'")] else "No"
    save(path, rows)
    return rows


def save(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def answers_of(folder: Path, truth: BoolArray, name: str = "decisions.jsonl") -> dict[tuple[str, str], bool]:
    run = FinishedPairs.read(folder, name)
    return {
        (row.id, label): bool(on)
        for row, own in zip(run.decided, truth, strict=True)
        for label, on in zip(NAMES, own, strict=True)
    }


def test_micro_f1_with_people_holds_in_95_of_100_draws(tmp_path: Path) -> None:
    truth = finished(tmp_path)
    run = FinishedPairs.read(tmp_path, "decisions.jsonl")
    people, right = answers_of(tmp_path, truth), f1(truth, run.given, "micro")
    found = [judge(run, _draw(run, size), PairAnswers("", people)).agreement for size in range(100, 250)]
    assert np.mean([bounds.lower <= right for bounds in found]) >= 0.95
    # The upper bound is nominal: two standard errors below, for as many draws.
    assert (
        np.mean([bounds.upper >= right for bounds in found]) >= 0.95 - 2 * (0.95 * 0.05 / len(found)) ** 0.5
    )
    assert np.mean([bounds.lower for bounds in found]) > right - 0.12


@pytest.mark.parametrize("name", ["decisions.jsonl", "decisions.csv", "decisions.parquet"])
def test_a_sheet_goes_out_and_comes_back(tmp_path: Path, name: str) -> None:
    truth = finished(tmp_path, name=name)
    path, count = draw_for_people(tmp_path, name, 80, None)
    rows = fill(path, answers_of(tmp_path, truth, name))
    assert count == len(rows) == 80
    assert set(rows[0]) == {"draw", "id", "text", "label", "options", "answer"}
    assert all(row["text"].startswith("'=text") for row in rows)
    result = read_from_people(tmp_path, name, path)
    told = json.loads((tmp_path / "people.json").read_text())
    assert (
        json.loads((tmp_path / "summary.json").read_text())["people"]
        == told
        == json.loads(json.dumps(result.as_dict()))
    )
    assert (told["measure"], told["given"]["n"] + told["left"]["n"]) == ("micro-F1", 80)
    assert known_people(tmp_path, name) == told
    assert people_lines(told)[0].startswith("Micro-F1 of the labels, by people's answers, is at least")


def test_a_draw_of_another_result_is_refused(tmp_path: Path) -> None:
    truth = finished(tmp_path)
    path, _ = draw_for_people(tmp_path, "decisions.jsonl", 20, None)
    fill(path, answers_of(tmp_path, truth))
    finished(tmp_path, n=190)
    with pytest.raises(InputError, match="those of another run, or of this one before it went on"):
        read_from_people(tmp_path, "decisions.jsonl", path)
    assert known_people(tmp_path, "decisions.jsonl") is None


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("answer", "", r"expected yes or no, found no answer"),
        ("answer", "maybe", r"row 1, column answer: expected yes or no, found 'maybe'"),
        ("label", "z", r"expected the 20 pairs of the draw, found 2 missing or not of the draw"),
    ],
)
def test_what_is_wrong_in_a_sheet_is_named(tmp_path: Path, column: str, value: str, words: str) -> None:
    truth = finished(tmp_path)
    path, _ = draw_for_people(tmp_path, "decisions.jsonl", 20, None)
    rows = fill(path, answers_of(tmp_path, truth))
    rows[0][column] = value
    save(path, rows)
    with pytest.raises(InputError, match=words):
        read_from_people(tmp_path, "decisions.jsonl", path)


def test_a_sheet_is_never_overwritten(tmp_path: Path) -> None:
    finished(tmp_path)
    draw_for_people(tmp_path, "decisions.jsonl", 20, None)
    with pytest.raises(InputError, match="expected a new file"):
        draw_for_people(tmp_path, "decisions.jsonl", 20, None)
