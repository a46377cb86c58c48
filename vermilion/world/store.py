"""The store: verdicts, spending, and the state of a run, in SQLite or PostgreSQL.

Everything is keyed by a run, so that several may share one database. What was paid for is never deleted.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from vermilion.config import Caps
from vermilion.errors import MissingExtraError, StoreError
from vermilion.types import Meter, Question, Spend, Verdict
from vermilion.world.ledger import CHUNK, Ledger, to_row, to_spend
from vermilion.world.store_schema import documents, events, migrate, runs, verdicts

JSON = Any
BUSY_SECONDS = 30


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

    def __init__(self, engine: sa.Engine, run: str, where: str) -> None:
        self._engine, self._run, self._where = engine, run, where
        self._writing = threading.Lock()
        self._ledger = Ledger(run, self._write)

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
        url = _url(url_or_path)
        where = _where(url)
        store = cls(_engine(url), run, where)
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """Return the stored verdicts among these keys."""
        found: dict[str, Verdict] = {}
        with self._read() as connection:
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
        now = _now()
        rows = [
            {
                "run": self._run,
                "key": verdict.key,
                "label": verdict.label,
                "kind": question.kind,
                "text": question.text,
                "options": json.dumps(question.options, ensure_ascii=False),
                "round": round_,
                "at": now,
                **to_row(verdict.spend),
            }
            for verdict, question, round_ in answered
        ]
        with self._write() as connection:
            connection.execute(self._insert(verdicts).on_conflict_do_nothing(), rows)

    def count_verdicts(self) -> int:
        """Return how many verdicts the run has."""
        query = sa.select(sa.func.count()).select_from(verdicts).where(verdicts.c.run == self._run)
        with self._read() as connection:
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
        statement = self._insert(documents).values(run=self._run, name=name, **row)
        with self._write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[documents.c.run, documents.c.name], set_=row)
            )

    def get(self, name: str) -> JSON | None:
        """Return the value of this name, or None."""
        query = sa.select(documents.c.value).where(documents.c.run == self._run, documents.c.name == name)
        with self._read() as connection:
            value = connection.scalar(query)
        return None if value is None else json.loads(value)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of values that begin so, sorted."""
        query = sa.select(documents.c.name).where(
            documents.c.run == self._run, documents.c.name.startswith(prefix, autoescape=True)
        )
        with self._read() as connection:
            # SQLite's LIKE takes no notice of case.
            return sorted(name for name in connection.scalars(query) if name.startswith(prefix))

    def log(self, kind: str, body: JSON) -> None:
        """Append one event; events are never changed or deleted."""
        row = {"run": self._run, "at": _now(), "kind": kind, "body": json.dumps(body, ensure_ascii=False)}
        with self._write() as connection:
            connection.execute(sa.insert(events).values(**row))

    def events(self) -> list[tuple[str, str, JSON]]:
        """Return (time as ISO 8601 in UTC, kind, body) of each event, oldest first."""
        query = sa.select(events).where(events.c.run == self._run).order_by(events.c.number)
        with self._read() as connection:
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
        event = {"run": self._run, "at": _now(), "kind": kind, "body": json.dumps(told, ensure_ascii=False)}
        with self._write() as connection:
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
            with other._read() as connection:
                rows = [
                    {**row, "run": self._run}
                    for row in connection.execute(sa.select(table).where(which)).mappings()
                ]
            with self._write() as connection:
                for start in range(0, len(rows), CHUNK):
                    some = self._insert(table).on_conflict_do_nothing()
                    connection.execute(some, rows[start : start + CHUNK])

    def _prepare(self) -> None:
        with self._write() as connection:
            if self._engine.dialect.name == "sqlite":
                state = connection.scalar(sa.text("PRAGMA quick_check(1)"))
                if state != "ok":
                    raise StoreError(_damaged(self._where, str(state)))
            migrate(connection, self._where)
            zero = to_row(Spend())
            connection.execute(self._insert(runs).values(run=self._run, **zero).on_conflict_do_nothing())

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        # The two say the same, but each dialect only compiles its own.
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        return postgresql.insert(table)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with _told(self._where), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        # Threads queue here rather than in SQLite, whose waiting is by polling.
        writer = self._engine.execution_options(writes=True)
        with self._writing, _told(self._where), writer.begin() as connection:
            yield connection


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(url_or_path)
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError(
            "--store: expected a path or postgresql://USER@HOST/DATABASE, found another URL; mend it"
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise StoreError(f"{_where(url)}: expected SQLite or PostgreSQL, found {backend}; give another URL")


def _where(url: URL) -> str:
    """Return what messages call the database: the path, or the URL without its password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise MissingExtraError("psycopg", "postgres") from None


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the library's own transactions leave CREATE TABLE out
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that takes its lock only at its first write may find what it has read outdated, and fails.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn a database's error into one line."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        problem = str(getattr(error, "orig", None) or error).strip().splitlines() or ["an error"]
        # Not chained: the library's exception may hold the URL with its password.
        raise StoreError(_damaged(where, problem[0])) from None


def _damaged(where: str, problem: str) -> str:
    if any(sign in problem for sign in ("malformed", "not a database", "***", "corrupt")):
        return (
            f"{where}: damaged or not a store ({problem.strip('* ')}); restore a copy, or use another --out"
        )
    return f"{where}: the database refuses: {problem[:300]}; nothing that was stored is lost"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
