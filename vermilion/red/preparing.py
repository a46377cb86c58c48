"""What a model is asked before the pool is touched: what labels mean, and whether it beats the head."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vermilion.config import Caps, RunSettings
from vermilion.red.asking import Desk
from vermilion.red.check import advice, check_expert
from vermilion.red.planning import most_options
from vermilion.red.problem import Problem
from vermilion.red.training import Choice
from vermilion.types import Expert, Question, Spend

if TYPE_CHECKING:
    from vermilion.world.llm import OpenAIExpert

SHOWN_EXAMPLES, SHOWN_RIVALS = 5, 3
CHECKED_TEXTS = 60
# Meanings, and the check, may each take so much of a cap on questions.
SHARE = 0.1
MEANINGS, PREPARED = "meanings", "prepared"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The problem with labels that have meanings, the expert that knows them, and what that took.

    Attributes
    ----------
    spent : Spend
        Before the first round.
    scores : dict or None
        Expert and head on the same labelled texts; None where there was no check.
    """

    problem: Problem
    expert: Expert
    spent: Spend
    scores: dict[str, float] | None


def is_model(problem: Problem, expert: Expert) -> bool:
    """Tell whether the expert is a model, which takes tokens."""
    probe = Question(problem.given_texts[0], (problem.labels[0].name,), "validate")
    return expert.worst_case(probe).prompt_tokens > 0


def prepare(problem: Problem, settings: RunSettings, choice: Choice, desk: Desk) -> Prepared:
    """Have meanings written and the expert checked, where it is a model; a continued run finds both done."""
    if not is_model(problem, desk.expert):
        return Prepared(problem, desk.expert, Spend(), None)
    problem, expert = _explain(problem, settings.caps, desk)
    desk = replace(desk, expert=expert)
    recorded = desk.store.get(PREPARED)
    if recorded is None:
        scores = _scores(problem, settings, choice, desk)
        recorded = {"scores": scores, "spent": asdict(desk.store.spent())}
        desk.store.put(PREPARED, recorded)
    scores = recorded["scores"]
    if scores:
        desk.progress.note(advice(scores))
    return Prepared(problem, expert, Spend(**recorded["spent"]), scores)


def _most(caps: Caps) -> int:
    return CHECKED_TEXTS if caps.max_calls is None else min(CHECKED_TEXTS, int(SHARE * caps.max_calls))


def _scores(problem: Problem, settings: RunSettings, choice: Choice, desk: Desk) -> dict[str, float] | None:
    most = min(_most(settings.caps), len(choice.held_out))
    if most < 10:
        desk.progress.note("the expert is not checked on labelled texts: too few of them, or too low a cap")
        return None
    return check_expert(
        problem, choice, desk, (settings.seed, most, most_options(settings, len(problem.labels)))
    )


def _explain(problem: Problem, caps: Caps, desk: Desk) -> tuple[Problem, Expert]:
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
    return replace(problem, labels=labels), expert.knowing(labels)


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
