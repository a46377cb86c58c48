"""`vermilion models` as people type it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Ended, vermilion
from registry_models import RULES, make_model

from vermilion.types import Label


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VERMILION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VERMILION_DATABASE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def models(*argv: str) -> Ended:
    """Run a command that is to succeed."""
    ended = vermilion("models", *argv)
    assert ended.code == 0, ended.err
    return ended


def told(*argv: str) -> Any:
    return json.loads(models(*argv, "--json").out)


def refused(*argv: str) -> str:
    """Run a command that is to fail; return its one line."""
    ended = vermilion("models", *argv)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("vermilion: ")
    assert ended.err.count("\n") == 1
    return ended.err


def test_a_version_from_its_addition_to_its_removal(tmp_path: Path) -> None:
    make_model(tmp_path / "one", 1)
    make_model(tmp_path / "two", 2)
    first = models("add", "intent", "one", "--why", "first", "--by", "ann")
    assert "intent@1  sha256:" in first.out
    assert "Next: vermilion models promote intent@1" in first.out
    assert "nowhere -> version 1" in models("promote", "intent@1").out
    assert "points to version 1 already" in models("promote", "intent@1").out
    added = models("add", "intent", "two", "--parent", "intent", "--promote").out
    assert "intent@champion: version 1 -> version 2" in added
    assert "intent@blue: nowhere -> version 1" in models("promote", "intent@1", "--alias", "blue").out
    assert "version 2 -> version 1" in models("rollback", "intent", "--why", "worse").out
    assert refused("remove", "intent@1").startswith("vermilion: intent@1: expected a version that no alias")
    assert "intent@2 removed" in models("remove", "intent@2").out
    assert "intent@blue: version 1 -> nowhere" in models("alias", "intent", "--drop", "blue").out
    assert [version["number"] for version in told("list")] == [1]
    assert [one["action"] for one in told("log", "intent")] == [
        *("add", "promote", "add", "promote", "promote", "rollback", "remove", "drop alias")
    ]
    assert told("verify")["entries"] == 8


def test_what_is_shown_of_a_version(tmp_path: Path) -> None:
    make_model(tmp_path / "one", 1)
    make_model(tmp_path / "two", 2)
    models("add", "intent", "one", "--by", "ann")
    models("add", "intent", "two", "--parent", "intent@1", "--why", "[bold]more[/bold] texts")
    models("promote", "intent@2", "--alias", "challenger", "--why", "try it")
    out = models("show", "intent@2").out
    for words in (
        *("intent@2 (challenger)", "[bold]more[/bold] texts", "multi-class, 3 labels, head flat"),
        *(f"{2:064x}", "static 00000000", "accuracy 0.52", "made from    intent@1", "try it"),
    ):
        assert words in out
    assert "ann" not in out, "what was done to version 1 is not told of version 2"
    shown = told("show", "intent@challenger")
    assert (shown["number"], shown["aliases"], shown["lineage"]) == (2, ["challenger"], ["intent@1"])
    assert "challenger" in models("alias", "intent").out
    assert told("alias", "intent")["challenger"]["number"] == 2
    assert "0.520" in models("list", "intent").out


def test_what_differs_is_shown(tmp_path: Path) -> None:
    make_model(tmp_path / "one", 1)
    make_model(tmp_path / "two", 2, (Label("Refund", "money back"), Label("fee"), Label("[red]theft")))
    (tmp_path / "rules.yaml").write_text(RULES.format(name="theft"))
    models("add", "intent", "one")
    models("add", "intent", "two", "--rules", "rules.yaml")
    out = models("diff", "intent@1", "intent@2").out
    for words in (
        "metrics.accuracy",
        "0.51",
        "0.52",
        "[red]theft",
        "loss",
        "label renamed",
        "+- name: theft",
    ):
        assert words in out
    assert told("diff", "intent@1", "intent@2")["labels"]["renamed"] == [["refund", "Refund"]]
    assert "no difference" in models("diff", "intent@1", "intent@1").out


def test_wrong_things_typed(tmp_path: Path) -> None:
    assert "found none yet; add it: vermilion models add" in refused("list", "intent")
    assert "nowhere: expected a model folder, found none" in refused("add", "intent", "nowhere")
    make_model(tmp_path / "one")
    models("add", "intent", "one")
    assert "an alias champion, found version 1 without it" in refused("show", "intent")
    assert "at most 100 letters" in refused("add", "a b", "one")
    assert "a version to go back to" in refused("rollback", "intent", *_promoted())
    assert "expected version 9, found version 1" in refused("promote", "intent@9")
    assert "expected version 1, found no version" in refused(
        "promote", "intent@1", "--alias", "x", "--expect", "intent@1"
    )
    assert "expected NUMBER:HASH" in refused("verify", "--head", "latest")
    assert "belong to another database" in refused("list", "--database", str(tmp_path / "other.sqlite"))
    assert vermilion("models", "promote").code == 2


def _promoted() -> tuple[str, ...]:
    models("promote", "intent@1")
    return ()


def test_verify_names_the_file_and_the_entry(tmp_path: Path, home: Path) -> None:
    make_model(tmp_path / "one")
    folder = Path(told("add", "intent", "one")["folder"])
    head = told("verify")["head"]
    models("promote", "intent@1")
    assert told("verify", "--head", head)["versions"] == 1
    (folder / "model.safetensors").chmod(0o600)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    assert "model.safetensors: expected sha256" in refused("verify")
    models("add", "intent", "one")
    models("verify")
    with sqlite3.connect(home / "vermilion.sqlite") as connection:
        connection.execute("UPDATE vermilion_audit SET actor = 'nobody' WHERE number = 2")
    connection.close()
    assert "entry 2 was changed" in refused("verify")
