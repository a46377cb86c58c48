"""Tables of the registry and its numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Integer, MetaData, Table, Text

from vermilion.world.database import Schema

metadata = MetaData()

# One row: which registry this is, so that a folder of versions is not swept by another.
identity = Table("vermilion_registry", metadata, Column("id", Text, primary_key=True))

# One row a name. The last number outlives its version: a number is never given twice.
names = Table(
    "vermilion_names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
)

versions = Table(
    "vermilion_versions",
    metadata,
    Column("name", Text, sa.ForeignKey("vermilion_names.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", Text, nullable=False, index=True),
    Column("metadata", Text, nullable=False),
    Column("added_at", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    sa.PrimaryKeyConstraint("name", "number"),
    sa.UniqueConstraint("name", "digest"),
)


def _version() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["name", "number"], ["vermilion_versions.name", "vermilion_versions.number"])


# `entry` is the number of the log's entry that tells of the last move.
aliases = Table(
    "vermilion_aliases",
    metadata,
    Column("name", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("entry", BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("name", "alias"),
    _version(),
)

# What an alias pointed to before, the last on top: the way back.
ways = Table(
    "vermilion_ways",
    metadata,
    Column("name", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    sa.PrimaryKeyConstraint("name", "alias", "depth"),
    _version(),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(sa.insert(identity).values(id=uuid.uuid4().hex))


# Once a table changes, the first migration keeps its own copy of what it made.
SCHEMA = Schema("vermilion_registry_migrations", (("first tables", _first_tables),))
