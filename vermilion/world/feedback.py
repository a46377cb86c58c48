"""Feedback: the right label of what was answered, told later; durable before it is acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world import feedback_schema
from vermilion.world.database import Database, now
from vermilion.world.decision_ids import DecisionIds
from vermilion.world.feedback_schema import feedback, signing
from vermilion.world.home import Home

MOST_LABELS, LONGEST_LABEL = 100, 500
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """What one key said of one decision.

    Attributes
    ----------
    number : int
        Grows with each row: who has seen all up to a number asks for those since.
    labels : tuple of str
        The right labels; one, or of a task with several labels any number.
    replaces : int or None
        The number of what the same key said of the same decision before. The latest holds.
    """

    number: int
    decision: str
    key: str
    labels: tuple[str, ...]
    at: str
    replaces: int | None


class Feedback:
    """What was said of decisions. Safe to use from several threads and processes.

    Attributes
    ----------
    ids : DecisionIds
        Gives out the ids that feedback can be about.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.read() as connection:
            self.ids = DecisionIds(bytes(connection.scalars(sa.select(signing.c.secret)).one()))

    @classmethod
    def open(cls, home: Home) -> Feedback:
        """Open the home's database; `StoreError` where that cannot be done."""
        return cls(Database.open(home.database, feedback_schema.SCHEMA))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, decision: str, label: str | Sequence[str], *, key: str, at: str | None = None) -> Told:
        """Write down the right label, or labels, of a decision; it is on the disk when this returns.

        The same said again by the same key changes nothing; something else replaces what it said before, and both
        are kept. Other keys speak for themselves.

        Parameters
        ----------
        decision : str
            The id that came with the answer.
        label : str or sequence of str
        key : str
            The id of the key that says so.
        at : str, optional
            When, as `now()` gives it.

        Raises
        ------
        UnknownDecisionError
            This service never gave that id out.
        InputError
            No label, or one of over 500 characters.
        """
        self.ids.made_at(decision)
        labels = _checked(label)
        with self._database.write() as connection:
            _alone(connection)
            before = _latest(connection, decision, key)
            if before is not None and before.labels == labels:
                return before
            replaces = None if before is None else before.number
            at = at or now()
            row = {
                "decision": decision,
                "key": key,
                "labels": json.dumps(labels, ensure_ascii=False),
                "at": at,
                "replaces": replaces,
            }
            added = sa.insert(feedback).values(row).returning(feedback.c.number)
            number = connection.execute(added).scalar_one()
            return Told(number, decision, key, labels, at, replaces)

    def since(self, number: int = 0) -> Iterator[Told]:
        """Yield what was said after that number, in order; a row's `replaces` tells what no longer holds."""
        while True:
            later = (
                sa.select(feedback).where(feedback.c.number > number).order_by(feedback.c.number).limit(PAGE)
            )
            with self._database.read() as connection:
                rows = connection.execute(later).mappings().all()
            yield from map(_told, rows)
            if len(rows) < PAGE:
                return
            number = rows[-1]["number"]

    def of(self, decision: str) -> list[Told]:
        """Return what holds of one decision: the latest of each key."""
        said = sa.select(feedback).where(feedback.c.decision == decision).order_by(feedback.c.number)
        with self._database.read() as connection:
            rows = connection.execute(said).mappings().all()
        return list({row["key"]: _told(row) for row in rows}.values())


def _alone(connection: sa.Connection) -> None:
    """Let one write at a time, else a number may be seen before a smaller one. SQLite does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE vermilion_feedback IN EXCLUSIVE MODE"))


def _latest(connection: sa.Connection, decision: str, key: str) -> Told | None:
    mine = (feedback.c.decision == decision) & (feedback.c.key == key)
    last = sa.select(feedback).where(mine).order_by(feedback.c.number.desc()).limit(1)
    row = connection.execute(last).mappings().first()
    return None if row is None else _told(row)


def _told(row: sa.RowMapping) -> Told:
    return Told(**{**row, "labels": tuple(json.loads(row["labels"]))})


def _checked(label: str | Sequence[str]) -> tuple[str, ...]:
    labels = (label,) if isinstance(label, str) else tuple(dict.fromkeys(label))
    if len(labels) > MOST_LABELS:
        raise InputError(f"up to {MOST_LABELS} labels", str(len(labels)), "label", "send fewer")
    for one in labels:
        if not one.strip() or len(one) > LONGEST_LABEL or not _storable(one):
            raise InputError(
                f"a label of 1 to {LONGEST_LABEL} characters", repr(one[:40]), "label", "send the right label"
            )
    return labels


def _storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, and nobody keeps half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
