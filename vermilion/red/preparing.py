"""What an expert is asked before the pool is touched: what labels mean, and whether it beats the head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vermilion.config import Caps, RunSettings
from vermilion.red.asking import Desk
from vermilion.red.check import Checked, Size, trust_in
from vermilion.red.problem import Problem
from vermilion.red.trust import Trust, advice
from vermilion.types import Expert, Question, Spend, Verdict

if TYPE_CHECKING:
    from vermilion.world.llm import OpenAIExpert

SHOWN_EXAMPLES, SHOWN_RIVALS = 5, 3
# Meanings may take so much of a cap on questions.
SHARE = 0.1
MEANINGS, PREPARED = "meanings", "prepared"
STEP = -1


@dataclass(frozen=True, slots=True)
class Checking:
    """With what the expert is checked.

    Attributes
    ----------
    budget : int
        Questions that the run plans for.
    held_out : int
        Labelled texts for which the head has an answer of its own.
    pick : callable
        Writes out questions about so many of those.
    second : Expert or None
    simulated : bool
        Whether a simulated expert is checked, too, which is free.
    """

    budget: int
    held_out: int
    pick: Callable[[int], Checked]
    second: Expert | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The problem with labels that have meanings, the expert that knows them, and what that took.

    Attributes
    ----------
    spent : Spend
        Before the first round.
    trust : Trust or None
        None where the expert was not checked.
    """

    problem: Problem
    expert: Expert
    spent: Spend
    trust: Trust | None


def is_model(problem: Problem, expert: Expert) -> bool:
    """Tell whether the expert is a model, which takes tokens."""
    probe = Question(problem.given_texts[0], (problem.labels[0].name,), "validate")
    return expert.worst_case(probe).prompt_tokens > 0


def size_of_check(settings: RunSettings, budget: int, held_out: int) -> Size | None:
    """Return how much a model is asked about labelled texts; None where the check is off, or would tell nothing."""
    caps = settings.caps
    capped = any(cap is not None for cap in (caps.max_calls, caps.max_tokens, caps.max_cost))
    experts = 1 if settings.second_expert is None else 2
    return None if settings.trust == "off" else Size.within(budget, held_out, capped=capped, experts=experts)


def prepare(problem: Problem, settings: RunSettings, desk: Desk, checking: Checking) -> Prepared:
    """Have meanings written and the expert checked; a continued run finds both done, and asks nothing again."""
    if not is_model(problem, desk.expert):
        wanted = desk.expert.simulated and checking.simulated
        trust = _trust(problem, settings, desk, checking) if wanted else None
        return Prepared(problem, desk.expert, Spend(), trust)
    problem, expert = explain(problem, settings.caps, desk)
    desk = replace(desk, expert=expert)
    recorded = desk.store.get(PREPARED)
    if recorded is None:
        trust = _trust(problem, settings, desk, checking)
        recorded = {"trust": trust and trust.as_json(), "spent": asdict(desk.store.spent())}
        desk.store.put(PREPARED, recorded)
    elif recorded["trust"]:
        desk.progress.note(advice(Trust.from_json(recorded["trust"])))
    trust = Trust.from_json(recorded["trust"]) if recorded["trust"] else None
    return Prepared(problem, expert, Spend(**recorded["spent"]), trust)


def _trust(problem: Problem, settings: RunSettings, desk: Desk, checking: Checking) -> Trust | None:
    """Check the expert, unless that is off, or there is no room for it; say what came out."""
    if settings.trust == "off":
        return None
    second = checking.second and _knowing(checking.second, problem)
    size = size_of_check(settings, checking.budget, checking.held_out)
    # Of a simulated expert, which costs nothing, only bad news is told; all of it is in the report.
    told = not desk.expert.simulated
    if size is None:
        if told:
            desk.progress.note(
                "the expert is not checked on labelled texts: too few of them, or too low a cap"
            )
        return None

    def ask(expert: Expert, questions: Sequence[Question]) -> Mapping[int, Verdict]:
        if expert.simulated:
            return _answered_for_free(expert, questions)
        return replace(desk, expert=expert).ask(questions, STEP)

    trust = trust_in((desk.expert, second), problem.labels, checking.pick(size.texts), size.again, ask)
    if told or trust.judgement == "worse":
        desk.progress.note(advice(trust))
    return trust


def _answered_for_free(expert: Expert, questions: Sequence[Question]) -> dict[int, Verdict]:
    """Ask an oracle, which costs nothing: neither the ledger nor the store needs to know."""
    found = {reply.key: reply.verdict for reply in expert.ask(questions, _Unmetered())}
    said = {place: found[expert.key(question)] for place, question in enumerate(questions)}
    return {place: verdict for place, verdict in said.items() if verdict is not None}


class _Unmetered:
    """A meter that counts nothing."""

    def reserve(self, key: str, worst: Spend) -> int:
        return 0

    def settle(self, ticket: int, spent: Spend) -> None:
        pass

    def charge(self, keys: Sequence[str], each: Spend) -> int:
        return len(keys)


def explain(problem: Problem, caps: Caps, desk: Desk) -> tuple[Problem, Expert]:
    """Give labels their meanings, which stay as they are once the run has begun.

    A meaning is part of a question's key: another one would have every question about its label paid for again.
    """
    from vermilion.world.llm import OpenAIExpert  # the SDK takes a second to import

    expert = desk.expert
    if not isinstance(expert, OpenAIExpert):
        return problem, expert
    meanings = desk.store.get(MEANINGS)
    if meanings is None:
        meanings = _meanings(problem, caps, desk, expert)
        desk.store.put(MEANINGS, meanings)
    labels = tuple(replace(label, meaning=meanings[label.name]) for label in problem.labels)
    problem = replace(problem, labels=labels)
    return problem, _knowing(expert, problem)


def _knowing(expert: Expert, problem: Problem) -> Expert:
    """Tell a model what the labels mean."""
    from vermilion.world.llm import OpenAIExpert  # the SDK takes a second to import

    return expert.knowing(problem.labels) if isinstance(expert, OpenAIExpert) else expert


def _meanings(problem: Problem, caps: Caps, desk: Desk, expert: OpenAIExpert) -> dict[str, str]:
    """Return the meaning of each label; what is missing is written, if the cap on questions leaves room."""
    from vermilion.world.llm import write_meanings

    labels = problem.labels
    missing = sum(not label.meaning for label in labels)
    if caps.max_calls is not None and missing > SHARE * caps.max_calls:
        desk.progress.note(
            f"{missing:,} labels stay without a meaning: writing them would take too much of the cap"
        )
    elif missing:
        rivals = {name: others[:SHOWN_RIVALS] for name, others in problem.rivals().items()}
        desk.progress.start("writing meanings", missing)
        try:
            labels = write_meanings(
                expert, _examples(problem), rivals, desk.store, desk.meter, desk.progress.advance
            )
        finally:
            desk.progress.done()
    return {label.name: label.meaning for label in labels}


def _examples(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Return for each label the given texts that are most typical of it."""
    nearness = np.einsum("ij,ij->i", problem.X_given, problem.centroids[problem.y_given])
    examples = {}
    for number, label in enumerate(problem.labels):
        rows = np.flatnonzero(problem.y_given == number)
        best = rows[np.argsort(-nearness[rows], kind="stable")[:SHOWN_EXAMPLES]]
        examples[label.name] = tuple(problem.given_texts[row] for row in best)
    return examples
