"""Whole runs with a simulated expert, a person or nobody: what they leave, and how they go on."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from e2e.command import SUMMARY_KEYS, Run, vermilion, write_csv
from vermilion.types import Source
from vermilion.world.models import load_model, save_model
from vermilion.world.store import Store

COLUMNS = ["id", "text", "label", "confidence", "source", "round", "candidates", "out_of_scope"]
FILES = {
    *("decisions.jsonl", "summary.json", "report.html", "labels.yaml", "model", "run.sqlite", "vectors"),
    *("label_proposals.yaml", "proposed_labels.json", "audit.jsonl", ".lock"),
}


def asked_in_store(run: Run) -> tuple[int, int]:
    """Return the verdicts that a run has, and the calls that it counts."""
    with Store.open(run.folder / "run.sqlite") as store:
        return store.count_verdicts(), store.spent().calls


def timeless(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary without what a clock has told."""
    kept = {name: value for name, value in summary.items() if name != "seconds"}
    for rows in ("rounds", "heads_compared"):
        kept[rows] = [
            {name: value for name, value in row.items() if "seconds" not in name} for row in summary[rows]
        ]
    return kept


def test_leaves_what_the_readme_promises(run: Run) -> None:
    ended = run("--expert-error", "0.05")

    assert (ended.code, ended.err) == (0, "")
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert str(run.folder / "report.html") in ended.out
    assert "simulation" in ended.out
    assert "\x1b" not in ended.out
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "simulation" in report.lower()


def test_summary_has_the_promised_keys(run: Run) -> None:
    assert run().code == 0

    summary = run.summary
    assert set(summary) >= SUMMARY_KEYS
    assert set(summary["rounds"][0]) >= {"round", "uncertain", "asked", "confirmed", "agreement"}
    assert set(summary["tokens"]) == {"prompt", "completion"}
    assert set(summary["seconds"]) == {"encode", "fit", "expert", "total"}
    assert set(summary["decisions"]) == set(get_args(Source))
    assert set(summary["certificate"]) >= {"estimate", "lower", "upper", "confidence", "method", "n"}
    assert summary["stopped"]
    assert (summary["texts"], summary["labels"]) == (len(run.data.pool_texts), 6)
    assert (summary["encoder"], summary["head"]) == ("static", "flat")
    assert [row["round"] for row in summary["rounds"]] == list(range(len(summary["rounds"])))


def test_summary_agrees_with_decisions_store_and_gold(run: Run) -> None:
    assert run().code == 0

    summary, rows = run.summary, run.decisions
    sources = Counter(row["source"] for row in rows)
    assert {name: count for name, count in summary["decisions"].items() if count} == sources
    assert asked_in_store(run) == (summary["calls"], summary["calls"])
    assert summary["calls"] == sum(row["asked"] for row in summary["rounds"]) > 0
    open_rows = [row for row in rows if row["source"] != "given"]
    right = sum(run.data.right[row["text"]] == row["label"] for row in open_rows)
    assert summary["gold"]["agreement"] == pytest.approx(right / len(open_rows))
    certificate = summary["certificate"]
    assert certificate["lower"] <= certificate["estimate"] <= certificate["upper"]


def test_one_decision_a_pool_row_in_its_order(run: Run) -> None:
    assert run().code == 0

    rows = run.decisions
    assert [row["text"] for row in rows] == list(run.data.pool_texts)
    assert [row["id"] for row in rows] == [f"p{place}" for place in range(len(rows))]
    assert all(list(row) == COLUMNS for row in rows)
    for row in rows:
        assert 0 < row["confidence"] <= 1
        assert set(row["candidates"][0]) == {"label", "probability"}
    given = {row["text"]: row["label"] for row in rows if row["source"] == "given"}
    assert given == {text: label for text, label in run.data.given.items() if text in run.data.pool_texts}
    assert len(given) == 6


def test_duplicates_are_decided_alike_and_paid_once(run: Run) -> None:
    # More questions than texts: all are asked.
    assert run("--max-calls", "500", "--target", "1").code == 0

    decided = defaultdict(set)
    for row in run.decisions:
        decided[row["text"]].add((row["label"], row["source"], row["confidence"], row["round"]))
    assert len(run.decisions) > len(decided)
    assert all(len(ways) == 1 for ways in decided.values())
    assert run.summary["calls"] <= len(run.data.right)
    with Store.open(run.folder / "run.sqlite") as store:
        spent = store.spent()
    assert spent.calls == run.summary["calls"]


def test_same_command_changes_nothing_and_asks_nothing(run: Run) -> None:
    assert run("--expert-error", "0.1").code == 0
    before, decisions = run.summary, (run.folder / "decisions.jsonl").read_bytes()
    model = {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()}

    assert run("--expert-error", "0.1").code == 0

    assert (run.folder / "decisions.jsonl").read_bytes() == decisions
    assert {path.name: path.read_bytes() for path in (run.folder / "model").iterdir()} == model
    assert timeless(run.summary) == timeless(before)
    assert asked_in_store(run) == (before["calls"], before["calls"])


def test_fresh_starts_over_and_comes_out_the_same(run: Run) -> None:
    assert run().code == 0
    before, decisions = run.summary, (run.folder / "decisions.jsonl").read_bytes()

    assert run("--fresh").code == 0
    assert (run.folder / "decisions.jsonl").read_bytes() == decisions
    assert timeless(run.summary)["rounds"] == timeless(before)["rounds"]

    assert run("--fresh", "--seed", "7").code == 0
    assert run.summary["settings"]["seed"] == 7


@pytest.mark.thorough
def test_higher_cap_goes_on_without_asking_again(run: Run) -> None:
    # An expert that often errs corrects often, so no round looks like the last one worth it.
    options = ("--expert-error", "0.3", "--target", "1")
    first = run(*options, "--rounds", "2", "--max-calls", "30")
    assert first.code == 3
    assert run.summary["stopped"].startswith("cap")
    assert "Stopped by a cap" in first.out
    calls, decisions = run.summary["calls"], (run.folder / "decisions.jsonl").read_bytes()
    assert 20 < calls <= 30
    with Store.open(run.folder / "run.sqlite") as store:
        steps = {name: store.get(name) for name in store.names("step/")}

    assert run(*options, "--rounds", "2", "--max-calls", "30").code == 3
    assert (run.summary["calls"], (run.folder / "decisions.jsonl").read_bytes()) == (calls, decisions)

    run(*options, "--rounds", "4", "--max-calls", "60")

    assert 30 < run.summary["calls"] <= 60
    assert asked_in_store(run) == (run.summary["calls"], run.summary["calls"])
    with Store.open(run.folder / "run.sqlite") as store:
        assert {name: store.get(name) for name in steps} == steps


@pytest.mark.parametrize(
    ("options", "compared"),
    [
        (["--no-names", "--no-pool"], ["flat"]),
        (["--no-pool"], ["flat", "flat + label names"]),
        (["--no-names"], ["flat", "flat + pool"]),
    ],
)
def test_names_and_pool_are_learned_from_only_where_they_may_be(
    run: Run, options: list[str], compared: list[str]
) -> None:
    assert run("--max-calls", "20", *options).code in (0, 3)

    assert [row["head"] for row in run.summary["heads_compared"]] == compared
    settings = run.summary["settings"]
    assert (settings["names"], settings["pool"]) == ("--no-names" not in options, "--no-pool" not in options)


def test_names_and_pool_are_tried_unasked(run: Run) -> None:
    assert run("--max-calls", "20").code in (0, 3)

    _, named, pooled = (row["head"] for row in run.summary["heads_compared"])
    assert named == "flat + label names"
    assert pooled in ("flat + pool", "flat + label names + pool")


def test_no_question_where_none_may_be_asked(run: Run) -> None:
    assert run("--max-calls", "0").code in (0, 3)
    assert run.summary["calls"] == 0
    assert len(run.decisions) == len(run.data.pool_texts)


@pytest.mark.parametrize(
    "options",
    [
        ["--seed", "1"],
        ["--head", "centroid"],
        ["--ask", "validate"],
        ["--expert-error", "0.2"],
    ],
)
def test_other_settings_in_the_same_folder_are_refused(run: Run, options: list[str]) -> None:
    assert run().code == 0
    left = (run.folder / "decisions.jsonl").read_bytes()

    ended = run(*options)

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert options[0].removeprefix("--").replace("-", "_") in ended.err
    assert "--fresh" in ended.err
    assert (run.folder / "decisions.jsonl").read_bytes() == left


def test_other_data_in_the_same_folder_is_refused(run: Run, tmp_path: Path) -> None:
    assert run().code == 0
    pool = write_csv(tmp_path / "other.csv", ("id", "text"), [("p0", run.data.pool_texts[0])])

    argv = [str(pool) if part == str(run.data.pool) else part for part in run.argv()]
    ended = vermilion(*argv)

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "data" in ended.err


def test_two_runs_at_once_in_one_folder_are_refused(run: Run) -> None:
    import fcntl

    assert run().code == 0
    with (run.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run()
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "another run" in ended.err


def test_json_is_all_that_stdout_gets(run: Run) -> None:
    ended = run("--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == run.summary


def test_real_process_is_quiet_where_there_is_no_terminal(run: Run) -> None:
    command = [sys.executable, "-c", "from vermilion.cli import main; main()", *run.argv("--json")]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout) == run.summary


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_other_formats_hold_the_same_decisions(run: Run, name: str) -> None:
    assert run().code == 0
    ended = run("--decisions", name)
    assert ended.code == 0
    assert name in ended.out

    path = run.folder / name
    if name.endswith(".csv"):
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        found = [
            row
            | {
                "confidence": float(row["confidence"]),
                "round": int(row["round"]),
                "candidates": json.loads(row["candidates"]),
                "out_of_scope": float(row["out_of_scope"]) if row["out_of_scope"] else None,
            }
            for row in rows
        ]
    else:
        found = pl.read_parquet(path).to_dicts()
    assert found == run.decisions


@pytest.mark.parametrize("uncertainty", ["margin", "entropy", "least-confidence", "committee"])
def test_each_uncertainty(run: Run, uncertainty: str) -> None:
    assert run("--uncertainty", uncertainty).code == 0
    assert run.summary["settings"]["uncertainty"] == uncertainty
    assert run.summary["gold"]["agreement"] > 0.7


@pytest.mark.parametrize("head", ["auto", "flat", "subset", "centroid"])
def test_each_head(run: Run, head: str) -> None:
    assert run("--head", head, "--subset-size", "3").code == 0
    assert run.summary["head"] == (head if head != "auto" else run.summary["heads_compared"][0]["head"])
    assert run.summary["gold"]["agreement"] > 0.7
    predicted = vermilion(
        "predict", str(run.folder / "model"), str(run.data.pool), "--out", str(run.folder / "p.jsonl")
    )
    assert predicted.code == 0


def test_validate_asks_for_one_label_at_a_time(run: Run) -> None:
    assert run("--ask", "validate", "--max-calls", "60", "--target", "1").code in (0, 3)
    with Store.open(run.folder / "run.sqlite") as store:
        steps: list[Any] = [store.get(name) for name in store.names("step/")]
    kinds = {len(options) for step in steps if step["kind"] == "round" for _, options, _ in step["asked"]}
    assert kinds == {1}
    assert run.summary["decisions"]["verified"] > 0


def test_expert_none_decides_all_by_the_model(run: Run) -> None:
    assert run("--expert", "none").code == 0
    summary = run.summary
    assert (summary["calls"], summary.get("certificate")) == (0, None)
    assert {row["source"] for row in run.decisions} == {"given", "auto"}


def answer_questions(run: Run) -> int:
    """Fill in questions.csv as a person would; return how many rows had no answer."""
    path = run.folder / "questions.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    new = 0
    for row in rows:
        if row["answer"]:
            continue
        new += 1
        label = run.data.right[row["text"]]
        row["answer"] = label if label in row["options"].split("\n") else "none of these"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return new


def test_people_answer_in_a_file_until_all_is_done(run: Run) -> None:
    options = ("--expert", "human", "--max-calls", "20")
    asked = 0
    for _ in range(15):
        ended = run(*options)
        if "wait in" not in ended.err:
            break
        assert (ended.code, ended.out, ended.err.count("\n")) == (3, "", 1)
        assert str(run.folder / "questions.csv") in ended.err
        waiting = run(*options)
        assert waiting.err == ended.err
        asked += answer_questions(run)
    assert ended.err == ""
    assert run.summary["calls"] == asked <= 20
    assert run.summary["simulated"] is False
    assert "gold" not in run.summary


def test_plan_spends_nothing(run: Run) -> None:
    ended = run("--plan", "--max-calls", "30")
    assert (ended.code, ended.out) == (0, "")
    assert "at most 30 questions" in ended.err
    assert asked_in_store(run) == (0, 0)
    assert not (run.folder / "decisions.jsonl").exists()


def test_pool_from_stdin(run: Run) -> None:
    argv = ["-" if part == str(run.data.pool) else part for part in run.argv()]
    ended = vermilion(*argv, stdin=run.data.pool.read_bytes())
    assert (ended.code, ended.err) == (0, "")
    assert [row["text"] for row in run.decisions] == list(run.data.pool_texts)


def test_predict_agrees_with_the_decisions_of_the_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--no-pool").code == 0
    monkeypatch.setattr("vermilion.red.predict.BATCH", 17)
    target = run.folder / "more.jsonl"
    model, pool = str(run.folder / "model"), run.data.pool

    ended = vermilion("predict", model, str(pool), "--out", str(target))

    assert (ended.code, ended.err) == (0, "")
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == list(run.data.pool_texts)
    auto = {row["id"]: row for row in run.decisions if row["source"] == "auto"}
    assert len(auto) > 50
    for row in rows:
        if row["id"] in auto:
            assert row["label"] == auto[row["id"]]["label"]
            assert row["confidence"] == pytest.approx(auto[row["id"]]["confidence"], abs=2e-6)

    piped = run.folder / "piped.csv"
    ended = vermilion("predict", model, "-", "--out", str(piped), stdin=pool.read_bytes())
    assert (ended.code, ended.err) == (0, "")
    with piped.open(encoding="utf-8", newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [row["label"] for row in rows]


def test_what_was_learned_from_the_pool_serves_without_it(run: Run) -> None:
    assert run("--expert", "none").code == 0
    (chosen,) = (row["head"] for row in run.summary["heads_compared"] if row["chosen"])
    assert chosen.endswith("+ pool")
    target = run.folder / "more.jsonl"

    ended = vermilion("predict", str(run.folder / "model"), str(run.data.pool), "--out", str(target))

    assert (ended.code, ended.err) == (0, "")
    labels = [json.loads(line)["label"] for line in target.read_text(encoding="utf-8").splitlines()]
    # The run also has the neighbours of each text to go by, which the saved head knows nothing of.
    alike = sum(row["label"] == label for row, label in zip(run.decisions, labels, strict=True))
    assert alike > 0.95 * len(labels)


@pytest.mark.thorough
def test_two_encoders_as_one_serve_run_and_predict(run: Run) -> None:
    assert run("--encoder", "minilm+static", "--expert", "none", "--no-pool").code == 0
    assert run.summary["encoder"] == "minilm+static"
    model, target = run.folder / "model", run.folder / "more.jsonl"

    ended = vermilion("predict", str(model), str(run.data.pool), "--out", str(target))

    assert (ended.code, ended.err) == (0, "")
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    auto = {row["id"]: row["label"] for row in run.decisions if row["source"] == "auto"}
    assert len(auto) > 100
    assert {row["id"]: row["label"] for row in rows if row["id"] in auto} == auto
    assert "MIT" in (model / "MODEL_CARD.md").read_text(encoding="utf-8")

    loaded = load_model(model)
    save_model(model, replace(loaded, encoder="static+minilm"), "")
    refused = vermilion("predict", str(model), str(run.data.pool), "--out", str(target))
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert f"expected encoder static+minilm {loaded.encoder_digest}, found " in refused.err


def test_damaged_model_folder_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("--expert", "none").code == 0
    for path in sorted((run.folder / "model").iterdir()):
        if path.suffix == ".md":
            continue
        damaged = tmp_path / f"damaged-{path.name}"
        shutil.copytree(run.folder / "model", damaged)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / path.name).write_bytes(content)
        target = tmp_path / f"{path.name}.jsonl"
        ended = vermilion("predict", str(damaged), str(run.data.pool), "--out", str(target))
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1), path.name
        assert not target.exists()


@pytest.mark.parametrize(
    "argv", [["run"], ["run", "a.csv", "b.csv", "--out", "x", "--ask", "guess"], ["fly"], ["run", "--nope"]]
)
def test_wrong_usage_is_exit_code_2(argv: list[str]) -> None:
    ended = vermilion(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert "vermilion" in ended.err


def test_version_is_told() -> None:
    from vermilion import __version__

    assert vermilion("--version").out.strip() == __version__
