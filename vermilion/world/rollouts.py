"""Rollouts in the database: what runs, what was counted, what was decided and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world import audit_log, rollouts_schema
from vermilion.world.audit_log import append_log
from vermilion.world.database import Database, now
from vermilion.world.home import Home
from vermilion.world.rollout import Answer, Arm, Count, Disagreement, Kind, Metric, Plan, Rollout, State
from vermilion.world.rollouts_lease import Lease
from vermilion.world.rollouts_schema import (
    answers,
    counts,
    disagreements,
    events,
    generations,
    marks,
    rollouts,
)

# More than people will label; what a challenger that differs everywhere would write has to end somewhere.
MOST_DISAGREEMENTS, MOST_ANSWERS = 10_000, 200_000
# Who does what nobody asked for, in the logs.
CONTROLLER = "rollout controller"
FEEDBACK = "feedback"


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


@dataclass(frozen=True, slots=True)
class NewRollout:
    """What is to be started: two versions of a name, by their numbers, and how they are tried."""

    name: str
    kind: Kind
    champion: int
    challenger: int
    plan: Plan

    def __post_init__(self) -> None:
        if self.champion == self.challenger:
            found = f"{self.name}@{self.challenger} twice"
            raise InputError("two versions", found, "the challenger", "name another version")


@dataclass(frozen=True, slots=True)
class _Ending:
    state: State
    why: str
    by: str


class Rollouts:
    """All rollouts of a service. Safe to use from several threads and processes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> home = Home.open(Path(tempfile.mkdtemp()), environment={})
    >>> with Rollouts.open(home) as kept:
    ...     one = kept.start(NewRollout("intents", "canary", 3, 4, Plan()), by="alice")
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
        database = Database.open(home.database, rollouts_schema.SCHEMA)
        try:
            audit_log.prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, new: NewRollout, *, by: str, why: str = "") -> Rollout:
        """Start a rollout of two versions of a name.

        Raises
        ------
        InputError
            The two are one, or a rollout of this name is running.
        """
        at = now()
        row = asdict(new) | {"plan": json.dumps(new.plan.as_dict()), "why": why, "started_at": at}
        row |= {"epoch": "", "step": 0, "state": "running", "ended_at": "", "to_move": False, "seconds": 0.0}
        with self._database.write() as connection:
            # A unique index lets one of a name run; two that start at once are told the same as one that comes late.
            statement = self._database.insert(rollouts).values(**row).on_conflict_do_nothing()
            number = connection.scalar(statement.returning(rollouts.c.id))
            if number is None:
                cure = f"end it first: vermilion rollout stop {new.name}"
                raise InputError("no rollout that is running", "one", new.name, cure)
            this = rollouts.c.id == number
            connection.execute(sa.update(rollouts).where(this).values(epoch=f"{new.name}/{number}/{at}"))
            self._changed(connection, new.name)
            _log(connection, number, "started", {"by": by, "why": why})
            found = _rollout(connection.execute(sa.select(rollouts).where(this)).mappings().one())
            told = {"rollout": number, "why": why} | found.references
            append_log(connection, by, f"start {new.kind}", new.name, told)
            return found

    def stop(self, name: str, *, by: str, why: str) -> Rollout:
        """End the rollout of a name that is running; the champion answers everything from now on.

        Raises
        ------
        InputError
            None is running.
        """
        with self._database.write() as connection:
            running = (rollouts.c.name == name) & (rollouts.c.state == "running")
            row = connection.execute(sa.select(rollouts).where(running)).mappings().one_or_none()
            if row is None or not self._end(connection, _rollout(row), _Ending("stopped", why, by)):
                raise InputError("a rollout that is running", "none", name, "see vermilion rollout history")
            this = rollouts.c.id == row["id"]
            return _rollout(connection.execute(sa.select(rollouts).where(this)).mappings().one())

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
        """Return (requests, bad ones) of each arm and metric since a rollout began.

        What feedback said of answers that were kept is in it, as "wrong".
        """
        sums = [sa.func.sum(column) for column in (counts.c.n, counts.c.bad)]
        counted = (
            sa.select(counts.c.arm, counts.c.metric, *sums)
            .where(counts.c.rollout == number)
            .group_by(counts.c.arm, counts.c.metric)
        )
        wrong = sa.func.sum(sa.case((answers.c.right != answers.c.label, 1), else_=0))
        told = (
            sa.select(answers.c.arm, sa.literal("wrong"), sa.func.count(), wrong)
            .where(answers.c.rollout == number, answers.c.right.is_not(None))
            .group_by(answers.c.arm)
        )
        found: dict[tuple[Arm, Metric], tuple[int, int]] = {}
        with self._database.read() as connection:
            for query in (counted, told):
                for arm, metric, n, bad in connection.execute(query):
                    before = found.get((arm, metric), (0, 0))
                    found[arm, metric] = (before[0] + int(n), before[1] + int(bad))
        return found

    def add_answers(self, number: int, given: Iterable[Answer]) -> None:
        """Keep what the arms answered until feedback comes, at most MOST_ANSWERS of a rollout."""
        rows = [
            {"rollout": number, "decision": one.decision, "arm": one.arm, "label": one.label} for one in given
        ]
        self._keep(answers, number, rows, MOST_ANSWERS)

    def add_disagreements(self, number: int, found: Iterable[Disagreement]) -> None:
        """Keep requests that the two answered differently, at most MOST_DISAGREEMENTS of a rollout."""
        at = now()
        rows = [{"rollout": number, "at": at, **asdict(one)} for one in found]
        self._keep(disagreements, number, rows, MOST_DISAGREEMENTS)

    def disagreements(self, number: int) -> list[Disagreement]:
        """Return the disagreements that were kept, oldest first."""
        table = disagreements.c
        query = sa.select(table.decision, table.champion, table.challenger, table.right)
        query = query.where(table.rollout == number).order_by(table.at, table.decision)
        with self._database.read() as connection:
            return [Disagreement(*row) for row in connection.execute(query)]

    def settle(self, right: Mapping[str, str], mark: int) -> None:
        """Write down the right labels of decisions, and up to which number feedback was read, in one transaction.

        Parameters
        ----------
        right : mapping of decision's id to label
            As `one_label` gives it; of decisions that are not kept here, too. The last that is told counts.
        mark : int
        """
        rows = [{"of": decision, "to": label} for decision, label in right.items()]
        with self._database.write() as connection:
            for table in (disagreements, answers):
                this = table.c.decision == sa.bindparam("of")
                if rows:
                    connection.execute(sa.update(table).where(this).values(right=sa.bindparam("to")), rows)
            statement = self._database.insert(marks).values(what=FEEDBACK, number=mark)
            connection.execute(
                statement.on_conflict_do_update(index_elements=[marks.c.what], set_={"number": mark})
            )

    def mark(self) -> int:
        """Return up to which number feedback was read."""
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(marks.c.number).where(marks.c.what == FEEDBACK)) or 0)

    def settled(self, number: int) -> tuple[int, int]:
        """Return of how many disagreements the champion's, and the challenger's, answer was right by feedback."""
        table = disagreements.c
        sides = [
            sa.func.sum(sa.case((table.right == side, 1), else_=0))
            for side in (table.champion, table.challenger)
        ]
        with self._database.read() as connection:
            found = connection.execute(sa.select(*sides).where(table.rollout == number)).one()
        return int(found[0] or 0), int(found[1] or 0)

    def events(self, number: int) -> list[Event]:
        """Return what happened to a rollout, oldest first."""
        query = sa.select(events).where(events.c.rollout == number).order_by(events.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Event(row["at"], row["kind"], json.loads(row["body"])) for row in rows]

    # --- for who judges

    def lease(self, holder: str, clock: Callable[[], float] = time.monotonic) -> Lease:
        """Return the right to judge, not yet held; `holder` is a name that was never used before."""
        return Lease(self._database, "judging", holder, clock=clock)

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
            return self._end(connection, rollout, _Ending(state, why, CONTROLLER))

    def to_move(self) -> list[Rollout]:
        """Return the rollouts that were successful and whose alias is still to be moved."""
        return self._select(rollouts.c.to_move)

    def moved(self, lease: Lease, rollout: Rollout, how: str) -> None:
        """Write down that the alias of a successful rollout was moved, or why it was not."""
        with self._database.write() as connection:
            lease.check(connection)
            connection.execute(sa.update(rollouts).where(rollouts.c.id == rollout.id).values(to_move=False))
            _log(connection, rollout.id, "moved", {"how": how})

    def _end(self, connection: sa.Connection, rollout: Rollout, ending: _Ending) -> bool:
        this = (rollouts.c.id == rollout.id) & (rollouts.c.state == "running")
        to_move = ending.state == "successful" and rollout.kind == "canary"
        values = {"state": ending.state, "why": ending.why, "ended_at": now(), "to_move": to_move}
        if not connection.execute(sa.update(rollouts).where(this).values(**values)).rowcount:
            return False
        self._changed(connection, rollout.name)
        _log(connection, rollout.id, ending.state, {"by": ending.by, "why": ending.why})
        told = {"rollout": rollout.id, "why": ending.why} | rollout.references
        append_log(connection, ending.by, f"end {rollout.kind}: {ending.state}", rollout.name, told)
        return True

    def _keep(self, table: sa.Table, number: int, rows: list[dict[str, Any]], most: int) -> None:
        mine = sa.select(sa.func.count()).select_from(table).where(table.c.rollout == number)
        with self._database.write() as connection:
            some = rows[: max(0, most - int(connection.scalar(mine) or 0))]
            if some:
                connection.execute(self._database.insert(table).on_conflict_do_nothing(), some)

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
