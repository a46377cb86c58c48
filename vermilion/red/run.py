"""The main job: labelled examples and a pool go in, decisions, a summary, a report and a model come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from vermilion.config import Caps, RunSettings
from vermilion.errors import InputError, UntrustedExpertError
from vermilion.red import decisions as made
from vermilion.red.asking import MOST_EXAMPLES, Desk
from vermilion.red.calibrating import belief_in, calibrated
from vermilion.red.carried import Carried, resume
from vermilion.red.check import Checked
from vermilion.red.examining import examine
from vermilion.red.loop import Loop
from vermilion.red.plan import Plan, question_budget
from vermilion.red.planning import AUDIT_SHARE, most_options
from vermilion.red.preparing import Checking, Prepared, prepare, size_of_check
from vermilion.red.problem import Problem, build, lay_out, name_text
from vermilion.red.progress import Progress, Silent
from vermilion.red.record import Summary
from vermilion.red.summary import Account, Ran, summarise
from vermilion.red.training import Choice, choose
from vermilion.red.trust import Trust, advice, tolerable
from vermilion.red.unlabelled import proposed
from vermilion.types import Encoder, Expert, FloatArray, Label, Question, Spend, Texts
from vermilion.world.data import data_hash
from vermilion.world.encoders_pairs import keep_vectors
from vermilion.world.pairs import all_pairs
from vermilion.world.prompts import PROMPT_VERSION
from vermilion.world.store import Store

IDENTITY, ACCEPTED = "identity", "accepted"


@dataclass(frozen=True, slots=True)
class Job:
    """What a run works on.

    Attributes
    ----------
    gold : mapping of text to label, or None
        In a simulation.
    carried : Carried or None
        What is known from a run with other labels.
    """

    labelled: Texts
    pool: Texts
    labels: tuple[Label, ...]
    gold: Mapping[str, str] | None = None
    carried: Carried | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside world of a run.

    Attributes
    ----------
    expert : callable
        Makes the expert from the problem, once it is known which labels are alike.
    store : Store
    vectors : Path
        Folder of the vector cache.
    approve : callable
        Sees the plan before anything is spent; False ends the run there.
    second : callable or None
        Makes the expert that answers the same labelled texts.
    oracle_knows_labelled : bool
        Whether a simulated expert has the labelled texts' labels, too, and so can be checked on them. What it is asked
        there is free, and not counted.
    go_on : callable
        Sees what is known of an expert that does not beat the head; False ends the run before the pool is touched.
    """

    encoder: Encoder
    expert: Callable[[Problem], Expert]
    store: Store
    vectors: Path
    progress: Progress = field(default_factory=Silent)
    approve: Callable[[Plan], bool] = lambda plan: True
    second: Callable[[Problem], Expert] | None = None
    oracle_knows_labelled: bool = False
    go_on: Callable[[Trust], bool] = tolerable


@dataclass(frozen=True, slots=True)
class Result:
    """All that a run has found out, and its summary."""

    ran: Ran
    summary: Summary

    @property
    def capped(self) -> bool:
        """Whether a cap ended the run."""
        return self.ran.outcome.capped


def identity(job: Job, settings: RunSettings) -> dict[str, Any]:
    """Return what makes a run this run: its settings, the prompts' version, and hashes of its data."""
    return {**settings.identity(), "prompts": PROMPT_VERSION, "data": data_hashes(job)}


def data_hashes(job: Job) -> dict[str, str]:
    """Return the sha256 of the labelled texts, of the pool and of the labels with their meanings."""
    labels = Texts(tuple(label.name for label in job.labels), tuple(label.meaning for label in job.labels))
    return {
        "labelled": data_hash(job.labelled),
        "pool": data_hash(job.pool),
        "labels": data_hash(labels),
    } | ({"gold": data_hash(Texts(tuple(job.gold), tuple(job.gold.values())))} if job.gold else {})


def claim(store: Store, job: Job, settings: RunSettings, where: str) -> None:
    """Make sure that the store holds this run or none; `run` writes down which, once it is approved.

    Raises
    ------
    InputError
        When it holds another; names what differs.
    """
    wanted, held = identity(job, settings), store.get(IDENTITY)
    if held is None:
        return
    differing = sorted(name for name in {*wanted, *held} if wanted.get(name) != held.get(name))
    if differing:
        raise InputError(
            "the run that was begun there",
            f"another {', '.join(differing)}",
            where,
            "use another --out, or --fresh to start over (answers already paid for stay)",
        )


def run(job: Job, settings: RunSettings, tools: Tools) -> Result | None:
    """Do the main job; None when the plan was not approved.

    Raises
    ------
    PausedError
        When people's answers are awaited; the same call goes on.
    UntrustedExpertError
        When the expert does worse than the head on labelled texts, unless the settings or `go_on` let it pass.
    """
    clock = time.perf_counter()
    problem = _encode(job, tools)
    encoded = time.perf_counter()
    choice = choose(problem, settings)
    chosen = time.perf_counter()
    expert = tools.expert(problem)
    plan = _plan(job, problem, settings, expert, choice, encoded - clock)
    if not tools.approve(plan):
        return None
    if job.carried is None:  # otherwise it is still that of the files that the labels were changed for
        tools.store.put(IDENTITY, identity(job, settings))
    desk = Desk(expert, tools.store, tools.store.meter(settings.caps), tools.progress)
    second = tools.second(problem) if tools.second else None
    pick = partial(_checked, problem, settings, choice)
    checking = Checking(plan.budget, len(choice.held_out), pick, second, tools.oracle_knows_labelled)
    prepared = prepare(problem, settings, desk, checking)
    heed(prepared.trust, settings, tools)
    problem, desk = prepared.problem, replace(desk, expert=prepared.expert)
    training = replace(desk, meter=tools.store.meter(held_back(settings.caps)))
    budget = _budget(plan, settings, prepared)
    state = resume(problem, choice, job.carried, tools.store) if job.carried else None
    loop = Loop(problem, settings, choice.model(settings), training, desk.meter, budget, state=state)
    outcome = loop.run()
    ended = time.perf_counter()
    outcome, calibration = calibrated(problem, outcome, settings.seed, belief_in(prepared.trust))
    calibrating = time.perf_counter() - ended
    seconds = {
        "encode": encoded - clock,
        "fit": chosen - encoded + outcome.seconds["fit"] + calibrating,
        "expert": outcome.seconds["expert"],
        "total": time.perf_counter() - clock,
    }
    decisions = made.decide(problem, outcome, job.pool)
    health = examine(problem, choice, outcome.state, decisions, settings.seed)
    ran = Ran(problem, choice, outcome, decisions, calibration, health, proposed(problem, outcome, decisions))
    account = Account(loop.asked + prepared.spent.calls, tools.store.spent(), seconds)
    judged = (expert.name, expert.simulated, prepared.trust)
    return Result(ran, summarise(ran, settings, account, data_hashes(job), judged))


def heed(trust: Trust | None, settings: RunSettings, tools: Tools) -> None:
    """Stop before the pool is touched where the expert does not beat the head, and nobody lets it pass.

    Raises
    ------
    UntrustedExpertError
        Neither the settings nor `go_on` let it pass.
    """
    if trust is None or settings.trust != "stop" or not trust.advises_against or tools.store.get(ACCEPTED):
        return
    if not tools.go_on(trust):
        raise UntrustedExpertError(
            f"{advice(trust)}; the pool is untouched: name another --expert, make the labels' meanings clearer,"
            " or go on with --trust warn"
        )
    tools.store.put(ACCEPTED, True)


def _checked(problem: Problem, settings: RunSettings, choice: Choice, most: int) -> Checked:
    """Return questions about labelled texts whose answer is known, with as many options as those about the pool."""
    return Checked.of(problem, choice, most, most_options(settings, len(problem.labels)), settings.seed)


def _encode(job: Job, tools: Tools) -> Problem:
    layout = lay_out(job.labelled, job.pool)
    names = tuple(name_text(label) for label in job.labels)
    parts = [("encoding labelled", layout.given_texts), ("encoding pool", layout.open_texts)]
    # A label's name can be one more example of a text, but not of a pair.
    parts += [] if all_pairs(layout.given_texts) else [("encoding label names", names)]
    vectors = encode_parts(tools, parts)
    return build(layout, job.labels, (vectors[0], vectors[1]), job.gold, *vectors[2:])


def encode_parts(tools: Tools, parts: Sequence[tuple[str, tuple[str, ...]]]) -> list[FloatArray]:
    """Return the vectors of each part, which is told by its name."""
    cache = keep_vectors(tools.vectors, tools.encoder)
    vectors = []
    for what, texts in parts:
        tools.progress.start(what, len(texts))
        try:
            vectors.append(cache.encode(texts, progress=_steps(tools.progress)))
        finally:
            tools.progress.done()
    return vectors


def _steps(progress: Progress) -> Callable[[int], None]:
    """Turn "so many are done" into "so many more are done"."""
    done = 0

    def told(now: int) -> None:
        nonlocal done
        progress.advance(now - done)
        done = now

    return told


def _plan(
    job: Job, problem: Problem, settings: RunSettings, expert: Expert, choice: Choice, seconds: float
) -> Plan:
    worst = expert.worst_case(_question(problem, settings, 0))
    usual = expert.worst_case(_question(problem, settings, (len(problem.open_texts) - 1) // 2))
    typical = Spend(1, usual.prompt_tokens // 4, usual.completion_tokens // 4, usual.cost_usd / 4)
    budget = question_budget(settings, len(problem.open_texts), typical)
    # Under a cap the check takes its part of the budget; otherwise it comes on top.
    uncapped = settings.caps == Caps() and worst.prompt_tokens > 0
    check = size_of_check(settings, budget, len(choice.held_out)) if uncapped else None
    return Plan(
        texts=len(job.pool),
        distinct=len(problem.open_texts),
        labelled=len(job.labelled),
        labels=len(job.labels),
        encoder=settings.encoder,
        head=choice.kind,
        expert=expert.name,
        budget=budget,
        worst=worst,
        caps=settings.caps,
        encode_seconds=seconds,
        checked=check.questions(1 if settings.second_expert is None else 2) if check else 0,
    )


def _question(problem: Problem, settings: RunSettings, place: int) -> Question:
    """Return a question about the text of this place, the longest first, with the longest options there are."""
    names = sorted((label.name for label in problem.labels), key=len, reverse=True)
    options = tuple(names[: most_options(settings, len(names))])
    texts = sorted(problem.open_texts or problem.given_texts, key=len, reverse=True)
    examples = tuple((text, options[0]) for text in texts[place : place + MOST_EXAMPLES])
    return Question(texts[max(place, 0)], options, "choose", examples)


def _budget(plan: Plan, settings: RunSettings, prepared: Prepared) -> int:
    """Return how many questions are left for the loop, now that the check has shown what one takes."""
    if not prepared.spent.calls:
        return plan.budget
    left, typical = left_of(settings.caps, prepared.spent)
    return question_budget(replace(settings, caps=left), plan.distinct, typical)


def left_of(caps: Caps, spent: Spend) -> tuple[Caps, Spend]:
    """Return what caps leave after `spent`, which has calls in it, and what one of these typically took."""
    tokens = spent.prompt_tokens + spent.completion_tokens
    left = Caps(
        None if caps.max_calls is None else max(caps.max_calls - spent.calls, 0),
        None if caps.max_tokens is None else max(caps.max_tokens - tokens, 0),
        None if caps.max_cost is None else max(caps.max_cost - spent.cost_usd, 0.0),
    )
    return left, Spend(1, tokens // spent.calls, 0, spent.cost_usd / spent.calls)


def held_back(caps: Caps) -> Caps:
    """Return caps for the rounds that leave the last audit its share of tokens and money."""
    share = 1 - AUDIT_SHARE
    return Caps(
        caps.max_calls,
        None if caps.max_tokens is None else int(caps.max_tokens * share),
        None if caps.max_cost is None else caps.max_cost * share,
    )
