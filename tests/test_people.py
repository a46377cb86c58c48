"""Agreement with people: a blind sample, read back; what it proves; and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.errors import InputError
from vermilion.red.people import (
    Draw,
    Finished,
    PeopleResult,
    draw_for_people,
    judge,
    known_people,
    read_from_people,
)
from vermilion.world.audit_sheet import Answers
from vermilion.world.data_decisions import Decided, digest

LABELS = tuple(f"label {letter}" for letter in "abcdefgh")
CONFIDENCE = 0.95


def made(
    rng: np.random.Generator, model: float = 0.93, expert: float = 0.9, n: int = 3000
) -> tuple[Finished, dict[str, str]]:
    """Make a finished run and what people would say: 15 % of the texts decided by an expert, 300 audited."""
    truth = rng.integers(len(LABELS), size=n)
    right_model, right_expert = rng.random(n) < model, rng.random(n) < expert
    says = np.where(right_model, truth, (truth + 1) % len(LABELS))
    answers = np.where(right_expert, truth, (truth + rng.integers(1, 3, n)) % len(LABELS))
    order = rng.permutation(n)
    chosen, audited = order[: n * 15 // 100], order[n * 15 // 100 :][:300]
    decided = says.copy()
    decided[chosen], decided[audited] = answers[chosen], answers[audited]
    asked = np.isin(np.arange(n), [*chosen, *audited])
    rows = [
        Decided(
            f"id{i}",
            f"text {i}",
            LABELS[decided[i]],
            1.0 if asked[i] else 0.9,
            "verified" if asked[i] else "auto",
            tuple(LABELS),
        )
        for i in range(n)
    ]
    rows.append(Decided("given", "a given text", LABELS[0], 1.0, "given", (LABELS[0],)))
    audit: dict[str, tuple[str, str | None]] = {
        f"id{i}": (LABELS[says[i]], LABELS[answers[i]]) for i in audited
    }
    summary = {
        "settings": {"confidence": CONFIDENCE},
        "expert": "openai:m",
        "tokens": {"prompt": 5, "completion": 1},
    }
    run = Finished(Path(), rows, LABELS, audit, summary)
    return run, {f"id{i}": LABELS[truth[i]] for i in range(n)}


def test_people_agree_at_least_so_often_in_the_share_of_runs_that_was_promised() -> None:
    rng, held, held_corrected, runs = np.random.default_rng(0), 0, 0, 120
    for seed in range(runs):
        run, people = made(rng)
        draw = Draw.of(run, 200 + seed)
        result = judge(run, draw, Answers(draw.name, {row.id: people[row.id] for row in run.decided}))
        truth = np.mean([people[row.id] == row.label for row in run.decided])
        assert result.corrected is not None
        held += bool(result.agreement.lower <= truth)
        held_corrected += bool(result.corrected.lower <= truth)
    assert min(held, held_corrected) / runs >= 0.95 - 3.1 * (0.95 * 0.05 / runs) ** 0.5


def test_the_experts_own_errors_are_told_apart_from_the_decisions() -> None:
    run, people = made(np.random.default_rng(1), model=0.97, expert=0.8)
    draw = Draw.of(run, 900)
    result = judge(run, draw, Answers(draw.name, {row.id: people[row.id] for row in run.decided}))
    assert result.expert_random is not None
    assert result.expert_chosen is not None
    assert result.corrected is not None
    assert result.expert_random.estimate == pytest.approx(0.8, abs=0.06)
    assert result.expert_chosen.estimate == pytest.approx(0.8, abs=0.1)
    # The run agrees with its expert in 78 %, with people in 94 %.
    assert result.corrected.lower > 0.88
    assert (
        result.note == "The run's certificate is agreement with openai:m, a model that answered its own audit"
    )


def test_a_draw_follows_from_the_run_and_the_size_and_every_text_has_its_chance() -> None:
    run, _ = made(np.random.default_rng(2))
    draw, again = Draw.of(run, 240), Draw.of(run, 240)
    assert (draw.order == again.order).all()
    assert draw.audited.sum() == 80
    assert draw.rows.sum() == 160
    audited = np.array([row.id in run.audit for row in run.decided])
    assert draw.probability[~audited] == pytest.approx(160 / 3000)
    assert draw.probability[audited] == pytest.approx(1 - (1 - 160 / 3000) * (1 - 80 / 300))
    assert draw.name != Draw.of(run, 241).name


def write(folder: Path, labels: int = len(LABELS), n: int = 60) -> Path:
    """Write a finished run's folder."""
    folder.mkdir()
    names = [f"=label {i}" for i in range(labels)]
    rows = [
        {
            "id": f"-{i}",
            "text": f"=text {i}",
            "label": names[i % labels],
            "confidence": 0.8,
            "source": "verified" if i % 4 == 0 else "auto",
            "round": 0,
            "candidates": [[names[(i + j) % labels], 0.2] for j in range(min(5, labels))],
        }
        for i in range(n)
    ]
    (folder / "decisions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    audit = [
        {"id": f"-{i}", "decided": names[i % labels], "answer": names[i % labels]} for i in range(0, n, 4)
    ]
    (folder / "audit.jsonl").write_text("".join(json.dumps(row) + "\n" for row in audit))
    (folder / "labels.yaml").write_text(json.dumps(names))
    summary = {
        "settings": {"confidence": CONFIDENCE},
        "expert": "oracle",
        "simulated": True,
        "tokens": {"prompt": 0, "completion": 0},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def sheet(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    """Write rows as a spreadsheet would."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def right(row: dict[str, str]) -> str:
    """Return the label of a row of `write`, in other letters than it has."""
    return f"=LABEL {int(row['id'].removeprefix(chr(39)).removeprefix('-')) % 8}"


@pytest.mark.parametrize("labels", [8, 30])
def test_the_sheet_shows_no_decision(tmp_path: Path, labels: int) -> None:
    run = write(tmp_path / "run", labels)
    path, count = draw_for_people(run, "decisions.jsonl", 30, None)
    rows = sheet(path)
    assert path == run / "audit.csv"
    assert len(rows) == count <= 30
    assert set(rows[0]) == {"draw", "id", "text", "options", "answer", "inclusion_probability"}
    listed = [row["options"].removeprefix("'").split("\n") for row in rows]
    assert {len(options) for options in listed} == {9 if labels == 8 else 6}
    assert all(options[:-1] == sorted(options[:-1]) for options in listed)
    assert all(options[-1] == "none of these" for options in listed)
    assert all(row["text"].startswith("'=") and not row["answer"] for row in rows)
    assert all(0 < float(row["inclusion_probability"]) <= 1 for row in rows)


def test_answers_come_back_as_a_spreadsheet_writes_them_and_are_kept_beside_the_summary(
    tmp_path: Path,
) -> None:
    run = write(tmp_path / "run")
    path, _ = draw_for_people(run, "decisions.jsonl", 40, tmp_path / "for people.csv")
    rows = sheet(path)
    for row in rows:
        row["answer"] = right(row)
    result = read_from_people(run, "decisions.jsonl", fill(path, rows[::-1], ";"))
    assert result.agreement.estimate == 1.0
    assert 0.8 < result.agreement.lower < 1
    told = json.loads((run / "summary.json").read_text())["people"]
    assert told == json.loads((run / "people.json").read_text()) == known_people(run, "decisions.jsonl")
    assert told["note"].startswith("Simulation")
    # The run went on: what people said spoke of other decisions.
    lines = (run / "decisions.jsonl").read_text().replace('"auto"', '"corrected"', 1)
    (run / "decisions.jsonl").write_text(lines)
    assert known_people(run, "decisions.jsonl") is None


def spoiled(rows: list[dict[str, str]], kind: str) -> list[dict[str, str]]:
    """Return the rows with one fault."""
    first, *rest = [dict(row) for row in rows]
    changes: dict[str, dict[str, Any]] = {
        "empty": {"answer": " "},
        "unknown": {"answer": "label 9"},
        "other id": {"id": "nobody"},
        "other run": {"draw": "0123456789abcdef-40"},
    }
    if kind == "missing":
        return rest
    if kind == "twice":
        return [first, *rest, first]
    if kind == "no column":
        return [{name: row[name] for name in row if name != "answer"} for row in rows]
    change = changes[kind]
    return [first | change, *([row | change for row in rest] if kind == "other run" else rest)]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("empty", "row 1: expected an answer in every row, found 1 without one; answer it"),
        ("unknown", "row 1, column answer: expected a label of the run, found 'label 9'; did you mean"),
        ("other id", "1 missing, the first"),
        ("missing", "1 missing, the first"),
        ("twice", "twice; keep one of them"),
        ("other run", "found those of another run, or of this one before it went on"),
        ("no column", "expected the columns draw, id and answer, found no answer"),
    ],
)
def test_bad_answers_are_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, kind: str, told: str
) -> None:
    run = write(tmp_path / "run")
    path, _ = draw_for_people(run, "decisions.jsonl", 40, None)
    rows = sheet(path)
    for row in rows:
        row["answer"] = right(row)
    fill(path, spoiled(rows, kind))
    with pytest.raises(InputError) as error:
        read_from_people(run, "decisions.jsonl", path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (run / "people.json").exists()


def test_a_sheet_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    draw_for_people(run, "decisions.jsonl", 40, None)
    with pytest.raises(InputError, match="name another with --out"):
        draw_for_people(run, "decisions.jsonl", 20, None)


@pytest.mark.parametrize("name", ["summary.json", "decisions.jsonl", "labels.yaml"])
def test_what_is_no_finished_run_is_refused(tmp_path: Path, name: str) -> None:
    run = write(tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(InputError, match=name if name != "summary.json" else "the folder of a finished run"):
        draw_for_people(run, "decisions.jsonl", 40, None)


def test_a_run_without_an_audit_has_nothing_to_be_corrected(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    (run / "audit.jsonl").unlink()
    path, _ = draw_for_people(run, "decisions.jsonl", 40, None)
    rows = sheet(path)
    for row in rows:
        row["answer"] = "None of these"
    result = read_from_people(run, "decisions.jsonl", fill(path, rows))
    assert isinstance(result, PeopleResult)
    assert (result.agreement.estimate, result.corrected, result.expert_random) == (0.0, None, None)


def test_the_hash_tells_results_apart() -> None:
    run, _ = made(np.random.default_rng(3), n=100)
    other = [*run.decisions[:-1], Decided("given", "a given text", LABELS[1], 1.0, "given", ())]
    assert digest(run.decisions) != digest(other)
