"""The controller: looks at what was counted each second, and moves, takes back or ends what runs. One at a time."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from vermilion.errors import ConflictError, InputError, VermilionError
from vermilion.serve.evidence import Evidence, Seen
from vermilion.serve.rollout import Verdict, judge
from vermilion.world.feedback import Feedback, Told
from vermilion.world.home import Home
from vermilion.world.registry import Registry
from vermilion.world.registry_names import CHAMPION
from vermilion.world.rollout import Rollout, State, one_label
from vermilion.world.rollouts import CONTROLLER, Progress, Rollouts
from vermilion.world.rollouts_lease import LeaseLostError

SECONDS = 1.0
# What the tests have found is written down this often; a kill in between makes the next block a little larger.
SAVE_SECONDS = 10.0
# Feedback is read this often, and counted a turn later: the answer it is about may not be written yet.
FEEDBACK_SECONDS = 5.0
# A longer gap between two looks is no time in service.
MOST_GAP = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a running rollout between two looks."""

    evidence: Evidence
    seconds: float
    saved_at: float


class Controller:
    """Judges the rollouts of a home. Any number may be started; the one that holds the lease works.

    Parameters
    ----------
    home : Home
    clock : callable
        Seconds that never go back; no other clock is asked, so that one that is set changes nothing.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._registry = Registry.open(home)
        self._rollouts = Rollouts.open(home)
        self._feedback = Feedback.open(home)
        self._lease = self._rollouts.lease(uuid.uuid4().hex, clock)
        self._known: dict[int, _Known] = {}
        self._told: list[Told] = []
        self._looked_at: float | None = None
        self._read_at = -FEEDBACK_SECONDS
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look each second from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the look at hand, give the lease back and close the database."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self._lease.release()
        except VermilionError as error:  # whoever comes next waits until the lease stands still
            _log.warning("rollouts: the lease was not given back: %s", error)
        for part in (self._feedback, self._rollouts, self._registry):
            part.close()

    def step(self) -> list[str]:
        """Look once; return a line for each thing that was done.

        Raises
        ------
        StoreError
            The database refuses, or another took over while this one was held up; nothing is half done.
        """
        gap = self._gap()
        if not self._lease.hold():
            self._forget()
            return []
        try:
            done = [self._move(rollout) for rollout in self._rollouts.to_move()]
            self._read_feedback()
            running = self._rollouts.running()
            self._known = {one.id: self._known[one.id] for one in running if one.id in self._known}
            for rollout in running:
                done += self._look(rollout, gap)
        except LeaseLostError:
            self._forget()
            raise
        return done

    def _look(self, rollout: Rollout, gap: float) -> list[str]:
        """Judge one rollout, and do what follows."""
        if gone := self._gone(rollout):
            return self._end(rollout, "stopped", gone)
        known = self._known.get(rollout.id) or self._recall(rollout)
        settled = self._rollouts.settled(rollout.id)
        seen = Seen(self._rollouts.totals(rollout.id), *settled, seconds=known.seconds + gap)
        evidence, verdict = judge(rollout, known.evidence, seen)
        known = replace(known, evidence=evidence, seconds=seen.seconds)
        due = verdict.action != "wait" or self._clock() - known.saved_at >= SAVE_SECONDS
        if due:
            self._rollouts.save(self._lease, rollout.id, Progress(known.seconds, evidence.dumps()))
            known = replace(known, saved_at=self._clock())
        self._known[rollout.id] = known
        return self._do(rollout, verdict)

    def _do(self, rollout: Rollout, verdict: Verdict) -> list[str]:
        if verdict.action == "wait":
            return []
        if verdict.action == "advance":
            done = self._rollouts.advance(self._lease, rollout, verdict.why)
            return [f"{_name(rollout)}: step {rollout.step + 2}: {verdict.why}"] if done else []
        return self._end(rollout, verdict.action, verdict.why)

    def _end(self, rollout: Rollout, state: State, why: str) -> list[str]:
        if not self._rollouts.end(self._lease, rollout, state, why):
            return []  # somebody stopped it at the same time
        done = [f"{_name(rollout)}: {state}: {why}"]
        if state == "successful" and rollout.kind == "canary":
            done.append(self._move(rollout))
        return done

    def _move(self, rollout: Rollout) -> str:
        """Make the challenger of a successful canary the champion, unless people have moved the alias meanwhile."""
        before, after = rollout.references["champion"], rollout.references["challenger"]
        why = f"rollout {rollout.id} was successful"
        try:
            current = self._registry.aliases(rollout.name).get(CHAMPION)
            # A kill between the move and its note: the move is there already.
            if current is None or current.number != rollout.challenger:
                self._registry.promote(rollout.name, after, by=CONTROLLER, why=why, expected=before)
            how = f"{after} is the champion"
        except (ConflictError, InputError) as error:
            how = f"not moved: {error}"
        self._rollouts.moved(self._lease, rollout, how)
        return f"{_name(rollout)}: {how}"

    def _gone(self, rollout: Rollout) -> str:
        """Return why a rollout has lost what it is about, or nothing."""
        current = self._registry.aliases(rollout.name).get(CHAMPION)
        if current is None or current.number != rollout.champion:
            return f"the champion is {current or 'none'} now, not {rollout.references['champion']}"
        try:
            self._registry.resolve(rollout.references["challenger"])
        except InputError as error:
            return str(error)
        return ""

    def _recall(self, rollout: Rollout) -> _Known:
        """Return what was written down of a rollout, by this process or another."""
        progress = self._rollouts.progress(rollout.id)
        text = progress.evidence
        evidence = Evidence.none(rollout) if text is None else Evidence.loads(text, rollout)
        return _Known(evidence, progress.seconds, self._clock())

    def _read_feedback(self) -> None:
        """Settle what was read a turn ago, then read what came since."""
        if self._clock() - self._read_at < FEEDBACK_SECONDS:
            return
        self._read_at = self._clock()
        if self._told:
            right = {one.decision: one_label(one.labels) for one in self._told}
            self._rollouts.settle(right, self._told[-1].number)
        self._told = list(self._feedback.since(self._rollouts.mark()))

    def _gap(self) -> float:
        """Return the time in service since the last look."""
        now, before = self._clock(), self._looked_at
        self._looked_at = now
        return 0.0 if before is None else min(max(now - before, 0.0), MOST_GAP)

    def _forget(self) -> None:
        """Forget what another may have changed."""
        self._known, self._told, self._looked_at = {}, [], None

    def _run(self) -> None:
        while not self._stopped.wait(SECONDS):
            try:
                for line in self.step():
                    _log.info("%s", line)
            except VermilionError as error:
                _log.warning("rollouts: %s", error)
            except Exception:
                # A thread that dies would leave a bad challenger in place: better a loud line each second.
                _log.exception("rollouts: a look failed")


def _name(rollout: Rollout) -> str:
    return f"rollout {rollout.id} of {rollout.name}"
