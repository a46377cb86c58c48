"""SQLite and PostgreSQL alike: opened by path or URL, brought up to date by numbered migrations, errors in one line."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from vermilion.errors import MissingExtraError, StoreError

BUSY_SECONDS = 30
# SQLite numbers rows by itself only where the type is INTEGER.
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
# Any number will do that no other program uses for an advisory lock.
_MIGRATION_LOCK = 7_308_332_184

Migration = tuple[str, Callable[[sa.Connection], None]]


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one part and how they came to be.

    Attributes
    ----------
    table : str
        Where it is written which migrations are done; each part has its own.
    migrations : tuple of (str, callable)
        Numbered from 1 and only ever added to.
    """

    table: str
    migrations: tuple[Migration, ...]

    @property
    def done(self) -> Table:
        """The table of migrations that are done."""
        return Table(
            self.table,
            MetaData(),
            Column("number", Integer, primary_key=True, autoincrement=False),
            Column("name", Text, nullable=False),
        )


class Database:
    """One database with the tables of one part. Safe to use from several threads and processes.

    Attributes
    ----------
    where : str
        What messages call it: the path, or the URL without password.

    Examples
    --------
    >>> import tempfile
    >>> things = Table("things", MetaData(), Column("name", Text, primary_key=True))
    >>> schema = Schema("things_migrations", (("first table", things.create),))
    >>> with Database.open(Path(tempfile.mkdtemp()) / "a.sqlite", schema) as database:
    ...     with database.write() as connection:
    ...         _ = connection.execute(database.insert(things).values(name="a").on_conflict_do_nothing())
    ...     with database.read() as connection:
    ...         connection.scalars(sa.select(things.c.name)).all()
    ['a']
    """

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self.where = where
        self._engine = engine
        self._writing = threading.Lock()

    @classmethod
    def open(cls, url_or_path: str | Path, schema: Schema, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open or create a database; check that SQLite's file is whole and bring its tables up to date.

        Parameters
        ----------
        url_or_path : str or Path
            A path of a SQLite file, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        schema : Schema
        busy_seconds : float
            How long SQLite waits for another writer before it gives up.

        Raises
        ------
        StoreError
            It cannot be reached, is damaged, is no database, or was written by a newer version.
        MissingExtraError
            A PostgreSQL URL without psycopg.
        """
        url = _url(url_or_path)
        database = cls(_engine(url, busy_seconds), _where(url))
        try:
            with database.write() as connection:
                if connection.dialect.name == "sqlite":
                    state = connection.scalar(sa.text("PRAGMA quick_check(1)"))
                    if state != "ok":
                        raise StoreError(_damaged(database.where, str(state)))
                migrate(connection, schema, database.where)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection to read by; one consistent view as long as it lasts."""
        with told(self.where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection that holds the write lock until it is committed; an exception undoes all."""
        # Threads queue here rather than in SQLite, whose waiting is by polling.
        writer = self._engine.execution_options(writes=True)
        with self._writing, told(self.where), writer.begin() as connection:
            yield connection

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        # The two say the same, but each dialect only compiles its own.
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        return postgresql.insert(table)


def migrate(connection: sa.Connection, schema: Schema, where: str) -> None:
    """Bring the tables up to the last migration, within the caller's transaction.

    Raises
    ------
    StoreError
        They were written by a newer version.
    """
    if connection.dialect.name == "postgresql":  # SQLite's own lock is held already
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    table = schema.done
    table.create(connection, checkfirst=True)
    done = connection.scalar(sa.select(sa.func.max(table.c.number))) or 0
    if done > len(schema.migrations):
        raise StoreError(
            f"{where}: written by a newer version (schema {done}, this one knows {len(schema.migrations)});"
            " upgrade vermilion, or use another place"
        )
    for number, (name, apply) in enumerate(schema.migrations[done:], start=done + 1):
        apply(connection)
        connection.execute(sa.insert(table).values(number=number, name=name))


def now() -> str:
    """Return the time in UTC as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(url_or_path)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            "the database: expected a path or postgresql://USER@HOST/DATABASE, found another URL; mend it"
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise StoreError(f"{_where(url)}: expected SQLite or PostgreSQL, found {backend}; give another URL")


def _where(url: URL) -> str:
    """Return what messages call the database: the path, or the URL without its password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def _engine(url: URL, busy_seconds: float) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": busy_seconds})
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise MissingExtraError("psycopg", "postgres") from None


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the library's own transactions leave CREATE TABLE out
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that takes its lock only at its first write may find what it has read outdated, and fails.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn a database's error into one line."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        problem = str(getattr(error, "orig", None) or error).strip().splitlines() or ["an error"]
        # Not chained: the library's exception may hold the URL with its password.
        raise StoreError(_damaged(where, problem[0])) from None


def _damaged(where: str, problem: str) -> str:
    if any(sign in problem for sign in ("malformed", "not a database", "***", "corrupt")):
        return (
            f"{where}: damaged or no database ({problem.strip('* ')}); restore a copy, or use another place"
        )
    return f"{where}: the database refuses: {problem[:300]}; nothing that was stored is lost"
