"""R.E.D., Recursive Expert Delegation: fit, propose, select, ask, add, until nothing more is gained.

The loop is a function of its data, its settings and the verdicts in the store. What it chooses to ask is
recorded, step by step, before it is asked: a run that was stopped at any moment replays its steps and goes on
as if it had never been stopped, and asks nothing twice. A step that others followed is closed: what had no
answer then is not asked again, or the steps after it would rest on another state than they were chosen in.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn import stopping
from vermilion.learn.anytime import anytime_lower
from vermilion.learn.certificate import clopper_pearson, extend
from vermilion.learn.worth import Gain
from vermilion.red.asking import Desk, to_question
from vermilion.red.certifying import Audit, Population, Sample, Terms, certify
from vermilion.red.out_of_scope import Drawn, Foreign, Watch
from vermilion.red.outlook import Outlook, not_worth_it
from vermilion.red.plan import budget_spent
from vermilion.red.planning import AUDIT_LEAST, Planner, audit_size, most_options
from vermilion.red.problem import Problem
from vermilion.red.proposals import Model, Proposals, propose
from vermilion.red.record import Certificate, RoundRecord
from vermilion.red.state import State, Step, Tally
from vermilion.types import BoolArray, FloatArray, IntArray, Meter, QuestionKind

UNCERTAIN_GAP = 0.5
EARLY_AUDITS = 2
SAMPLED_ROUNDS = 3
STOP_SET = 2000
# Fewer questions in a round tell too little to decide by whether another is worth it.
LEAST_ROUND = 20
STEP = "step/"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its state, its last model with its proposals, and the way there.

    What the last of the steps brought was learned by no model.

    Attributes
    ----------
    audit : Audit or None
        The one that made the certificate.
    for_people : ndarray of bool, shape (n_open,), or None
        Texts below the threshold of what may be accepted without a look.
    """

    state: State
    model: Model
    proposals: Proposals
    rounds: tuple[RoundRecord, ...]
    certificate: Certificate | None
    stopped: str
    seconds: dict[str, float]
    steps: tuple[Step, ...] = ()
    audit: Audit | None = None
    for_people: BoolArray | None = None
    foreign: Foreign | None = None
    drawn: Drawn = field(default_factory=Drawn)
    ask: QuestionKind = "choose"

    @property
    def capped(self) -> bool:
        """Whether a cap ended the run; with a higher one the same command goes on."""
        return self.stopped.startswith("cap")

    @property
    def refused(self) -> BoolArray:
        """Open texts that have no label, by the expert's answers, shape (n_open,)."""
        return self.state.none_fits

    @cached_property
    def no_label(self) -> FloatArray:
        """Probability that no label fits, by the expert's answers, shape (n_open,)."""
        return self.state.no_label(len(self.model.head.classes_), self.ask)

    @cached_property
    def flagged(self) -> BoolArray:
        """Open texts that get no label for their looks, shape (n_open,)."""
        nowhere = np.zeros(len(self.state.answers), dtype=bool)
        return nowhere if self.foreign is None else self.foreign.flagged & (self.state.answers < 0)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The model after one fit, and what changed."""

    proposals: Proposals
    uncertain: int
    kappa: float | None
    gold_agreement: float | None
    seconds: float


class Loop:
    """One run over one problem.

    Parameters
    ----------
    problem : Problem
    settings : RunSettings
    model : Model
        With unfitted heads.
    desk : Desk
        Its meter may spend what is left after an audit's share.
    audit_meter : Meter
        May spend up to the run's caps.
    budget : int
        Questions that the run may plan for in all, audits included.
    state : State, optional
        What is known from before; nothing by default.
    """

    def __init__(
        self,
        problem: Problem,
        settings: RunSettings,
        model: Model,
        desk: Desk,
        audit_meter: Meter,
        budget: int,
        *,
        state: State | None = None,
    ) -> None:
        self.problem, self.settings, self.model, self.budget = problem, settings, model, budget
        self.desks = {"round": desk, "audit": replace(desk, meter=audit_meter)}
        self.store, self.progress = desk.store, desk.progress
        self.state = state or State.empty(len(problem.open_texts))
        self.state.none_fits = self.state.refused(len(problem.labels), settings.ask)
        self.weights = problem.weights
        self.steps: list[Step] = []
        self.tallies: list[Tally] = []
        self.history: list[stopping.Progress] = []
        self.rounds: list[RoundRecord] = []
        self.delta_left = 1 - settings.confidence
        self.audit: Audit | None = None
        self.watch = Watch(problem, settings, model.head)
        self.foreign: Foreign | None = None
        self.outlook = Outlook(self.weights)
        self.gains: tuple[Gain | None, Gain | None] = (None, None)
        self.cap_hit = ""
        self.limits = repr(
            (settings.caps, settings.rounds, settings.target, settings.confidence, settings.worth)
        )
        shuffled = np.random.default_rng([settings.seed, 1]).permutation(len(problem.open_texts))
        self.stop_rows: IntArray = shuffled
        self.stop_labels: IntArray | None = None
        self.recorded = len(self.store.names(STEP))

    @property
    def asked(self) -> int:
        """Questions answered so far."""
        return sum(tally.asked for tally in self.tallies)

    def run(self) -> Outcome:
        """Go through the rounds; return how it ended."""
        for number in itertools.count():
            fitted = self._learn()
            reason = self._reason()
            step = self._step(number, fitted.proposals, reason)
            if step is None:
                self._record(fitted, Tally(), None, 0.0)
                break
            start = time.perf_counter()
            closed = number + 1 < self.recorded
            # Before the audit's answers, since it speaks of what was decided without them.
            nulls = self._nulls() if step.kind == "audit" and not closed else None
            population = Population.of(self.problem, self.state, fitted.proposals, nulls)
            step, tally = self._ask(number, step, fitted.proposals, closed=closed)
            agreement = self._agreement(step, tally, population)
            self._record(fitted, tally, agreement, time.perf_counter() - start)
            if step.kind == "audit" and not closed:
                if self._certified():
                    reason = "target: certified"
                else:  # under other limits: is there room for more than this audit?
                    reason = step.reason if step.limits == self.limits else self._reason()
                if reason:
                    break
        return Outcome(
            self.state,
            self.model,
            fitted.proposals,
            tuple(self.rounds),
            self.certificate,
            reason,
            {
                "fit": sum(r.seconds_fit for r in self.rounds),
                "expert": sum(r.seconds_expert for r in self.rounds),
            },
            tuple(self.steps),
            self.audit,
            self.audit.for_people(self.settings.target) if self.audit else None,
            self._looks_foreign(),
            self._drawn(),
            self.settings.ask,
        )

    @property
    def certificate(self) -> Certificate | None:
        """What the last audit proves of the model as it is now."""
        return self.audit.certificate if self.audit else None

    def _looks_foreign(self) -> Foreign:
        """Return how foreign open texts look to what was known at the last fit, or before the audit after it."""
        if self.foreign is None:
            self.foreign = self.watch.find(self.state)
        return self.foreign

    def _nulls(self) -> BoolArray:
        """Tell which open texts are to have no label."""
        refused = self.state.none_fits
        return refused if self.settings.out_of_scope is None else refused | self._looks_foreign().flagged

    def _learn(self) -> Fitted:
        """Fit on all that is confirmed, propose for all that is open, compare with the model before."""
        start = time.perf_counter()
        self.audit = self.foreign = None  # they spoke of the model before
        proba = self.model.learn(self.problem, self.state.answers)
        width = most_options(self.settings, len(self.problem.labels))
        proposals = propose(self.model, self.problem.X_open, self.state.ruled_out, width, proba)
        self.state.survey(proposals.labels, proposals.proba)
        if not self.rounds:
            self.budget = self._narrowed(self.budget, proposals)
            self.stop_rows = self.stop_rows[self.state.within[self.stop_rows]][:STOP_SET]
        labels = proposals.labels[self.stop_rows, 0]
        kappa = None if self.stop_labels is None else stopping.model_kappa(self.stop_labels, labels)
        self.stop_labels = labels
        open_ = (self.state.answers < 0) & self.state.within
        fitted = Fitted(
            proposals,
            int(self.weights[open_ & (proposals.gap < UNCERTAIN_GAP)].sum()),
            kappa,
            self._gold_agreement(proposals),
            time.perf_counter() - start,
        )
        self._look_ahead(proposals)
        last = self.tallies[-1] if self.tallies else Tally()
        unsure = int((open_ & (proposals.gap < UNCERTAIN_GAP)).sum())
        self.history.append(stopping.Progress(unsure, last.asked, last.confirmed, last.corrected, kappa))
        return fitted

    def _look_ahead(self, proposals: Proposals) -> None:
        """Find what the next questions are expected to buy; without any, nothing is."""
        if self.budget:
            last = (self.steps[-1], self.tallies[-1]) if self.steps else None
            self.outlook.look(self.state, proposals, last)
            eligible = self.state.eligible(len(self.problem.labels))
            self.gains = self.outlook.gains(eligible, proposals.score, self._round_size())

    def _narrowed(self, budget: int, proposals: Proposals) -> int:
        """Return what may be asked where labels were changed.

        That is what is missing to as many answers as the budget would have brought, since the earlier run spent some of
        its questions on texts for which it had no label; or, if that is more, the budget's share of the texts that the
        change may concern. Answers in doubt and an audit come on top.
        """
        state = self.state
        if state.scope is None:
            return budget
        concerned = state.scope.concerned(proposals.labels, proposals.proba) & (state.answers < 0)
        if not state.doubts and not concerned.any():
            return 0
        missing = max(budget - int((state.answers >= 0).sum()), 0)
        share = -(-budget * int(concerned.sum()) // len(state.answers))
        return min(budget, max(missing, share) + len(state.doubts) + AUDIT_LEAST)

    def _gold_agreement(self, proposals: Proposals) -> float | None:
        if self.problem.gold is None or not self.weights.sum():
            return None
        own = np.where(self.state.none_fits, -1, proposals.labels[:, 0])
        decided = np.where(self.state.answers >= 0, self.state.answers, own)
        return float(np.average(decided == self.problem.gold, weights=self.weights))

    def _reason(self) -> str:
        """Return why no further round is worth it, or nothing."""
        if self.cap_hit:
            return f"cap: {self.cap_hit}"
        if self.budget == 0:
            return "no questions: there is no expert, or nothing may be asked"
        if not self.state.doubts and not self.state.eligible(len(self.problem.labels)).any():
            return "all asked: no text is left to ask about"
        if self._room() <= 0:
            return budget_spent(self.settings.caps, self.budget)
        if self.state.doubts:
            return ""
        return not_worth_it(self.settings.worth, *self.gains) or "; ".join(stopping.met(self.history))

    def _room(self) -> int:
        """Return how many questions rounds may still ask, the last audit set aside."""
        return self.budget - audit_size(self.budget) - self.asked

    def _round_size(self) -> int:
        """Return how many questions a round asks while there is room."""
        share = -(-(self.budget - audit_size(self.budget)) // self.settings.rounds)
        return max(share, LEAST_ROUND)

    def _step(self, number: int, proposals: Proposals, reason: str) -> Step | None:
        """Return what to ask now, from the record if it is there; None when nothing can be asked."""
        recorded = self.store.get(_name(number))
        if recorded is not None:
            return Step.from_json(recorded)
        planner = Planner(self.problem, self.settings, self.state, proposals)
        if reason or self._promising():
            size = min(audit_size(self.budget), max(self.budget - self.asked, 0))
            delta = self.delta_left if reason else self.delta_left / 2
            audit = planner.audit(number, size, delta, self._nulls())
            step = replace(audit, reason=reason, limits=self.limits)
        else:
            step = planner.round(number, min(self._round_size(), self._room()))
        if not step.asked:
            return None
        self.store.put(_name(number), step.as_json())
        return step

    def _promising(self) -> bool:
        """Tell whether an audit now would certify the target, were the last random samples right."""
        agreed, drawn = self._sampled()
        early = sum(step.kind == "audit" for step in self.steps)
        size = audit_size(self.budget)
        if not drawn or drawn < size // 4 or early >= EARLY_AUDITS or self._room() <= size:
            return False
        lower, _ = clopper_pearson(agreed * size // drawn, size, self.delta_left / 2)
        return extend(lower, *self._population()) >= self.settings.target

    def _population(self) -> tuple[int, int]:
        """Return the pool rows that the head decides, and those that the expert did."""
        audited = int(self.weights[self.state.unsettled].sum())
        return audited, int(self.weights.sum()) - audited

    def _ask(self, number: int, step: Step, proposals: Proposals, *, closed: bool) -> tuple[Step, Tally]:
        """Ask a step and take its answers in; where a cap comes first, cut the record to those."""
        self.population = self._population()
        kind = "choose" if step.kind == "audit" else self.settings.ask
        questions = [to_question(self.problem, asked, kind) for asked in step.asked]
        desk = self.desks[step.kind]
        verdicts, cap = desk.settle(questions, number, closed=closed)
        if cap:
            self.cap_hit = cap
            step = step.only(sorted(verdicts))
            verdicts = {new: verdicts[place] for new, place in enumerate(sorted(verdicts))}
            self.store.put(_name(number), step.as_json())
        self.state.note_unlisted(step, verdicts, proposals.unlisted(step.asked))
        tally = self.state.apply(self.problem, step, verdicts, len(self.rounds))
        self.state.none_fits = self.state.refused(len(self.problem.labels), self.settings.ask)
        self.steps.append(step)
        self.tallies.append(tally)
        return step, tally

    def _agreement(self, step: Step, tally: Tally, population: Population) -> float | None:
        """Extend the agreement on the random sample to the pool; an audit's makes the certificate too."""
        if step.kind == "audit":
            self.audit = self._audited(step, population)
            # A last audit spends all that is left; a run continued after it certifies anew.
            self.delta_left = self.delta_left - step.delta or 1 - self.settings.confidence
            return extend(tally.agreed / tally.drawn, *self.population) if tally.drawn else None
        agreed, drawn = self._sampled()
        return extend(agreed / drawn, *self.population) if drawn else None

    def _agreement_lower(self) -> float | None:
        """Return a lower bound by the random texts of all rounds; audits are looked at in their own right."""
        rounds = [tally for step, tally in zip(self.steps, self.tallies, strict=True) if step.kind == "round"]
        sample = np.array([agreed for tally in rounds for agreed in tally.sample], dtype=np.bool_)
        if not len(sample):
            return None
        return extend(float(anytime_lower(sample, 1 - self.settings.confidence)[-1]), *self.population)

    def _sampled(self) -> tuple[int, int]:
        """Return the random draws of the last rounds: agreed, and all. Older models were no better, so the
        share is on the safe side.
        """
        rounds = [tally for step, tally in zip(self.steps, self.tallies, strict=True) if step.kind == "round"]
        recent = rounds[-SAMPLED_ROUNDS:]
        return sum(tally.agreed for tally in recent), sum(tally.drawn for tally in recent)

    def _drawn(self) -> Drawn:
        """Return the random texts of a complete last audit, else those of the last rounds."""
        if self.steps and self.steps[-1].kind == "audit":
            tallies = self.tallies[-1:]
        else:
            pairs = list(zip(self.steps, self.tallies, strict=True))
            tallies = [tally for step, tally in pairs if step.kind == "round"][-SAMPLED_ROUNDS:]
        refused, texts = (sum(getattr(tally, name) for tally in tallies) for name in ("refused", "drawn"))
        return Drawn(refused, texts, *(self.population if texts else (0, 0)))

    def _audited(self, step: Step, population: Population) -> Audit | None:
        """Return what a complete audit says; one that a cap cut short says nothing."""
        if not step.draws or not step.complete:
            return None
        settings, expert = self.settings, self.desks["audit"].expert
        question = to_question(self.problem, step.asked[0], "choose")
        note = ""
        if expert.worst_case(question).prompt_tokens:
            note = f"A model answered the audit, too: this is agreement with {expert.name}, not with people"
        terms = Terms(settings.target, settings.confidence, step.delta, note)
        sample = Sample.of(population, step, self.state)
        return certify(population, sample, self.problem, terms)

    def _certified(self) -> bool:
        return self.certificate is not None and self.certificate.lower >= self.settings.target

    def _record(self, fitted: Fitted, tally: Tally, agreement: float | None, seconds: float) -> None:
        record = RoundRecord(
            round=len(self.rounds),
            uncertain=fitted.uncertain,
            asked=tally.asked,
            confirmed=tally.confirmed,
            agreement=agreement,
            calls=self.asked,
            cost_usd=sum(one.cost_usd for one in self.tallies),
            kappa=fitted.kappa,
            gold_agreement=fitted.gold_agreement,
            seconds_fit=fitted.seconds,
            seconds_expert=seconds,
            agreement_lower=None if agreement is None else self._agreement_lower(),
            gain_per_100_calls=self.gains[0],
            gain_per_dollar=self.gains[1],
        )
        self.rounds.append(record)
        self.progress.round(record)


def _name(number: int) -> str:
    return f"{STEP}{number:04d}"
