"""An incident's folder from a real home: journal, feedback, keys, registry and rollouts."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vermilion import cli_incident
from vermilion.errors import InputError
from vermilion.serve.incident import Window, export
from vermilion.serve.incident_counts import Counts, label_of
from vermilion.serve.incident_page import render_incident, sentences
from vermilion.serve.journal import Journal
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home
from vermilion.world.keys import Keys

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(TEN, TEN + HOUR, HOUR)


def record(name: str, at: datetime, label: str, version: int, **further: Any) -> dict[str, Any]:
    common = {
        "id": name,
        "at": at.isoformat(timespec="milliseconds"),
        "request": f"r-{name}",
        "name": "shop",
        "version": version,
        "digest": f"{version:x}" * 64,
        "label": label,
        "confidence": 0.9,
        "decided_by": "model",
        "abstained": False,
        "arm": "champion",
        "key": "abcdefgh",
        "latency_ms": 4.0,
    }
    return common | further


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give a home where a bad version took over at ten: it calls refunds arrivals, and is slower."""
    home = Home.open(tmp_path / "home", environment={})
    with Feedback.open(home) as feedback, Keys.open(home) as keys:
        keys.create("<b>shop</b>", ["classify"], by="ada")
        for hour, (wrong, version, latency) in enumerate([(0, 1, 4.0), (8, 2, 40.0), (0, 1, 4.0)]):
            begin = TEN + (hour - 1) * HOUR
            with Journal(home.decisions, f"w{hour}", clock=begin.timestamp) as journal:
                for i in range(20):
                    at = begin + timedelta(minutes=i)
                    right = "refund" if i < 10 else "arrival"
                    answered = "arrival" if i < wrong else right
                    decision = feedback.ids.new(at.timestamp())
                    journal.append([record(decision, at, answered, version, latency_ms=latency)])
                    if i % 2 == 0:
                        feedback.add(decision, right, key="abcdefgh")
    return home


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_folder_tells_what_happened(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "incident"
    found = export(home, WINDOW, out, render_incident)
    assert [one["version"] for one in rows(out / "decisions.jsonl")] == [2] * 20
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["during"]["by version"] == {"shop@2": 20}
    assert summary["before"]["by version"] == {"shop@1": 20}
    assert summary["during"]["feedback"] == {"told": 10, "wrong": 4}
    assert summary["before"]["feedback"] == {"told": 10, "wrong": 0}
    assert {"answered": "arrival", "right": "refund", "count": 4} in summary["during"]["confusion"]
    assert summary["during"]["latency_ms"]["p50"] == pytest.approx(40, rel=0.02)
    assert summary["before"]["latency_ms"]["p99"] == pytest.approx(4, rel=0.02)
    assert len(rows(out / "feedback.jsonl")) == 20
    assert {one["digest"] for one in json.loads((out / "versions.json").read_text())} == {"2" * 64}
    assert json.loads((out / "rollouts.json").read_text()) == []
    assert summary["audit_log"] == "whole"
    told = list(sentences(found))
    assert "4 were wrong (40.0%); before, 0.0% of 10" in told[1]
    assert told[2] == "The version shop@2 went from 0% to 100% of the decisions."


def test_the_manifest_holds_each_file(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "incident"
    export(home, WINDOW, out, render_incident)
    listed = json.loads((out / "manifest.json").read_text())
    assert set(listed) == {path.name for path in out.iterdir()} - {"manifest.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
        assert (out / name).stat().st_mode & 0o077 == 0


def test_nothing_that_opens_is_in_it_and_strangers_words_are_no_markup(home: Home, tmp_path: Path) -> None:
    with Keys.open(home) as keys:
        _, token = keys.create("late", ["classify"], by="<script>alert(1)</script>")
        hashes = [lock.hash.hex() for lock in keys.locks()]
    with Journal(home.decisions, "odd", clock=TEN.timestamp) as journal:
        journal.append([record("odd", TEN, "<img src=x onerror=alert(1)>", 2)])
    out = tmp_path / "incident"
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), HOUR)
    export(home, window, out, render_incident)
    everything = b"".join(path.read_bytes() for path in out.iterdir()).decode()
    assert token[12:] not in everything
    assert not any(one in everything for one in hashes)
    page = (out / "index.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert not re.search(r"(?:src|href)=\"https?:", page)
    assert "create key" in page


def test_memory_does_not_grow_with_the_decisions(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home", environment={})
    with Journal(home.decisions, "w1", clock=TEN.timestamp) as journal:
        journal.append([record(f"d{i}", TEN, f"label {i % 50}", 1, text="x" * 4000) for i in range(3000)])
    size = sum(path.stat().st_size for path in home.decisions.rglob("*.jsonl"))
    tracemalloc.start()
    export(home, WINDOW, tmp_path / "incident", lambda incident: "")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 12_000_000
    assert most < 4_000_000


def test_a_folder_that_exists_is_left_alone_and_a_failure_leaves_nothing(home: Home, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="a folder that does not exist yet"):
        export(home, WINDOW, tmp_path / "taken", render_incident)
    with pytest.raises(InputError, match="No such file"):
        export(home, WINDOW, tmp_path / "no" / "way", render_incident)

    def fails(_: object) -> str:
        raise RuntimeError("no page")

    with pytest.raises(RuntimeError):
        export(home, WINDOW, tmp_path / "incident", fails)
    assert {path.name for path in tmp_path.iterdir()} == {"home", "taken"}
    with pytest.raises(InputError, match="--from and --to: expected a start before its end"):
        Window(TEN, TEN, HOUR)


def test_an_empty_window_is_a_page_too(tmp_path: Path) -> None:
    found = export(Home.open(tmp_path / "h", environment={}), WINDOW, tmp_path / "out", render_incident)
    assert next(sentences(found)).startswith("0 decisions in 0 requests")
    assert "–" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_latencies_are_right_to_two_percent() -> None:
    values = np.random.default_rng(0).lognormal(2, 1, 5000)
    counts = Counts(1.0)
    for i, value in enumerate(values):
        counts.add({"request": f"{i}", "latency_ms": float(value), "label": "a"}, None)
    for quantile in (0.5, 0.95, 0.99):
        assert counts.latency(quantile) == pytest.approx(np.quantile(values, quantile), rel=0.03)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"label": "a"}, "a"),
        ({"labels": ["b", "a"]}, "a + b"),
        ({"labels": []}, "(none)"),
        ({"label": None, "refused": True}, "(out of scope)"),
        ({"label": "a", "abstained": True}, "(withheld)"),
        ({}, "None"),
    ],
)
def test_what_was_answered_has_one_name(given: dict[str, Any], name: str) -> None:
    assert label_of(given) == name


def test_the_command(home: Home, tmp_path: Path) -> None:
    words = ["export", "--from", "2026-11-22T10:00", "--to", "2026-11-22T12:00+01:00"]
    common = ["--home", str(home.folder)]
    runner = CliRunner()
    done = runner.invoke(cli_incident.app, [*words, "--out", str(tmp_path / "out"), *common])
    assert done.exit_code == 0, done.output
    assert "20 decisions in 20 requests; in the time before 20." in done.stdout
    done = runner.invoke(
        cli_incident.app, [*words, "--out", str(tmp_path / "two"), "--before", "2h", "--json", *common]
    )
    assert json.loads(done.stdout)["compared_from"] == "2026-11-22T08:00:00+00:00"
    with pytest.raises(InputError, match="--from: expected a time as 2026-11-22T10:00, found 'yesterday'"):
        runner.invoke(
            cli_incident.app,
            ["export", "--from", "yesterday", "--to", "now", "--out", str(tmp_path / "x"), *common],
            catch_exceptions=False,
        )
