"""R.E.D. where a text may have several labels: fit, select pairs of a text and a label, ask, add.

As in `red/loop.py`, every step is recorded before it is asked, so that a run that was stopped replays its steps and
asks nothing twice.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn.certificate import Bounds, extend, share_right
from vermilion.learn.label_thresholds import f1
from vermilion.red.asking import MOST_EXAMPLES_EACH, Desk
from vermilion.red.plan import budget_spent
from vermilion.red.planning import audit_size
from vermilion.red.record import Certificate, GroupCertificate, RoundRecord
from vermilion.red.several_model import SeveralModel
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import NO, UNKNOWN, YES, PairState, PairStep
from vermilion.red.state import Tally
from vermilion.types import BoolArray, FloatArray, IntArray, Meter, Question

LEAST_ROUND = 20
# A pair is uncertain where the less likely of "has it" and "has it not" has at least this probability.
UNCERTAIN = 0.25
STEP = "step/"
GIVEN = "labels given by the model"


@dataclass(frozen=True, slots=True)
class SeveralOutcome:
    """How a run ended.

    Attributes
    ----------
    proba : ndarray of shape (n_open, K)
        Calibrated, by the last model.
    certificate : Certificate or None
        Of all pairs of a text and a label.
    groups : tuple of GroupCertificate
        What the audit proves of the labels given.
    """

    state: PairState
    model: SeveralModel
    proba: FloatArray
    rounds: tuple[RoundRecord, ...]
    steps: tuple[PairStep, ...]
    certificate: Certificate | None
    groups: tuple[GroupCertificate, ...]
    stopped: str
    seconds: dict[str, float]

    @property
    def capped(self) -> bool:
        """Whether a cap ended the run; with a higher one the same command goes on."""
        return self.stopped.startswith("cap")

    @property
    def decided(self) -> BoolArray:
        """Which labels each open text has, shape (n_open, K)."""
        return self.state.decided(self.model.rule.decide(self.proba))


def select_pairs(proba: FloatArray, free: BoolArray, count: int) -> list[tuple[int, int]]:
    """Choose pairs to ask about: those of each label whose probability is closest to one half, the labels in turn.

    Labels that are rare, and so never likely, get as many questions as frequent ones: their likeliest texts, among
    which their few positives are (docs/design/multi_label.md).

    Parameters
    ----------
    proba : ndarray of shape (n, K)
    free : ndarray of bool, shape (n, K)
        Pairs that may be asked about.

    Examples
    --------
    >>> proba = np.array([[0.8, 0.02], [0.6, 0.1], [0.1, 0.01]])
    >>> select_pairs(proba, np.ones((3, 2), dtype=bool), 3)
    [(1, 0), (1, 1), (0, 0)]
    """
    unsure = np.where(free, np.minimum(proba, 1 - proba), -1.0)
    each = min(count, len(proba))
    rows = np.argpartition(-unsure, each - 1, axis=0)[:each] if each else np.zeros((0, proba.shape[1]), int)
    values = np.take_along_axis(unsure, rows, axis=0)
    order = np.lexsort((rows, -values), axis=0)
    rows, values = (np.take_along_axis(found, order, axis=0) for found in (rows, values))
    rank, label = np.nonzero(values >= 0)
    first = np.lexsort((-values[rank, label], rank))[:count]
    return [(int(rows[rank[i], label[i]]), int(label[i])) for i in first]


class SeveralLoop:
    """One run over one problem.

    Parameters
    ----------
    desk : Desk
        Its meter may spend what is left after an audit's share.
    audit_meter : Meter
        May spend up to the run's caps.
    budget : int
        Questions that the run may plan for in all, the audit included.
    """

    def __init__(
        self,
        problem: SeveralProblem,
        settings: RunSettings,
        model: SeveralModel,
        desk: Desk,
        audit_meter: Meter,
        budget: int,
    ) -> None:
        self.problem, self.settings, self.model, self.budget = problem, settings, model, budget
        self.desks = {"round": desk, "audit": replace(desk, meter=audit_meter)}
        self.store, self.progress = desk.store, desk.progress
        self.state = PairState.empty(len(problem.open_texts), len(problem.labels))
        self.steps: list[PairStep] = []
        self.tallies: list[Tally] = []
        self.rounds: list[RoundRecord] = []
        self.cap_hit = ""
        self.examples = [np.flatnonzero(column) for column in problem.Y_given.T]

    @property
    def asked(self) -> int:
        """Questions answered so far."""
        return sum(tally.asked for tally in self.tallies)

    def run(self) -> SeveralOutcome:
        """Go through the rounds; return how it ended."""
        recorded = len(self.store.names(STEP))
        certificates: tuple[Certificate | None, tuple[GroupCertificate, ...]] = (None, ())
        for number in itertools.count():
            began = time.perf_counter()
            proba = self._learn(last=self._last(number))
            fitted = time.perf_counter() - began
            reason = self._reason()
            step = self._step(number, proba, reason)
            if step is None:
                self._record(proba, Tally(), (fitted, 0.0))
                break
            began = time.perf_counter()
            before = self.state.answers == UNKNOWN
            step, tally = self._ask(number, step, closed=number + 1 < recorded)
            self._record(proba, tally, (fitted, time.perf_counter() - began))
            if step.kind == "audit":
                reason = self._reason() if self.cap_hit else step.reason
                if step.complete:
                    certificates = self._certify(step, proba, before)
                if number + 1 >= recorded and (self.cap_hit or not self._room_for_more()):
                    break
        seconds = {
            "fit": sum(record.seconds_fit for record in self.rounds),
            "expert": sum(record.seconds_expert for record in self.rounds),
        }
        return SeveralOutcome(
            self.state,
            self.model,
            proba,
            tuple(self.rounds),
            tuple(self.steps),
            *certificates,
            reason,
            seconds,
        )

    def _last(self, number: int) -> bool:
        """Tell whether no round follows: an audit does, if anything."""
        recorded = self.store.get(_name(number))
        return bool(self._reason()) if recorded is None else recorded["kind"] == "audit"

    def _learn(self, *, last: bool) -> FloatArray:
        """Fit on all that is known; return probabilities of all pairs. Scales and thresholds follow at the end."""
        if self.steps:
            self.model.learn(self.problem, self.state)
        if last and self.steps:
            self.model = self.model.settled(self.problem, self.state)
        return self.model.predict_proba(self.problem.X_open)

    def _reason(self) -> str:
        """Return why no further round is worth it, or nothing."""
        if self.cap_hit:
            return f"cap: {self.cap_hit}"
        if self.budget == 0:
            return "no questions: there is no expert, or nothing may be asked"
        if not self.state.open.any():
            return "all asked: no pair of a text and a label is left to ask about"
        return "" if self._room() > 0 else budget_spent(self.settings.caps, self.budget)

    def _room(self) -> int:
        """Return how many questions rounds may still ask, the audit set aside."""
        return self.budget - audit_size(self.budget) - self.asked

    def _room_for_more(self) -> bool:
        """Tell whether a continued run, under higher caps, may ask on after its audit."""
        return self._room() > 0 and self.state.open.any().item()

    def _step(self, number: int, proba: FloatArray, reason: str) -> PairStep | None:
        """Return what to ask now, from the record if it is there; None when nothing can be asked."""
        recorded = self.store.get(_name(number))
        if recorded is not None:
            return PairStep.from_json(recorded)
        said = self.model.rule.decide(proba)
        if reason:
            step = self._audit(number, said, reason)
        else:
            size = max(-(-(self.budget - audit_size(self.budget)) // self.settings.rounds), LEAST_ROUND)
            pairs = select_pairs(proba, self.state.open, min(size, self._room()))
            step = PairStep("round", tuple(pairs), tuple(bool(said[pair]) for pair in pairs))
        if not step.pairs:
            return None
        self.store.put(_name(number), step.as_json())
        return step

    def _audit(self, number: int, said: BoolArray, reason: str) -> PairStep:
        """Draw half of an audit among the labels given, half among all pairs that the model decided."""
        size = min(audit_size(self.budget), max(self.budget - self.asked, 0))
        rng = np.random.default_rng([self.settings.seed, 2, number])
        free = self.state.answers == UNKNOWN

        def draw(cells: IntArray, count: int) -> list[int]:
            found: list[int] = rng.choice(cells, size=min(count, len(cells)), replace=False).tolist()
            return found

        given = draw(np.flatnonzero(free & said), size // 2)
        anywhere = draw(np.flatnonzero(free), size - len(given))
        cells = sorted({*given, *anywhere})
        place = {cell: place for place, cell in enumerate(cells)}
        pairs = tuple(divmod(cell, len(self.problem.labels)) for cell in cells)
        return PairStep(
            "audit",
            pairs,
            tuple(bool(said[pair]) for pair in pairs),
            tuple(sorted(place[cell] for cell in given)),
            tuple(sorted(place[cell] for cell in anywhere)),
            1 - self.settings.confidence,
            reason=reason,
        )

    def _ask(self, number: int, step: PairStep, *, closed: bool) -> tuple[PairStep, Tally]:
        """Ask a step and take its answers in; where a cap comes first, cut the record to those."""
        questions = [self._question(row, label) for row, label in step.pairs]
        desk = self.desks[step.kind]
        verdicts, cap = desk.settle(questions, number, closed=closed)
        if cap:
            self.cap_hit = cap
            step = step.only(sorted(verdicts))
            verdicts = {new: verdicts[place] for new, place in enumerate(sorted(verdicts))}
            self.store.put(_name(number), step.as_json())
        tally = self.state.apply(step, verdicts, len(self.rounds))
        self.steps.append(step)
        self.tallies.append(tally)
        return step, tally

    def _question(self, row: int, label: int) -> Question:
        """Write out: is this label right? With the nearest labelled texts that have it."""
        problem, rows = self.problem, self.examples[label]
        near = rows[np.argsort(-(problem.X_given[rows] @ problem.X_open[row]), kind="stable")]
        name = problem.labels[label].name
        shown = tuple((problem.given_texts[place], name) for place in near[:MOST_EXAMPLES_EACH].tolist())
        return Question(problem.open_texts[row], (name,), "validate", shown)

    def _certify(
        self, step: PairStep, proba: FloatArray, free: BoolArray
    ) -> tuple[Certificate | None, tuple[GroupCertificate, ...]]:
        """Bound the share of right pairs, and of right labels among those given, as they were before the audit."""
        said = self.model.rule.decide(proba)
        delta = step.delta / 2  # both bounds hold at once
        rows, known = int(free.sum()), int((~free).sum())
        bounds = self._bounds(free, said, proba, [step.pairs[place] for place in step.anywhere], delta)
        note = (
            f"of {free.size:,} pairs of a distinct text and a label: {known:,} that the expert answered before are"
            " right by definition; the audit is a random sample of the others, of which most are labels that a text"
            " plainly has not. What is right among the labels given stands below"
        )
        certificate = Certificate(
            extend(bounds.estimate, rows, known),
            extend(bounds.lower, rows, known),
            extend(bounds.upper, rows, known),
            self.settings.confidence,
            bounds.method,
            bounds.n,
            note,
        )
        own = self._bounds(free & said, said, proba, [step.pairs[place] for place in step.given], delta)
        group = GroupCertificate(
            "source",
            GIVEN,
            int((free & said).sum()),
            own.estimate if own.n else None,
            own.lower,
            own.upper,
            own.n,
            own.method,
        )
        return certificate, (group,)

    def _bounds(
        self, among: BoolArray, said: BoolArray, proba: FloatArray, pairs: list[tuple[int, int]], delta: float
    ) -> Bounds:
        """Bound the share of these pairs that are right, by those drawn; one without an answer is not."""
        drawn = np.zeros(among.shape, dtype=np.bool_)
        drawn[tuple(np.array(pairs, dtype=np.intp).reshape(-1, 2).T)] = True
        right = np.where(said, self.state.answers == YES, self.state.answers == NO)
        sure = np.where(said, proba, 1 - proba)
        return share_right(right[among & drawn], sure[among].astype(np.float64), drawn[among], delta)

    def _record(self, proba: FloatArray, tally: Tally, seconds: tuple[float, float]) -> None:
        unsure = np.minimum(proba, 1 - proba) > UNCERTAIN
        record = RoundRecord(
            round=len(self.rounds),
            uncertain=int((unsure & self.state.open).any(axis=1).sum()),
            asked=tally.asked,
            confirmed=tally.confirmed,
            agreement=None,
            calls=self.asked,
            cost_usd=sum(one.cost_usd for one in self.tallies),
            gold_agreement=self._gold(proba).get("agreement"),
            seconds_fit=seconds[0],
            seconds_expert=seconds[1],
        )
        self.rounds.append(record)
        self.progress.round(record)

    def _gold(self, proba: FloatArray) -> dict[str, float]:
        decided = self.state.decided(self.model.rule.decide(proba))
        return gold_scores(self.problem, decided) or {}


def gold_scores(problem: SeveralProblem, decided: BoolArray) -> dict[str, float] | None:
    """Return how decisions agree with gold, by pool rows that were not given; None without gold.

    `agreement` is the share of texts with all labels right and none wrong (subset accuracy).
    """
    rows = problem.owner[problem.owner >= 0]
    if problem.gold is None or not len(rows):
        return None
    gold, said = problem.gold[rows], decided[rows]
    return {
        "agreement": float((gold == said).all(axis=1).mean()),
        "f1_micro": f1(gold, said, "micro"),
        "f1_macro": f1(gold, said, "macro"),
        "pair_agreement": float((gold == said).mean()),
    }


def _name(number: int) -> str:
    return f"{STEP}{number:04d}"
