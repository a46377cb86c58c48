"""The audit log of a service: who did what, when and why, as a chain of hashes that nobody can mend in secret.

Each entry's hash covers the entry and the hash before it; the last hash is kept once more beside the chain. Whoever
writes to the log does so in the transaction of what is told, so that nothing happens untold and nothing is told that
did not happen. The order is that of the numbers: a clock may jump.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from vermilion.errors import InputError, StoreError
from vermilion.world.database import Database, Schema, migrate, now

metadata = MetaData()
entries = Table(
    "vermilion_audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("details", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
# One row: where the chain ends. Taking entries off the end leaves it behind.
head = Table(
    "vermilion_audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
FIRST = 64 * "0"


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    connection.execute(sa.insert(head).values(id=1, number=0, hash=FIRST))


SCHEMA = Schema("vermilion_audit_migrations", (("audit log", _first_tables),))


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends; noted outside the database, it proves later that nothing before it was changed.

    Examples
    --------
    >>> Head.parse("3:" + 64 * "a").number
    3
    """

    number: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read NUMBER:HASH.

        Raises
        ------
        InputError
            It is something else.
        """
        number, _, digest = text.partition(":")
        if not (number.isascii() and number.isdecimal() and len(digest) == len(FIRST)):
            cure = "give the head that `vermilion models verify` printed"
            raise InputError("NUMBER:HASH with 64 hex digits", repr(text), "the head of the log", cure)
        return cls(int(number), digest.lower())

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Attributes
    ----------
    number : int
        From 1, without a gap.
    at : str
        ISO 8601 in UTC, as the clock said; the order is that of `number`.
    actor, action, subject : str
        Who did what to what, as "alice", "promote", "intent@champion".
    details : mapping
        Plain JSON.
    previous, hash : str
        64 hex digits each.
    """

    number: int
    at: str
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous: str
    hash: str


def prepare(database: Database) -> None:
    """Make the log's tables in a database of another part, once it is open."""
    with database.write() as connection:
        migrate(connection, SCHEMA, database.where)


def append_log(
    connection: sa.Connection, actor: str, action: str, subject: str, details: Mapping[str, Any]
) -> Head:
    """Write an entry within the caller's transaction, as the last thing in it.

    From here to the commit no other transaction can write to the log, and whoever takes the log's lock before its
    own rows may wait for somebody who waits for it.

    Parameters
    ----------
    connection
        As from `Database.write`.
    actor, action, subject, details
        As in `Entry`.

    Returns
    -------
    Head
        The new end of the chain.

    Raises
    ------
    StoreError
        The chain has no end: the database was changed by hand.
    """
    last = connection.execute(sa.select(head.c.number, head.c.hash).with_for_update()).one_or_none()
    if last is None:
        raise StoreError(
            "the audit log's head is gone, so nothing can be added; restore a copy of the database"
        )
    told = json.dumps(details, sort_keys=True, separators=(",", ":"))
    row = {
        "number": last.number + 1,
        "at": now(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": told,
        "previous": last.hash,
    }
    digest = _hash(row)
    connection.execute(sa.insert(entries).values(**row, hash=digest))
    connection.execute(sa.update(head).values(number=row["number"], hash=digest))
    return Head(last.number + 1, digest)


def _hash(row: Mapping[str, Any] | sa.RowMapping) -> str:
    """Return the hash of an entry, which covers all but itself."""
    names = ("number", "at", "actor", "action", "subject", "details", "previous")
    return hashlib.sha256(json.dumps([row[name] for name in names]).encode()).hexdigest()


def read_log(connection: sa.Connection, subject: str | None = None) -> list[Entry]:
    """Return the entries in their order; with `subject`, those of it and of what stands behind an @ after it."""
    return [
        Entry(**{**row, "details": json.loads(row["details"])})
        for row in _rows(connection)
        if subject is None or row["subject"].partition("@")[0] == subject
    ]


def verify_log(connection: sa.Connection, expected: Head | None = None) -> Head:
    """Check the whole chain, and return its end.

    What it cannot see: a database in which all entries from some place on, and the head, were written anew. Against
    that, note a head elsewhere and give it as `expected`.

    Parameters
    ----------
    expected : Head, optional
        An earlier end of the chain.

    Raises
    ------
    StoreError
        An entry was changed, taken out, put in or moved; the first that is wrong is named.
    """
    last = Head(0, FIRST)
    for row in _rows(connection):
        if row["number"] != last.number + 1:
            raise _broken(last.number + 1, "is missing")
        if row["previous"] != last.hash:
            raise _broken(row["number"], "does not follow the one before it")
        if row["hash"] != _hash(row):
            raise _broken(row["number"], "was changed")
        last = Head(row["number"], row["hash"])
        if expected is not None and expected.number == last.number and expected != last:
            raise _broken(last.number, "is not the one whose hash was noted")
    end = connection.execute(sa.select(head.c.number, head.c.hash)).one_or_none()
    known = max((Head(*end) if end else last, expected or last), key=lambda one: one.number)
    if end is None or known.number > last.number:
        raise _broken(last.number + 1, "is missing, or was taken off the end")
    if end.number != last.number or end.hash != last.hash:
        raise _broken(last.number, "is not where the chain's head says it ends")
    return last


def _rows(connection: sa.Connection) -> Iterator[sa.RowMapping]:
    yield from connection.execute(sa.select(entries).order_by(entries.c.number)).mappings()


def _broken(number: int, problem: str) -> StoreError:
    return StoreError(
        f"the audit log: entry {number} {problem}; somebody wrote to the database by other means, compare it with"
        " a copy"
    )
