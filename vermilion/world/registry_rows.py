"""Versions as the registry's tables hold them: found by what a person wrote, or a line that says what there is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world.registry_names import CHAMPION, DIGEST, Reference
from vermilion.world.registry_schema import aliases, names, versions

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model.

    Attributes
    ----------
    name : str
    number : int
        From 1, never given twice.
    digest : str
        64 hex digits: the sha256 of its manifest.
    folder : Path
        Where its files lie.
    metadata : mapping
        Plain JSON: task, head, labels (their number), encoder (name, digest), training (the hash of the labelled
        texts), data, code (the version of Vermilion), metrics, certificate, rules, bytes, parent (run, version), why.
    added_at, added_by : str
    """

    name: str
    number: int
    digest: str
    folder: Path
    metadata: Mapping[str, Any]
    added_at: str
    added_by: str

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class VersionRows:
    """What can be asked of the tables, given where the versions' folders lie."""

    models: Path

    def find(self, connection: sa.Connection, reference: Reference) -> Version:
        """Return the version that a reference means.

        Raises
        ------
        InputError
            There is none, or the digest's beginning fits several.
        """
        found = connection.execute(_query(reference)).mappings().all()
        if len(found) == 1:
            return self._version(found[0])
        if not found:
            raise self.unknown(connection, reference)
        fitting = f"versions {_some([str(row['number']) for row in found])}"
        raise InputError(
            "digits that fit one version",
            fitting,
            f"{reference.name}@{DIGEST}{reference.digest}",
            "give more",
        )

    def current(self, connection: sa.Connection, name: str, alias: str) -> Version | None:
        """Return where an alias points, or None."""
        row = connection.execute(_query(Reference(name, alias=alias))).mappings().one_or_none()
        return None if row is None else self._version(row)

    def all(self, connection: sa.Connection, name: str | None = None) -> list[Version]:
        """Return the versions of a name, or of all, by name and number."""
        query = sa.select(versions).order_by(versions.c.name, versions.c.number)
        query = query if name is None else query.where(versions.c.name == name)
        return [self._version(row) for row in connection.execute(query).mappings()]

    def aliases(self, connection: sa.Connection, name: str) -> dict[str, Version]:
        """Return where the aliases of a name point, by alias."""
        query = sa.select(versions, aliases.c.alias).select_from(_pointed).where(aliases.c.name == name)
        rows = connection.execute(query.order_by(aliases.c.alias)).mappings()
        return {row["alias"]: self._version(row) for row in rows}

    def unknown(self, connection: sa.Connection, reference: Reference) -> InputError:
        """Return the error that says what there is in place of what was meant."""
        own = sa.select(versions.c.number).where(versions.c.name == reference.name)
        numbers = [str(number) for number in connection.scalars(own.order_by(versions.c.number.desc()))]
        if not numbers:
            known = sa.select(versions.c.name).distinct().order_by(versions.c.name)
            found = _some(list(connection.scalars(known))) or "none yet"
            return InputError("the name of a model", found, reference.name, "add it: vermilion models add")
        found = f"version{'s' * (len(numbers) > 1)} {_some(numbers)}"
        if reference.alias is None:
            wanted = f"version {reference.number}" if reference.number else f"{DIGEST}{reference.digest}"
            return InputError(wanted, found, reference.name, "name one of them")
        option = "" if reference.alias == CHAMPION else f" --alias {reference.alias}"
        cure = f"name a version, or vermilion models promote {reference.name}@{numbers[0]}{option}"
        return InputError(f"an alias {reference.alias}", f"{found} without it", reference.name, cure)

    def _version(self, row: sa.RowMapping) -> Version:
        return Version(
            row["name"],
            row["number"],
            row["digest"],
            self.models / row["digest"],
            json.loads(row["metadata"]),
            row["added_at"],
            row["added_by"],
        )


_pointed = sa.join(
    versions, aliases, (versions.c.name == aliases.c.name) & (versions.c.number == aliases.c.number)
)


def _query(reference: Reference) -> sa.Select[Any]:
    if reference.alias is not None:
        query = sa.select(versions).select_from(_pointed)
        return query.where(aliases.c.name == reference.name, aliases.c.alias == reference.alias)
    query = sa.select(versions).where(versions.c.name == reference.name).order_by(versions.c.number)
    if reference.number is not None:
        return query.where(versions.c.number == reference.number)
    return query.where(versions.c.digest.startswith(reference.digest or "", autoescape=True))


def _some(found: list[str]) -> str:
    return ", ".join([*found[:SHOWN], *(["..."] if len(found) > SHOWN else [])])


def lock(connection: sa.Connection, name: str) -> int:
    """Keep other transactions from this name until this one ends; return its generation.

    SQLite's transaction has the whole database by then.
    """
    query = sa.select(names.c.generation).where(names.c.name == name).with_for_update()
    return int(connection.scalar(query) or 0)
