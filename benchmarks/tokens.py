"""How many tokens questions and answers take: the prompts that would be sent, counted with a real LLM tokenizer.

It is Llama 2's, whose file comes with the static encoder. Other models cut texts into more or fewer pieces, for all
contestants alike.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from tokenizers import Tokenizer

from benchmarks.tasks import Case
from vermilion.red.problem import Problem
from vermilion.types import Expert, Label, Meter, Question, Reply, Spend
from vermilion.world.encoders import STATIC_TOKENIZER
from vermilion.world.prompts import NO, NONE, YES, messages, shuffle_options

SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one question and its answer, or of several together."""

    prompt: float = 0
    completion: float = 0


class Counting:
    """An expert that answers as another does, and remembers what each question would have taken.

    Parameters
    ----------
    expert : Expert
    labels : sequence of Label
        All labels of the run, as the prompts list them.

    Attributes
    ----------
    counted : list of Tokens
        One for each question answered, in order.
    seconds : float
        That the counting took; no run has them otherwise.
    """

    def __init__(self, expert: Expert, labels: Sequence[Label]) -> None:
        self._expert, self._labels = expert, {label.name: label for label in labels}
        self.name, self.simulated = expert.name, expert.simulated
        self.counted: list[Tokens] = []
        self.seconds = 0.0

    def key(self, question: Question) -> str:
        """Return the other's key."""
        return self._expert.key(question)

    def worst_case(self, question: Question) -> Spend:
        """Return the other's worst case."""
        return self._expert.worst_case(question)

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Pass on what the other replies."""
        for reply in self._expert.ask(questions, meter):
            if reply.verdict is not None:
                start = time.perf_counter()
                self.counted.append(tokens_of(reply.question, reply.verdict.label, self._labels))
                self.seconds += time.perf_counter() - start
            yield reply


def tokens_of(question: Question, answer: str | None, labels: Mapping[str, Label]) -> Tokens:
    """Count one question as it is sent, and its answer as JSON."""
    prompt = sum(
        (_count_once if message["role"] == "system" else count)(message["content"])
        for message in messages(question, labels)
    )
    if question.kind == "validate":
        answer = NO if answer is None else YES
    return Tokens(prompt, count(json.dumps({"answer": answer or NONE}, ensure_ascii=False)))


def count(text: str) -> int:
    """Return the number of tokens of a text, without any that mark its beginning.

    Examples
    --------
    >>> count("where is my card?")
    5
    """
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def price_of_all_labels(case: Case, *, examples: bool) -> Tokens:
    """Return the mean tokens of a question that offers every label, over a sample of the pool's texts.

    Parameters
    ----------
    examples : bool
        Whether each option comes with the one labelled text of it that is nearest to the text.
    """
    problem, labels = case.problem, {label.name: label for label in case.problem.labels}
    names = tuple(labels)
    rows = np.random.default_rng(case.task.seed).permutation(len(problem.open_texts))[:SAMPLE].tolist()
    counted = []
    for row in rows:
        text = problem.open_texts[row]
        shown = _examples(problem, row) if examples else ()
        question = Question(text, tuple(shuffle_options(text, names)), "choose", shown)
        counted.append(tokens_of(question, names[case.answers[row]], labels))
    return Tokens(
        float(np.mean([each.prompt for each in counted])),
        float(np.mean([each.completion for each in counted])),
    )


def _examples(problem: Problem, row: int) -> tuple[tuple[str, str], ...]:
    nearness = problem.X_given @ problem.X_open[row]
    found: list[tuple[str, str]] = []
    for number, label in enumerate(problem.labels):
        rows = np.flatnonzero(problem.y_given == number)
        found += [
            (problem.given_texts[place], label.name) for place in rows[nearness[rows].argsort()[-1:]].tolist()
        ]
    return tuple(found)


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_str(STATIC_TOKENIZER.read().decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


# The rules and the list of labels are the same in all questions of a run.
_count_once = lru_cache(maxsize=8)(count)
