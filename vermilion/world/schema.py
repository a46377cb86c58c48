"""The tables of the store, and the numbered steps that bring an older database up to date."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from vermilion.errors import StoreError

METADATA = sa.MetaData()


def _table(name: str, *columns: sa.Column[object]) -> sa.Table:
    run = sa.Column("run", sa.String(500), nullable=False, primary_key=name != "calls")
    return sa.Table(f"vermilion_{name}", METADATA, run, *columns)


VERDICTS = _table(
    "verdicts",
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("label", sa.Text),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Double, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
)
CALLS = _table(
    "calls",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Double, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
)
sa.Index("vermilion_calls_by_key", CALLS.c.run, CALLS.c.key)
DOCUMENTS = _table(
    "documents",
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
VERSION = sa.Table("vermilion_version", sa.MetaData(), sa.Column("version", sa.Integer, nullable=False))


def _first(connection: sa.Connection) -> None:
    METADATA.create_all(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_first,)


def migrate(connection: sa.Connection, where: str) -> None:
    """Run the steps that the database has not seen, in the connection's transaction.

    Raises
    ------
    StoreError
        The database was written by a newer version.
    """
    VERSION.create(connection, checkfirst=True)
    done = connection.execute(sa.select(sa.func.coalesce(sa.func.max(VERSION.c.version), 0))).scalar_one()
    if done > len(MIGRATIONS):
        raise StoreError(
            f"{where}: a newer vermilion wrote it (version {done}, known {len(MIGRATIONS)}); update"
        )
    for number, step in enumerate(MIGRATIONS[done:], start=done + 1):
        step(connection)
        connection.execute(VERSION.insert().values(version=number))
