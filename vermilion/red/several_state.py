"""What a run with several labels a text knows and has asked, in a form the store can keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from vermilion.red.state import Tally
from vermilion.types import BoolArray, IntArray, Verdict

UNKNOWN, NO, YES = -1, 0, 1


@dataclass(frozen=True, slots=True)
class PairStep:
    """What is asked at once: pairs of an open text and a label.

    Attributes
    ----------
    pairs : tuple of (open text, label number)
    proposed : tuple of bool
        Whether the model, when it was asked, would have given the text that label.
    halves : tuple of int
        Of an audit: how many labels the model gave, and how many it did not, that it was drawn from.
    delta : float
        Each bound of an audit fails with at most this probability.
    complete : bool
        Whether all was asked that was chosen; False where a cap came first.
    reason : str
        Why this audit is the last; empty for one that only tries whether the target is reached.
    limits : str
        The limits under which it was drawn: under others the run may go on after it.
    """

    kind: Literal["round", "audit"]
    pairs: tuple[tuple[int, int], ...]
    proposed: tuple[bool, ...]
    halves: tuple[int, ...] = ()
    delta: float = 0.0
    complete: bool = True
    reason: str = ""
    limits: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types for the store."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore what `as_json` gave.

        Examples
        --------
        >>> import json
        >>> step = PairStep("audit", ((3, 1), (4, 0)), (True, False), (20, 80), 0.05)
        >>> PairStep.from_json(json.loads(json.dumps(step.as_json()))) == step
        True
        """
        lists = {
            "pairs": tuple((row, label) for row, label in value["pairs"]),
            "proposed": tuple(value["proposed"]),
            "halves": tuple(value["halves"]),
        }
        return cls(**{**value, **lists})

    def only(self, places: Sequence[int]) -> PairStep:
        """Return the step cut to these places: what was really asked before a cap."""
        return replace(
            self,
            pairs=tuple(self.pairs[place] for place in places),
            proposed=tuple(self.proposed[place] for place in places),
            complete=self.complete and len(places) == len(self.pairs),
        )


@dataclass(slots=True)
class PairState:
    """What the expert said.

    Attributes
    ----------
    answers : ndarray of int8, shape (n_open, K)
        1: the text has the label; 0: it has not; -1: not asked.
    overruled : ndarray of bool, shape (n_open,)
        Texts for which an answer was another than the model's.
    answered_in : ndarray of int, shape (n_open,)
        The round of the last answer, -1 where there is none.
    unanswerable : ndarray of bool, shape (n_open, K)
        Pairs that the expert could not answer, which are not asked for ever.
    """

    answers: IntArray
    overruled: BoolArray
    answered_in: IntArray
    unanswerable: BoolArray

    @classmethod
    def empty(cls, n_open: int, n_labels: int) -> Self:
        """Return a state that knows nothing."""
        return cls(
            np.full((n_open, n_labels), UNKNOWN, dtype=np.int8),
            np.zeros(n_open, dtype=np.bool_),
            np.full(n_open, -1),
            np.zeros((n_open, n_labels), dtype=np.bool_),
        )

    @property
    def open(self) -> BoolArray:
        """Pairs that may be asked about, shape (n_open, K)."""
        free: BoolArray = (self.answers == UNKNOWN) & ~self.unanswerable
        return free

    def decided(self, by_model: BoolArray) -> BoolArray:
        """Return which labels each open text has, the expert's word first, shape (n_open, K)."""
        labels: BoolArray = np.where(self.answers == UNKNOWN, by_model, self.answers == YES)
        return labels

    def apply(self, step: PairStep, verdicts: Mapping[int, Verdict], round_: int) -> Tally:
        """Take in the verdicts on a step, by their place in it; a verdict without a label is a "no"."""
        corrected = 0
        for place, (row, label) in enumerate(step.pairs):
            if place not in verdicts:
                self.unanswerable[row, label] = True
                continue
            said = verdicts[place].label is not None
            self.answers[row, label] = YES if said else NO
            self.answered_in[row] = round_
            if said != step.proposed[place]:
                corrected += 1
                self.overruled[row] = True
        return Tally(
            asked=len(verdicts),
            confirmed=sum(verdict.label is not None for verdict in verdicts.values()),
            corrected=corrected,
            cost_usd=sum(verdict.spend.cost_usd for verdict in verdicts.values()),
        )
