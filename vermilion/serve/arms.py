"""What happens to the arms of a rollout, as it is counted: once a request, when it has been answered."""

from __future__ import annotations

from collections.abc import Iterable

from vermilion.serve.batching import Job
from vermilion.serve.tally import Tally
from vermilion.world.rollout import Arm, Disagreement

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
            self._tally.note(rollout.id, job.arm, "error", bad=False)
            self._tally.note(rollout.id, job.arm, "slow", bad=job.seconds * 1000 > rollout.plan.slow_ms)
            if job.compared:
                self._tally.note(rollout.id, OTHER[job.arm], "error", bad=False)
                self._tally.note(rollout.id, "challenger", "disagree", bad=bool(job.differs))
                for found in job.differs:
                    self._tally.differ(rollout.id, found)

    def failed(self, job: Job, arm: Arm) -> None:
        """Count a request that an arm could not answer."""
        rollout = job.snapshot.rollout if job.snapshot else None
        if self._tally is not None and rollout is not None and not job.probe:
            self._tally.note(rollout.id, arm, "error", bad=True)


def disagreement(arm: Arm, decision: str, said: str, other: str) -> Disagreement | None:
    """Return that two answers differ, or None where they do not; `said` is of `arm`."""
    if said == other:
        return None
    champion, challenger = (said, other) if arm == "champion" else (other, said)
    return Disagreement(decision, champion, challenger)
