"""The ledger: what was spent and what is set aside, durable before each call, so that no cap is ever passed.

Dollars are kept as whole picodollars (1e-12), which add up exactly; a float's sum would drift over a cap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import sqlalchemy as sa

from vermilion.config import Caps
from vermilion.errors import CapReachedError
from vermilion.types import Spend
from vermilion.world.store_schema import ledger, runs

PICO = 1_000_000_000_000
CHUNK = 500

Transaction = Callable[[], AbstractContextManager[sa.Connection]]


def to_row(spend: Spend) -> dict[str, int]:
    """Return a spend as the columns that hold it.

    Examples
    --------
    >>> to_row(Spend(1, 1000, 10, 0.1 + 0.2))["cost_pico"]
    300000000000
    """
    return {
        "calls": spend.calls,
        "prompt_tokens": spend.prompt_tokens,
        "completion_tokens": spend.completion_tokens,
        "cost_pico": round(spend.cost_usd * PICO),
    }


def to_spend(row: sa.RowMapping) -> Spend:
    """Return what `to_row` gave."""
    return Spend(row["calls"], row["prompt_tokens"], row["completion_tokens"], row["cost_pico"] / PICO)


class Ledger:
    """The ledger of one run in the store.

    A question counts as one call while its reservation is open and once it is answered, however often it is
    asked: a later reservation of the same key takes over the call. Tokens and dollars count each time. A
    reservation that a crash left open keeps counting at its worst case.

    Parameters
    ----------
    run : str
    transaction : callable
        Gives a connection that holds the store's write lock until it is committed.
    """

    def __init__(self, run: str, transaction: Transaction) -> None:
        self._run, self._transaction = run, transaction

    def spent(self) -> Spend:
        """Return what is spent and set aside."""
        with self._transaction() as connection:
            return to_spend(self._totals(connection))

    def meter(self, caps: Caps) -> LedgerMeter:
        """Return a meter under these caps; all meters of a run share what is spent."""
        return LedgerMeter(self, caps)

    def reserve(self, key: str, worst: Spend, caps: Caps) -> int:
        """Set `worst` aside; return a ticket. Raises CapReachedError when it does not fit."""
        row = to_row(worst)
        with self._transaction() as connection:
            totals = self._totals(connection, lock=True)
            taken = len(self._counted(connection, [key])) * bool(row["calls"])
            check_caps(caps, totals, row | {"calls": row["calls"] - taken})
            if taken:
                self._release_calls(connection, [key])
            inserted = connection.execute(sa.insert(ledger).values(run=self._run, key=key, open=True, **row))
            self._add(connection, row | {"calls": row["calls"] - taken})
            assert inserted.inserted_primary_key is not None
            return int(inserted.inserted_primary_key[0])

    def settle(self, ticket: int, spent: Spend) -> None:
        """Replace a reservation by what was spent; `calls` 0 means that no answer came."""
        row = to_row(spent)
        mine = (ledger.c.ticket == ticket) & (ledger.c.run == self._run)
        with self._transaction() as connection:
            self._totals(connection, lock=True)
            before = connection.execute(sa.select(ledger).where(mine & ledger.c.open)).mappings().first()
            if before is None:  # settled already
                return
            # A later reservation of the key may have taken the call over.
            row["calls"] = min(row["calls"], before["calls"])
            connection.execute(sa.update(ledger).where(mine).values(open=False, **row))
            self._add(connection, {name: amount - before[name] for name, amount in row.items()})

    def charge(self, keys: Sequence[str], each: Spend, caps: Caps) -> int:
        """Book `each` for as many of the keys, from the first, as fit; return how many.

        Raises
        ------
        CapReachedError
            When not even the first one fits.
        """
        if not keys:
            return 0
        row = to_row(each)
        with self._transaction() as connection:
            totals = self._totals(connection, lock=True)
            counted = self._counted(connection, keys)
            costs = [row | {"calls": 0 if key in counted else row["calls"]} for key in keys]
            fitting = _fitting(caps, totals, costs)
            booked = list(keys[:fitting])
            self._release_calls(connection, [key for key in booked if key in counted])
            connection.execute(
                sa.insert(ledger), [{"run": self._run, "key": key, "open": False, **row} for key in booked]
            )
            self._add(connection, {name: sum(cost[name] for cost in costs[:fitting]) for name in row})
            return fitting

    def clear(self, connection: sa.Connection) -> None:
        """Count from nothing again, as part of the caller's transaction."""
        connection.execute(sa.delete(ledger).where(ledger.c.run == self._run))
        nothing = dict.fromkeys(to_row(Spend()), 0)
        connection.execute(sa.update(runs).where(runs.c.run == self._run).values(**nothing))

    def _totals(self, connection: sa.Connection, *, lock: bool = False) -> sa.RowMapping:
        query = sa.select(runs).where(runs.c.run == self._run)
        return connection.execute(query.with_for_update() if lock else query).mappings().one()

    def _add(self, connection: sa.Connection, row: dict[str, int]) -> None:
        values = {name: runs.c[name] + amount for name, amount in row.items()}
        connection.execute(sa.update(runs).where(runs.c.run == self._run).values(**values))

    def _counted(self, connection: sa.Connection, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose call is counted already."""
        found: set[str] = set()
        for start in range(0, len(keys), CHUNK):
            query = sa.select(ledger.c.key).where(self._with_calls(keys[start : start + CHUNK]))
            found.update(connection.scalars(query))
        return found

    def _release_calls(self, connection: sa.Connection, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), CHUNK):
            where = self._with_calls(keys[start : start + CHUNK])
            connection.execute(sa.update(ledger).where(where).values(calls=0))

    def _with_calls(self, keys: Sequence[str]) -> sa.ColumnElement[bool]:
        return (ledger.c.run == self._run) & ledger.c.key.in_(keys) & (ledger.c.calls > 0)


class LedgerMeter:
    """A meter on a ledger; see `vermilion.types.Meter`."""

    def __init__(self, book: Ledger, caps: Caps) -> None:
        self._book, self._caps = book, caps

    def reserve(self, key: str, worst: Spend) -> int:
        """Set `worst` aside for the question `key`; return a ticket."""
        return self._book.reserve(key, worst, self._caps)

    def settle(self, ticket: int, spent: Spend) -> None:
        """Replace the reservation by what was really spent."""
        self._book.settle(ticket, spent)

    def charge(self, keys: Sequence[str], each: Spend) -> int:
        """Book `each` for as many of the keys as fit, in one step; return how many."""
        return self._book.charge(keys, each, self._caps)


def _fitting(caps: Caps, totals: sa.RowMapping, costs: Sequence[dict[str, int]]) -> int:
    """Return how many of the costs, from the first, fit; raise when none does."""
    running = dict(totals)
    for place, cost in enumerate(costs):
        try:
            check_caps(caps, running, cost)
        except CapReachedError:
            if place == 0:
                raise
            return place
        running |= {name: running[name] + amount for name, amount in cost.items()}
    return len(costs)


def check_caps(caps: Caps, totals: sa.RowMapping | dict[str, int], cost: dict[str, int]) -> None:
    """Raise CapReachedError if `cost` on top of `totals` would pass a cap.

    Examples
    --------
    >>> check_caps(Caps(max_cost=0.5), to_row(Spend(9, 90, 9, 0.49)), to_row(Spend(1, 10, 1, 0.02)))
    Traceback (most recent call last):
    vermilion.errors.CapReachedError: --max-cost $0.50: $0.49 spent or set aside, the next question may take
    $0.02; give a higher cap to go on
    """
    for option, cap, names, show in (
        ("--max-calls", caps.max_calls, ("calls",), "{:,}"),
        ("--max-tokens", caps.max_tokens, ("prompt_tokens", "completion_tokens"), "{:,} tokens"),
        ("--max-cost", None if caps.max_cost is None else round(caps.max_cost * PICO), ("cost_pico",), "$"),
    ):
        used, more = (sum(amounts[name] for name in names) for amounts in (totals, cost))
        if cap is not None and more > 0 and used + more > cap:
            said = [_dollars(n) if show == "$" else show.format(n) for n in (cap, used, more)]
            raise CapReachedError(
                f"{option} {said[0]}: {said[1]} spent or set aside, the next question may take {said[2]};"
                " give a higher cap to go on"
            )


def _dollars(pico: int) -> str:
    """Return picodollars as dollars with as many digits as tell small sums apart."""
    dollars = pico / PICO
    return f"${dollars:,.2f}" if round(dollars, 2) == dollars else f"${dollars:,.6f}"
