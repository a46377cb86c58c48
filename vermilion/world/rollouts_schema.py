"""Tables of the rollouts and their numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text

from vermilion.world.database import NUMBER, Schema

metadata = MetaData()

rollouts = Table(
    "vermilion_rollouts",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("champion", Integer, nullable=False),
    Column("challenger", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text, nullable=False),
    # A verdict is written first and the alias is moved after it; until that is done, it is still to do.
    Column("to_move", Boolean, nullable=False),
    # Seconds in service, and what the tests have found so far.
    Column("seconds", Float, nullable=False),
    Column("evidence", Text),
)
Index(
    "vermilion_rollouts_running",
    rollouts.c.name,
    unique=True,
    sqlite_where=rollouts.c.state == "running",
    postgresql_where=rollouts.c.state == "running",
)

# One row a name, so that workers see by one small query whether anything has changed.
generations = Table(
    "vermilion_rollout_generations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
)


def _rollout() -> Column[int]:
    return Column("rollout", NUMBER, ForeignKey("vermilion_rollouts.id"), nullable=False)


# What one source (a worker, from its start to its end) has counted in all: written again, it is the same.
counts = Table(
    "vermilion_rollout_counts",
    metadata,
    _rollout(),
    Column("source", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("rollout", "source", "arm", "metric"),
)

disagreements = Table(
    "vermilion_rollout_disagreements",
    metadata,
    _rollout(),
    Column("decision", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("challenger", Text, nullable=False),
    Column("right", Text),
    Column("at", Text, nullable=False),
    sa.PrimaryKeyConstraint("rollout", "decision"),
    Index("vermilion_rollout_disagreements_decision", "decision"),
)

# What an arm answered, kept until feedback says what is right: of a canary and an A/B test.
answers = Table(
    "vermilion_rollout_answers",
    metadata,
    _rollout(),
    Column("decision", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("right", Text),
    sa.PrimaryKeyConstraint("rollout", "decision"),
    Index("vermilion_rollout_answers_decision", "decision"),
)

# How far feedback was read.
marks = Table(
    "vermilion_rollout_marks",
    metadata,
    Column("what", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

events = Table(
    "vermilion_rollout_events",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    _rollout(),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("vermilion_rollout_events_rollout", "rollout", "number"),
)

# Who judges: the holder raises `beat`; where it stands still, another may take over.
leases = Table(
    "vermilion_rollout_leases",
    metadata,
    Column("what", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)


# Once a table changes, the first migration keeps its own copy of what it made.
SCHEMA = Schema("vermilion_rollout_migrations", (("first tables", _first_tables),))
