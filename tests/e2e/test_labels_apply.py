"""Labels of a finished run changed, and the run going on: what is kept, what is asked, what a crash leaves."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.command import Data, Ended, Run, vermilion, write_csv
from e2e.conftest import LABELS
from vermilion.red import applying
from vermilion.red.examining import PROPOSALS
from vermilion.world.store import Store

NEW, HERNIA, OTITIS = LABELS[-1], LABELS[1], LABELS[2]
BUDGET = ("--max-calls", "90", "--target", "1")


@pytest.fixture
def without_one(data: Data, tmp_path: Path) -> Run:
    """Return a finished run that knows all labels but one, whose texts are in its pool."""
    given = {text: label for text, label in data.given.items() if label != NEW}
    labelled = write_csv(tmp_path / "labelled.csv", ("text", "label"), given.items())
    run = Run(replace(data, labelled=labelled, given=given), tmp_path / "out")
    assert run(*BUDGET).code in (0, 3)
    return run


@pytest.fixture
def finished(run: Run) -> Run:
    """Return a finished run with all labels."""
    assert run(*BUDGET).code in (0, 3)
    return run


def apply(run: Run, changes: dict[str, Any], *options: str) -> Ended:
    """Write changes down and carry them out."""
    path = run.folder.parent / "changes.json"
    path.write_text(json.dumps(changes), encoding="utf-8")
    return vermilion("labels", "apply", str(run.folder), str(path), *options)


def ids_of(run: Run, label: str, count: int) -> list[str]:
    """Return ids of pool texts whose right label this is."""
    right = run.data.right
    return [row["id"] for row in run.decisions if right.get(row["text"]) == label][:count]


def verdicts(folder: Path) -> int:
    with Store.open(folder / "run.sqlite") as store:
        return store.count_verdicts()


def test_an_added_label_is_learned_and_what_did_not_move_is_not_asked(without_one: Run) -> None:
    run = without_one
    before, answers = run.decisions, verdicts(run.folder)
    confirmed = {row["text"]: row["label"] for row in before if row["source"] in ("verified", "corrected")}

    ended = apply(run, {"add": [{"name": NEW, "examples": ids_of(run, NEW, 4)}]})
    assert (ended.code, ended.err) == (0, "")
    assert "6 labels now" in ended.out
    assert str(run.folder) in ended.out
    assert run.decisions == before  # until the run goes on

    assert run(*BUDGET).code in (0, 3)

    decided = Counter(row["label"] for row in run.decisions if run.data.right.get(row["text"]) == NEW)
    assert decided[NEW] > 0.7 * decided.total()
    after = {row["text"]: row for row in run.decisions}
    kept = [text for text, label in confirmed.items() if after[text]["label"] == label]
    assert len(kept) > 0.9 * len(confirmed)
    assert run.summary["labels"] == 6
    assert run.summary["calls"] < 90
    assert verdicts(run.folder) >= answers  # what was paid for stays, for who asks what became of it
    assert run.data.labelled.read_text().count(NEW) == 0


@pytest.mark.thorough
def test_a_run_that_goes_on_is_stopped_and_continued_like_any_other(without_one: Run) -> None:
    run = without_one
    assert apply(run, {"add": [{"name": NEW, "examples": ids_of(run, NEW, 4)}]}).code == 0
    assert run("--max-calls", "12", "--target", "1").code == 3
    assert run(*BUDGET).code in (0, 3)

    asked = run.summary["calls"]
    decisions = (run.folder / "decisions.jsonl").read_bytes()
    assert run(*BUDGET).code in (0, 3)
    assert run.summary["calls"] == asked
    assert (run.folder / "decisions.jsonl").read_bytes() == decisions


def test_renamed_labels_cost_nothing(finished: Run) -> None:
    before = Counter(row["label"] for row in finished.decisions)
    assert apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}).code == 0

    assert finished(*BUDGET).code == 0
    assert finished.summary["calls"] == 0
    after = Counter(row["label"] for row in finished.decisions)
    assert HERNIA not in after
    assert abs(after["hernia"] - before[HERNIA]) <= 2
    # Gold, which knows the old name, is read with the new one.
    assert finished.summary["gold"]["agreement"] > 0.9


def test_merged_labels_are_one_and_its_answers_stay(finished: Run) -> None:
    verified = {row["text"] for row in finished.decisions if row["source"] in ("verified", "corrected")}
    merged = {"labels": [HERNIA, OTITIS], "into": "hernia or ear"}
    assert apply(finished, {"merge": [merged]}).code == 0

    assert finished(*BUDGET).code in (0, 3)
    labels = {row["label"] for row in finished.decisions}
    assert "hernia or ear" in labels
    assert not labels & {HERNIA, OTITIS}
    still = {row["text"] for row in finished.decisions if row["source"] in ("verified", "corrected")}
    assert verified <= still


def test_several_changes_one_after_the_other(finished: Run) -> None:
    assert apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}).code == 0
    refused = apply(finished, {"rename": [{"label": "hernia", "to": "rupture"}]})
    assert refused.code == 1
    assert "a finished run" in refused.err

    assert finished(*BUDGET).code == 0
    assert apply(finished, {"rename": [{"label": "hernia", "to": "rupture"}]}).code == 0
    assert finished(*BUDGET).code == 0
    assert "rupture" in {row["label"] for row in finished.decisions}


def test_another_folder_leaves_the_run_as_it_was(finished: Run, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in finished.folder.iterdir() if path.is_file()}
    other = replace(finished, folder=tmp_path / "other")

    ended = apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}, "--out", str(other.folder))
    assert (ended.code, ended.err) == (0, "")
    assert verdicts(other.folder) == verdicts(finished.folder)
    changed = {name for name, at in before.items() if (finished.folder / name).stat().st_mtime_ns != at}
    assert changed <= {".lock", "run.sqlite"}
    assert finished(*BUDGET).code in (0, 3)
    assert other(*BUDGET).code == 0
    assert HERNIA in {row["label"] for row in finished.decisions}
    assert "hernia" in {row["label"] for row in other.decisions}

    again = apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}, "--out", str(other.folder))
    assert again.code == 1
    assert "a new or empty folder" in again.err


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_crash_leaves_the_run_as_it_was(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    decisions = (finished.folder / "decisions.jsonl").read_bytes()
    options = ("--out", str(tmp_path / "other")) if elsewhere else ()

    def crash(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Store, "begin_anew", crash)
        assert apply(finished, {"remove": [HERNIA]}, *options).code != 0

    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.glob(".other*"))
    calls = finished.summary["calls"]
    assert finished(*BUDGET).code in (0, 3)
    assert (finished.folder / "decisions.jsonl").read_bytes() == decisions
    assert finished.summary["calls"] == calls


def test_fresh_goes_back_to_the_labels_of_the_files(finished: Run) -> None:
    assert apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}).code == 0

    assert finished(*BUDGET, "--fresh").code in (0, 3)
    assert HERNIA in {row["label"] for row in finished.decisions}


def test_other_data_are_refused_after_a_change_as_before(finished: Run) -> None:
    assert apply(finished, {"rename": [{"label": HERNIA, "to": "hernia"}]}).code == 0

    refused = finished(*BUDGET, "--seed", "5")
    assert refused.code == 1
    assert "another seed" in refused.err


def test_a_run_proposes_and_its_proposals_can_be_read(finished: Run) -> None:
    written = finished.folder / PROPOSALS
    refused = vermilion("labels", "apply", str(finished.folder), str(written))

    assert refused.code == 1
    assert "none that is accepted" in refused.err
    health = finished.summary["health"]
    assert set(health["found"]) == {"starving", "suspects", "merge", "split"}
    assert "Health of the labels" in (finished.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rename": [{"label": "Hernia", "to": "x"}]}, "one of the run's 6 labels"),
        ({"rename": [{"label": HERNIA, "to": OTITIS}]}, "a name that no label has"),
        ({"relabel": [{"pool": "p999", "to": HERNIA}]}, "one of the pool's ids"),
        ({"add": [{"name": "x"}]}, "examples of 'x'"),
        (
            {
                "merge": [
                    {"labels": [HERNIA, OTITIS], "into": OTITIS},
                    {"labels": [OTITIS, NEW], "into": HERNIA},
                ]
            },
            "in several",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_changes_nothing(
    finished: Run, changes: dict[str, Any], said: str
) -> None:
    with Store.open(finished.folder / "run.sqlite") as store:
        before = (store.names(), store.events())
    refused = apply(finished, changes)

    assert refused.code == 1
    assert said in refused.err
    assert refused.err.count("\n") == 1
    with Store.open(finished.folder / "run.sqlite") as store:
        assert (store.names(), store.events()) == before
        assert store.get(applying.RELABELLED) is None


def test_a_folder_without_a_run_is_refused_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    path.write_text('{"remove": ["a"]}')
    for folder in (tmp_path / "none", tmp_path):
        refused = vermilion("labels", "apply", str(folder), str(path))
        assert refused.code == 1
        assert "the folder of a run" in refused.err
    assert {one.name for one in tmp_path.iterdir()} == {"changes.json"}
