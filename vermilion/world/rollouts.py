"""Rollouts in the database: what runs, what was counted, what was decided and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world import rollouts_schema
from vermilion.world.database import Database, now
from vermilion.world.home import Home
from vermilion.world.rollout import Arm, Count, Disagreement, Kind, Metric, Plan, Rollout, State
from vermilion.world.rollouts_lease import Lease
from vermilion.world.rollouts_schema import counts, disagreements, events, generations, rollouts

CHUNK = 500
# More than people will label; what a challenger that differs everywhere would write has to end somewhere.
MOST_DISAGREEMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far judging has come; of use only to who judges.

    Attributes
    ----------
    seconds : float
        Time in service so far.
    evidence : str or None
        What the tests have found, as they themselves wrote it.
    """

    seconds: float = 0.0
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a rollout."""

    at: str
    kind: str
    body: Mapping[str, Any]


class Rollouts:
    """All rollouts of a service. Safe to use from several threads and processes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> home = Home.open(Path(tempfile.mkdtemp()), environment={})
    >>> with Rollouts.open(home) as kept:
    ...     one = kept.start("intents", "canary", 3, 4, Plan())
    ...     for _ in range(2):  # written twice, counted once
    ...         kept.add_counts("worker 1", {one.id: [Count("challenger", "error", 20, 1)]})
    ...     kept.totals(one.id)
    {('challenger', 'error'): (20, 1)}
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, home: Home) -> Self:
        """Open a home's rollouts.

        Raises
        ------
        StoreError
            The database cannot be reached, is damaged, or was written by a newer version.
        """
        return cls(Database.open(home.database, rollouts_schema.SCHEMA))

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self, name: str, kind: Kind, champion: int, challenger: int, plan: Plan, why: str = ""
    ) -> Rollout:
        """Start a rollout of two versions of a name.

        Raises
        ------
        InputError
            The two are one, or a rollout of this name is running.
        """
        if champion == challenger:
            raise InputError(
                "another version than the champion", f"{name}@{challenger}", "--challenger", "name one"
            )
        row = {
            **{"name": name, "kind": kind, "champion": champion, "challenger": challenger, "step": 0},
            **{
                "plan": json.dumps(plan.as_dict()),
                "epoch": "",
                "state": "running",
                "why": why,
                "seconds": 0.0,
            },
            **{"started_at": now(), "ended_at": "", "to_move": False},
        }
        with self._database.write() as connection:
            # A unique index lets one of a name run; two that start at once are told the same as one that comes late.
            statement = self._database.insert(rollouts).values(**row).on_conflict_do_nothing()
            number = connection.scalar(statement.returning(rollouts.c.id))
            if number is None:
                cure = f"end it first: vermilion rollout stop {name}"
                raise InputError("no rollout that is running", "one", name, cure)
            this = rollouts.c.id == number
            connection.execute(
                sa.update(rollouts).where(this).values(epoch=f"{name}/{number}/{row['started_at']}")
            )
            self._changed(connection, name)
            _log(connection, number, "started", {"why": why})
            return _rollout(connection.execute(sa.select(rollouts).where(this)).mappings().one())

    def stop(self, name: str, why: str) -> Rollout:
        """End the rollout of a name that is running; the champion answers everything from now on.

        Raises
        ------
        InputError
            None is running.
        """
        with self._database.write() as connection:
            running = (rollouts.c.name == name) & (rollouts.c.state == "running")
            number = connection.scalar(sa.select(rollouts.c.id).where(running))
            if number is None:
                raise InputError("a rollout that is running", "none", name, "see vermilion rollout history")
            self._end(connection, number, name, "stopped", why)
            return _rollout(
                connection.execute(sa.select(rollouts).where(rollouts.c.id == number)).mappings().one()
            )

    def current(self, name: str) -> Rollout | None:
        """Return the rollout of a name that is running."""
        return next(iter(self._select(rollouts.c.name == name, rollouts.c.state == "running")), None)

    def running(self) -> list[Rollout]:
        """Return all that are running, oldest first."""
        return self._select(rollouts.c.state == "running")

    def history(self, name: str | None = None) -> list[Rollout]:
        """Return all rollouts, of one name or of all, oldest first."""
        return self._select(*([] if name is None else [rollouts.c.name == name]))

    def get(self, number: int) -> Rollout:
        """Return one rollout.

        Raises
        ------
        InputError
            There is none of this number.
        """
        for found in self._select(rollouts.c.id == number):
            return found
        raise InputError("a rollout's number", str(number), "rollout", "see vermilion rollout history")

    def generation(self, name: str) -> int:
        """Return a number that has grown whenever a rollout of this name has changed; one small query."""
        query = sa.select(generations.c.generation).where(generations.c.name == name)
        with self._database.read() as connection:
            return int(connection.scalar(query) or 0)

    def generations(self) -> dict[str, int]:
        """Return the generation of each name that has had a rollout."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(generations)).all()
        return {row.name: int(row.generation) for row in rows}

    def add_counts(self, source: str, counted: Mapping[int, Sequence[Count]]) -> None:
        """Write what a source has counted since it began, in one transaction.

        Parameters
        ----------
        source : str
            A worker from its start to its end, never used again: it writes sums, which only grow, and so may write
            the same ones twice.
        counted : mapping of rollout's id to counts
        """
        rows = [
            {"rollout": number, "source": source, **_columns(one)}
            for number, some in counted.items()
            for one in some
        ]
        if not rows:
            return
        statement = self._database.insert(counts)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=[counts.c.rollout, counts.c.source, counts.c.arm, counts.c.metric],
            set_={"n": new.n, "bad": new.bad},
            where=new.n >= counts.c.n,  # a write that was held up does not undo a later one
        )
        with self._database.write() as connection:
            connection.execute(statement, rows)

    def totals(self, number: int) -> dict[tuple[Arm, Metric], tuple[int, int]]:
        """Return (requests, bad ones) of each arm and metric since a rollout began."""
        sums = [sa.func.sum(column) for column in (counts.c.n, counts.c.bad)]
        query = (
            sa.select(counts.c.arm, counts.c.metric, *sums)
            .where(counts.c.rollout == number)
            .group_by(counts.c.arm, counts.c.metric)
        )
        with self._database.read() as connection:
            return {(arm, metric): (int(n), int(bad)) for arm, metric, n, bad in connection.execute(query)}

    def add_disagreements(self, number: int, found: Iterable[Disagreement]) -> None:
        """Keep requests that the two answered differently, at most MOST_DISAGREEMENTS of a rollout."""
        at = now()
        rows = [
            {
                **{"rollout": number, "decision": one.decision, "at": at, "right": one.right},
                **{"champion": one.champion, "challenger": one.challenger},
            }
            for one in found
        ]
        mine = sa.select(sa.func.count()).where(disagreements.c.rollout == number)
        with self._database.write() as connection:
            some = rows[: max(0, MOST_DISAGREEMENTS - int(connection.scalar(mine) or 0))]
            if some:
                connection.execute(self._database.insert(disagreements).on_conflict_do_nothing(), some)

    def disagreements(self, number: int) -> list[Disagreement]:
        """Return the disagreements that were kept, oldest first."""
        table = disagreements.c
        query = sa.select(table.decision, table.champion, table.challenger, table.right)
        query = query.where(table.rollout == number).order_by(table.at, table.decision)
        with self._database.read() as connection:
            return [Disagreement(*row) for row in connection.execute(query)]

    def settle(self, right: Mapping[str, str]) -> int:
        """Write down the right labels of decisions; return how many of them were disagreements. The last one counts."""
        decisions = list(right)
        done = 0
        with self._database.write() as connection:
            for start in range(0, len(decisions), CHUNK):
                some = decisions[start : start + CHUNK]
                known = set(
                    connection.scalars(
                        sa.select(disagreements.c.decision).where(disagreements.c.decision.in_(some))
                    )
                )
                for decision in known:
                    this = disagreements.c.decision == decision
                    connection.execute(sa.update(disagreements).where(this).values(right=right[decision]))
                done += len(known)
        return done

    def events(self, number: int) -> list[Event]:
        """Return what happened to a rollout, oldest first."""
        query = sa.select(events).where(events.c.rollout == number).order_by(events.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Event(row["at"], row["kind"], json.loads(row["body"])) for row in rows]

    # --- for who judges

    def lease(self, holder: str) -> Lease:
        """Return the right to judge, not yet held."""
        return Lease(self._database, "judging", holder)

    def progress(self, number: int) -> Progress:
        """Return how far judging has come."""
        query = sa.select(rollouts.c.seconds, rollouts.c.evidence).where(rollouts.c.id == number)
        with self._database.read() as connection:
            return Progress(*connection.execute(query).one())

    def save(self, lease: Lease, number: int, progress: Progress) -> None:
        """Keep how far judging has come. Raises LeaseLostError where another judges."""
        values = {"seconds": progress.seconds, "evidence": progress.evidence}
        with self._database.write() as connection:
            lease.check(connection)
            connection.execute(sa.update(rollouts).where(rollouts.c.id == number).values(**values))

    def advance(self, lease: Lease, rollout: Rollout, why: str) -> bool:
        """Go on to the next step, where the rollout still is as it was read; tell whether it was.

        Raises
        ------
        LeaseLostError
            Another judges.
        """
        this = (
            (rollouts.c.id == rollout.id)
            & (rollouts.c.state == "running")
            & (rollouts.c.step == rollout.step)
        )
        with self._database.write() as connection:
            lease.check(connection)
            found = connection.execute(sa.update(rollouts).where(this).values(step=rollout.step + 1))
            if not found.rowcount:
                return False
            self._changed(connection, rollout.name)
            _log(connection, rollout.id, "step", {"step": rollout.step + 1, "why": why})
            return True

    def end(self, lease: Lease, rollout: Rollout, state: State, why: str) -> bool:
        """End a rollout that is running; tell whether it was. A canary's success leaves an alias to move.

        Raises
        ------
        LeaseLostError
            Another judges.
        """
        with self._database.write() as connection:
            lease.check(connection)
            to_move = state == "successful" and rollout.kind == "canary"
            return self._end(connection, rollout.id, rollout.name, state, why, to_move=to_move)

    def to_move(self) -> list[Rollout]:
        """Return the rollouts that were successful and whose alias is still to be moved."""
        return self._select(rollouts.c.to_move)

    def moved(self, lease: Lease, rollout: Rollout, how: str) -> None:
        """Write down that the alias of a successful rollout was moved, or why it was not."""
        with self._database.write() as connection:
            lease.check(connection)
            connection.execute(sa.update(rollouts).where(rollouts.c.id == rollout.id).values(to_move=False))
            _log(connection, rollout.id, "moved", {"how": how})

    def _end(
        self,
        connection: sa.Connection,
        number: int,
        name: str,
        state: State,
        why: str,
        *,
        to_move: bool = False,
    ) -> bool:
        this = (rollouts.c.id == number) & (rollouts.c.state == "running")
        values = {"state": state, "why": why, "ended_at": now(), "to_move": to_move}
        found = connection.execute(sa.update(rollouts).where(this).values(**values))
        if not found.rowcount:
            return False
        self._changed(connection, name)
        _log(connection, number, state, {"why": why})
        return True

    def _changed(self, connection: sa.Connection, name: str) -> None:
        """Raise the name's generation."""
        statement = self._database.insert(generations).values(name=name, generation=1)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[generations.c.name], set_={"generation": generations.c.generation + 1}
            )
        )

    def _select(self, *where: sa.ColumnElement[bool]) -> list[Rollout]:
        query = sa.select(rollouts).where(*where).order_by(rollouts.c.id)
        with self._database.read() as connection:
            return [_rollout(row) for row in connection.execute(query).mappings()]


def _rollout(row: sa.RowMapping) -> Rollout:
    names = (
        "id",
        "name",
        "kind",
        "champion",
        "challenger",
        "epoch",
        "step",
        "state",
        "why",
        "started_at",
        "ended_at",
    )
    return Rollout(**{name: row[name] for name in names}, plan=Plan.from_dict(json.loads(row["plan"])))


def _columns(one: Count) -> dict[str, Any]:
    return {"arm": one.arm, "metric": one.metric, "n": one.n, "bad": one.bad}


def _log(connection: sa.Connection, number: int, kind: str, body: Mapping[str, Any]) -> None:
    row = {"rollout": number, "at": now(), "kind": kind, "body": json.dumps(body, ensure_ascii=False)}
    connection.execute(sa.insert(events).values(**row))
