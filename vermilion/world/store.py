"""The store: verdicts, spending, and the state of a run, in SQLite or PostgreSQL.

Everything is keyed by a run, so that several may share one database. What was paid for is never deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from vermilion.config import Caps
from vermilion.types import Meter, Question, Spend, Verdict
from vermilion.world import store_schema
from vermilion.world.database import Database, now
from vermilion.world.ledger import CHUNK, Ledger, to_row, to_spend
from vermilion.world.store_schema import documents, events, runs, verdicts

JSON = Any


class Store:
    """All that must outlive the process; open it with `Store.open`. Safe to use from several threads.

    Examples
    --------
    >>> import tempfile
    >>> from vermilion.types import Question, Verdict
    >>> path = Path(tempfile.mkdtemp()) / "run.sqlite"
    >>> with Store.open(path) as store:
    ...     store.add_verdicts([(Verdict("k1", "refund"), Question("pay me", ("refund", "fee")), 0)])
    ...     store.verdicts(["k1", "k2"])
    {'k1': Verdict(key='k1', label='refund', spend=Spend(calls=0, ...))}
    """

    def __init__(self, database: Database, run: str) -> None:
        self._database, self._run = database, run
        self._ledger = Ledger(run, database.write)

    @classmethod
    def open(cls, url_or_path: str | Path, run: str = "default") -> Self:
        """Open or create a store; bring its tables up to date.

        Parameters
        ----------
        url_or_path : str or Path
            A path of a SQLite file, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        run : str
            Whose rows to see; several runs may share one database.

        Raises
        ------
        StoreError
            It cannot be reached, is damaged, is no database, or was written by a newer version.
        MissingExtraError
            A PostgreSQL URL without psycopg.
        """
        database = Database.open(url_or_path, store_schema.SCHEMA)
        try:
            with database.write() as connection:
                row = {"run": run, **to_row(Spend())}
                connection.execute(database.insert(runs).values(**row).on_conflict_do_nothing())
        except BaseException:
            database.close()
            raise
        return cls(database, run)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """Return the stored verdicts among these keys."""
        found: dict[str, Verdict] = {}
        with self._database.read() as connection:
            for start in range(0, len(keys), CHUNK):
                some = verdicts.c.key.in_(keys[start : start + CHUNK])
                query = sa.select(verdicts).where(verdicts.c.run == self._run, some)
                for row in connection.execute(query).mappings():
                    found[row["key"]] = Verdict(row["key"], row["label"], to_spend(row))
        return found

    def add_verdicts(self, answered: Sequence[tuple[Verdict, Question, int]]) -> None:
        """Store (verdict, its question, round) rows in one transaction; of the same key the first one stays."""
        if not answered:
            return
        at = now()
        rows = [
            {
                "run": self._run,
                "key": verdict.key,
                "label": verdict.label,
                "kind": question.kind,
                "text": question.text,
                "options": json.dumps(question.options, ensure_ascii=False),
                "round": round_,
                "at": at,
                **to_row(verdict.spend),
            }
            for verdict, question, round_ in answered
        ]
        with self._database.write() as connection:
            connection.execute(self._database.insert(verdicts).on_conflict_do_nothing(), rows)

    def count_verdicts(self) -> int:
        """Return how many verdicts the run has."""
        query = sa.select(sa.func.count()).select_from(verdicts).where(verdicts.c.run == self._run)
        with self._database.read() as connection:
            return int(connection.scalar(query) or 0)

    def meter(self, caps: Caps) -> Meter:
        """Return a meter that keeps spending under these caps; all meters of a run share what is spent."""
        return self._ledger.meter(caps)

    def spent(self) -> Spend:
        """Return what the run has spent in all, open reservations at their worst case."""
        return self._ledger.spent()

    def put(self, name: str, value: JSON, *, keep: bool = False) -> None:
        """Store a small JSON value by name, in place of the one before.

        Parameters
        ----------
        keep : bool
            Whether it was paid for, and so outlives `clear`.
        """
        row = {"value": json.dumps(value, ensure_ascii=False), "keep": keep}
        statement = self._database.insert(documents).values(run=self._run, name=name, **row)
        with self._database.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[documents.c.run, documents.c.name], set_=row)
            )

    def get(self, name: str) -> JSON | None:
        """Return the value of this name, or None."""
        query = sa.select(documents.c.value).where(documents.c.run == self._run, documents.c.name == name)
        with self._database.read() as connection:
            value = connection.scalar(query)
        return None if value is None else json.loads(value)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of values that begin so, sorted."""
        query = sa.select(documents.c.name).where(
            documents.c.run == self._run, documents.c.name.startswith(prefix, autoescape=True)
        )
        with self._database.read() as connection:
            # SQLite's LIKE takes no notice of case.
            return sorted(name for name in connection.scalars(query) if name.startswith(prefix))

    def log(self, kind: str, body: JSON) -> None:
        """Append one event; events are never changed or deleted."""
        row = {"run": self._run, "at": now(), "kind": kind, "body": json.dumps(body, ensure_ascii=False)}
        with self._database.write() as connection:
            connection.execute(sa.insert(events).values(**row))

    def events(self) -> list[tuple[str, str, JSON]]:
        """Return (time as ISO 8601 in UTC, kind, body) of each event, oldest first."""
        query = sa.select(events).where(events.c.run == self._run).order_by(events.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [(row["at"], row["kind"], json.loads(row["body"])) for row in rows]

    def clear(self) -> None:
        """Start over: forget the run's plans, and count its spending from nothing. Nothing paid for is lost.

        Verdicts stay, and are found again by whoever asks the same; so do values stored with `keep`. What was
        spent so far is written down as an event.
        """
        self.begin_anew({}, "cleared", None)

    def begin_anew(self, values: Mapping[str, JSON], kind: str, body: JSON) -> None:
        """Start over with these values in place of the run's plans, in one step: see `clear`.

        Parameters
        ----------
        values : mapping of name to value
            What the run begins with.
        kind, body
            Of the event that is logged; the spending so far stands beside `body` in it.
        """
        told = asdict(self.spent()) | ({} if body is None else {"why": body})
        mine = documents.c.run == self._run
        rows = [
            {"run": self._run, "name": name, "value": json.dumps(value, ensure_ascii=False), "keep": False}
            for name, value in values.items()
        ]
        event = {"run": self._run, "at": now(), "kind": kind, "body": json.dumps(told, ensure_ascii=False)}
        with self._database.write() as connection:
            connection.execute(sa.insert(events).values(**event))
            connection.execute(sa.delete(documents).where(mine, documents.c.keep.is_(False)))
            if rows:
                connection.execute(sa.insert(documents), rows)
            self._ledger.clear(connection)

    def take_over(self, other: Store) -> None:
        """Copy all that another run has paid for: its verdicts, and the values that it keeps."""
        paid = verdicts.c.run == other._run
        kept = (documents.c.run == other._run) & documents.c.keep
        for table, which in ((verdicts, paid), (documents, kept)):
            with other._database.read() as connection:
                rows = [
                    {**row, "run": self._run}
                    for row in connection.execute(sa.select(table).where(which)).mappings()
                ]
            with self._database.write() as connection:
                for start in range(0, len(rows), CHUNK):
                    some = self._database.insert(table).on_conflict_do_nothing()
                    connection.execute(some, rows[start : start + CHUNK])
