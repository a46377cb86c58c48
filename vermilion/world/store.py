"""The store: what was asked and answered, what was spent, where a run stands; SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from vermilion.config import Caps
from vermilion.errors import MissingExtraError, StoreError
from vermilion.types import Question, Spend, Verdict
from vermilion.world.ledger import Ledger
from vermilion.world.schema import CALLS, DOCUMENTS, VERDICTS, migrate

# SQLite allows some 32,000 parameters in one statement, PostgreSQL 65,535.
CHUNK = 5_000


class Store:
    """One run's part of a database. Every row carries the run's id, so several runs may share a PostgreSQL.

    Parameters
    ----------
    engine : sqlalchemy.Engine
    run : str
    where : str
        For messages; a URL's password is not in it.
    """

    def __init__(self, engine: sa.Engine, run: str, where: str) -> None:
        self.engine, self.run, self.where = engine, run, where

    @classmethod
    def open(cls, place: str | Path, run: str = "default") -> Self:
        """Open a database file or URL, and bring its tables up to date.

        Raises
        ------
        StoreError
            It cannot be reached, is damaged, or was written by a newer version.
        """
        url, where = _address(place)
        with _told(where):
            engine = _engine(url)
            with engine.begin() as connection:
                migrate(connection, where)
        return cls(engine, run, where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with _told(self.where), self.engine.begin() as connection:
            yield connection

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        """Return the stored verdicts of these keys."""
        found: dict[str, Verdict] = {}
        table = VERDICTS.c
        with self._begin() as connection:
            for start in range(0, len(keys), CHUNK):
                chosen = sa.and_(table.run == self.run, table.key.in_(keys[start : start + CHUNK]))
                for row in connection.execute(sa.select(VERDICTS).where(chosen)):
                    spend = Spend(1, row.prompt_tokens, row.completion_tokens, row.cost_usd)
                    found[row.key] = Verdict(row.key, row.label, spend)
        return found

    def add_verdicts(self, verdicts: Sequence[tuple[Verdict, Question, int]]) -> None:
        """Store verdicts with their questions and steps in one transaction; of two with one key the first stays."""
        if not verdicts:
            return
        rows = {
            verdict.key: {
                "run": self.run,
                "key": verdict.key,
                "label": verdict.label,
                "prompt_tokens": verdict.spend.prompt_tokens,
                "completion_tokens": verdict.spend.completion_tokens,
                "cost_usd": verdict.spend.cost_usd,
                "step": step,
                "question": json.dumps(asdict(question), ensure_ascii=False),
            }
            for verdict, question, step in reversed(verdicts)
        }
        known = self.verdicts(list(rows))
        fresh = [row for key, row in rows.items() if key not in known]
        if fresh:
            with self._begin() as connection:
                connection.execute(VERDICTS.insert(), fresh)

    def count_verdicts(self) -> int:
        """Return how many verdicts the run has."""
        counted = sa.select(sa.func.count()).where(VERDICTS.c.run == self.run)
        with self._begin() as connection:
            return int(connection.execute(counted).scalar_one())

    def meter(self, caps: Caps) -> Ledger:
        """Return what keeps spending under `caps`."""
        return Ledger(self.engine, self.run, caps)

    def spent(self) -> Spend:
        """Return what was spent; calls under way count with the most they can take."""
        columns = [CALLS.c.calls, CALLS.c.prompt_tokens, CALLS.c.completion_tokens, CALLS.c.cost_usd]
        sums = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))
        with self._begin() as connection:
            calls, prompt, completion, cost = connection.execute(sums.where(CALLS.c.run == self.run)).one()
        return Spend(int(calls), int(prompt), int(completion), float(cost))

    def put(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name, in the place of what was there."""
        chosen = sa.and_(DOCUMENTS.c.run == self.run, DOCUMENTS.c.name == name)
        with self._begin() as connection:
            connection.execute(DOCUMENTS.delete().where(chosen))
            connection.execute(DOCUMENTS.insert().values(run=self.run, name=name, value=json.dumps(value)))

    def get(self, name: str) -> Any:
        """Return the value kept under a name, or None."""
        chosen = sa.and_(DOCUMENTS.c.run == self.run, DOCUMENTS.c.name == name)
        with self._begin() as connection:
            value = connection.execute(sa.select(DOCUMENTS.c.value).where(chosen)).scalar_one_or_none()
        return None if value is None else json.loads(value)

    def clear(self) -> None:
        """Forget where the run stands and what it spent. Verdicts stay: who starts over pays for none twice."""
        with self._begin() as connection:
            for table in (DOCUMENTS, CALLS):
                connection.execute(table.delete().where(table.c.run == self.run))


def _address(place: str | Path) -> tuple[sa.URL, str]:
    if isinstance(place, Path):
        return sa.URL.create("sqlite", database=str(place)), str(place)
    with _told("--store"):
        url = sa.make_url(place)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url, url.render_as_string(hide_password=True)


def _engine(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(url)
    except ModuleNotFoundError:
        raise MissingExtraError("psycopg", "postgres") from None
    if url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: object) -> None:
    """Readers beside one writer; a commit is on the disk before it returns; who comes second waits."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn a database's error into one line."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError):
        raise StoreError(
            f"{where}: expected a file or a URL such as postgresql://host/name; give one"
        ) from None
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"{where}: the database said: {cause}; nothing stored before is lost") from None
