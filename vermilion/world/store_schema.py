"""Tables of the store and its numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from vermilion.errors import StoreError

# SQLite numbers rows by itself only where the type is INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")
# Any number will do that no other program uses for an advisory lock.
_MIGRATION_LOCK = 7_308_332_184

metadata = MetaData()


def _run() -> Column[str]:
    return Column("run", Text, ForeignKey("vermilion_runs.run"), nullable=False)


def _spend() -> list[Column[int]]:
    names = ("calls", "prompt_tokens", "completion_tokens", "cost_pico")
    return [Column(name, BigInteger, nullable=False) for name in names]


# One row a run: the sums of its ledger, so that a cap is checked without adding up.
runs = Table("vermilion_runs", metadata, Column("run", Text, primary_key=True), *_spend())

ledger = Table(
    "vermilion_ledger",
    metadata,
    Column("ticket", _Number, primary_key=True, autoincrement=True),
    _run(),
    Column("key", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    *_spend(),
    Index("vermilion_ledger_key", "run", "key"),
)

verdicts = Table(
    "vermilion_verdicts",
    metadata,
    _run(),
    Column("key", Text, nullable=False),
    Column("label", Text),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("at", Text, nullable=False),
    *_spend(),
    sa.PrimaryKeyConstraint("run", "key"),
)

documents = Table(
    "vermilion_documents",
    metadata,
    _run(),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("keep", Boolean, nullable=False),
    sa.PrimaryKeyConstraint("run", "name"),
)

events = Table(
    "vermilion_events",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _run(),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("vermilion_events_run", "run", "number"),
)

_migrations = Table(
    "vermilion_migrations",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)


# Numbered from 1 and only ever added to. Once a table changes, the first migration keeps its own copy of
# what it made.
MIGRATIONS: tuple[tuple[str, Callable[[sa.Connection], None]], ...] = (("first tables", _first_tables),)


def migrate(connection: sa.Connection, where: str) -> None:
    """Bring the database up to the last migration, within the caller's transaction.

    Raises
    ------
    StoreError
        The database was written by a newer version.
    """
    if connection.dialect.name == "postgresql":  # SQLite's own lock is held already
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    _migrations.create(connection, checkfirst=True)
    done = connection.scalar(sa.select(sa.func.max(_migrations.c.number))) or 0
    if done > len(MIGRATIONS):
        raise StoreError(
            f"{where}: written by a newer version (schema {done}, this one knows {len(MIGRATIONS)});"
            " upgrade vermilion, or use another --out"
        )
    for number, (name, apply) in enumerate(MIGRATIONS[done:], start=done + 1):
        apply(connection)
        connection.execute(sa.insert(_migrations).values(number=number, name=name))
