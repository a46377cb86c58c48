"""The same expert asked the same question once more, as if it were another question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vermilion.types import Expert, Meter, Question, Reply, Spend


class AskedAgain:
    """An expert whose keys differ from those of the expert within, so that a stored answer is not taken for a new one.

    Nothing is ever asked twice by its key. Whether a model answers the same question alike each time can only be seen
    by asking twice on purpose; under a key of its own the second answer is stored, and found again, like any other.

    Parameters
    ----------
    expert : Expert
    time : int
        From 2: which time it is.

    Examples
    --------
    >>> from vermilion.world.experts import OracleExpert
    >>> oracle = OracleExpert({"it is lost": "lost_card"})
    >>> question = Question("it is lost", ("fee", "lost_card"))
    >>> AskedAgain(oracle).key(question) == oracle.key(question)
    False
    """

    def __init__(self, expert: Expert, time: int = 2) -> None:
        self.name, self.simulated = expert.name, expert.simulated
        self._expert, self._time = expert, time

    def key(self, question: Question) -> str:
        """Return a hash of the question's own key and of which time it is asked."""
        return self._renamed(self._expert.key(question))

    def worst_case(self, question: Question) -> Spend:
        """Return the most that asking once more can cost."""
        return self._expert.worst_case(question)

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Ask all, each under its other key."""
        for reply in self._expert.ask(questions, _Renaming(meter, self)):
            key = self._renamed(reply.key)
            verdict = None if reply.verdict is None else replace(reply.verdict, key=key)
            yield replace(reply, key=key, verdict=verdict)

    def _renamed(self, key: str) -> str:
        return hashlib.sha256(f"{self._time}\0{key}".encode()).hexdigest()


class _Renaming:
    """A meter that books under the other keys, or the ledger would count both times as one call."""

    def __init__(self, meter: Meter, expert: AskedAgain) -> None:
        self._meter, self._expert = meter, expert

    def reserve(self, key: str, worst: Spend) -> int:
        return self._meter.reserve(self._expert._renamed(key), worst)

    def settle(self, ticket: int, spent: Spend) -> None:
        self._meter.settle(ticket, spent)

    def charge(self, keys: Sequence[str], each: Spend) -> int:
        return self._meter.charge([self._expert._renamed(key) for key in keys], each)
