"""What the service counts, for Prometheus: the same whichever worker is asked. No text and no key is ever in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vermilion.serve.batching import Job
from vermilion.serve.live import Snapshot

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter

# Read by prometheus-client when it is imported: workers write what they count into files there.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
DROPS = ("full", "late", "gone", "failed", "unrecorded")


class Metrics:
    """Counters of a worker, added up over all workers when they are read."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        # With a folder, what is read comes from the files of all workers and from no registry of this one.
        shared = FOLDER_VARIABLE in os.environ
        self._own = None if shared else CollectorRegistry()
        own = self._own
        self._requests = Counter(
            "vermilion_requests", "Requests by path and status.", ["path", "status"], registry=own
        )
        self._seconds = Histogram(
            "vermilion_request_seconds",
            "From the body read to the answer recorded.",
            ["arm"],
            buckets=SECONDS,
            registry=own,
        )
        self._texts = Counter(
            "vermilion_texts", "Texts by what became of them.", ["arm", "outcome"], registry=own
        )
        self._dropped = Counter(
            "vermilion_dropped_requests", "Requests given up, by reason.", ["reason"], registry=own
        )
        self._batch = Histogram("vermilion_batch_texts", "Texts in a batch.", buckets=TEXTS, registry=own)
        self._batch_seconds = Histogram(
            "vermilion_batch_seconds", "Work on a batch.", buckets=SECONDS, registry=own
        )
        self._waiting = Gauge(
            "vermilion_waiting_texts", "Texts that wait.", multiprocess_mode="livesum", registry=own
        )
        self._version = Gauge(
            "vermilion_model_version",
            "The number of the version that a worker serves; 0 without a registry.",
            ["name", "arm"],
            multiprocess_mode="liveall",
            registry=own,
        )
        self._swaps = Counter(
            "vermilion_snapshots", "Looks at the registry that led to something.", ["event"], registry=own
        )
        self._feedback = Counter("vermilion_feedback", "Right labels that were told.", registry=own)
        for reason in DROPS:
            self._dropped.labels(reason)
        self._answered = {arm: self._seconds.labels(arm) for arm in ("champion", "challenger")}
        self._cells: dict[tuple[str, ...], Counter] = {}

    def request(self, path: str, status: int) -> None:
        """Count an answer."""
        self._cell(self._requests, path, str(status)).inc()

    def refused(self, status: int) -> None:
        """Count a request that the guard has refused, whatever its path was."""
        self._cell(self._requests, "-", str(status)).inc()

    def answered(self, jobs: Iterable[Job]) -> None:
        """Count requests whose texts were decided and recorded."""
        counts: dict[tuple[str, str], int] = {}
        for job in jobs:
            if job.probe:
                continue
            self._answered[job.arm].observe(job.seconds)
            for one in job.decisions:
                place = job.arm, "refused" if one.refused else "abstained" if one.abstained else "labelled"
                counts[place] = counts.get(place, 0) + 1
        for (arm, outcome), count in counts.items():
            self._cell(self._texts, arm, outcome).inc(count)

    def dropped(self, reason: str) -> None:
        """Count a request that was given up: one of DROPS."""
        self._cell(self._dropped, reason).inc()

    def batch(self, texts: int, seconds: float, waiting: int) -> None:
        """Count a batch, and note how many texts wait behind it."""
        self._batch.observe(texts)
        self._batch_seconds.observe(seconds)
        self._waiting.set(waiting)

    def told(self) -> None:
        """Count feedback that is on the disk."""
        self._feedback.inc()

    def snapshot(self, event: str, snapshot: Snapshot) -> None:
        """Note what is served now, and what led to it: "loaded", "swapped", "refused" or "unreachable"."""
        self._cell(self._swaps, event).inc()
        for arm, served in (("champion", snapshot.champion), ("challenger", snapshot.challenger)):
            gauge = self._version.labels(snapshot.champion.address.name, arm)
            gauge.set(0 if served is None else served.address.number or 0)

    def text(self) -> bytes:
        """Return all that was counted, by all workers, as Prometheus reads it."""
        from prometheus_client import generate_latest

        return generate_latest(self._own or _of_all_workers())

    def _cell(self, counter: Counter, *labels: str) -> Counter:
        """Return the counter of some labels; to look it up by name each time takes longer than to count."""
        place = (counter._name, *labels)
        cell = self._cells.get(place)
        if cell is None:
            cell = self._cells[place] = counter.labels(*labels)
        return cell


def _of_all_workers() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def fresh_folder(runtime: Path, name: str) -> Path:
    """Return an empty folder for the files of the workers of one service; what another start left goes."""
    folder = runtime / f"metrics-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def worker_ended(folder: Path, pid: int) -> None:
    """Take a dead worker's gauges away; what it counted stays."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
