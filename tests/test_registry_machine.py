"""Any order of additions, moves, removals, damage and reopenings, against a model of what a registry is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from registry_models import make_model

from vermilion.errors import ConflictError, InputError, ModelError
from vermilion.world.home import Home
from vermilion.world.registry import Registry

NAME = "intent"
CONTENTS = 3
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
made: list[Path] = []
contents = st.integers(0, CONTENTS - 1)
aliases = st.sampled_from(["champion", "champion", "blue"])
numbers = st.integers(1, CONTENTS + 1)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("made")
    made[:] = [make_model(folder / f"model{seed}", seed) for seed in range(CONTENTS)]


class RegistryMachine(RuleBasedStateMachine):
    """A registry beside dicts and lists that say what must be so."""

    @initialize()
    def begin(self) -> None:
        # Thousands of flushes: in memory, where there is a folder there.
        self.folder = Path(tempfile.mkdtemp(prefix="vermilion-registry-", dir=MEMORY))
        self.home = Home.open(self.folder, environment={})
        self.registry = Registry.open(self.home)
        self.versions: dict[int, int] = {}  # number -> content
        self.ways: dict[str, list[int]] = {}  # alias -> what it pointed to, the last on top
        self.damaged: set[int] = set()
        self.last = self.moves = 0
        for content in range(CONTENTS):
            self.add(content)

    @rule(content=contents)
    def add(self, content: int) -> None:
        there = [number for number, one in self.versions.items() if one == content]
        version = self.registry.add(NAME, made[content], by="ann")
        self.last += not there
        assert version.number == (there[0] if there else self.last)
        self.versions[version.number] = content
        self.damaged.discard(content)

    @rule(number=numbers, alias=aliases)
    def promote_and_go_back(self, number: int, alias: str) -> None:
        self.promote(number, alias)
        self.rollback(alias)

    @rule(number=numbers, alias=aliases)
    def promote(self, number: int, alias: str) -> None:
        if number not in self.versions:
            with pytest.raises(InputError):
                self._promote(number, alias)
            return
        way = self.ways.setdefault(alias, [])
        if not way or way[-1] != number:
            way.append(number)
            self.moves += 1
        moved = self._promote(number, alias)
        assert (moved.after.number, moved.generation) == (number, self.moves)

    def _promote(self, number: int, alias: str, expected: str | None = None) -> Any:
        reference = f"{NAME}@{number}"
        return self.registry.promote(NAME, reference, alias=alias, by="ann", why="", expected=expected)

    @rule(alias=aliases, number=numbers)
    @precondition(lambda self: self.versions)
    def promote_on_a_wrong_belief(self, alias: str, number: int) -> None:
        pointed = self.ways.get(alias, [0])[-1]
        if number not in self.versions or number == pointed:
            return
        with pytest.raises(ConflictError):
            self._promote(number, alias, f"{NAME}@{number}")

    @rule(alias=aliases)
    def rollback(self, alias: str) -> None:
        way = self.ways.get(alias, [])
        if len(way) < 2:
            with pytest.raises(InputError):
                self.registry.rollback(NAME, alias=alias, by="ann", why="")
            return
        way.pop()
        self.moves += 1
        moved = self.registry.rollback(NAME, alias=alias, by="ann", why="")
        assert moved.after is not None
        assert moved.after.number == way[-1]

    @rule(number=numbers)
    def remove(self, number: int) -> None:
        pointed = {way[-1] for way in self.ways.values()}
        if number not in self.versions or number in pointed:
            with pytest.raises(InputError):
                self.registry.remove(f"{NAME}@{number}", by="ann", why="")
            return
        self.registry.remove(f"{NAME}@{number}", by="ann", why="")
        self.damaged.discard(self.versions.pop(number))
        for alias, way in self.ways.items():
            left = [one for one in way if one != number]
            self.ways[alias] = [one for place, one in enumerate(left) if left[place - 1 : place] != [one]]

    @rule(number=numbers, file=st.sampled_from(["model.safetensors", "model.json", "manifest.json"]))
    def damage(self, number: int, file: str) -> None:
        if number not in self.versions:
            return
        path = self.registry.resolve(f"{NAME}@{number}").folder / file
        path.chmod(0o600)
        path.write_bytes(path.read_bytes() + b" ")
        self.damaged.add(self.versions[number])

    @rule()
    def reopen(self) -> None:
        self.registry.close()
        self.registry = Registry.open(self.home)

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        found = {version.number: version for version in self.registry.versions(NAME)}
        assert found.keys() == self.versions.keys()
        for number, version in found.items():
            if self.versions[number] in self.damaged:
                with pytest.raises(ModelError):
                    self.registry.check(version)
            else:
                self.registry.check(version)
        pointing = {alias: version.number for alias, version in self.registry.aliases(NAME).items()}
        assert pointing == {alias: way[-1] for alias, way in self.ways.items()}
        assert self.registry.generation(NAME) == self.moves
        folders = {path.name for path in self.home.models.iterdir() if not path.name.startswith(".")}
        assert folders == {version.digest for version in found.values()}
        self.registry.verify_log()

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            self.registry.close()
            shutil.rmtree(self.folder)


RegistryMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
TestRegistryMachine = RegistryMachine.TestCase
