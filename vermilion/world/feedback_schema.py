"""Tables of feedback and their numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from vermilion.world.database import NUMBER, Schema

metadata = MetaData()

# Only ever added to: who changes their mind adds a row that replaces the one before.
feedback = Table(
    "vermilion_feedback",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("decision", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("labels", Text, nullable=False),  # a JSON list
    Column("at", Text, nullable=False),
    Column("replaces", NUMBER),
    Index("vermilion_feedback_decision", "decision", "key", "number"),
)

# What decisions' ids are signed with: in the database, as several machines may share it.
signing = Table(
    "vermilion_decision_ids",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(sa.insert(signing).values(one=1, secret=secrets.token_bytes(32)))


# Once a table changes, the first migration keeps its own copy of what it made.
SCHEMA = Schema("vermilion_feedback_migrations", (("first tables", _first_tables),))
