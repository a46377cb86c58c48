"""Experts of a run with several labels a text: a model over HTTP, people with a sheet, one worse than the head."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer, serving
from test_several_files import go, plain_head, rows_of, write

from vermilion.config import Caps
from vermilion.errors import InputError, PausedError, UntrustedExpertError
from vermilion.red import several_model
from vermilion.red.applying import apply_changes
from vermilion.red.folder import Folder
from vermilion.red.request import Request

GOLD = {row["text"]: frozenset(row["labels"]) for row in [*rows_of(40, seed=0), *rows_of(60, seed=1)]}


@pytest.fixture(autouse=True)
def one_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which head is chosen is not what is tested here, and to compare them takes most of a small run's time."""
    monkeypatch.setattr(several_model, "candidates", plain_head)


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    pool = write(tmp_path / "pool.jsonl", [{"text": row["text"]} for row in rows_of(60, seed=1)])
    write(tmp_path / "gold.jsonl", rows_of(60, seed=1))
    return Request(write(tmp_path / "labelled.jsonl", rows_of(40, seed=0)), pool, tmp_path / "out")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultyServer, str]]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server = FaultyServer(GOLD)
    with serving(server) as address:
        yield server, address


def model(url: str, **more: Any) -> dict[str, Any]:
    return {"expert": "openai:m", "base_url": url, "caps": Caps(max_calls=150), **more}


def test_a_model_is_checked_asked_and_never_paid_twice(
    request_: Request, url: tuple[FaultyServer, str]
) -> None:
    server, address = url
    server.fault_rate, server.faults = 0.15, ("500", "malformed", "off_schema")
    result = go(request_, **model(address))
    summary = result.summary
    assert summary.trust is not None
    assert summary.trust.n == 15
    assert (summary.trust.order, summary.trust.mixed_up) == (None, ())
    assert summary.calls == sum(server.log.successes.values()) <= 150
    assert set(server.log.successes.values()) == {1}
    asked = sum(len(row["confirmed"]) + len(row["refused"]) for row in result.decisions)
    assert summary.calls == asked + summary.trust.n + 4  # meanings of four labels
    assert all(set(row["confirmed"]) <= GOLD[row["text"]] for row in result.decisions)
    assert summary.certificate is not None
    assert "A model answered the audit, too" in summary.certificate.note
    before = server.log.requests
    again = go(request_, **model(address))
    assert server.log.requests == before
    assert again.decisions == result.decisions
    assert again.summary.trust == summary.trust


def test_a_model_that_goes_away_in_the_middle_costs_nothing_again(
    request_: Request, url: tuple[FaultyServer, str]
) -> None:
    server, address = url
    capped = go(request_, **model(address, caps=Caps(max_calls=70)))
    assert capped.capped
    first = dict(server.log.successes)
    result = go(request_, **model(address))
    assert result.summary.calls > capped.summary.calls
    assert set(server.log.successes.values()) == {1}
    assert first.keys() <= server.log.successes.keys()


def test_a_model_that_does_worse_than_the_head_is_stopped_before_the_pool_is_touched(
    request_: Request, url: tuple[FaultyServer, str]
) -> None:
    server, address = url
    labels = frozenset({"card", "fee", "app", "travel"})
    server.gold = {text: labels - own for text, own in GOLD.items()}
    pool = {row["text"] for row in rows_of(60, seed=1)} - {row["text"] for row in rows_of(40, seed=0)}
    with pytest.raises(UntrustedExpertError, match=r"does worse than the head.*pool is untouched"):
        go(request_, **model(address, caps=Caps(max_calls=400)))
    assert not any(json.loads(asked).get("text") in pool for asked in server.log.successes)
    assert (request_.out / "trust.json").exists()
    assert not (request_.out / "decisions.jsonl").exists()
    warned = go(request_, **model(address, caps=Caps(max_calls=400), trust="warn"))
    assert warned.summary.trust is not None
    assert warned.summary.trust.judgement == "worse"
    assert set(server.log.successes.values()) == {1}


def test_an_oracle_that_errs_too_often_is_stopped_and_asked_for_free(request_: Request) -> None:
    with pytest.raises(UntrustedExpertError):
        go(request_, expert_error=0.9)
    assert go(request_, expert_error=0.9, trust="off").summary.trust is None
    assert go(replace(request_, fresh=True)).summary.calls == 12


def fill(path: Path, most: int = 10**9) -> int:
    """Answer open rows as a person would; return how many."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    left = [row for row in rows if not row["answer"]][:most]
    for row in left:
        row["answer"] = (
            "yes" if row["question"].removeprefix("is this right: ") in GOLD[row["text"]] else "no"
        )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return len(left)


def test_people_answer_in_their_sheet_in_any_number_of_sittings(request_: Request) -> None:
    settings = {"expert": "human", "caps": Caps(max_calls=60)}
    answered = 0
    for _ in range(10):
        try:
            result = go(request_, **settings)
            break
        except PausedError:
            answered += fill(request_.out / "questions.csv", 30)
    assert answered == result.summary.calls == 60
    assert result.summary.trust is None
    for row in result.decisions:
        assert set(row["confirmed"]) <= GOLD[row["text"]]
        assert not set(row["refused"]) & GOLD[row["text"]]
    oracle = go(replace(request_, out=request_.out.parent / "other"), caps=Caps(max_calls=60))
    assert [row["labels"] for row in oracle.decisions] == [row["labels"] for row in result.decisions]


def test_an_answer_that_is_neither_yes_nor_no_is_refused_by_its_row(request_: Request) -> None:
    with pytest.raises(PausedError):
        go(request_, expert="human", caps=Caps(max_calls=60))
    path = request_.out / "questions.csv"
    fill(path)
    path.write_text(path.read_text().replace(",no\n", ",perhaps\n", 1))
    with pytest.raises(InputError, match="expected one of yes, no, found 'perhaps'"):
        go(request_, expert="human", caps=Caps(max_calls=60))


def test_labels_of_such_a_run_are_not_changed_in_place(request_: Request, tmp_path: Path) -> None:
    go(request_)
    changes = tmp_path / "changes.yaml"
    changes.write_text("rename:\n  - {label: card, to: cards}\n")
    with pytest.raises(
        InputError, match="expected a run with one label a text, found one with several; change them"
    ):
        apply_changes(Folder(request_.out), changes)
