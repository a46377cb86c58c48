"""The right to judge rollouts: one process at a time holds it, whatever the clocks say."""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa

from vermilion.errors import StoreError
from vermilion.world.database import Database
from vermilion.world.rollouts_schema import leases

# Longer than a holder that lives may take between two steps.
PATIENCE = 10.0


class LeaseLostError(StoreError):
    """Another has taken the lease over; what this one was about to write is not written."""


class Lease:
    """A row that its holder raises at each step.

    No time is written down: who waits takes over once the row has stood still for a while by its own clock, which
    only ever goes on. So a clock that jumps, or two machines' clocks that differ, change nothing.

    Parameters
    ----------
    database : Database
    what : str
        Which lease.
    holder : str
        Never used by another process, nor again.
    patience : float
        Seconds that another's row must have stood still.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        database: Database,
        what: str,
        holder: str,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._what, self._holder = database, what, holder
        self._patience, self._clock = patience, clock
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def hold(self) -> bool:
        """Take or keep the lease; tell whether it is held."""
        with self._database.write() as connection:
            row = connection.execute(sa.select(leases).where(leases.c.what == self._what)).one_or_none()
            found = None if row is None else (str(row.holder), int(row.beat))
            if found is not None and found[0] != self._holder and not self._stands_still(found):
                return False
            beat = 1 if found is None else found[1] + 1
            values = {"holder": self._holder, "beat": beat}
            # PostgreSQL lets two come as far as here: the second then finds another beat, or none it may take.
            statement = self._database.insert(leases).values(what=self._what, **values)
            done = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[leases.c.what], set_=values, where=leases.c.beat == beat - 1
                )
            )
            return bool(done.rowcount)

    def check(self, connection: sa.Connection) -> None:
        """Make sure within a transaction that the lease is still held.

        Raises
        ------
        LeaseLostError
            It is not.
        """
        mine = sa.select(leases.c.holder).where(leases.c.what == self._what).with_for_update()
        if connection.scalar(mine) != self._holder:
            raise LeaseLostError("rollouts: another process judges them now; this one waits")

    def release(self) -> None:
        """Give the lease back, so that the next one need not wait."""
        mine = (leases.c.what == self._what) & (leases.c.holder == self._holder)
        with self._database.write() as connection:
            connection.execute(sa.delete(leases).where(mine))

    def _stands_still(self, found: tuple[str, int]) -> bool:
        if found != self._seen:
            self._seen, self._since = found, self._clock()
        return self._clock() - self._since >= self._patience
