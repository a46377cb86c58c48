"""Keeps spending under its caps: the most a call can take is set aside, durably, before it is made."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from vermilion.config import Caps
from vermilion.errors import CapReachedError
from vermilion.types import Spend
from vermilion.world.schema import CALLS


class Ledger:
    """The run's calls: reserved at their worst, settled at what they took.

    A call that was under way when the process died stays reserved: it may have been paid for. Asking its
    question again gives back its place among the calls, not its tokens and dollars.

    Parameters
    ----------
    engine : sqlalchemy.Engine
    run : str
    caps : Caps
    """

    def __init__(self, engine: sa.Engine, run: str, caps: Caps) -> None:
        self.engine, self.run, self.caps = engine, run, caps
        self._lock = threading.Lock()

    def reserve(self, key: str, worst: Spend) -> int:
        """Set `worst` aside for a question; return a ticket.

        Raises
        ------
        CapReachedError
            It does not fit under the caps.
        """
        mine = sa.and_(CALLS.c.run == self.run, CALLS.c.key == key)
        with self._lock, self.engine.begin() as connection:
            connection.execute(CALLS.update().where(mine).values(calls=0))
            self._refuse_over(connection, worst)
            row = _row(worst) | {"run": self.run, "key": key, "open": True}
            ticket = connection.execute(CALLS.insert().values(row)).inserted_primary_key
        assert ticket is not None
        return int(ticket[0])

    def settle(self, ticket: int, spent: Spend) -> None:
        """Replace a reservation by what was really spent."""
        with self._lock, self.engine.begin() as connection:
            connection.execute(
                CALLS.update().where(CALLS.c.id == ticket).values(_row(spent) | {"open": False})
            )

    def _refuse_over(self, connection: sa.Connection, worst: Spend) -> None:
        columns = (CALLS.c.calls, CALLS.c.prompt_tokens, CALLS.c.completion_tokens, CALLS.c.cost_usd)
        sums = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))
        calls, prompt, completion, cost = connection.execute(sums.where(CALLS.c.run == self.run)).one()
        tokens, worst_tokens = int(prompt + completion), worst.prompt_tokens + worst.completion_tokens
        for name, spent, more, cap in (
            ("questions", int(calls), worst.calls, self.caps.max_calls),
            ("tokens", tokens, worst_tokens, self.caps.max_tokens),
            ("US dollars", round(float(cost), 6), round(worst.cost_usd, 6), self.caps.max_cost),
        ):
            if cap is not None and spent + more > cap + 1e-9:
                raise CapReachedError(
                    f"{spent:,} of {cap:,} {name} are spent or set aside, the next call can take {more:,};"
                    " raise the cap and run the same command to go on"
                )


def _row(spend: Spend) -> dict[str, float]:
    return {
        "calls": spend.calls,
        "prompt_tokens": spend.prompt_tokens,
        "completion_tokens": spend.completion_tokens,
        "cost_usd": spend.cost_usd,
    }
