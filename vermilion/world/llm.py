"""The expert behind an OpenAI-compatible endpoint, and the meanings of labels that it writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Protocol, Self

from vermilion.types import Label, Meter, Question, Reply, Spend, Verdict
from vermilion.world.llm_calls import Calls, Job, Outcome, Pace, job_worst
from vermilion.world.llm_endpoint import Endpoint, Prompt
from vermilion.world.prompts import (
    LONGEST_MEANING,
    PROMPT_VERSION,
    answers,
    meaning_messages,
    meaning_schema,
    messages,
    read_answer,
    read_meaning,
    schema,
)

__all__ = ["Documents", "OpenAIExpert", "Pace", "write_meanings"]

# An answer's JSON around the label's name, and a code fence around that.
TOKENS_AROUND = 48


class OpenAIExpert:
    """A model behind an OpenAI-compatible chat endpoint: OpenAI, vLLM, Ollama, llama.cpp, Azure and others.

    The key is read from OPENAI_API_KEY; a server named by its address may do without. See docs/design/experts.md
    for what counts as a call and what is billed.

    Parameters
    ----------
    model : str
        The model's name at the endpoint.
    base_url : str, optional
        By default OPENAI_BASE_URL, then OpenAI itself. Not part of a question's key: a server may move.
    labels : sequence of Label
        All labels of the run, with their meanings.
    prices : (float, float), optional
        US dollars per million prompt and completion tokens; without them cost counts as 0.
    thinking : int, optional
        Tokens that a reasoning model may think before it answers; by default 4,096 for models known to reason.
    pace : Pace
        Requests at once, timeout, attempts.

    Raises
    ------
    InputError
        There is no key.
    ExpertError
        VERMILION_OFFLINE is set and the address is another machine's.
    """

    simulated = False

    def __init__(
        self,
        model: str,
        *,
        labels: Sequence[Label],
        base_url: str | None = None,
        prices: tuple[float, float] | None = None,
        thinking: int | None = None,
        pace: Pace = Pace(),  # noqa: B008  frozen
    ) -> None:
        self.name = f"openai:{model}"
        self.labels = {label.name: label for label in labels}
        self.endpoint = Endpoint.named(model, base_url, prices, pace.timeout, thinking)
        self.pace = pace

    def knowing(self, labels: Sequence[Label]) -> Self:
        """Return the same expert with other labels: those whose meanings are now known."""
        expert = copy(self)
        expert.labels = {label.name: label for label in labels}
        return expert

    def __repr__(self) -> str:
        return f"OpenAIExpert({self.endpoint.where})"

    def key(self, question: Question) -> str:
        """Return the sha256 of all that determines the answer, as 64 hex digits.

        That is the model, the prompt's version, the sampling, the question, and the meanings of its options.
        """
        asked = [question.text, question.options, question.kind, question.examples]
        meanings = [self.labels[name].meaning if name in self.labels else "" for name in question.options]
        return _hash([self.name, PROMPT_VERSION, {"temperature": 0}, asked, meanings])

    def worst_case(self, question: Question) -> Spend:
        """Return the most that an answer and its repair can cost; a token is at least one byte of a prompt.

        A request that is lost on its way may have been billed; its repetition is set aside beyond this.
        """
        return job_worst(self.endpoint, self._prompt(question))

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Ask all, several at once; yield each reply as it comes. Of questions with the same key one is asked.

        Raises
        ------
        CapReachedError
            The next question might pass a cap; those under way were finished and yielded.
        ExpertError
            The endpoint refuses the key or the model, or does not answer at all.
        """
        by_key = {self.key(question): question for question in questions}
        # One after the other: each holds a prompt of its own, and there may be many thousands.
        jobs = (self._job(key, question) for key, question in by_key.items())
        for outcome in Calls(self.endpoint, self.pace, jobs, meter).outcomes():
            yield _reply(by_key[outcome.job.key], outcome)

    def _job(self, key: str, question: Question) -> Job:
        return Job(key, self._prompt(question), lambda content: read_answer(content, question))

    def _prompt(self, question: Question) -> Prompt:
        # In JSON a letter may be escaped: the longest form of the longest answer sets the limit.
        longest = max(len(json.dumps(answer)) for answer in answers(question))
        return Prompt(messages(question, self.labels), schema(question), longest + TOKENS_AROUND)


class Documents(Protocol):
    """Where meanings are kept: `vermilion.world.store.Store`, for one."""

    def get(self, name: str) -> Any:
        """Return the value of this name, or None."""
        ...

    def put(self, name: str, value: Any, *, keep: bool = False) -> None:
        """Store a JSON value by name; with `keep`, also when the run starts over."""
        ...


def write_meanings(
    expert: OpenAIExpert,
    examples: Mapping[str, Sequence[str]],
    rivals: Mapping[str, Sequence[str]],
    store: Documents,
    meter: Meter,
    progress: Callable[[int, Spend], None] = lambda done, spend: None,
) -> tuple[Label, ...]:
    """Return the expert's labels, each without a meaning given one: "use when ..., not when ...".

    What the model wrote is in the store before it is used, and is never asked for twice. A label whose meaning
    could not be had stays without.

    Parameters
    ----------
    expert : OpenAIExpert
    examples : mapping of name to texts
        A few labelled texts of each label.
    rivals : mapping of name to names
        The labels most like it; their examples are shown for contrast.
    store : Documents
    meter : Meter
    progress : callable
        Is told of one more label, and what its meaning cost.

    Raises
    ------
    CapReachedError, ExpertError
        As `OpenAIExpert.ask`; meanings bought so far are stored.
    """
    jobs = {
        name: _meaning_job(expert, label, examples, rivals)
        for name, label in expert.labels.items()
        if not label.meaning
    }
    written = {job.key: store.get(_place(job.key)) for job in jobs.values()}
    missing = [job for job in jobs.values() if written[job.key] is None]
    for outcome in Calls(expert.endpoint, expert.pace, missing, meter).outcomes():
        if not outcome.error:
            store.put(_place(outcome.job.key), outcome.value, keep=True)
            written[outcome.job.key] = outcome.value
        progress(1, outcome.spend)
    return tuple(
        replace(label, meaning=written[jobs[name].key] or "") if name in jobs else label
        for name, label in expert.labels.items()
    )


def _meaning_job(
    expert: OpenAIExpert,
    label: Label,
    examples: Mapping[str, Sequence[str]],
    rivals: Mapping[str, Sequence[str]],
) -> Job:
    against = {name: examples.get(name, ()) for name in rivals.get(label.name, ())}
    asked = meaning_messages(label, examples.get(label.name, ()), against)
    # Some scripts take more than one token a character.
    prompt = Prompt(asked, meaning_schema(), 3 * LONGEST_MEANING + TOKENS_AROUND)
    return Job(_hash([expert.name, PROMPT_VERSION, asked]), prompt, read_meaning)


def _place(key: str) -> str:
    return f"meaning/{key}"


def _reply(question: Question, outcome: Outcome) -> Reply:
    key = outcome.job.key
    verdict = None if outcome.error else Verdict(key, outcome.value, outcome.spend)
    return Reply(question, key, verdict, outcome.error)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
