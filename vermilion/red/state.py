"""What a run knows and what it has asked, in a form the store can keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from vermilion.learn.no_label import no_label_proba
from vermilion.red.problem import Problem
from vermilion.types import BoolArray, FloatArray, IntArray, QuestionKind, Verdict

# After so many "none of these" a text is left to people.
MOST_TRIES = 3
# A text has no label where that is likelier than not.
LIKELY_NONE = 0.5
# A label is plausible for a text from this probability on: what a shortlist of 98 % leaves out. A text is undecided
# where its likeliest label has less than this.
PLAUSIBLE, DECIDED = 0.02, 0.95


@dataclass(frozen=True, slots=True)
class Asked:
    """One text to ask about: what is asked, and what the head thought when it was chosen.

    Attributes
    ----------
    row : int
        In the problem's open texts; -1 - p for the given text p, when the expert is checked.
    options : tuple of int
        Label numbers, likeliest first; the first is the head's own label.
    examples : tuple of (label number, place)
        Confirmed texts to show: place p >= 0 is an open text, -1 - p a given one.
    """

    row: int
    options: tuple[int, ...]
    examples: tuple[tuple[int, int], ...] = ()

    @property
    def proposed(self) -> int:
        """The head's label."""
        return self.options[0]


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked at once: a round's questions, or an audit's.

    Attributes
    ----------
    asked : tuple of Asked
    draws : tuple of int
        The random sample of pool rows, as places in `asked`; a text that stands for several rows may be drawn
        several times.
    delta : float
        An audit's bound fails with at most this probability.
    complete : bool
        Whether all was asked that was chosen; False where a cap came first.
    reason : str
        Why this audit is the last; empty where the run goes on.
    limits : str
        The caps and targets of that time: under the same ones, a continued run has ended too.
    nulls : tuple of int
        Places in `asked` of texts that are to have no label: the expert agrees where it says "none of these".
    """

    kind: Literal["round", "audit"]
    asked: tuple[Asked, ...]
    draws: tuple[int, ...] = ()
    delta: float = 0.0
    complete: bool = True
    reason: str = ""
    limits: str = ""
    nulls: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types for the store."""
        asked = [[a.row, list(a.options), [list(example) for example in a.examples]] for a in self.asked]
        rest = {name: getattr(self, name) for name in ("kind", "delta", "complete", "reason", "limits")}
        return {**rest, "asked": asked, "draws": list(self.draws), "nulls": list(self.nulls)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Step:
        """Restore what `as_json` gave.

        Examples
        --------
        >>> step = Step("audit", (Asked(3, (1, 0), ((1, -1),)),), draws=(0,), delta=0.05)
        >>> Step.from_json(step.as_json()) == step
        True
        """
        asked = tuple(
            Asked(row, tuple(options), tuple((label, place) for label, place in examples))
            for row, options, examples in value["asked"]
        )
        rest = {name: value[name] for name in ("kind", "delta", "complete", "reason", "limits")}
        nulls = tuple(value.get("nulls", ()))  # older records have none
        return cls(asked=asked, draws=tuple(value["draws"]), nulls=nulls, **rest)

    def proposed(self, place: int) -> int:
        """Return what the run would decide for a text without an answer; -1 for no label."""
        return -1 if place in self.nulls else self.asked[place].proposed

    def only(self, places: Sequence[int]) -> Step:
        """Return the step cut to these places of `asked`: what was really asked before a cap."""
        kept = {place: new for new, place in enumerate(places)}
        draws, nulls = (tuple(kept[p] for p in found if p in kept) for found in (self.draws, self.nulls))
        asked = tuple(self.asked[place] for place in places)
        complete = self.complete and len(asked) == len(self.asked)
        return replace(self, asked=asked, draws=draws, nulls=nulls, complete=complete)


@dataclass(frozen=True, slots=True)
class Tally:
    """How a step's questions were answered.

    Attributes
    ----------
    asked, confirmed, corrected : int
        Answered; answered with a label; answered otherwise than the head proposed.
    drawn, agreed, refused : int
        Of the random draws: answered; answered as the run would decide; answered with "none of these".
    cost_usd : float
        Of the answers.
    sample : tuple of bool
        Of each answered random draw, in the order of their draw, whether it was answered with the head's label.
    """

    asked: int = 0
    confirmed: int = 0
    corrected: int = 0
    drawn: int = 0
    agreed: int = 0
    refused: int = 0
    cost_usd: float = 0.0
    sample: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which open texts may be asked about, where an earlier run has settled the others.

    Attributes
    ----------
    labels : ndarray of int
        Those texts for which one of these labels is plausible, those that are undecided,
    rows : ndarray of bool, shape (n_open,)
        and these.
    """

    labels: IntArray
    rows: BoolArray

    def mask(self, labels: IntArray, proba: FloatArray) -> BoolArray:
        """Return which texts are within, shape (n_open,), by the proposals of each: shape (n_open, width).

        Examples
        --------
        >>> scope = Scope(np.array([2]), np.array([False, True, False]))
        >>> scope.mask(np.array([[0, 2], [1, 0], [1, 2]]), np.array([[0.9, 0.1], [1.0, 0.0], [0.99, 0.01]]))
        array([ True,  True, False])
        """
        within: BoolArray = self.concerned(labels, proba) | (proba[:, 0] < DECIDED)
        return within

    def concerned(self, labels: IntArray, proba: FloatArray) -> BoolArray:
        """Return which texts a change of labels may concern, undecided or not."""
        plausible = np.isin(labels, self.labels) & (proba >= PLAUSIBLE)
        concerned: BoolArray = plausible.any(axis=1) | self.rows
        return concerned


@dataclass(slots=True)
class State:
    """What is known of the open texts so far; one entry an open text.

    Attributes
    ----------
    answers : ndarray of int
        The expert's label number, -1 where open.
    proposed, answered_in : ndarray of int
        The head's label when the text was asked about, and in which round; -1 where it was not.
    tries : ndarray of int
        How often the answer was "none of these" or "no".
    unlisted : ndarray of float
        The head's probability that the right label is none of those the expert was shown; NaN where it was shown none.
    ruled_out : dict of row to label numbers
    scope : Scope or None
        Where an earlier run's answers were carried over: which texts may be asked about.
    within : ndarray of bool
        Those, by the latest proposals; see `survey`.
    doubts : dict of row to label numbers
        Answers carried over that are to be asked again, since one of these labels was added.
    inherited : ndarray of bool
        Answers carried over that were given while a label was missing that has been added. No question stands
        between them and the new label but the head's word, so audits draw from them, too.
    none_fits : ndarray of bool
        Texts that have no label, by the answers so far (see `refused`): they are not asked about again.
    """

    answers: IntArray
    proposed: IntArray
    answered_in: IntArray
    tries: IntArray
    within: BoolArray
    inherited: BoolArray
    unlisted: FloatArray
    none_fits: BoolArray
    ruled_out: dict[int, tuple[int, ...]] = field(default_factory=dict)
    scope: Scope | None = None
    doubts: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int) -> State:
        """Return the state before any question about `n` texts."""
        answers, proposed, answered_in = np.full((3, n), -1, dtype=np.int64)
        nowhere = np.zeros(n, dtype=bool)
        tries, unlisted = np.zeros(n, dtype=np.int64), np.full(n, np.nan)
        return cls(answers, proposed, answered_in, tries, ~nowhere, nowhere, unlisted, nowhere.copy())

    @property
    def unsettled(self) -> BoolArray:
        """Which texts the expert did not decide, among the labels there are now."""
        return (self.answers < 0) | self.inherited

    def survey(self, labels: IntArray, proba: FloatArray) -> None:
        """Note which texts are within the scope, by the proposals of each: shape (n_open, width)."""
        if self.scope is not None:
            self.within = self.scope.mask(labels, proba)

    def eligible(self, n_labels: int) -> BoolArray:
        """Tell which texts may still be asked about."""
        mask = (self.answers < 0) & (self.tries < MOST_TRIES) & self.within
        for row, labels in self.ruled_out.items():
            mask[row] &= len(labels) < n_labels
        return mask & ~self.none_fits

    def refused(self, n_labels: int, kind: QuestionKind) -> BoolArray:
        """Tell which texts more likely have no label than one that the expert was not shown."""
        none: BoolArray = self.no_label(n_labels, kind) > LIKELY_NONE
        return none

    def no_label(self, n_labels: int, kind: QuestionKind) -> FloatArray:
        """Return the probability that no label fits, by the expert's refusals; 0 where it refused none.

        It is 1 where all labels are ruled out. One "no" after the other to single labels tells nothing of the others.
        """
        refused = np.zeros(len(self.answers), dtype=bool)
        refused[list(self.ruled_out)] = True
        refused &= self.answers < 0
        proba = np.zeros(len(self.answers))
        if kind == "choose":
            shown = np.isfinite(self.unlisted)
            proba[shown] = no_label_proba(self.unlisted[shown], refused[shown])
            # Of answers from before labels were changed it is not known how likely the labels shown were.
            proba[refused & ~shown & (self.tries >= MOST_TRIES)] = 1.0
        proba[[row for row, labels in self.ruled_out.items() if refused[row] and len(labels) >= n_labels]] = (
            1.0
        )
        return proba

    def note_unlisted(self, step: Step, verdicts: Mapping[int, Verdict], unlisted: FloatArray) -> None:
        """Take down how likely the right label is not among those shown, of each question answered: shape (asked,)."""
        for place in verdicts:
            row, before = step.asked[place].row, self.unlisted[step.asked[place].row]
            # Probabilities are of what earlier questions about the text have left.
            self.unlisted[row] = unlisted[place] * (before if np.isfinite(before) else 1.0)

    def apply(self, problem: Problem, step: Step, verdicts: Mapping[int, Verdict], round_: int) -> Tally:
        """Take in the verdicts on a step, by their place in it."""
        number = {label.name: place for place, label in enumerate(problem.labels)}
        said: dict[int, int] = {}
        for place in set(range(len(step.asked))) - verdicts.keys():
            # Whom the expert cannot answer (an endpoint's filter, say) is not asked for ever.
            self.tries[step.asked[place].row] += 1
            self.doubts.pop(step.asked[place].row, None)
        for place, verdict in verdicts.items():
            asked = step.asked[place]
            said[place] = -1 if verdict.label is None else number[verdict.label]
            self.proposed[asked.row] = step.proposed(place)
            self.answered_in[asked.row] = round_
            self.inherited[asked.row] = False
            self.doubts.pop(asked.row, None)
            if verdict.label is None:
                self.tries[asked.row] += 1
                before = self.ruled_out.get(asked.row, ())
                self.ruled_out[asked.row] = tuple(sorted({*before, *asked.options}))
                self.answers[asked.row] = -1
            else:
                self.answers[asked.row] = said[place]
        agreed = {place: step.proposed(place) == label for place, label in said.items()}
        return Tally(
            asked=len(said),
            confirmed=sum(label >= 0 for label in said.values()),
            corrected=sum(not right for right in agreed.values()),
            drawn=sum(place in said for place in step.draws),
            agreed=sum(agreed.get(place, False) for place in step.draws),
            refused=sum(said.get(place) == -1 for place in step.draws),
            cost_usd=sum(verdict.spend.cost_usd for verdict in verdicts.values()),
            sample=tuple(agreed[place] for place in step.draws if place in said),
        )
