"""A worker put together: everything opened, the model loaded and tried, before the first request is taken."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack

from vermilion.serve.app import ROUTES, App, make_app
from vermilion.serve.arms import Arms
from vermilion.serve.endpoints import Service
from vermilion.serve.engine import Engine
from vermilion.serve.guard import Guard, Limits
from vermilion.serve.journal import Journal
from vermilion.serve.key_ring import KeyRing
from vermilion.serve.live import Live, Shelf
from vermilion.serve.rate import Buckets
from vermilion.serve.service_metrics import Metrics
from vermilion.serve.settings import ServeSettings
from vermilion.serve.snapshots import RegistryName, source_of
from vermilion.serve.tally import Tally
from vermilion.serve.worker import Parts, Worker
from vermilion.world.feedback import Feedback
from vermilion.world.keys import Keys
from vermilion.world.rollouts import Rollouts

logger = logging.getLogger("vermilion.serve")


def open_worker(settings: ServeSettings) -> App:
    """Return the guarded app of a worker, warm; what it opened is closed when its lifespan ends.

    Raises
    ------
    VermilionError
        The model, the database or a folder cannot be used.
    """
    with ExitStack() as opening:
        service = _service(settings, opening)
        keys = KeyRing(opening.enter_context(Keys.open(settings.home)))
        opening.enter_context(keys)
        buckets = opening.enter_context(Buckets(settings.home.runtime / "rates"))
        limits = Limits(
            requests_per_second=settings.rate, burst=2 * settings.rate, without_keys=not settings.keys
        )
        closing = opening.pop_all()
        app = make_app(service, closing.close)
        note = service.metrics.refused
        return Guard(app, keys, limits, ROUTES, buckets, note)


def _service(settings: ServeSettings, opening: ExitStack) -> Service:
    metrics = Metrics()
    feedback = opening.enter_context(Feedback.open(settings.home))
    journal = opening.enter_context(Journal(settings.home.decisions, writer_name()))
    source = source_of(settings, Shelf(settings.base_url, settings.threads))
    opening.callback(source.close)
    live = Live(source, lambda event, line: _tell(event, line, metrics, lambda: live))
    opening.callback(live.close)
    arms = Arms(_tally(settings, opening) if isinstance(source, RegistryName) else None)
    engine = Engine(lambda: live.snapshot, feedback.ids.new, arms)
    worker = Worker(
        Parts(engine, journal, metrics, arms, _keeper(settings.log_texts)),
        batch=settings.batch,
        bound=settings.queue,
    )
    opening.callback(worker.close)
    metrics.snapshot("loaded", live.snapshot)
    journal.check()
    worker.start()
    live.start()
    return Service(live, worker, feedback, metrics, journal.check, settings.deadline)


def _keeper(share: float) -> Callable[[str, str], str | None]:
    """Return what says which texts the journal keeps, and how; where none are, without what finds personal data."""
    if not share:
        return lambda decision, text: None
    from vermilion.serve.redaction import Redactor

    return Redactor(share).kept


def _tally(settings: ServeSettings, opening: ExitStack) -> Tally:
    rollouts = opening.enter_context(Rollouts.open(settings.home))
    tally = Tally(rollouts)
    tally.start()
    opening.callback(tally.stop)
    return tally


def _tell(event: str, line: str, metrics: Metrics, live: Callable[[], Live]) -> None:
    (logger.info if event == "swapped" else logger.error)("%s: %s", event, line)
    metrics.snapshot(event, live().snapshot)


def writer_name() -> str:
    """Return a name for this process's journal that no other process of any machine uses at the same time."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40].strip("-") or "host"
    return f"{host}-{os.getpid()}"
