"""The registry: versions of models that nobody changes, aliases that point to them, and a log of every move."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world import audit_log, registry_moves
from vermilion.world.audit_log import Entry, Head, append_log
from vermilion.world.database import Database, now
from vermilion.world.home import Home
from vermilion.world.models import SavedModel, load_model
from vermilion.world.registry_facts import facts, run_of
from vermilion.world.registry_moves import Move, Moved
from vermilion.world.registry_names import CHAMPION, Reference, check_line, check_name
from vermilion.world.registry_rows import Version, VersionRows, lock
from vermilion.world.registry_schema import SCHEMA, aliases, identity, names, versions, ways
from vermilion.world.version_contents import gather
from vermilion.world.version_folder import VersionFolders, check_version

__all__ = ["Entry", "Head", "Moved", "Registry", "Version"]


class Registry:
    """Versions, aliases and their log; open it with `Registry.open`. Safe to use from several threads and processes.

    Examples
    --------
    >>> import tempfile
    >>> with Registry.open(Home.open(Path(tempfile.mkdtemp()), environment={})) as registry:
    ...     registry.versions(), registry.generation("intent")
    ([], 0)
    """

    def __init__(self, database: Database, models: Path) -> None:
        self._database, self._folders, self._rows = database, VersionFolders(models), VersionRows(models)

    @classmethod
    def open(cls, home: Home) -> Self:
        """Open or create the registry of a home; bring its tables up to date.

        Raises
        ------
        StoreError
            The database cannot be used, or the versions in the home belong to another.
        """
        database = Database.open(home.database, SCHEMA)
        try:
            audit_log.prepare(database)
            with database.read() as connection:
                mine = connection.scalars(sa.select(identity.c.id)).one()
            registry = cls(database, home.models)
            registry._folders.belong_to(mine)
        except BaseException:
            database.close()
            raise
        return registry

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(
        self,
        name: str,
        folder: Path,
        *,
        rules: Path | None = None,
        parent: str | None = None,
        by: str,
        why: str = "",
    ) -> Version:
        """Take a model in; the same content under the same name is the version that is there.

        Parameters
        ----------
        folder : Path
            A model folder, which stays as it is.
        rules : Path, optional
            A file of rules that go with the model.
        parent : str, optional
            The version that this one was made from, as NAME@3.
        by, why : str
            Who adds it, and why.

        Raises
        ------
        ModelError
            The folder is no model, or holds files that may run code.
        InputError
            A name, the parent, `by`, `why` or the rules cannot be used.
        StoreError
            There is no room; nothing was taken in.
        """
        check_name(name)
        check_line(by, "by", least=1)
        check_line(why, "why")
        above = None if parent is None else self.resolve(parent)
        contents = gather(folder, rules)
        with self._folders.locked(self._known):
            digest = self._folders.put(contents, folder, rules)
            told = facts(contents) | {"parent": _parent(folder, above), "why": why}
            with self._database.write() as connection:
                number = _take_in(
                    connection, self._database, Version(name, 0, digest, folder, told, now(), by)
                )
            self._folders.settle(digest, self._known)
        return self._find(Reference(name, number=number))

    def remove(self, reference: str, *, by: str, why: str) -> Version:
        """Take a version out, and its folder where no other name has the same; its number is not given again.

        Raises
        ------
        InputError
            There is no such version, or an alias points to it.
        """
        wanted = Reference.parse(reference)
        check_line(by, "by", least=1)
        check_line(why, "why")
        with self._folders.locked(self._known):
            self._folders.mark(self._find(wanted).digest)
            with self._database.write() as connection:
                version = _take_out(connection, self._rows, wanted)
                append_log(connection, by, "remove", str(version), {"digest": version.digest, "why": why})
            self._folders.settle(version.digest, self._known)
        return version

    def resolve(self, reference: str) -> Version:
        """Return the version that NAME, NAME@alias, NAME@3 or NAME@sha256:0a1b means; NAME is NAME@champion.

        Raises
        ------
        InputError
            There is none, or the digest's beginning fits several.
        """
        return self._find(Reference.parse(reference))

    def versions(self, name: str | None = None) -> list[Version]:
        """Return the versions of a name, or of all, by name and number."""
        with self._database.read() as connection:
            return self._rows.all(connection, name)

    def aliases(self, name: str) -> dict[str, Version]:
        """Return where the aliases of a name point, by alias."""
        with self._database.read() as connection:
            return self._rows.aliases(connection, name)

    def known(self, name: str) -> None:
        """Check that there is a model of this name.

        Raises
        ------
        InputError
            There is none.
        """
        with self._database.read() as connection:
            if not self._rows.all(connection, name):
                raise self._rows.unknown(connection, Reference(name))

    def lineage(self, version: Version) -> list[Version]:
        """Return what a version was made from, the nearest first; it ends where a parent was removed."""
        found: list[Version] = []
        with self._database.read() as connection:
            while (above := version.metadata["parent"]["version"]) is not None:
                try:
                    version = self._rows.find(connection, Reference(above["name"], number=above["number"]))
                except InputError:
                    break
                found.append(version)
        return found

    def check(self, version: Version) -> None:
        """Hash the version's folder again.

        Raises
        ------
        ModelError
            It is not what it was when it was added; the line names the file.
        """
        check_version(version.folder, version.digest)

    def load(self, version: Version) -> SavedModel:
        """Hash the version's folder again and load its model.

        Raises
        ------
        ModelError
            It is not what it was when it was added; the line names the file.
        """
        self.check(version)
        return load_model(version.folder)

    def promote(
        self,
        name: str,
        reference: str,
        *,
        alias: str = CHAMPION,
        by: str,
        why: str,
        expected: str | None = None,
    ) -> Moved:
        """Point an alias to a version, in one transaction with the log and the generation.

        Pointing it to where it points already changes nothing and is no move.

        Parameters
        ----------
        reference : str
            A version of this name, as NAME@3.
        by, why : str
            Who does it, and why.
        expected : str, optional
            The version that it must point to now, as NAME@2, so that nobody else's move is undone unseen.

        Raises
        ------
        ConflictError
            It points elsewhere than expected.
        InputError
            There is no such version, or a word cannot be used.
        """
        move = Move(name, alias, by, why, expected)
        wanted = move.own(reference)
        with self._database.write() as connection:
            return registry_moves.promote(connection, self._rows, move, wanted)

    def rollback(
        self, name: str, *, alias: str = CHAMPION, by: str, why: str, expected: str | None = None
    ) -> Moved:
        """Point an alias back to what it pointed to before; once more goes one further back.

        Raises
        ------
        ConflictError
            It points elsewhere than expected.
        InputError
            It points nowhere, or there is nothing before.
        """
        move = Move(name, alias, by, why, expected)
        with self._database.write() as connection:
            return registry_moves.rollback(connection, self._rows, move)

    def drop_alias(self, name: str, alias: str, *, by: str, why: str, expected: str | None = None) -> Moved:
        """Take an alias away, with its way back; the champion stays.

        Raises
        ------
        ConflictError
            It points elsewhere than expected.
        InputError
            There is none, or it is the champion.
        """
        move = Move(name, alias, by, why, expected)
        with self._database.write() as connection:
            return registry_moves.drop(connection, self._rows, move)

    def generation(self, name: str) -> int:
        """Return how often aliases of a name were moved: one look into an index. 0 where there is no such name."""
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(names.c.generation).where(names.c.name == name)) or 0)

    def generations(self) -> dict[str, int]:
        """Return the generation of each name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(names.c.name, names.c.generation).order_by(names.c.name))
            return {name: int(generation) for name, generation in rows}

    def log(self, name: str | None = None) -> list[Entry]:
        """Return the audit log in its order, or what it says of one name."""
        with self._database.read() as connection:
            return audit_log.read_log(connection, name)

    def verify_log(self, expected: Head | None = None) -> Head:
        """Check the chain of the audit log, and that aliases point to where it says; return the chain's end.

        Raises
        ------
        StoreError
            The first entry, or else alias, that is wrong is named.
        """
        with self._database.read() as connection:
            head = audit_log.verify_log(connection, expected)
            registry_moves.verify_aliases(connection)
        return head

    def _find(self, reference: Reference) -> Version:
        with self._database.read() as connection:
            return self._rows.find(connection, reference)

    def _known(self, digest: str) -> bool:
        query = sa.select(versions.c.number).where(versions.c.digest == digest).limit(1)
        with self._database.read() as connection:
            return connection.scalar(query) is not None


def _parent(folder: Path, above: Version | None) -> dict[str, Any]:
    """Return what a model was made from: the run that it lies in, and the version that was named."""
    version = above and {"name": above.name, "number": above.number, "digest": above.digest}
    return {"run": run_of(folder), "version": version}


def _take_in(connection: sa.Connection, database: Database, version: Version) -> int:
    """Give a version its number, or return that of the same content."""
    fresh = database.insert(names).values(name=version.name, last=0, generation=0)
    connection.execute(fresh.on_conflict_do_nothing())
    lock(connection, version.name)
    own = versions.c.name == version.name
    same = sa.select(versions.c.number).where(own, versions.c.digest == version.digest)
    if (there := connection.scalar(same)) is not None:
        return int(there)
    number = 1 + int(connection.scalar(sa.select(names.c.last).where(names.c.name == version.name)) or 0)
    row = {
        "name": version.name,
        "number": number,
        "digest": version.digest,
        "metadata": json.dumps(version.metadata),
        "added_at": version.added_at,
        "added_by": version.added_by,
    }
    connection.execute(sa.insert(versions).values(**row))
    connection.execute(sa.update(names).where(names.c.name == version.name).values(last=number))
    details = {"digest": version.digest, "why": version.metadata["why"]}
    append_log(connection, version.added_by, "add", f"{version.name}@{number}", details)
    return number


def _take_out(connection: sa.Connection, rows: VersionRows, wanted: Reference) -> Version:
    """Take a version out of the tables, and out of the ways back."""
    lock(connection, wanted.name)
    version = rows.find(connection, wanted)
    own = (aliases.c.name == version.name) & (aliases.c.number == version.number)
    pointing = sorted(connection.scalars(sa.select(aliases.c.alias).where(own)))
    if pointing:
        cure = f"move {'them' if len(pointing) > 1 else 'it'} to another version first"
        raise InputError("a version that no alias points to", ", ".join(pointing), str(version), cure)
    for table in (ways, versions):
        mine = (table.c.name == version.name) & (table.c.number == version.number)
        connection.execute(sa.delete(table).where(mine))
    return version
