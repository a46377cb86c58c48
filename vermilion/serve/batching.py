"""The queue before the model: bounded in texts, taken from in batches as soon as the model is free.

There is no timer. What waits while a batch is worked on is the next batch, so an idle service answers at once and a
busy one batches by itself. A long request is taken in pieces and goes to the back in between, so that it cannot hold
up the short ones.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vermilion.serve.decision import Decision
from vermilion.serve.live import Served, Snapshot
from vermilion.world.rollout import Arm, Disagreement

# Weight of the latest batch in the measured rate.
_LATEST = 0.1


class FullError(Exception):
    """There is no room in the queue; `seconds` until there may be."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"full for {seconds} s")
        self.seconds = seconds


class LateError(Exception):
    """The request waited for longer than its deadline."""


class GoneError(Exception):
    """The client has hung up."""


class ClosingError(Exception):
    """The service takes nothing more."""


@dataclass(eq=False, slots=True)
class Job:
    """One request on its way: what is asked, and what has been answered so far.

    Attributes
    ----------
    texts : sequence of str
    shown : int
        Candidates that the client wants.
    routing : str
        Decides on the arm.
    done : asyncio.Future
        Of the event loop, that waits for the whole request.
    deadline : float
        On the monotonic clock: later than that the texts are not looked at any more.
    probe : bool
        A look at whether all works: goes past a full queue, and is not recorded.
    """

    texts: Sequence[str]
    shown: int
    routing: str
    done: asyncio.Future[Job]
    deadline: float
    key: str = ""
    request: str = ""
    probe: bool = False
    started: float = field(default_factory=time.monotonic)
    taken: int = 0
    decisions: list[Decision] = field(default_factory=list)
    snapshot: Snapshot | None = None
    arm: Arm = "champion"
    served: Served | None = None
    other: Served | None = None
    compared: bool = False
    beside_seconds: float = 0.0
    differs: list[Disagreement] = field(default_factory=list)
    seconds: float = 0.0
    dropped: Exception | None = None
    watch: asyncio.Future[Any] | None = None

    def route(self, snapshot: Snapshot) -> tuple[Served, Served | None]:
        """Return who answers and who is compared: settled once, so that one version answers all texts of a request."""
        if self.served is None:
            self.snapshot = snapshot
            self.arm, self.served, self.other = snapshot.route(self.routing)
        return self.served, self.other

    @property
    def complete(self) -> bool:
        """Whether all texts are decided."""
        return len(self.decisions) == len(self.texts)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some texts of a job, in one batch."""

    job: Job
    start: int
    stop: int

    @property
    def texts(self) -> Sequence[str]:
        """The texts."""
        return self.job.texts[self.start : self.stop]


class Queue:
    """Jobs that wait. Put into by the event loop, taken from by the thread of the model.

    Parameters
    ----------
    bound : int
        Most texts that wait.
    dropped : callable
        Told of jobs that are given up while they wait; `job.dropped` says why.
    """

    def __init__(self, bound: int, dropped: Callable[[Job], None]) -> None:
        self._bound, self._dropped = bound, dropped
        self._jobs: deque[Job] = deque()
        self._ready = threading.Condition()
        self._closed = False
        self.waiting = 0
        self._rate = 0.0

    def put(self, job: Job) -> None:
        """Take a job in.

        Raises
        ------
        FullError, ClosingError
        """
        with self._ready:
            if self._closed:
                raise ClosingError
            if not job.probe and self.waiting + len(job.texts) > self._bound:
                raise FullError(self._seconds_until_room(len(job.texts)))
            self._jobs.append(job)
            self.waiting += len(job.texts)
            self._ready.notify()

    def take(self, most: int) -> list[Piece]:
        """Wait for work and return up to `most` texts of it; nothing once the queue is closed and empty."""
        with self._ready:
            while True:
                while not self._jobs and not self._closed:
                    self._ready.wait()
                pieces = self._pieces(most)
                if pieces or (self._closed and not self._jobs):
                    return pieces

    def note(self, texts: int, seconds: float) -> None:
        """Learn how fast the model works, for what is told to those who must come again."""
        rate = texts / max(seconds, 1e-6)
        self._rate = rate if not self._rate else self._rate + _LATEST * (rate - self._rate)

    def close(self) -> None:
        """Take nothing more in; what is in is still given out."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _pieces(self, most: int) -> list[Piece]:
        pieces: list[Piece] = []
        again: list[Job] = []
        room, now = most, time.monotonic()
        while self._jobs and room:
            job = self._jobs.popleft()
            left = len(job.texts) - job.taken
            if job.dropped is None and not job.taken and now > job.deadline:
                job.dropped = LateError()
            if job.dropped is not None:
                self.waiting -= left
                self._dropped(job)
                continue
            count = min(left, room)
            pieces.append(Piece(job, job.taken, job.taken + count))
            job.taken += count
            self.waiting -= count
            room -= count
            if count < left:
                again.append(job)
        self._jobs.extend(again)
        return pieces

    def _seconds_until_room(self, texts: int) -> int:
        too_many = self.waiting + texts - self._bound
        return max(1, math.ceil(too_many / self._rate)) if self._rate else 1
