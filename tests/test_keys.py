"""API keys on real SQLite and PostgreSQL: what opens, until when, and that no secret is kept or shown twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from vermilion import cli
from vermilion.errors import InputError, StoreError
from vermilion.serve.key_ring import KeyRing
from vermilion.world import keys as keys_module
from vermilion.world.audit_log import read_log
from vermilion.world.database import now
from vermilion.world.home import Home
from vermilion.world.keys import TOKEN, Keys, hash_token, id_of

HOUR = timedelta(hours=1)


@pytest.fixture
def home(place: str, tmp_path: Path) -> Home:
    """Give a home with an empty database of either kind."""
    return Home.open(tmp_path / "home", place, environment={})


@pytest.fixture
def keys(home: Home) -> Iterator[Keys]:
    with Keys.open(home) as keys:
        yield keys


def test_a_key_opens_with_its_secret_and_nothing_else(keys: Keys) -> None:
    key, token = keys.create("shop", ["feedback", "classify", "classify"], rate=50, by="ada")
    other, other_token = keys.create("shop", ["admin"], by="ada")  # labels are no names
    assert keys.find(token) == key
    assert keys.find(other_token) == other
    assert (key.label, key.rate, key.created_by) == ("shop", 50, "ada")
    assert key.scopes == frozenset({"classify", "feedback"})
    wrong = [
        token[:-1],
        token + "x",
        token.upper(),
        token[12:],
        f"vk_{key.id}_{other_token[12:]}",
        "",
        "é" * 55,
    ]
    assert [keys.find(one) for one in wrong] == [None] * len(wrong)


def test_a_secret_is_256_random_bits_and_only_its_hash_is_kept(home: Home, keys: Keys) -> None:
    made = [keys.create("x", ["classify"], by="ada") for _ in range(20)]
    tokens = [token for _, token in made]
    assert len({token[12:] for token in tokens}) == 20
    assert all(TOKEN.fullmatch(token) and id_of(token) == key.id for key, token in made)
    with keys._database.read() as connection:
        dump = repr(connection.execute(sa.text("SELECT * FROM vermilion_keys")).all())
        dump += repr(connection.execute(sa.text("SELECT * FROM vermilion_audit")).all())
    assert hash_token(tokens[0]).hex() in dump
    assert not any(token[12:] in dump for token in tokens)
    # What stays in memory and may end in a traceback has neither secret nor hash.
    shown = repr(keys.locks()) + repr(keys.all()) + repr(made[0][0])
    assert not any(token[12:] in shown or hash_token(token).hex() in shown for token in tokens)
    assert repr(hash_token(tokens[0])) not in shown


def test_a_key_ends_when_it_expires_or_is_revoked(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    key, token = keys.create("short", ["classify"], expires=HOUR, by="ada")
    assert keys.find(token) == key
    later = (datetime.now(UTC) + HOUR).isoformat(timespec="milliseconds")
    assert key.state(later) == "expired"
    monkeypatch.setattr(keys_module, "now", lambda: later)
    assert keys.find(token) is None
    monkeypatch.undo()
    assert keys.find(token) == key
    revoked = keys.revoke(key.id, by="ada")
    assert keys.find(token) is None
    assert revoked.state(now()) == "revoked"
    assert keys.revoke(key.id, by="bob") == revoked
    with pytest.raises(InputError, match="which is revoked; create a new one"):
        keys.rotate(key.id, grace=HOUR, by="ada")


def test_after_a_rotation_the_old_secret_opens_for_the_grace(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, first = keys.create("shop", ["classify"], by="ada")
    rotated, second = keys.rotate(key.id, grace=HOUR, by="ada")
    assert rotated.id == key.id
    assert keys.find(first) == keys.find(second) == rotated
    later = (datetime.now(UTC) + HOUR).isoformat(timespec="milliseconds")
    monkeypatch.setattr(keys_module, "now", lambda: later)
    assert keys.find(first) is None
    assert keys.find(second) == rotated
    monkeypatch.undo()
    _, third = keys.rotate(key.id, grace=timedelta(0), by="ada")
    assert [bool(keys.find(one)) for one in (first, second, third)] == [False, False, True]
    keys.rotate(key.id, grace=HOUR, by="ada")
    keys.revoke(key.id, by="ada")
    assert keys.find(third) is None  # its grace ends with the key


def test_every_change_raises_the_generation_and_is_in_the_audit_log(keys: Keys) -> None:
    before = keys.generation()
    key, _ = keys.create("shop", ["classify"], expires=HOUR, by="ada")
    keys.rotate(key.id, grace=HOUR, by="bob")
    keys.revoke(key.id, by="eve")
    keys.revoke(key.id, by="eve")
    assert keys.generation() == before + 3
    with keys._database.read() as connection:
        entries = read_log(connection)
    assert [(one.actor, one.action, one.subject) for one in entries] == [
        ("ada", "create key", f"key {key.id}"),
        ("bob", "rotate key", f"key {key.id}"),
        ("eve", "revoke key", f"key {key.id}"),
    ]
    assert entries[0].details["scopes"] == "classify"


def test_a_change_that_cannot_be_told_is_not_made(keys: Keys) -> None:
    with keys._database.write() as connection:
        connection.execute(sa.text("DELETE FROM vermilion_audit_head"))
    with pytest.raises(StoreError, match="audit log"):
        keys.create("shop", ["classify"], by="ada")
    assert keys.all() == []
    assert keys.generation() == 0


def test_when_a_key_was_used_is_told_to_the_hour(keys: Keys) -> None:
    key, token = keys.create("shop", ["classify"], by="ada")
    keys.create("idle", ["classify"], by="ada")
    before = keys.generation()
    with KeyRing(keys) as ring:
        assert ring.find(token) == key
    used = {one.label: one.used_at for one in keys.all()}
    assert used["idle"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00\.000\+00:00", used["shop"] or "")
    assert keys.generation() == before  # nobody has to read the keys again for that


@pytest.mark.parametrize(
    ("label", "scopes", "rate", "expires", "line"),
    [
        ("", ["classify"], None, None, "--label: expected what the key is for"),
        (" ", ["classify"], None, None, "--label: expected what the key is for"),
        ("a\nb", ["classify"], None, None, r"found 'a\\nb'"),
        ("x" * 101, ["classify"], None, None, "1 to 100 characters"),
        ("x", [], None, None, "--scope: expected one or more of classify, feedback, .*found none"),
        ("x", ["classify", "root"], None, None, "found 'root'"),
        ("x", ["classify"], 0.0, None, "--rate: expected requests a second, above 0, found 0.0"),
        ("x", ["classify"], float("nan"), None, "found nan"),
        ("x", ["classify"], None, timedelta(0), "--expires: expected a time from now"),
    ],
)
def test_bad_requests_for_keys_are_one_line(
    tmp_path: Path, label: str, scopes: list[str], rate: float | None, expires: timedelta | None, line: str
) -> None:
    with Keys.open(Home.open(tmp_path, environment={})) as keys:
        with pytest.raises(InputError, match=line):
            keys.create(label, scopes, rate=rate, expires=expires, by="ada")
        assert keys.all() == []


# --- the ring


def test_a_ring_follows_changes_without_a_restart(keys: Keys) -> None:
    with KeyRing(keys, every=0.01) as ring:
        assert len(ring) == 0
        key, token = keys.create("shop", ["classify"], by="ada")
        wait_for(lambda: ring.find(token) is not None)
        assert len(ring) == 1
        _, second = keys.rotate(key.id, grace=timedelta(0), by="ada")
        wait_for(lambda: ring.find(token) is None)
        assert ring.find(second) is not None
        keys.revoke(key.id, by="ada")
        wait_for(lambda: ring.find(second) is None)
        assert len(ring) == 0


def wait_for(happens: Callable[[], bool]) -> None:
    """Wait until a change has come through the ring's thread."""
    tick = threading.Event()
    for _ in range(1000):
        if happens():
            return
        tick.wait(0.01)
    pytest.fail("it did not happen in 10 seconds")


def test_a_ring_outlives_a_database_that_is_away_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0.0
    with Keys.open(Home.open(tmp_path, environment={})) as keys:
        key, token = keys.create("shop", ["classify"], by="ada")
        ring = KeyRing(keys, clock=lambda: at)

        def away() -> int:
            raise StoreError("the database refuses")

        monkeypatch.setattr(keys, "generation", away)
        at = 200.0
        with pytest.raises(StoreError):
            ring.refresh()
        assert ring.find(token) == key
        assert not ring.stale
        at = 301.0
        assert ring.stale
        monkeypatch.undo()
        ring.refresh()
        assert not ring.stale


def test_a_ring_looks_no_more_often_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = [0.0], []
    with Keys.open(Home.open(tmp_path, environment={})) as keys:
        ring = KeyRing(keys, clock=lambda: clock[0])
        real = keys.generation

        def counted() -> int:
            looks.append(clock[0])
            return real()

        monkeypatch.setattr(keys, "generation", counted)
        for at in (0.05, 0.11, 0.15, 0.2, 0.25):
            clock[0] = at
            ring.refresh(0.1)
    assert looks == [0.11, 0.25]


# --- the commands

runner = CliRunner()


def run(home: Path, *words: str) -> str:
    done = runner.invoke(cli.app, ["keys", *words, "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_key_from_the_command_line_is_shown_once(tmp_path: Path) -> None:
    token = run(tmp_path, "create", "--label", "shop [x]", "--scope", "classify", "--expires", "90d").strip()
    assert TOKEN.fullmatch(token)
    listed, as_json = run(tmp_path, "list"), run(tmp_path, "list", "--json")
    assert token[12:] not in listed + as_json
    assert "shop [x]" in listed
    (row,) = json.loads(as_json)
    assert (row["label"], row["scopes"], row["state"]) == ("shop [x]", ["classify"], "active")
    rotated = json.loads(run(tmp_path, "rotate", row["id"], "--grace", "30m", "--json"))
    assert rotated["secret"] != token
    assert "old secret until" in run(tmp_path, "list")
    assert "opens nothing since" in run(tmp_path, "revoke", row["id"])
    assert json.loads(run(tmp_path, "list", "--json"))[0]["state"] == "revoked"
    assert b"".join(path.read_bytes() for path in tmp_path.rglob("*")).find(token[12:].encode()) == -1


def test_wrong_words_are_one_line_each(tmp_path: Path) -> None:
    for words, line in [
        (["create", "--label", "x", "--scope", "all"], "found 'all'; give it once for each"),
        (
            ["create", "--label", "x", "--scope", "classify", "--expires", "soon"],
            "--expires: expected a number",
        ),
        (["rotate", "nokey", "--grace", "100d"], "from 0 to 90 days"),
        (["revoke", "vk_secret"], "the key: expected the id of a key"),
    ]:
        with pytest.raises(InputError, match=line):
            runner.invoke(cli.app, ["keys", *words, "--home", str(tmp_path)], catch_exceptions=False)
    done = subprocess.run(
        [sys.executable, "-m", "vermilion", "keys", "revoke", "nokey", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
