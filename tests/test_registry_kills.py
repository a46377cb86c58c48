"""The registry killed before every single thing it does on disk and in the database, and used by processes at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from registry_models import make_model

from vermilion.world.home import Home
from vermilion.world.registry import Registry

NAME = "intent"
Work = Sequence[tuple[str, dict[str, Any]]]


@dataclass
class Forks:
    """The helper process of registry_forks.py."""

    process: subprocess.Popen[str]

    def __call__(self, home: Home, work: Work, *, kill_at: int | None = None, times: int = 1) -> Any:
        """Do the work in children; return how each ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {"home": str(home.folder), "database": str(home.database), "work": work}
        self.process.stdin.write(json.dumps({**request, "kill_at": kill_at, "times": times}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    script = Path(__file__).with_name("registry_forks.py")
    pipe = subprocess.PIPE
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True, env=os.environ | threads
    ) as process:
        yield Forks(process)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("made")
    return [make_model(folder / f"model{seed}", seed) for seed in range(3)]


def scraps(home: Home, *, after_adding: Path | None = None) -> list[str]:
    """Return what lies among the versions that is none."""
    with Registry.open(home) as registry:
        if after_adding is not None:
            registry.add("other", after_adding, by="ann")
        known = {version.digest for version in registry.versions()}
    return sorted({path.name for path in home.models.iterdir()} - known - {".lock", ".registry"})


def begin(home: Home, made: list[Path], count: int) -> None:
    with Registry.open(home) as registry:
        for folder in made[:count]:
            registry.add(NAME, folder, by="ann")
        registry.promote(NAME, f"{NAME}@1", by="ann", why="")


def state(home: Home) -> Any:
    """Return all that a registry says, once it is checked that all of it is true."""
    with Registry.open(home) as registry:
        registry.verify_log()
        found = registry.versions()
        for version in found:
            registry.load(version)
        aliases = {alias: version.number for alias, version in registry.aliases(NAME).items()}
        told = [(entry.action, entry.subject) for entry in registry.log()]
        return [version.number for version in found], aliases, registry.generation(NAME), told


@pytest.mark.parametrize(
    "work",
    [
        ("add", {"name": NAME}),
        ("promote", {"name": NAME, "reference": f"{NAME}@2"}),
        ("remove", {"reference": f"{NAME}@2"}),
    ],
    ids=lambda work: work[0],
)
def test_killed_before_every_step_it_is_the_old_or_the_new(
    forks: Forks, tmp_path: Path, made: list[Path], work: tuple[str, dict[str, Any]]
) -> None:
    """Every step of the whole, one kill each, on SQLite; after each kill the next `add` leaves no scraps."""
    original = Home.open(tmp_path / "original", environment={})
    begin(original, made, 2)
    work = (work[0], work[1] | ({"folder": str(made[2])} if work[0] == "add" else {}))
    old, seen, step = state(original), [], 0
    while True:
        step += 1
        shutil.copytree(original.folder, tmp_path / f"step{step}")
        home = Home.open(tmp_path / f"step{step}", environment={})
        (ended,) = forks(home, [work], kill_at=step)
        found = state(home)
        if ended["code"] == 0:
            break
        assert ended["code"] == -signal.SIGKILL
        assert found == old or len(found[3]) == len(old[3]) + 1
        seen.append(found != old)
        assert not scraps(home, after_adding=made[0])
        shutil.rmtree(home.folder)
    assert found != old
    assert step > 5
    assert seen == sorted(seen), "once it is done, it stays done"


def test_what_a_killed_add_left_is_swept_and_nothing_else(
    forks: Forks, tmp_path: Path, made: list[Path]
) -> None:
    """Before it is swept there is something to sweep: else the test above could not fail."""
    left: set[str] = set()
    for step in range(10, 26, 3):
        home = Home.open(tmp_path / f"step{step}", environment={})
        begin(home, made, 1)
        forks(home, [("add", {"name": NAME, "folder": str(made[2])})], kill_at=step)
        left |= {name[:9] for name in scraps(home)}
        shutil.rmtree(home.folder)
    assert {".fresh-", ".pending-"} <= {name[:7] if name.startswith(".f") else name for name in left}
    assert any(not name.startswith(".") for name in left), "a version that no database knows"


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
@pytest.mark.parametrize("step", [2, 5])
def test_killed_on_postgresql(forks: Forks, tmp_path: Path, made: list[Path], place: str, step: int) -> None:
    home = Home.open(tmp_path / "home", place, environment={})
    begin(home, made, 2)
    old = state(home)
    for work in (
        ("promote", {"name": NAME, "reference": f"{NAME}@2"}),
        ("add", {"name": "x", "folder": str(made[2])}),
    ):
        (ended,) = forks(home, [work], kill_at=step)
        assert ended["code"] in (0, -signal.SIGKILL)
    found = state(home)
    assert found[1:3] in (old[1:3], ({"champion": 2}, old[2] + 1))
    assert not scraps(home, after_adding=made[0])


def test_processes_that_promote_at_once_undo_nobody_unseen(
    forks: Forks, tmp_path: Path, made: list[Path], place: str
) -> None:
    home = Home.open(tmp_path / "home", place, environment={})
    begin(home, made, 3)
    ended = forks(home, [("contend", {"name": NAME, "turns": 8})], times=4)
    won = sum(child["said"][0] for child in ended)
    with Registry.open(home) as registry:
        told = [entry.details for entry in registry.log(NAME) if entry.action == "promote"]
        assert won == len(told) - 1 == registry.generation(NAME) - 1
        assert [one["to"] for one in told[:-1]] == [one["from"] for one in told[1:]]
        registry.verify_log()


def test_processes_that_add_the_same_at_once_agree(
    forks: Forks, tmp_path: Path, made: list[Path], place: str
) -> None:
    home = Home.open(tmp_path / "home", place, environment={})
    work = [("add", {"name": NAME, "folder": str(folder)}) for folder in made]
    ended = forks(home, work, times=4)
    assert [child["said"] for child in ended] == [[1, 2, 3]] * 4
    assert state(home)[0] == [1, 2, 3]
    assert not scraps(home)
