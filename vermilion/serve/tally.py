"""What a worker has counted for rollouts: added to in a microsecond, written down each second."""

from __future__ import annotations

import threading
import uuid
from collections import deque

from vermilion.errors import StoreError
from vermilion.world.rollout import Answer, Arm, Count, Disagreement, Metric
from vermilion.world.rollouts import Rollouts

SECONDS = 1.0
# Answers that wait for the next writing; a second that has more of them loses some, and they are only a sample.
WAITING = 1000

_Place = tuple[int, Arm, Metric]


class Tally:
    """Counts of one process from its start to its end. Safe to use from several threads.

    What is written are sums since the start, so that a writing that may or may not have been done is done again, and
    a kill loses what was counted since the last one.

    Parameters
    ----------
    rollouts : Rollouts
    seconds : float
        Between two writings.
    """

    def __init__(self, rollouts: Rollouts, seconds: float = SECONDS) -> None:
        self._rollouts, self._seconds = rollouts, seconds
        self._source = uuid.uuid4().hex
        self._sums: dict[_Place, list[int]] = {}
        self._unwritten: set[_Place] = set()
        self._kept: deque[tuple[int, Disagreement | Answer]] = deque(maxlen=WAITING)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, rollout: int, arm: Arm, metric: Metric, bad: bool) -> None:
        """Count one request of an arm."""
        place = (rollout, arm, metric)
        with self._lock:
            sums = self._sums.get(place)
            if sums is None:
                sums = self._sums[place] = [0, 0]
            sums[0] += 1
            sums[1] += bad
            self._unwritten.add(place)

    def differ(self, rollout: int, found: Disagreement) -> None:
        """Keep a request that the two answered differently; `note` counts it."""
        self._kept.append((rollout, found))

    def answered(self, rollout: int, answer: Answer) -> None:
        """Keep what an arm answered, so that feedback on it can be counted as "wrong" or not."""
        self._kept.append((rollout, answer))

    def flush(self) -> None:
        """Write down what has changed.

        Raises
        ------
        StoreError
            The database refuses; the counts are kept for the next time.
        """
        with self._writing:
            counted, places = self._taken()
            try:
                self._rollouts.add_counts(self._source, counted)
            except BaseException:
                with self._lock:
                    self._unwritten |= places
                raise
            self._write_kept()

    def _taken(self) -> tuple[dict[int, list[Count]], set[_Place]]:
        """Return what has changed since it was asked last."""
        with self._lock:
            places, self._unwritten = self._unwritten, set()
            counted: dict[int, list[Count]] = {}
            for rollout, arm, metric in places:
                n, bad = self._sums[rollout, arm, metric]
                counted.setdefault(rollout, []).append(Count(arm, metric, n, bad))
            return counted, places

    def _write_kept(self) -> None:
        """Write the answers that wait; those that cannot be written are let go, for they are only a sample."""
        kept = [self._kept.popleft() for _ in range(len(self._kept))]
        for rollout in dict.fromkeys(number for number, _ in kept):
            mine = [one for number, one in kept if number == rollout]
            differed = [one for one in mine if isinstance(one, Disagreement)]
            if differed:
                self._rollouts.add_disagreements(rollout, differed)
            if answers := [one for one in mine if isinstance(one, Answer)]:
                self._rollouts.add_answers(rollout, answers)

    def start(self) -> None:
        """Write each second from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="tally", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write for the last time."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self.flush()
            except StoreError:
                continue  # the sums are kept, and the database is tried again in a second
