"""Which texts a step asks about, with which options and examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn.uncertainty import candidate_counts, select
from vermilion.red.asking import Examples, confirmed, nearest_examples
from vermilion.red.problem import Problem
from vermilion.red.proposals import Proposals
from vermilion.red.state import Asked, State, Step
from vermilion.types import BoolArray

RANDOM_SHARE = 0.05
AUDIT_SHARE = 0.06
AUDIT_LEAST, AUDIT_MOST = 30, 400
MANY_LABELS, MOST_OPTIONS, MOST_OPTIONS_OF_MANY = 500, 20, 50


def audit_size(budget: int) -> int:
    """Return how many of `budget` questions the final audit gets.

    Examples
    --------
    >>> [audit_size(n) for n in (0, 60, 1000, 2137, 100_000)]
    [0, 20, 60, 128, 400]
    """
    wanted = round(AUDIT_SHARE * budget)
    return min(max(wanted, AUDIT_LEAST), AUDIT_MOST, budget // 3)


def most_options(settings: RunSettings, n_labels: int) -> int:
    """Return the largest number of options a question may have."""
    if settings.candidates != "auto":
        return min(settings.candidates, n_labels)
    return min(MOST_OPTIONS_OF_MANY if n_labels > MANY_LABELS else MOST_OPTIONS, n_labels)


@dataclass(frozen=True, slots=True)
class Planner:
    """Chooses what to ask; the same state, seed and step number give the same choice."""

    problem: Problem
    settings: RunSettings
    state: State
    proposals: Proposals

    def round(self, number: int, size: int) -> Step:
        """Choose `size` texts: answers in doubt, a random share, which tells how good the head is, the uncertain."""
        doubts = list(self.state.doubts)[:size]
        size -= len(doubts)
        eligible = self.state.eligible(len(self.problem.labels))
        distinct, draws = self._draw(number, max(round(RANDOM_SHARE * size), min(5, size)), eligible)
        eligible[distinct] = False
        chosen = select(self.proposals.score, eligible, self.problem.X_open, size - len(distinct))
        rows = [*distinct, *chosen.tolist(), *doubts]
        counts = [1] * len(rows) if self.settings.ask == "validate" else self._counts(rows)
        return Step("round", self._write_out(rows, counts), draws)

    def audit(self, number: int, size: int, delta: float, nulls: BoolArray | None = None) -> Step:
        """Draw `size` pool rows at random among those that the expert did not settle."""
        distinct, draws = self._draw(number, size, self.state.unsettled)
        nulls = np.zeros(len(self.state.answers), dtype=bool) if nulls is None else nulls
        places = tuple(place for place, row in enumerate(distinct) if nulls[row])
        width = self.proposals.labels.shape[1]
        # To find no label right says the more, the more labels were shown.
        counts = [
            width if nulls[row] else count
            for row, count in zip(distinct, self._counts(distinct), strict=True)
        ]
        return Step("audit", self._write_out(distinct, counts), draws, delta, nulls=places)

    def _draw(self, number: int, size: int, eligible: BoolArray) -> tuple[list[int], tuple[int, ...]]:
        """Draw pool rows, not texts, so that a text counts as often as it stands in the pool.

        Returns the distinct open texts drawn, and for each draw its place among those.
        """
        owners = self.problem.owner[self.problem.owner >= 0]
        owners = owners[eligible[owners]]
        rng = np.random.default_rng([self.settings.seed, 2, number])
        drawn = rng.choice(owners, size=min(size, len(owners)), replace=False).tolist()
        place = {row: place for place, row in enumerate(dict.fromkeys(drawn))}
        return list(place), tuple(place[row] for row in drawn)

    def _write_out(self, rows: list[int], counts: list[int]) -> tuple[Asked, ...]:
        examples = Examples.of(confirmed(self.problem, self.state.answers))
        asked = []
        for row, count in zip(rows, counts, strict=True):
            out = self.state.ruled_out.get(row, ())
            ranked = self._ranked(row)
            # An audit may draw a text for which the expert ruled every label out: it is asked all of them again.
            options = tuple([label for label in ranked if label not in out] or ranked)[:count]
            asked.append(Asked(row, options, nearest_examples(examples, self.problem.X_open[row], options)))
        return tuple(asked)

    def _ranked(self, row: int) -> list[int]:
        """Return the candidates of a text; an answer that is asked again comes first, then its new rivals."""
        ranked: list[int] = self.proposals.labels[row].tolist()
        answer = int(self.state.answers[row])
        first = [*([answer] if answer >= 0 else []), *self.state.doubts.get(row, ())]
        return [*first, *(label for label in ranked if label not in first)]

    def _counts(self, rows: list[int]) -> list[int]:
        if self.settings.candidates != "auto":
            return [self.settings.candidates] * len(rows)
        proba = self.proposals.proba[np.asarray(rows, dtype=np.intp)]
        counts = candidate_counts(proba, most=self.proposals.labels.shape[1])
        return [int(count) for count in counts]
