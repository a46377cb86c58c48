"""The main job where a text may have several labels: labelled examples and a pool go in, the same results come out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from vermilion.config import Caps, RunSettings
from vermilion.learn.candidates import SHOWN_CANDIDATES
from vermilion.red.asking import MOST_EXAMPLES_EACH, Desk
from vermilion.red.check import Checked
from vermilion.red.plan import DEFAULT_SHARE, Plan, question_budget
from vermilion.red.preparing import Checking, Prepared, prepare, size_of_check
from vermilion.red.record import HeadTrial, Summary
from vermilion.red.run import (
    IDENTITY,
    Job,
    Tools,
    data_hashes,
    encode_parts,
    heed,
    held_back,
    identity,
    left_of,
)
from vermilion.red.several_check import pairs_to_check
from vermilion.red.several_loop import SeveralLoop, SeveralOutcome, gold_scores
from vermilion.red.several_model import SeveralModel
from vermilion.red.several_problem import SeveralProblem, build_several, lay_out_several
from vermilion.red.several_report import pair_calibration
from vermilion.red.several_state import NO, YES
from vermilion.red.summary import Account, shown_settings, versions
from vermilion.red.trust import Trust
from vermilion.types import Encoder, Expert, Label, Question, Source, Spend, Texts
from vermilion.world.models import SavedModel

TASK = "multi-label"


@dataclass(frozen=True, slots=True)
class SeveralJob:
    """What a run works on; `gold` in a simulation."""

    labelled: Texts
    pool: Texts
    labels: tuple[Label, ...]
    gold: Mapping[str, frozenset[str]] | None = None

    def as_job(self) -> Job:
        """Return what tells this run from others."""
        known = self.gold.items() if self.gold is not None else ()
        gold = {text: repr(sorted(names)) for text, names in known} or None
        return Job(self.labelled, self.pool, self.labels, gold)


@dataclass(frozen=True, slots=True)
class SeveralResult:
    """All that a run has found out, its decisions as rows in the pool's order, and its summary."""

    problem: SeveralProblem
    outcome: SeveralOutcome
    decisions: list[dict[str, Any]]
    summary: Summary

    @property
    def capped(self) -> bool:
        """Whether a cap ended the run."""
        return self.outcome.capped

    def model(self, encoder: Encoder) -> SavedModel:
        """Return what was learned, as it is saved."""
        told, model = self.summary.as_dict(), self.outcome.model
        names = ("data", "versions", "settings", "certificate", "gold", "expert", "simulated", "calls")
        return SavedModel(
            model.kind,
            model.head,
            self.problem.labels,
            1.0,
            self.summary.encoder,
            encoder.digest,
            {name: told[name] for name in names if name in told},
            model.scaling,
            task=TASK,
            rule=model.rule,
        )


def run_several(job: SeveralJob, settings: RunSettings, tools: Tools) -> SeveralResult | None:
    """Do the main job; None when the plan was not approved.

    Raises
    ------
    PausedError
        When people's answers are awaited; the same call goes on.
    UntrustedExpertError
        When the expert does worse than the head on labelled texts, unless the settings or `go_on` let it pass.
    """
    clock = time.perf_counter()
    problem = _encoded(job, tools)
    encoded = time.perf_counter()
    model = SeveralModel.chosen(problem, settings.seed)
    chosen = time.perf_counter()
    expert = tools.expert(problem.one_by_one())
    plan = _plan(job, problem, settings, (expert, model.kind), encoded - clock)
    if not tools.approve(plan):
        return None
    tools.store.put(IDENTITY, identity(job.as_job(), settings))
    desk = Desk(expert, tools.store, tools.store.meter(settings.caps), tools.progress)
    prepared = _prepared(problem, settings, model, desk, (plan.budget, tools.oracle_knows_labelled))
    heed(prepared.trust, settings, tools)
    problem, desk = replace(problem, labels=prepared.problem.labels), replace(desk, expert=prepared.expert)
    training = replace(desk, meter=tools.store.meter(held_back(settings.caps)))
    budget = _budget(plan, problem, settings, prepared.spent)
    loop = SeveralLoop(problem, settings, model, training, desk.meter, budget)
    outcome = loop.run()
    seconds = {
        "encode": encoded - clock,
        "fit": chosen - encoded + outcome.seconds["fit"],
        "expert": outcome.seconds["expert"],
        "total": time.perf_counter() - clock,
    }
    decisions = list(decided_rows(problem, outcome, job.pool))
    account = Account(loop.asked + prepared.spent.calls, tools.store.spent(), seconds)
    judged = (expert.name, expert.simulated, prepared.trust)
    summary = _summary(job, problem, settings, (outcome, decisions), account, judged)
    return SeveralResult(problem, outcome, decisions, summary)


def _prepared(
    problem: SeveralProblem, settings: RunSettings, model: SeveralModel, desk: Desk, checked: tuple[int, bool]
) -> Prepared:
    """Have meanings written and the expert checked; `checked` is (questions planned for, whether an oracle is, too)."""

    def pick(most: int) -> Checked:
        return pairs_to_check(problem, model.held_out, most, settings.seed)

    budget, simulated = checked
    checking = Checking(budget, len(problem.given_texts), pick, simulated=simulated)
    return prepare(problem.one_by_one(), settings, desk, checking)


def _encoded(job: SeveralJob, tools: Tools) -> SeveralProblem:
    layout = lay_out_several(job.labelled, job.pool)
    parts = (("encoding labelled", tuple(layout.given)), ("encoding pool", layout.open_texts))
    given, unlabelled = encode_parts(tools, parts)
    return build_several(layout, job.labels, (given, unlabelled), job.gold)


def _plan(
    job: SeveralJob, problem: SeveralProblem, settings: RunSettings, who: tuple[Expert, str], seconds: float
) -> Plan:
    """Return the plan. Without a cap, questions are a fifth as many as there are distinct texts."""
    expert, kind = who
    worst, usual = (expert.worst_case(_longest(problem, share)) for share in (1.0, 0.5))
    typical = Spend(1, usual.prompt_tokens // 4, usual.completion_tokens // 4, usual.cost_usd / 4)
    budget = _questions(problem, settings, typical)
    # Under a cap the check takes its part of the budget; otherwise it comes on top.
    uncapped = settings.caps == Caps() and worst.prompt_tokens > 0
    check = size_of_check(settings, budget, len(problem.given_texts)) if uncapped else None
    return Plan(
        texts=len(job.pool),
        distinct=len(problem.open_texts),
        labelled=len(job.labelled),
        labels=len(job.labels),
        encoder=settings.encoder,
        head=kind,
        expert=expert.name,
        budget=budget,
        worst=worst,
        caps=settings.caps,
        encode_seconds=seconds,
        checked=check.questions() if check else 0,
    )


def _questions(problem: SeveralProblem, settings: RunSettings, typical: Spend) -> int:
    """Return how many questions are planned for, if one typically takes so much."""
    budget = question_budget(settings, problem.Y_given.shape[1] * len(problem.open_texts), typical)
    if settings.caps == Caps():
        budget = min(budget, round(DEFAULT_SHARE * len(problem.open_texts)))
    return budget


def _budget(plan: Plan, problem: SeveralProblem, settings: RunSettings, spent: Spend) -> int:
    """Return how many questions are left for the loop, now that the check has shown what one takes."""
    if not spent.calls:
        return plan.budget
    left, typical = left_of(settings.caps, spent)
    return _questions(problem, replace(settings, caps=left), typical)


def _longest(problem: SeveralProblem, share: float) -> Question:
    """Return a question about a text that is longer than this share of all, with as many examples as there may be."""
    texts = sorted(problem.open_texts or problem.given_texts, key=len)
    place = max(round(share * len(texts)) - 1, 0)
    name = max((label.name for label in problem.labels), key=len)
    return Question(texts[place], (name,), "validate", ((texts[place], name),) * MOST_EXAMPLES_EACH)


def decided_rows(problem: SeveralProblem, outcome: SeveralOutcome, pool: Texts) -> Iterator[dict[str, Any]]:
    """Yield the decision of each pool row, in the pool's order.

    `labels` are all labels of the text, the likeliest first; `confidence` that of the least sure of its pairs of text
    and label, given or not; `confirmed` and `refused` what the expert said. `source` is verified where the expert
    said no other than the model, corrected where it did.
    """
    names = [label.name for label in problem.labels]
    decided, state = outcome.decided, outcome.state
    sure = np.where(decided, outcome.proba, 1 - outcome.proba)
    least = np.where(state.answers >= NO, 1.0, sure).min(axis=1)
    last = len(outcome.rounds) - 1
    for id_, text, place in zip(pool.ids, pool.texts, problem.owner.tolist(), strict=True):
        if place < 0:
            given = [names[number] for number in np.flatnonzero(problem.Y_given[-1 - place])]
            yield _row((id_, text, given), (1.0, "given", 0), (), ([], []))
            continue
        proba, answers = outcome.proba[place], state.answers[place]
        order = np.argsort(-np.where(answers >= NO, answers, proba), kind="stable")
        asked = bool((answers >= NO).any())
        source: Source = "auto" if not asked else "corrected" if state.overruled[place] else "verified"
        shown = [(names[number], round(float(proba[number]), 6)) for number in order[:SHOWN_CANDIDATES]]
        said = ([names[n] for n in np.flatnonzero(answers == value)] for value in (YES, NO))
        yield _row(
            (id_, text, [names[number] for number in order if decided[place, number]]),
            (round(float(least[place]), 6), source, int(state.answered_in[place]) if asked else last),
            tuple(shown),
            (next(said), next(said)),
        )


def _row(
    what: tuple[str, str, list[str]],
    how: tuple[float, Source, int],
    candidates: tuple[tuple[str, float], ...],
    said: tuple[list[str], list[str]],
) -> dict[str, Any]:
    names = ("id", "text", "labels", "confidence", "source", "round", "candidates", "confirmed", "refused")
    cells = [{"label": name, "probability": proba} for name, proba in candidates]
    return dict(zip(names, (*what, *how, cells, *said), strict=True))


def _summary(
    job: SeveralJob,
    problem: SeveralProblem,
    settings: RunSettings,
    ended: tuple[SeveralOutcome, list[dict[str, Any]]],
    account: Account,
    expert: tuple[str, bool, Trust | None],
) -> Summary:
    (outcome, decisions), spent, (name, simulated, trust) = ended, account.spent, expert
    counts = Counter(row["source"] for row in decisions)
    return Summary(
        texts=len(problem.owner),
        labels=len(problem.labels),
        encoder=settings.encoder,
        head=outcome.model.kind,
        rounds=outcome.rounds,
        calls=account.calls,
        tokens={"prompt": spent.prompt_tokens, "completion": spent.completion_tokens},
        cost_usd=spent.cost_usd,
        seconds={part: round(value, 3) for part, value in account.seconds.items()},
        decisions={source: counts[source] for source in get_args(Source)},
        certificate=outcome.certificate,
        groups=outcome.groups,
        stopped=outcome.stopped,
        expert=name,
        simulated=simulated,
        unique_texts=len(problem.open_texts),
        labelled=len(problem.given_texts),
        gold=gold_scores(problem, outcome.decided),
        trust=trust,
        calibration=pair_calibration(problem, outcome.model),
        heads_compared=tuple(
            HeadTrial(t.head, t.params, np.nan, np.nan, t.log_loss, round(t.seconds, 3), t.chosen)
            for t in outcome.model.trials
        ),
        settings=shown_settings(settings),
        versions=versions(),
        data=data_hashes(job.as_job()),
        task=TASK,
    )
