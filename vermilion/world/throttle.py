"""How many calls at once: grows while an endpoint keeps up, halves when it does not; and how long to wait."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 120.0


class Throttle:
    """Additive increase, multiplicative decrease (as in TCP, RFC 5681) of the calls under way.

    One more after each window of `limit` successes, half as many after an overload. Calls that were sent before
    a halving tell of the old limit: their overload does not halve the new one, or one burst would end at 1.
    To be used from one asyncio loop.

    Parameters
    ----------
    start, most : int
        Calls at once: at first, and ever.

    Examples
    --------
    >>> throttle = Throttle(start=2)
    >>> for _ in range(2 + 3):
    ...     throttle.succeeded()
    >>> throttle.limit
    4
    >>> throttle.overloaded(throttle.epoch)
    >>> throttle.limit
    2
    """

    def __init__(self, start: int = 4, most: int = 64) -> None:
        self.limit, self.most = min(start, most), most
        self.active = 0
        self.epoch = 0
        self._streak = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Hold one of the places, waiting for it first; gives the epoch, to be told to `overloaded`."""
        await self._acquire()
        try:
            yield self.epoch
        finally:
            self.active -= 1
            self._wake()

    def succeeded(self) -> None:
        """Note a call that the endpoint answered."""
        self._streak += 1
        if self._streak >= self.limit:
            self.limit, self._streak = min(self.limit + 1, self.most), 0
            self._wake()

    def overloaded(self, epoch: int) -> None:
        """Note a call that the endpoint refused, or answered too late; `epoch` is what its slot gave."""
        if epoch == self.epoch:
            self.limit, self._streak = max(1, self.limit // 2), 0
            self.epoch += 1

    async def _acquire(self) -> None:
        while self.active >= self.limit:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place in self._waiting:
                    self._waiting.remove(place)
                self._wake()  # it may have been this one's turn already
                raise
        self.active += 1

    def _wake(self) -> None:
        for _ in range(min(self.limit - self.active, len(self._waiting))):
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)


def retry_after(value: str | None, now: float, most: float = LONGEST_WAIT) -> float | None:
    """Return the seconds that a Retry-After header asks for, from 0 to `most`; None where it says nothing.

    Parameters
    ----------
    value : str or None
        Seconds, or a date (RFC 9110, 10.2.3).
    now : float
        Seconds since 1970, against which a date is taken.

    Examples
    --------
    >>> retry_after("2.5", 0.0), retry_after("86400", 0.0), retry_after("soon", 0.0)
    (2.5, 120.0, None)
    >>> retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=50.0)
    10.0
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), most)
