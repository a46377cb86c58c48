"""Tables of the API keys and their numbered migrations, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text

from vermilion.world.database import Schema

metadata = MetaData()

keys = Table(
    "vermilion_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # with blanks between them
    Column("hash", Text, nullable=False),
    # The hash before a rotation, and until when it still opens.
    Column("old_hash", Text),
    Column("old_until", Text),
    Column("rate", Float),
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Text),
    Column("revoked_at", Text),
    Column("used_at", Text),
)

# One row: raised by each change, so that a copy knows by one small read whether it is still good.
generations = Table(
    "vermilion_keys_generation",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
)


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(sa.insert(generations).values(one=1, generation=0))


# Once a table changes, the first migration keeps its own copy of what it made.
SCHEMA = Schema("vermilion_keys_migrations", (("first tables", _first_tables),))
