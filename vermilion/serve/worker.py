"""What a worker does: the thread of the model takes batches, the thread of the journal makes them durable."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vermilion.errors import JournalError
from vermilion.serve.arms import Arms
from vermilion.serve.batching import FullError, GoneError, Job, LateError, Piece, Queue
from vermilion.serve.engine import Engine
from vermilion.serve.failure import trace
from vermilion.serve.service_metrics import Metrics
from vermilion.world.database import now

logger = logging.getLogger("vermilion.serve")


class Recorder(Protocol):
    """Keeps what was answered; `vermilion.serve.journal.Journal` is one."""

    def append(self, records: Sequence[dict[str, Any]]) -> None:
        """Write records; they are durable when this returns. JournalError where they are not."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker works with."""

    engine: Engine
    journal: Recorder
    metrics: Metrics
    arms: Arms
    keep_text: Callable[[str, str], str | None]
    """Gives of a decision's id and a text what the journal keeps of the text, if anything."""


class Worker:
    """Two threads between the queue and the event loop.

    While the journal waits for the disk, the model works on the next batch; what was finished meanwhile goes to the
    disk together.

    Parameters
    ----------
    parts : Parts
    batch, bound : int
        Most texts in a batch, and in the queue.
    """

    def __init__(self, parts: Parts, *, batch: int, bound: int) -> None:
        self._parts, self._batch = parts, batch
        self.queue = Queue(bound, self._reject)
        self._finished: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("model", self._work), ("journal", self._record))
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take nothing more, finish what was taken, and end."""
        self.queue.close()
        for thread in self._threads:
            thread.join()

    async def answer(self, job: Job) -> Job:
        """Return the job with its decisions, recorded.

        Raises
        ------
        FullError, LateError, GoneError, ClosingError
            It was not, or no longer, taken up.
        JournalError
            It was decided, and could not be recorded.
        """
        try:
            self.queue.put(job)
        except FullError:
            self._parts.metrics.dropped("full")
            raise
        return await job.done

    def _work(self) -> None:
        while pieces := self.queue.take(self._batch):
            try:
                self._answer(pieces)
            except Exception as error:  # a thread that ends would leave everybody waiting
                logger.error("a batch failed: %s", trace(error))
                self._fail([piece.job for piece in pieces], error)
        self._finished.put(None)

    def _answer(self, pieces: Sequence[Piece]) -> None:
        began = time.monotonic()
        self._parts.engine.answer(pieces)
        seconds, texts = time.monotonic() - began, sum(len(piece.texts) for piece in pieces)
        self.queue.note(texts, seconds)
        self._hand_on(pieces)
        self._parts.metrics.batch(texts, seconds, self.queue.waiting)

    def _hand_on(self, pieces: Sequence[Piece]) -> None:
        jobs = [piece.job for piece in pieces]
        for job in jobs:
            if job.dropped is not None:
                self._reject(job)
        done = [job for job in jobs if job.complete and job.dropped is None]
        if done:
            self._finished.put(done)

    def _record(self) -> None:
        for jobs in self._groups():
            try:
                self._append(jobs)
            except JournalError as error:
                logger.error("%s", error)
                self._fail(jobs, error)
            except Exception as error:
                logger.error("a group of answers was not recorded: %s", trace(error))
                self._fail(jobs, error)

    def _append(self, jobs: Sequence[Job]) -> None:
        parts, at, clock = self._parts, now(), time.monotonic()
        for job in jobs:
            job.seconds = clock - job.started
        parts.journal.append([record for job in jobs for record in records(job, at, parts.keep_text)])
        parts.metrics.answered(jobs)
        parts.arms.answered(jobs)
        _in_loop(jobs[0], _resolve, jobs)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        for job in jobs:
            job.dropped = error
            self._reject(job)

    def _groups(self) -> Iterator[list[Job]]:
        """Yield all jobs that are finished, as soon as there are some."""
        ended = False
        while not ended:
            jobs: list[Job] = []
            found = self._finished.get()
            while True:
                ended = ended or found is None
                jobs += found or []
                try:
                    found = self._finished.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                yield jobs

    def _reject(self, job: Job) -> None:
        assert job.dropped is not None
        self._parts.metrics.dropped(_reason(job.dropped))
        _in_loop(job, _fail, job)


def records(job: Job, at: str, keep_text: Callable[[str, str], str | None]) -> Iterator[dict[str, Any]]:
    """Yield a record for each decision of a request; none for a probe."""
    if job.probe or job.served is None:
        return
    address = job.served.address
    rollout = job.snapshot.rollout if job.snapshot else None
    common = {
        "at": at,
        "request": job.request,
        "name": address.name,
        "version": address.number,
        "digest": address.digest,
        "training": address.training,
        "arm": job.arm,
        "rollout": rollout.id if rollout else None,
        "key": job.key,
        "latency_ms": round(job.seconds * 1000, 3),
    }
    for decision, text in zip(job.decisions, job.texts, strict=True):
        row = decision.record() | common
        kept = keep_text(decision.id, text)
        yield row if kept is None else row | {"text": kept}


def _reason(error: Exception) -> str:
    if isinstance(error, LateError):
        return "late"
    if isinstance(error, GoneError):
        return "gone"
    return "unrecorded" if isinstance(error, JournalError) else "failed"


def _in_loop(job: Job, call: Callable[..., object], *given: object) -> None:
    try:
        job.done.get_loop().call_soon_threadsafe(call, *given)
    except RuntimeError:  # the loop has ended, and nobody waits any more
        logger.warning("a request was decided after the service had stopped")


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_result(job)


def _fail(job: Job) -> None:
    if not job.done.done():
        job.done.set_exception(job.dropped or GoneError())
