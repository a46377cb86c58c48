"""R.E.D. where a text may have several labels: fit, select pairs of a text and a label, ask, add.

As in `red/loop.py`, every step is recorded before it is asked, so that a run that was stopped replays its steps and
asks nothing twice.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn.label_thresholds import f1
from vermilion.red.asking import Desk
from vermilion.red.certifying import Terms
from vermilion.red.plan import budget_spent
from vermilion.red.record import Certificate, GroupCertificate, RoundRecord
from vermilion.red.several_audit import Pair, PairAudit, PairPopulation, pair_audit_size
from vermilion.red.several_model import SeveralModel
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import PairState, PairStep
from vermilion.red.state import Tally
from vermilion.types import BoolArray, FloatArray, Meter

LEAST_ROUND = 20
# A pair is uncertain where the less likely of "has it" and "has it not" has at least this probability.
UNCERTAIN = 0.25
EARLY_AUDITS = 2
STEP = "step/"


@dataclass(frozen=True, slots=True)
class SeveralOutcome:
    """How a run ended.

    Attributes
    ----------
    proba : ndarray of shape (n_open, K)
        Calibrated, by the last model.
    audit : PairAudit or None
        The one that made the certificate.
    """

    state: PairState
    model: SeveralModel
    proba: FloatArray
    rounds: tuple[RoundRecord, ...]
    steps: tuple[PairStep, ...]
    audit: PairAudit | None
    stopped: str
    seconds: dict[str, float]

    @property
    def certificate(self) -> Certificate | None:
        """What the last audit proves of all decisions."""
        return self.audit.certificate if self.audit else None

    @property
    def groups(self) -> tuple[GroupCertificate, ...]:
        """What it proves of the labels given, and of those not given."""
        return self.audit.groups if self.audit else ()

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
        self.audit: PairAudit | None = None
        self.delta_left = 1 - settings.confidence
        self.limits = repr((settings.caps, settings.rounds, settings.target, settings.confidence, budget))

    @property
    def asked(self) -> int:
        """Questions answered so far."""
        return sum(tally.asked for tally in self.tallies)

    def run(self) -> SeveralOutcome:
        """Go through the rounds; return how it ended."""
        recorded = len(self.store.names(STEP))
        for number in itertools.count():
            began = time.perf_counter()
            self.audit = None  # it spoke of the model before
            reason = self._reason()
            proba, audits = self._learn(number, reason)
            fitted = time.perf_counter() - began
            step = self._audit(number, proba, reason) if audits else self._round(number, proba)
            if step is None:
                self._record(proba, Tally(), (fitted, 0.0))
                break
            began = time.perf_counter()
            closed = number + 1 < recorded
            # Before the audit's answers, since it speaks of what was decided without them.
            population = PairPopulation.of(self.model.rule.decide(proba), proba, self.state)
            step, tally = self._ask(number, step, closed=closed)
            self._record(proba, tally, (fitted, time.perf_counter() - began))
            if step.kind == "audit":
                self._certify(step, population)
                reason = self._ended(step)
                if reason and not closed:
                    break
        return SeveralOutcome(
            self.state,
            self.model,
            proba,
            tuple(self.rounds),
            tuple(self.steps),
            self.audit,
            reason,
            {
                "fit": sum(record.seconds_fit for record in self.rounds),
                "expert": sum(record.seconds_expert for record in self.rounds),
            },
        )

    def _learn(self, number: int, reason: str) -> tuple[FloatArray, bool]:
        """Fit on all that is known; return probabilities of all pairs, and whether an audit is next.

        Before an audit scales and thresholds are fitted, too: it is to speak of the decisions as they will be.
        """
        if self.steps:
            self.model.learn(self.problem, self.state)
        proba = self.model.predict_proba(self.problem.X_open)
        recorded = self.store.get(_name(number))
        audits = bool(reason) or self._promising(proba) if recorded is None else recorded["kind"] == "audit"
        if audits and self.steps:
            self.model = self.model.settled(self.problem, self.state)
            proba = self.model.predict_proba(self.problem.X_open)
        return proba, audits

    def _promising(self, proba: FloatArray) -> bool:
        """Tell whether an audit now would certify the target, were the model's probabilities right."""
        early, size = sum(step.kind == "audit" for step in self.steps), pair_audit_size(self.budget)
        if early >= EARLY_AUDITS or self._room() <= size:
            return False
        population = PairPopulation.of(self.model.rule.decide(proba), proba, self.state)
        return population.promised(size, self.delta_left / 2) >= self.settings.target

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
        return self.budget - pair_audit_size(self.budget) - self.asked

    def _round(self, number: int, proba: FloatArray) -> PairStep | None:
        """Return the pairs to ask about, from the record if they are there."""
        size = max(-(-(self.budget - pair_audit_size(self.budget)) // self.settings.rounds), LEAST_ROUND)

        def chosen() -> PairStep:
            pairs = select_pairs(proba, self.state.open, min(size, self._room()))
            return self._written("round", pairs, proba)

        return self._kept(number, chosen)

    def _audit(self, number: int, proba: FloatArray, reason: str) -> PairStep | None:
        """Return the pairs that an audit draws; without a reason to end it leaves half of the error for a later one."""
        size = min(pair_audit_size(self.budget), max(self.budget - self.asked, 0))

        def drawn() -> PairStep:
            population = PairPopulation.of(self.model.rule.decide(proba), proba, self.state)
            pairs = population.draw(size, np.random.default_rng([self.settings.seed, 2, number]))
            return replace(
                self._written("audit", pairs, proba),
                halves=tuple(int(half.sum()) for half in population.halves),
                delta=self.delta_left if reason else self.delta_left / 2,
                reason=reason,
                limits=self.limits,
            )

        return self._kept(number, drawn)

    def _written(self, kind: Literal["round", "audit"], pairs: Sequence[Pair], proba: FloatArray) -> PairStep:
        said = self.model.rule.decide(proba)
        return PairStep(kind, tuple(pairs), tuple(bool(said[pair]) for pair in pairs))

    def _kept(self, number: int, make: Callable[[], PairStep]) -> PairStep | None:
        """Return the recorded step, or make and record it; None when nothing can be asked."""
        recorded = self.store.get(_name(number))
        if recorded is not None:
            return PairStep.from_json(recorded)
        step = make()
        if not step.pairs:
            return None
        self.store.put(_name(number), step.as_json())
        return step

    def _ask(self, number: int, step: PairStep, *, closed: bool) -> tuple[PairStep, Tally]:
        """Ask a step and take its answers in; where a cap comes first, cut the record to those."""
        questions = [self.problem.question(row, label) for row, label in step.pairs]
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

    def _certify(self, step: PairStep, population: PairPopulation) -> None:
        """Make out the certificate of a complete audit; one that a cap cut short says nothing."""
        # A last audit spends all that is left; a run continued after it certifies anew.
        self.delta_left = self.delta_left - step.delta or 1 - self.settings.confidence
        if not step.complete:
            return
        settings, expert = self.settings, self.desks["audit"].expert
        note = ""
        if expert.worst_case(self.problem.question(*step.pairs[0])).prompt_tokens:
            note = f"A model answered the audit, too: its truth is that of {expert.name}, not of people"
        terms = Terms(settings.target, settings.confidence, step.delta, note)
        self.audit = population.certify(step, self.state.answers, terms)

    def _ended(self, step: PairStep) -> str:
        """Return why the run ends with this audit, or nothing."""
        if self.audit and self.audit.certificate.lower >= self.settings.target:
            return "target: certified"
        # Under other limits there may be room for more than this audit.
        return step.reason if step.limits == self.limits and not self.cap_hit else self._reason()

    def _record(self, proba: FloatArray, tally: Tally, seconds: tuple[float, float]) -> None:
        unsure = np.minimum(proba, 1 - proba) > UNCERTAIN
        gold = gold_scores(self.problem, self.state.decided(self.model.rule.decide(proba))) or {}
        record = RoundRecord(
            round=len(self.rounds),
            uncertain=int((unsure & self.state.open).any(axis=1).sum()),
            asked=tally.asked,
            confirmed=tally.confirmed,
            agreement=None,
            calls=self.asked,
            cost_usd=sum(one.cost_usd for one in self.tallies),
            gold_agreement=gold.get("agreement"),
            seconds_fit=seconds[0],
            seconds_expert=seconds[1],
            gold_f1=gold.get("f1_micro"),
        )
        self.rounds.append(record)
        self.progress.round(record)


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
