"""Tables of the store and its numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text

from vermilion.world.database import NUMBER, Schema

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
    Column("ticket", NUMBER, primary_key=True, autoincrement=True),
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
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    _run(),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("vermilion_events_run", "run", "number"),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)


# Once a table changes, the first migration keeps its own copy of what it made.
SCHEMA = Schema("vermilion_migrations", (("first tables", _first_tables),))
