"""Who answers questions: an oracle (a simulation), a person, an LLM, or nobody; chosen by `load_expert`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vermilion.config import Caps
from vermilion.errors import ExpertError, InputError
from vermilion.types import Expert, Label, Meter, Question, Reply, Spend, Texts, Verdict
from vermilion.world.data import read_texts
from vermilion.world.human import HumanExpert, question_key
from vermilion.world.source import Columns, shown

__all__ = [
    "EXPERTS",
    "HumanExpert",
    "LabelsOracle",
    "NoExpert",
    "OracleExpert",
    "Setup",
    "gold_for",
    "load_expert",
    "read_gold",
    "read_gold_labels",
]

# Answers that cost nothing are booked in groups: a group is one write to disk.
GROUP = 256


@dataclass(frozen=True, slots=True)
class Setup:
    """What experts are made from; each takes what it needs.

    Attributes
    ----------
    labels : tuple of Label
        With their meanings.
    gold : mapping of text to label
        What `read_gold` gave, for an oracle.
    several : mapping of text to labels, or None
        What `read_gold_labels` gave, where a text may have several.
    error : float
        Share of an oracle's wrong answers.
    seed : int
        Decides on which texts an oracle errs.
    rivals : mapping of label to labels
        For each label those that a person would mix it up with, likeliest first.
    folder : Path
        Where a person's questions are written.
    base_url : str or None
        Of an OpenAI-compatible endpoint.
    prices : (float, float) or None
        US dollars per million prompt and completion tokens.
    caps : Caps
        Checked for what the expert cannot keep: a cap in dollars needs prices.
    """

    labels: tuple[Label, ...] = ()
    gold: Mapping[str, str] = field(default_factory=dict)
    several: Mapping[str, frozenset[str]] | None = None
    error: float = 0.0
    seed: int = 0
    rivals: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folder: Path = Path()
    base_url: str | None = None
    prices: tuple[float, float] | None = None
    caps: Caps = field(default_factory=Caps)


class OracleExpert:
    """Answers from gold labels: a simulation. On a fixed share of the texts it errs as a person would.

    Whether it errs depends on the seed and the text alone, so neither the order nor the number of questions
    changes an answer.

    Parameters
    ----------
    gold : mapping of text to label
    error : float
        Share of texts, from 0 to 1, on which it errs.
    seed : int
    rivals : mapping of label to labels, optional
        For each label the others, most similar first: the wrong answer is the first of them that is an option.

    Examples
    --------
    >>> oracle = OracleExpert({"it is lost": "lost_card"})
    >>> oracle.answer(Question("it is lost", ("fee", "lost_card")))
    'lost_card'
    >>> oracle.answer(Question("it is lost", ("fee",))) is None
    True
    >>> OracleExpert({"it is lost": "lost_card"}, error=1.0).answer(Question("it is lost", ("fee", "lost_card")))
    'fee'
    """

    name = "oracle"
    simulated = True

    def __init__(
        self,
        gold: Mapping[str, str],
        error: float = 0.0,
        seed: int = 0,
        rivals: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._gold, self._error, self._seed, self._rivals = gold, error, seed, rivals or {}

    def key(self, question: Question) -> str:
        """Return the hash of all that determines the answer."""
        own = [self.name, self._error, self._seed, self.answer(question)]
        return question_key(own, question)

    def worst_case(self, question: Question) -> Spend:
        """Return one call; an oracle takes no tokens."""
        return Spend(1)

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Answer all, in order."""
        place = 0
        while place < len(questions):
            group = questions[place : place + GROUP]
            keys = [self.key(question) for question in group]
            booked = meter.charge(keys, Spend(1))
            for question, key in zip(group[:booked], keys, strict=False):
                yield Reply(question, key, Verdict(key, self.answer(question), Spend(1)))
            place += booked

    def answer(self, question: Question) -> str | None:
        """Return one of the options, or None for none of them."""
        truth = self._gold.get(question.text)
        if truth is None:
            raise ExpertError(f"oracle: no gold label for {shown(question.text)}; add it to the gold file")
        errs = _share([self._seed, "errs", question.text]) < self._error
        if question.kind == "validate":
            return question.options[0] if (question.options[0] == truth) != errs else None
        if errs:
            return self._mistake(question, truth)
        return truth if truth in question.options else None

    def _mistake(self, question: Question, truth: str) -> str | None:
        others = [option for option in question.options if option != truth]
        rivals = [rival for rival in self._rivals.get(truth, ()) if rival in others]
        by_chance = sorted(others, key=lambda option: _share([self._seed, question.text, option]))
        return next(iter(rivals + by_chance), None)


class LabelsOracle(OracleExpert):
    """Answers from gold labels where a text may have several: a simulation. It errs on a fixed share of the answers.

    Examples
    --------
    >>> oracle = LabelsOracle({"it is lost": frozenset({"card", "loss"})})
    >>> oracle.answer(Question("it is lost", ("loss",), "validate")), oracle.answer(
    ...     Question("it is lost", ("fee",), "validate")
    ... )
    ('loss', None)
    """

    def __init__(self, gold: Mapping[str, frozenset[str]], error: float = 0.0, seed: int = 0) -> None:
        super().__init__({}, error, seed)
        self._labels = gold

    def answer(self, question: Question) -> str | None:
        """Return the option that is asked about, or None where it is not right."""
        if question.text not in self._labels:
            raise ExpertError(f"oracle: no gold labels for {shown(question.text)}; add them to the gold file")
        option = question.options[0]
        errs = _share([self._seed, "errs", question.text, option]) < self._error
        return option if (option in self._labels[question.text]) != errs else None


class NoExpert:
    """Nobody: the run learns from the labelled texts alone."""

    name = "none"
    simulated = False

    def key(self, question: Question) -> str:
        """Return a hash of the question."""
        return question_key([self.name], question)

    def worst_case(self, question: Question) -> Spend:
        """Return nothing: no question is ever asked."""
        return Spend()

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Refuse any question."""
        if questions:
            raise ExpertError("--expert none answers nothing; name an expert to ask")
        return iter(())


def load_expert(spec: str, setup: Setup = Setup()) -> Expert:
    """Return the expert that `spec` names: openai:MODEL, oracle:GOLD, human or none.

    Raises
    ------
    InputError
        There is no such expert, or it lacks something: a key, prices for a cap in dollars.

    Examples
    --------
    >>> load_expert("none").name
    'none'
    >>> load_expert("oracel:gold.csv")
    Traceback (most recent call last):
    vermilion.errors.InputError: --expert: expected openai:MODEL, oracle:GOLD, human or none, found
    'oracel:gold.csv'; give one of them
    """
    kind, argument = parse_spec(spec)
    return EXPERTS[kind](argument, setup)


def parse_spec(spec: str) -> tuple[str, str]:
    """Return kind and argument of an expert's name, checked before any work is done.

    Examples
    --------
    >>> parse_spec("oracle:data/gold.csv")
    ('oracle', 'data/gold.csv')
    """
    kind, _, argument = spec.partition(":")
    if kind not in EXPERTS or bool(argument.strip()) != (kind in ("openai", "oracle")):
        raise InputError(
            "openai:MODEL, oracle:GOLD, human or none", repr(spec), "--expert", "give one of them"
        )
    return kind, argument.strip()


def read_gold(path: str | Path, pool: Texts, columns: Columns = Columns()) -> dict[str, str]:  # noqa: B008
    """Read the right label of every pool text, from a file with texts and labels, or with ids and labels.

    Returns
    -------
    dict
        text -> label, for all texts of the pool.

    Raises
    ------
    InputError
        The file cannot be read, or lacks a pool text.
    """
    try:
        return gold_for(pool, read_texts(path, columns, labelled=True))
    except InputError as error:
        if error.expected != f"a column '{columns.text}'":
            raise
    by_id = Columns(text=columns.id, label=columns.label, id=columns.id)
    return gold_for(pool, read_texts(path, by_id, labelled=True), by_id=True)


def gold_for(pool: Texts, gold: Texts, *, by_id: bool = False) -> dict[str, str]:
    """Match gold labels to the texts of a pool.

    Parameters
    ----------
    gold : Texts
        With one label a text; its texts are the pool's texts, or with `by_id` the pool's ids.

    Raises
    ------
    InputError
        A pool text is not there, has several labels, or two rows of the same text differ.

    Examples
    --------
    >>> gold = Texts(("0", "1"), ("b", "a"), (("late",), ("lost",)))
    >>> gold_for(Texts(("0",), ("a",)), gold)
    {'a': 'lost'}
    """
    right = dict(zip(gold.texts, gold.labels or (), strict=True))
    found: dict[str, str] = {}
    for place, (id_, text) in enumerate(zip(pool.ids, pool.texts, strict=True)):
        labels = right.get(id_ if by_id else text, ())
        row = f"{pool.source or 'pool'}, row {pool.rows[place] if pool.rows else place + 1}"
        if len(labels) != 1:
            what = f"{len(labels)}: {', '.join(labels)}" if labels else f"none for {shown(text)} ({row})"
            raise InputError("one gold label for each pool text", what, gold.source or "gold", "mend its row")
        if found.setdefault(text, labels[0]) != labels[0]:
            what = f"'{found[text]}' and '{labels[0]}' for {shown(text)} ({row})"
            raise InputError(
                "one gold label for each text", what, gold.source or "gold", "settle which it is"
            )
    return found


def read_gold_labels(
    path: str | Path,
    pool: Texts,
    columns: Columns = Columns(),  # noqa: B008
) -> dict[str, frozenset[str]]:
    """Read the right labels of every pool text, of which it may have any number.

    Raises
    ------
    InputError
        The file cannot be read, or lacks a pool text.
    """
    gold = read_texts(path, columns, labelled=True)
    right = {text: frozenset(names) for text, names in zip(gold.texts, gold.labels or (), strict=True)}
    for place, text in enumerate(pool.texts):
        if text not in right:
            row = f"{pool.source or 'pool'}, row {pool.rows[place] if pool.rows else place + 1}"
            found = f"none for {shown(text)} ({row})"
            raise InputError("gold labels for each pool text", found, gold.source, "add its row")
    return {text: right[text] for text in pool.texts}


def _share(what: Sequence[object]) -> float:
    """Return a number from 0 to 1 (excluded) that looks random and depends on `what` alone."""
    digest = hashlib.sha256(json.dumps(what, ensure_ascii=False).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _oracle(argument: str, setup: Setup) -> Expert:
    if setup.several is not None:
        return LabelsOracle(setup.several, setup.error, setup.seed)
    return OracleExpert(setup.gold, setup.error, setup.seed, setup.rivals)


def _human(argument: str, setup: Setup) -> Expert:
    return HumanExpert(setup.folder)


def _none(argument: str, setup: Setup) -> Expert:
    return NoExpert()


def _openai(argument: str, setup: Setup) -> Expert:
    if setup.caps.max_cost is not None and setup.prices is None:
        raise InputError(
            "the model's prices for --max-cost",
            "none",
            "--price",
            "give --price IN,OUT in US dollars per million tokens (0,0 for a model of your own)",
        )
    from vermilion.world.llm import OpenAIExpert  # the SDK takes a second to import

    return OpenAIExpert(argument, base_url=setup.base_url, labels=setup.labels, prices=setup.prices)


EXPERTS: dict[str, Callable[[str, Setup], Expert]] = {
    "openai": _openai,
    "oracle": _oracle,
    "human": _human,
    "none": _none,
}
