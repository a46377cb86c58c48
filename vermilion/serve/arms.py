"""What happens to the arms of a rollout, as it is counted: once a request, when it has been answered."""

from __future__ import annotations

from collections.abc import Iterable

from vermilion.serve.batching import Job
from vermilion.serve.tally import Tally
from vermilion.world.rollout import Answer, Arm, Disagreement, Rollout

OTHER: dict[Arm, Arm] = {"champion": "challenger", "challenger": "champion"}


class Arms:
    """Counts for the rollout of each request; without a tally, nothing.

    Parameters
    ----------
    tally : Tally, optional
        Where the versions come from the registry.
    """

    def __init__(self, tally: Tally | None = None) -> None:
        self._tally = tally

    def answered(self, jobs: Iterable[Job]) -> None:
        """Count requests that were answered: no error, slow or not, and whether both say the same."""
        for job in jobs:
            rollout = job.snapshot.rollout if job.snapshot else None
            if self._tally is None or rollout is None or job.probe:
                continue
            self._answered(self._tally, job, rollout)

    def _answered(self, tally: Tally, job: Job, rollout: Rollout) -> None:
        bound = rollout.plan.slow_ms / 1000
        tally.note(rollout.id, job.arm, "error", bad=False)
        tally.note(rollout.id, job.arm, "slow", bad=job.seconds > bound)
        for decision in job.decisions:
            tally.answered(rollout.id, Answer(decision.id, job.arm, decision.words))
        if not job.compared:
            return
        tally.note(rollout.id, "challenger", "disagree", bad=bool(job.differs))
        for found in job.differs:
            tally.differ(rollout.id, found)
        if rollout.kind == "shadow":  # it answers nobody, and yet it must not be slow nor fail
            tally.note(rollout.id, OTHER[job.arm], "error", bad=False)
            tally.note(rollout.id, OTHER[job.arm], "slow", bad=job.beside_seconds > bound)

    def failed(self, job: Job, arm: Arm) -> None:
        """Count a request that an arm could not answer; one that is only compared counts where that is all it does."""
        rollout = job.snapshot.rollout if job.snapshot else None
        if self._tally is None or rollout is None or job.probe:
            return
        if arm == job.arm or rollout.kind == "shadow":
            self._tally.note(rollout.id, arm, "error", bad=True)


def disagreement(arm: Arm, decision: str, said: str, other: str) -> Disagreement | None:
    """Return that two answers differ, or None where they do not; `said` is of `arm`."""
    if said == other:
        return None
    champion, challenger = (said, other) if arm == "champion" else (other, said)
    return Disagreement(decision, champion, challenger)
