"""From rows worth a question to stored verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.errors import CapReachedError, ExpertError
from vermilion.red.problem import Problem
from vermilion.red.progress import Progress
from vermilion.red.state import Asked
from vermilion.types import Expert, FloatArray, IntArray, Meter, Question, QuestionKind, Reply, Verdict
from vermilion.world.prompts import shuffle_options
from vermilion.world.store import Store

MOST_EXAMPLES, MOST_EXAMPLES_EACH = 12, 4
PASSES = 3
# So many questions without an answer may be the texts' fault; more of them, and most, are the expert's.
FEW = 5
# Answers that cost nothing are committed in groups; a paid one is committed as soon as it is here.
FREE_GROUP = 256


@dataclass(frozen=True, slots=True)
class Confirmed:
    """All texts whose label is known: given ones, and those the expert answered."""

    X: FloatArray
    y: IntArray
    places: IntArray


def confirmed(problem: Problem, answers: IntArray) -> Confirmed:
    """Gather the given texts and the answered open ones (`answers` is -1 where open)."""
    rows = np.flatnonzero(answers >= 0)
    return Confirmed(
        np.concatenate([problem.X_given, problem.X_open[rows]]),
        np.concatenate([problem.y_given, answers[rows]]),
        np.concatenate([-1 - np.arange(len(problem.y_given)), rows]),
    )


@dataclass(frozen=True, slots=True)
class Examples:
    """Confirmed texts by label: a question looks at those of its options, not at all there are.

    Attributes
    ----------
    known : Confirmed
    order : ndarray of int, shape (n,)
        Rows of `known`, label by label; those of one label in their order.
    labels : ndarray of int, shape (n,)
        The label of each row in `order`.
    """

    known: Confirmed
    order: IntArray
    labels: IntArray

    @classmethod
    def of(cls, known: Confirmed) -> Examples:
        """Sort confirmed texts by label, which is worth it once for all questions of a step."""
        order = np.argsort(known.y, kind="stable")
        return cls(known, order, known.y[order])


def nearest_examples(
    examples: Examples,
    x: FloatArray,
    options: Sequence[int],
    *,
    but: int | None = None,
    most: int = MOST_EXAMPLES,
) -> tuple[tuple[int, int], ...]:
    """Choose the confirmed texts of each option that are nearest to a text: (label number, place) pairs.

    Options come with the likeliest first. Each gets one while they last, so that the contrast is visible; what is
    left of `most` goes to the likeliest again, up to four each. Options at the end of a long list are there to be
    named, and an example of each would be most of what a question costs.

    Parameters
    ----------
    x : ndarray of shape (d,)
    but : int, optional
        The place of a text that is no example: the text itself.

    Examples
    --------
    >>> known = Confirmed(np.eye(3), np.array([1, 0, 1]), np.array([-1, -2, 7]))
    >>> nearest_examples(Examples.of(known), np.array([0.0, 0.5, 1.0]), [1, 0], but=7)
    ((1, -1), (0, -2))
    """
    starts = np.searchsorted(examples.labels, options, side="left").tolist()
    ends = np.searchsorted(examples.labels, options, side="right").tolist()
    X, places = examples.known.X, examples.known.places
    found: list[tuple[int, int]] = []
    shares = _shares(len(options), most)
    for option, start, end, share in zip(options, starts, ends, shares, strict=True):
        rows = examples.order[start:end]
        if but is not None:
            rows = rows[places[rows] != but]
        best = rows[np.argsort(-(X[rows] @ x), kind="stable")[:share]]
        found += [(int(option), place) for place in places[best].tolist()]
    return tuple(found)


def _shares(options: int, most: int) -> list[int]:
    """Return how many examples each of so many options gets, the likeliest first.

    >>> _shares(5, 12), _shares(2, 12), _shares(14, 12)[10:]
    ([3, 3, 2, 2, 2], [4, 4], [1, 1, 0, 0])
    """
    each, more = divmod(most, max(options, 1))
    return [min(each + (place < more), MOST_EXAMPLES_EACH) for place in range(options)]


def to_question(problem: Problem, asked: Asked, kind: QuestionKind) -> Question:
    """Write out one question: full label names, their order shuffled by the text, examples as texts."""
    text = problem.text(asked.row)
    names = [problem.labels[option].name for option in asked.options]
    examples = tuple((problem.text(place), problem.labels[label].name) for label, place in asked.examples)
    return Question(text, tuple(shuffle_options(text, names)), kind, examples)


@dataclass(frozen=True, slots=True)
class Desk:
    """Asks questions; every verdict is in the store before anybody sees it, and never asked for twice."""

    expert: Expert
    store: Store
    meter: Meter
    progress: Progress

    def ask(self, questions: Sequence[Question], step: int) -> dict[int, Verdict]:
        """Return the verdicts by the question's place; what could not be answered is left out.

        Raises
        ------
        CapReachedError
            When the next call might pass a cap; all that came before is stored.
        PausedError
            When a person's answers are awaited.
        ExpertError
            When most questions had no usable answer, after asking them again.
        """
        keys = [self.expert.key(question) for question in questions]
        self.progress.start("asking", len(questions))
        try:
            known = self.store.verdicts(keys)
            self.progress.advance(sum(key in known for key in keys))
            error = ""
            for _ in range(PASSES):
                missing = [q for q, key in zip(questions, keys, strict=True) if key not in known]
                if not missing:
                    break
                error = self._pass(missing, step, known) or error
        finally:
            self.progress.done()
        found = {place: known[key] for place, key in enumerate(keys) if key in known}
        if len(questions) - len(found) > max(len(found), FEW):
            raise ExpertError(
                f"{self.expert.name}: {len(questions) - len(found)} of {len(questions)} questions had no"
                f" usable answer, the last because: {error}; nothing is lost, the same command asks again"
            )
        return found

    def settle(
        self, questions: Sequence[Question], step: int, *, closed: bool
    ) -> tuple[dict[int, Verdict], str]:
        """Ask, or where the step is closed look up what was answered; also where a cap comes first.

        Returns
        -------
        verdicts : dict
            By the question's place.
        cap : str
            What stopped the asking; empty where nothing did.

        Raises
        ------
        PausedError, ExpertError
            As `ask`.
        """
        if closed:
            return self.known(questions), ""
        try:
            return self.ask(questions, step), ""
        except CapReachedError as error:
            return self.known(questions), str(error)

    def known(self, questions: Sequence[Question]) -> dict[int, Verdict]:
        """Return the verdicts that the store has, by the question's place."""
        keys = [self.expert.key(question) for question in questions]
        found = self.store.verdicts(keys)
        return {place: found[key] for place, key in enumerate(keys) if key in found}

    def _pass(self, questions: Sequence[Question], step: int, known: dict[str, Verdict]) -> str:
        waiting: list[tuple[Verdict, Question, int]] = []
        error = ""

        def commit() -> None:
            self.store.add_verdicts(waiting)
            known.update((verdict.key, verdict) for verdict, _, _ in waiting)
            waiting.clear()

        try:
            for reply in self.expert.ask(questions, self.meter):
                error = reply.error or error
                if reply.verdict is not None:
                    waiting.append((reply.verdict, reply.question, step))
                    if len(waiting) >= (1 if _paid(reply) else FREE_GROUP):
                        commit()
                    self.progress.advance(1, reply.verdict.spend)
        finally:
            commit()
        return error


def _paid(reply: Reply) -> bool:
    spend = reply.verdict.spend if reply.verdict else None
    return spend is not None and (spend.prompt_tokens + spend.completion_tokens > 0 or spend.cost_usd > 0)
