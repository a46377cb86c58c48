"""The registry on real SQLite and real PostgreSQL: versions stay what they are, moves are whole and told."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from registry_models import RULES, make_model

from vermilion.errors import ConflictError, InputError, ModelError, StoreError
from vermilion.types import Label
from vermilion.world import audit_log, database
from vermilion.world.audit_log import Head
from vermilion.world.home import Home
from vermilion.world.registry import Registry
from vermilion.world.registry_diff import diff_versions, label_changes

NAME = "intent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give three model folders."""
    folder = tmp_path_factory.mktemp("made")
    return [make_model(folder / f"model{seed}", seed) for seed in range(3)]


@pytest.fixture
def home(tmp_path: Path, place: str) -> Home:
    return Home.open(tmp_path / "home", place, environment={})


@pytest.fixture
def registry(home: Home) -> Iterator[Registry]:
    with Registry.open(home) as opened:
        yield opened


@pytest.fixture
def full(registry: Registry, made: list[Path]) -> Registry:
    """Give a registry with versions 1, 2 and 3, of which nobody is the champion."""
    for folder in made:
        registry.add(NAME, folder, by="ann", why=f"made of {folder.name}")
    return registry


def promote(registry: Registry, number: int, alias: str = "champion") -> None:
    registry.promote(NAME, f"{NAME}@{number}", alias=alias, by="ann", why="better")


def champion(registry: Registry) -> int:
    return registry.resolve(NAME).number


def change(place: str, statement: str) -> None:
    """Write to the database by other means."""
    url = place.replace("postgresql:", "postgresql+psycopg:") if "://" in place else f"sqlite:///{place}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def test_what_was_added_is_there_again(home: Home, made: list[Path]) -> None:
    with Registry.open(home) as registry:
        added = registry.add(NAME, made[1], by="ann", why="more texts")
    with Registry.open(home) as registry:
        assert registry.resolve(f"{NAME}@1") == added
        assert registry.versions() == [added]
        model = registry.load(added)
    assert [label.name for label in model.labels] == ["refund", "fee", "loss"]
    assert added.folder == home.models / added.digest
    assert added.metadata["training"] == f"{1:064x}"
    assert added.metadata["encoder"] == {"name": "static", "digest": "0" * 32}
    assert (added.metadata["labels"], added.metadata["task"], added.metadata["code"]) == (
        3,
        "multi-class",
        "0.1.0",
    )
    assert added.metadata["metrics"] == {"accuracy": 0.51}
    assert added.metadata["why"] == "more texts"
    assert added.metadata["parent"] == {"run": None, "version": None}


def test_files_are_for_reading_and_for_the_owner(registry: Registry, made: list[Path]) -> None:
    version = registry.add(NAME, made[0], by="ann")
    assert version.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in version.folder.iterdir()} == {0o400}
    assert {path.name for path in version.folder.iterdir()} == {
        *("model.json", "model.safetensors", "MODEL_CARD.md", "manifest.json")
    }


def test_the_same_content_is_the_same_version(full: Registry, made: list[Path], tmp_path: Path) -> None:
    copied = make_model(tmp_path / "elsewhere", 1)
    assert full.add(NAME, copied, by="bob").number == 2
    assert full.add("other", copied, by="bob").digest == full.resolve(f"{NAME}@2").digest
    assert len(full.log(NAME)) == 3


def test_rules_are_part_of_a_version(registry: Registry, made: list[Path], tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(RULES.format(name="theft"))
    bare, ruled = registry.add(NAME, made[0], by="ann"), registry.add(NAME, made[0], rules=rules, by="ann")
    assert (bare.number, ruled.number) == (1, 2)
    assert (ruled.folder / "rules.yaml").read_text() == RULES.format(name="theft")
    assert (ruled.metadata["rules"] is None, bare.metadata["rules"] is None) == (False, True)
    registry.check(ruled)
    assert registry.add("copied", ruled.folder, by="ann").digest == ruled.digest


def test_rules_that_the_model_cannot_follow_are_refused(
    registry: Registry, made: list[Path], tmp_path: Path
) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(RULES.format(name="theft").replace("review", "{label: thefts}"))
    with pytest.raises(InputError, match=f"^{rules}, line .*thefts"):
        registry.add(NAME, made[0], rules=rules, by="ann")
    assert registry.versions() == []


def test_a_run_and_a_version_it_was_made_from(full: Registry, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "my-run" / "model", 9)
    (folder.parent / "summary.json").write_text("{}")
    fourth = full.add(NAME, folder, parent=f"{NAME}@2", by="ann")
    fifth = full.add(NAME, make_model(tmp_path / "model", 10), parent=f"{NAME}@4", by="ann")
    assert fourth.metadata["parent"]["run"]["folder"] == "my-run"
    assert fourth.metadata["parent"]["version"]["number"] == 2
    assert [version.number for version in full.lineage(fifth)] == [4, 2]
    with pytest.raises(InputError, match="expected version 8, found versions 5, 4, 3, 2, 1"):
        full.add(NAME, folder, parent=f"{NAME}@8", by="ann")


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("nobody", "expected the name of a model, found intent"),
        (NAME, "expected an alias champion, found versions 3, 2, 1 without it; .* promote intent@3$"),
        (f"{NAME}@blue", "expected an alias blue, .* promote intent@3 --alias blue$"),
        (f"{NAME}@4", "expected version 4, found versions 3, 2, 1"),
        (f"{NAME}@0", "expected a version's number from 1, found 0"),
        (f"{NAME}@99999999999", "expected a version's number from 1"),
        (f"{NAME}@sha256:abc", "expected 4 to 64 hex digits"),
        (f"{NAME}@sha256:beef1234beef", "expected sha256:beef1234beef, found versions"),
        ("a/b", "at most 100 letters"),
        ("../x", "at most 100 letters"),
        ("", "at most 100 letters"),
        (f"{NAME}@", "at most 100 letters"),
        (f"{NAME}@a@b", "at most 100 letters"),
        ("é" * 3, "at most 100 letters"),
        (f"{NAME}\n", "at most 100 letters"),
    ],
)
def test_a_reference_that_means_nothing_is_told(
    tmp_path: Path, made: list[Path], reference: str, problem: str
) -> None:
    with Registry.open(Home.open(tmp_path / "home", environment={})) as registry:
        for folder in made:
            registry.add(NAME, folder, by="ann")
        with pytest.raises(InputError, match=problem) as told:
            registry.resolve(reference)
    assert "\n" not in str(told.value)


def test_references(full: Registry) -> None:
    promote(full, 2)
    promote(full, 3, "Blue-1")
    second = full.resolve(f"{NAME}@2")
    for reference in (NAME, f"{NAME}@champion", f"{NAME}@sha256:{second.digest[:12]}"):
        assert full.resolve(reference) == second
    assert full.resolve(f"{NAME}@sha256:{second.digest.upper()}") == second
    assert {alias: version.number for alias, version in full.aliases(NAME).items()} == {
        "champion": 2,
        "Blue-1": 3,
    }


def test_a_digest_that_fits_several_is_told(full: Registry, place: str) -> None:
    change(place, "UPDATE vermilion_versions SET digest = 'abcd' || substr(digest, 5)")
    with pytest.raises(InputError, match="expected digits that fit one version, found versions 1, 2, 3"):
        full.resolve(f"{NAME}@sha256:abcd")


def test_a_move_is_told_and_raises_the_generation(full: Registry) -> None:
    assert full.generation(NAME) == 0
    moved = full.promote(NAME, f"{NAME}@2", by="ann", why="better on refunds")
    assert (moved.before, moved.after, moved.generation) == (None, full.resolve(f"{NAME}@2"), 1)
    again = full.promote(NAME, f"{NAME}@2", by="bob", why="once more")
    assert (again.before == again.after, again.generation) == (True, 1)
    back = full.promote(NAME, f"{NAME}@1", by="bob", why="oops")
    assert back.before == moved.after
    assert full.generations() == {NAME: 2}
    last = full.log(NAME)[-1]
    assert (last.actor, last.action, last.subject) == ("bob", "promote", "intent@champion")
    assert last.details == {"from": 2, "to": 1, "digest": full.resolve(NAME).digest, "why": "oops"}
    assert full.verify_log() == Head(last.number, last.hash)


def test_rollback_goes_back_through_what_was_promoted(full: Registry) -> None:
    for number in (1, 2, 3):
        promote(full, number)
    for number in (2, 1):
        moved = full.rollback(NAME, by="ann", why="worse")
        assert moved.after is not None
        assert moved.after.number == champion(full) == number
    with pytest.raises(InputError, match="expected a version to go back to, found only version 1"):
        full.rollback(NAME, by="ann", why="worse")
    promote(full, 3)
    assert full.rollback(NAME, by="ann", why="worse").after == full.resolve(f"{NAME}@1")
    assert full.generation(NAME) == 7
    full.verify_log()


def test_rollback_of_an_alias_that_is_not_there(full: Registry) -> None:
    with pytest.raises(InputError, match="an alias challenger"):
        full.rollback(NAME, alias="challenger", by="ann", why="")
    with pytest.raises(InputError, match="the name of a model"):
        full.rollback("nobody", by="ann", why="")


def test_a_lost_update_is_refused(full: Registry) -> None:
    promote(full, 1)
    promote(full, 2)
    with pytest.raises(ConflictError, match="intent@champion: expected version 1, found version 2; somebody"):
        full.promote(NAME, f"{NAME}@3", by="ann", why="", expected=f"{NAME}@1")
    with pytest.raises(ConflictError, match="expected version 1, found version 2"):
        full.rollback(NAME, by="ann", why="", expected=f"{NAME}@1")
    with pytest.raises(ConflictError, match="found no version"):
        full.promote(NAME, f"{NAME}@3", alias="blue", by="ann", why="", expected=f"{NAME}@1")
    assert champion(full) == 2
    full.promote(NAME, f"{NAME}@3", by="ann", why="", expected=f"{NAME}@2")
    assert champion(full) == 3


def test_a_version_of_another_name_is_no_champion(full: Registry, made: list[Path]) -> None:
    full.add("other", made[0], by="ann")
    with pytest.raises(InputError, match="expected a version of intent, found other@1"):
        full.promote(NAME, "other@1", by="ann", why="")


@pytest.mark.parametrize(
    ("by", "why", "problem"),
    [
        ("", "", "by: expected 1 to 1000 characters, found 0"),
        ("ann", "two\nlines", "why: expected one line of plain text"),
        ("ann", "\x00", "why: expected one line"),
        ("an\udcffn", "", "by: expected one line"),
        ("ann", 1001 * "x", "why: expected 0 to 1000 characters"),
    ],
)
def test_words_that_no_log_takes(full: Registry, by: str, why: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        full.promote(NAME, f"{NAME}@1", by=by, why=why)
    with pytest.raises(InputError, match=problem):
        full.add(NAME, Path("nowhere"), by=by, why=why)
    assert full.generation(NAME) == 0


def test_a_number_is_no_alias(full: Registry) -> None:
    with pytest.raises(InputError, match="an alias that is no number"):
        full.promote(NAME, f"{NAME}@1", alias="7", by="ann", why="")


def test_an_alias_can_be_dropped_but_for_the_champion(full: Registry) -> None:
    promote(full, 1)
    promote(full, 2, "blue")
    moved = full.drop_alias(NAME, "blue", by="ann", why="done")
    assert (moved.after, moved.generation) == (None, 3)
    assert list(full.aliases(NAME)) == ["champion"]
    full.verify_log()
    with pytest.raises(InputError, match="an alias other than champion"):
        full.drop_alias(NAME, "champion", by="ann", why="")
    with pytest.raises(InputError, match="an alias blue"):
        full.drop_alias(NAME, "blue", by="ann", why="")
    promote(full, 3, "blue")
    with pytest.raises(InputError, match="a version to go back to"):
        full.rollback(NAME, alias="blue", by="ann", why="")


def test_a_version_in_use_stays(full: Registry) -> None:
    promote(full, 1)
    promote(full, 1, "blue")
    with pytest.raises(InputError, match=r"intent@1: .* found blue, champion; move them to another"):
        full.remove(f"{NAME}@1", by="ann", why="")
    full.check(full.resolve(f"{NAME}@1"))


def test_a_removed_version_is_gone_and_its_number_too(full: Registry, made: list[Path]) -> None:
    for number in (1, 2, 1):
        promote(full, number)
    gone = full.remove(f"{NAME}@2", by="ann", why="private texts")
    assert not gone.folder.exists()
    with pytest.raises(InputError, match="a version to go back to, found only version 1"):
        full.rollback(NAME, by="ann", why="")
    assert full.add(NAME, made[1], by="ann").number == 4
    assert [version.number for version in full.versions(NAME)] == [1, 3, 4]
    full.verify_log()


def test_a_folder_that_two_names_share_stays_until_the_last(full: Registry, made: list[Path]) -> None:
    other = full.add("other", made[0], by="ann")
    full.remove(f"{NAME}@1", by="ann", why="")
    full.check(other)
    full.remove("other@1", by="ann", why="")
    assert not other.folder.exists()
    with pytest.raises(InputError, match="the name of a model"):
        full.remove("other@1", by="ann", why="")


def test_adding_again_mends_a_damaged_version(full: Registry, made: list[Path]) -> None:
    version = full.resolve(f"{NAME}@1")
    damage = version.folder / "model.safetensors"
    damage.chmod(0o600)
    damage.write_bytes(damage.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"model\.safetensors: expected sha256 .* add the model once more"):
        full.load(version)
    assert full.add(NAME, made[0], by="ann") == version
    full.check(version)
    assert sorted(path.name for path in version.folder.parent.iterdir() if path.name.startswith(".")) == [
        ".lock",
        ".registry",
    ]


def test_a_home_whose_database_is_another_is_refused(home: Home, full: Registry, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="belong to another database; give its --database"):
        Registry.open(Home(home.folder, tmp_path / "another.sqlite"))


def test_a_folder_that_is_not_here_is_told(
    full: Registry, tmp_path: Path, made: list[Path], home: Home
) -> None:
    """Two machines may share a database; a version lies where it was added."""
    elsewhere = Home.open(tmp_path / "second", str(home.database), environment={})
    with Registry.open(elsewhere) as second:
        version = second.resolve(f"{NAME}@1")
        with pytest.raises(ModelError, match="expected a model folder, found none"):
            second.check(version)
        assert second.add(NAME, made[0], by="bob") == version
        second.check(version)


def test_many_threads_promote_and_add(full: Registry, made: list[Path]) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        full.add(f"name{number % 4}", made[number % 3], by=f"thread{number}")
        for place in range(5):
            full.promote(NAME, f"{NAME}@{(number + place) % 3 + 1}", by=f"thread{number}", why="")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    told = [entry for entry in full.log(NAME) if entry.action == "promote"]
    assert full.generation(NAME) == len(told) > 0
    assert [entry.details["to"] for entry in told[:-1]] == [entry.details["from"] for entry in told[1:]]
    assert champion(full) == told[-1].details["to"]
    full.verify_log()


def test_a_clock_that_jumps_back_leaves_the_order(full: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([f"{year}-01-01T00:00:00.000+00:00" for year in (2030, 2020, 2010)])
    monkeypatch.setattr(audit_log, "now", lambda: next(times))
    promote(full, 1)
    promote(full, 2)
    assert [entry.details["to"] for entry in full.log(NAME)[-2:]] == [1, 2]
    assert [entry.at[:4] for entry in full.log(NAME)[-2:]] == ["2030", "2020"]
    full.verify_log()
    assert full.rollback(NAME, by="ann", why="").after == full.resolve(f"{NAME}@1")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE vermilion_aliases SET number = 3",
            "intent@champion points to version 3, but by the log to version 2",
        ),
        ("DELETE FROM vermilion_aliases", "intent@champion points nowhere, but by the log to version 2"),
        ("UPDATE vermilion_audit SET actor = 'bob' WHERE number = 2", "entry 2 was changed"),
        ("UPDATE vermilion_audit SET details = '{}' WHERE number = 5", "entry 5 was changed"),
        ("UPDATE vermilion_audit SET at = '2020' WHERE number = 1", "entry 1 was changed"),
        ("DELETE FROM vermilion_audit WHERE number = 3", "entry 3 is missing"),
        ("DELETE FROM vermilion_audit WHERE number = 1", "entry 1 is missing"),
        ("DELETE FROM vermilion_audit WHERE number = 5", "entry 5 is missing, or was taken off the end"),
        ("DELETE FROM vermilion_audit", "entry 1 is missing, or was taken off the end"),
        ("DELETE FROM vermilion_audit_head", "entry 6 is missing"),
        ("UPDATE vermilion_audit_head SET hash = 'x'", "entry 5 is not where the chain's head says"),
    ],
)
def test_what_was_written_by_other_means_is_found(
    full: Registry, place: str, statement: str, problem: str
) -> None:
    promote(full, 1)
    promote(full, 2)
    full.verify_log()
    change(place, statement)
    with pytest.raises(StoreError, match=problem):
        full.verify_log()


def test_entries_that_changed_places_are_found(full: Registry, place: str) -> None:
    for old, new in ((1, 99), (2, 1), (99, 2)):
        change(place, f"UPDATE vermilion_audit SET number = {new} WHERE number = {old}")
    with pytest.raises(StoreError, match="entry 1 does not follow the one before it"):
        full.verify_log()


def test_a_log_written_anew_is_found_by_a_head_noted_elsewhere(full: Registry, place: str) -> None:
    promote(full, 1)
    noted = full.verify_log()
    promote(full, 2)
    assert full.verify_log(noted).number == noted.number + 1
    for table in ("audit", "aliases", "ways"):
        change(place, f"DELETE FROM vermilion_{table}")
    change(place, f"UPDATE vermilion_audit_head SET number = 0, hash = '{audit_log.FIRST}'")
    full.verify_log()  # by itself it cannot know
    with pytest.raises(StoreError, match="entry 1 is missing"):
        full.verify_log(noted)
    for _ in range(3):
        promote(full, 3)
        promote(full, 2)
    with pytest.raises(StoreError, match=f"entry {noted.number} is not the one whose hash was noted"):
        full.verify_log(noted)


def test_a_head_gone_stops_writing(full: Registry, place: str) -> None:
    change(place, "DELETE FROM vermilion_audit_head")
    with pytest.raises(StoreError, match="head is gone"):
        promote(full, 1)
    assert full.generation(NAME) == 0


@pytest.mark.parametrize("text", ["", "3", "3:abc", "x:" + 64 * "a", "-1:" + 64 * "a", "٣:" + 64 * "a"])
def test_a_head_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="expected NUMBER:HASH"):
        Head.parse(text)


def test_other_parts_write_to_the_same_log_in_their_own_transaction(full: Registry, place: str) -> None:
    with database.Database.open(place, database.Schema("other_migrations", ())) as other:
        audit_log.prepare(other)
        with pytest.raises(ZeroDivisionError):
            _log_and_fail(other)
        with other.write() as connection:
            audit_log.append_log(connection, "bob", "create", "key k2", {"scopes": ["classify"]})
    assert [entry.subject for entry in full.log()][-2:] == ["intent@3", "key k2"]
    assert full.verify_log().number == 4


def _log_and_fail(other: database.Database) -> None:
    with other.write() as connection:
        audit_log.append_log(connection, "bob", "create", "key k1", {})
        raise ZeroDivisionError


def test_two_versions_compared(registry: Registry, tmp_path: Path) -> None:
    rules = [tmp_path / f"{number}.yaml" for number in (1, 2)]
    for number, path in enumerate(rules):
        path.write_text(RULES.format(name=f"rule{number}"))
    labels = (Label("Refund", "money back"), Label("fee", "costs"), Label("theft"))
    old = registry.add(NAME, make_model(tmp_path / "old"), rules=rules[0], by="ann")
    new = registry.add(NAME, make_model(tmp_path / "new", 2, labels), rules=rules[1], by="ann")
    found = diff_versions(old, new)
    assert found.labels.added == ("theft",)
    assert found.labels.removed == ("loss",)
    assert found.labels.renamed == (("refund", "Refund"),)
    assert found.labels.changed == ("fee",)
    changed = {change.what: (change.old, change.new) for change in found.changes}
    assert changed["metrics.accuracy"] == (0.5, 0.52)
    assert changed["training"] == (f"{0:064x}", f"{2:064x}")
    assert "encoder.name" not in changed
    assert {"-- name: rule0", "+- name: rule1"} <= set(found.rules)
    assert json.loads(json.dumps(found.as_dict()))["old"] == "intent@1"
    same = diff_versions(old, old)
    assert (same.changes, same.rules, same.labels) == ((), (), label_changes([], []))


def test_a_name_that_only_looks_alike_is_not_renamed() -> None:
    old: list[dict[str, Any]] = [{"name": "fee", "meaning": ""}, {"name": "?!", "meaning": ""}]
    new: list[dict[str, Any]] = [{"name": "loss", "meaning": ""}, {"name": "--", "meaning": ""}]
    found = label_changes(old, new)
    assert (found.added, found.removed, found.renamed) == (("loss", "--"), ("fee", "?!"), ())


def test_a_full_disk_is_told_and_takes_nothing_in(
    full: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, folder = full.versions(), make_model(tmp_path / "more", 7)

    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match=r"No space left on device.*nothing that was there is lost"):
            full.add(NAME, folder, by="ann")
    assert full.versions() == before
    assert full.add(NAME, folder, by="ann").number == 4
