"""Whole runs whose answers are kept in a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from e2e.command import Run
from vermilion.world.store import Store

MOST = 30


@pytest.fixture
def options(postgres: str) -> list[str]:
    """Return the options that every run of these tests has."""
    return ["--store", postgres, "--rounds", "2", "--max-calls", str(MOST)]


def kept(url: str, run: Run) -> tuple[int, int, list[Any]]:
    """Return how many verdicts the database has of a run, the calls it counts, and its steps."""
    with Store.open(url, run=str(run.folder.resolve())) as store:
        steps = [store.get(name) for name in store.names("step/")]
        return store.count_verdicts(), store.spent().calls, steps


def test_whole_run_is_the_same_as_with_a_file(
    run: Run, tmp_path: Path, postgres: str, options: list[str]
) -> None:
    beside = Run(run.data, tmp_path / "sqlite")
    codes = [run(*options).code, beside(*options[2:]).code]

    assert codes[0] == codes[1]
    assert 0 < run.summary["calls"] <= MOST
    assert kept(postgres, run)[:2] == (run.summary["calls"], run.summary["calls"])
    assert run.decisions == beside.decisions
    assert not (run.folder / "run.sqlite").exists()


@pytest.mark.thorough
def test_same_command_again_asks_nothing(run: Run, postgres: str, options: list[str]) -> None:
    run(*options)
    before, left = kept(postgres, run), (run.folder / "decisions.jsonl").read_bytes()

    run(*options)

    assert kept(postgres, run) == before
    assert (run.folder / "decisions.jsonl").read_bytes() == left


def test_run_goes_on_where_its_folder_was_lost(run: Run, postgres: str, options: list[str]) -> None:
    run(*options)
    before, left = kept(postgres, run), (run.folder / "decisions.jsonl").read_bytes()
    run.folder.rename(run.folder.with_name("lost"))

    run(*options)

    assert kept(postgres, run) == before
    assert (run.folder / "decisions.jsonl").read_bytes() == left


@pytest.mark.thorough
def test_two_folders_share_a_database(run: Run, tmp_path: Path, postgres: str, options: list[str]) -> None:
    other = Run(run.data, tmp_path / "other")
    run(*options)
    before, decisions = kept(postgres, run), run.decisions

    assert other(*options, "--seed", "1", "--ask", "validate").err == ""
    assert kept(postgres, other)[:2] == (other.summary["calls"], other.summary["calls"])
    other(*options, "--seed", "2", "--fresh")

    assert kept(postgres, run) == before
    assert run.decisions == decisions
    refused = run(*options, "--seed", "1")
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "seed" in refused.err


def test_database_out_of_reach_is_told_without_its_password(run: Run) -> None:
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    ended = run("--store", "postgresql://me:secret@127.0.0.1:1/db")

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "postgresql://127.0.0.1/db" in ended.err
    assert "secret" not in ended.err
    assert not run.folder.exists()
