"""What is decided by rule: before the model from the text alone, after it from what the model says, too.

The first rule that applies decides, in the order of the file. All rules of a stage look at all texts at once, one kind
of condition after the other, so that a thousand keywords over a thousand texts take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vermilion.errors import InputError
from vermilion.types import BoolArray, FloatArray, IntArray, Label
from vermilion.world.language import languages_of
from vermilion.world.patterns import KeywordSet, PatternSet
from vermilion.world.rule_book import Action, Outcome, RuleBook, When, WrittenRule
from vermilion.world.rules_file import read_rules


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule decided.

    Attributes
    ----------
    rule : str
        Its name.
    action : {"label", "review", "refuse"}
    label : str or None
        Where the action is a label.
    reason : str
        Why the rule is there, as its author wrote it.
    """

    rule: str
    action: Action
    label: str | None = None
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """What becomes of the text."""
        return Outcome(self.action, self.label)

    def overrides(self, label: str | None) -> bool:
        """Tell whether the rule decided other than the model, which says `label`.

        Examples
        --------
        >>> Ruling("vip", "label", "card").overrides("card"), Ruling("law", "review").overrides("card")
        (False, True)
        """
        return self.action != "label" or self.label != label


@dataclass(frozen=True, slots=True)
class Decided:
    """What the model says of a text.

    Attributes
    ----------
    label : str or None
        None where it gives none.
    confidence : float
    out_of_scope : float or None
        From 0 to 1, how foreign the text looks; None where the model does not tell.
    labels : tuple of str
        Where a text may have several labels: all of them.
    """

    label: str | None
    confidence: float
    out_of_scope: float | None = None
    labels: tuple[str, ...] = ()

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Decided:
        """Return what a row of `Predictor.rows` says; of several labels, the likeliest stands for the confidence.

        Examples
        --------
        >>> Decided.of_row({"label": "card", "confidence": 0.8, "out_of_scope": 0.1})
        Decided(label='card', confidence=0.8, out_of_scope=0.1, labels=())
        >>> row = {"labels": ["b", "a"], "candidates": [{"label": "b", "probability": 0.9}]}
        >>> Decided.of_row(row).confidence, Decided.of_row(row).labels
        (0.9, ('b', 'a'))
        """
        if "labels" not in row:
            return cls(row["label"], row["confidence"], row.get("out_of_scope"))
        labels, candidates = tuple(row["labels"]), row["candidates"]
        confidence = candidates[0]["probability"] if candidates else 0.0
        return cls(labels[0] if labels else None, confidence, row.get("out_of_scope"), labels)


class Rules:
    """The rules of a model, ready to decide. Without rules they cost nothing.

    Parameters
    ----------
    book : RuleBook

    Raises
    ------
    InputError
        The patterns need too much memory, or a rule names a group and the book was read without the labels.

    Examples
    --------
    >>> theft = WrittenRule("theft", "law", When(keywords=("stolen",)), Outcome("review"), line=1)
    >>> unsure = WrittenRule("unsure", "quality", When(confidence_below=0.5), Outcome("refuse"), line=2)
    >>> rules = Rules(RuleBook((theft,), (unsure,)))
    >>> [ruling and ruling.rule for ruling in rules.before(["It was STOLEN!", "hello"])]
    ['theft', None]
    >>> [ruling and ruling.action for ruling in rules.after(["a", "b"], [Decided("x", 0.4), Decided("x", 0.9)])]
    ['refuse', None]
    """

    def __init__(self, book: RuleBook | None = None) -> None:
        self.book = book or RuleBook()
        self._before, self._after = (
            _Stage(rules, self.book) for rules in (self.book.before, self.book.after)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rules that are on: those before the model, then those after it."""
        return tuple(rule.name for rule in self.book.rules if rule.enabled)

    def before(self, texts: Sequence[str]) -> list[Ruling | None]:
        """Return for each text what the rules before the model decide, or None."""
        return self._before.decide(_Seen(texts))

    def after(self, texts: Sequence[str], decided: Sequence[Decided]) -> list[Ruling | None]:
        """Return for each text what the rules after the model decide, or None."""
        return self._after.decide(_Seen(texts, decided))


def load_rules(path: str | Path, labels: Collection[str | Label] | None = None) -> Rules:
    """Read, check and compile a file of rules; see `rules_file.read_rules`.

    Raises
    ------
    InputError, MissingExtraError
        As `read_rules` and `Rules`.
    """
    return Rules(read_rules(path, labels))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a stage looks at: texts, and after the model what it says of each."""

    texts: Sequence[str]
    decided: Sequence[Decided] = ()


class _Stage:
    """The rules before, or after, the model."""

    def __init__(self, rules: Sequence[WrittenRule], book: RuleBook) -> None:
        on = [rule for rule in rules if rule.enabled]
        self._rulings = [Ruling(rule.name, rule.then.action, rule.then.label, rule.reason) for rule in on]
        self._kinds = [(owners, kind) for make in KINDS for owners, kind in [make(on, book)] if len(owners)]

    def decide(self, seen: _Seen) -> list[Ruling | None]:
        if not self._rulings:
            return [None] * len(seen.texts)
        applies = np.ones((len(seen.texts), len(self._rulings)), dtype=np.bool_)
        for owners, kind in self._kinds:
            applies[:, owners] &= kind.hits(seen)
        first = applies.argmax(axis=1)
        found = applies[np.arange(len(applies)), first]
        return [
            self._rulings[rule] if any_ else None
            for rule, any_ in zip(first.tolist(), found.tolist(), strict=True)
        ]


# --- the kinds of condition: each has a column for every rule that has such a condition


class _Kind(Protocol):
    def hits(self, seen: _Seen) -> BoolArray:
        """Return which conditions hold, shape (texts, conditions of this kind)."""
        ...


_Made = tuple[IntArray, "_Kind"]


def _owners(rules: Sequence[WrittenRule], has: Callable[[When], object]) -> IntArray:
    """Return the numbers of the rules that have a condition."""
    return np.flatnonzero([has(rule.when) not in (None, ()) for rule in rules])


class _Found:
    """Keywords, or patterns: a condition holds where one of its own is found."""

    def __init__(self, matches: Callable[[str], list[int]], column_of: IntArray, columns: int) -> None:
        self._matches, self._column_of, self._columns = matches, column_of, columns

    def hits(self, seen: _Seen) -> BoolArray:
        hits = np.zeros((len(seen.texts), self._columns), dtype=np.bool_)
        for row, text in enumerate(seen.texts):
            if found := self._matches(text):
                hits[row, self._column_of[found]] = True
        return hits


def _keywords(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    return _sought(rules, book, lambda when: when.keywords, KeywordSet)


def _patterns(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    return _sought(rules, book, lambda when: when.patterns, PatternSet)


def _sought(
    rules: Sequence[WrittenRule],
    book: RuleBook,
    of: Callable[[When], tuple[str, ...]],
    make: type[KeywordSet] | type[PatternSet],
) -> _Made:
    owners = _owners(rules, of)
    lists = [of(rules[number].when) for number in owners.tolist()]
    column_of = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    try:
        sought = make(list(chain.from_iterable(lists)))
    except ValueError as error:
        raise InputError(
            "patterns that fit into one search", str(error), book.source, "shorten them"
        ) from None
    return owners, _Found(sought.matches, column_of, len(lists))


class _Between:
    """A number of each text lies within bounds: at least the lower, below the upper."""

    def __init__(self, numbers: Callable[[_Seen], FloatArray], low: FloatArray, high: FloatArray) -> None:
        self._numbers, self._low, self._high = numbers, low, high

    def hits(self, seen: _Seen) -> BoolArray:
        numbers = self._numbers(seen)[:, None]
        within: BoolArray = (numbers >= self._low) & (numbers < self._high)  # nan is nowhere
        return within


def _bounded(
    rules: Sequence[WrittenRule],
    bounds: Callable[[When], tuple[float | None, float | None]],
    numbers: Callable[[_Seen], FloatArray],
) -> _Made:
    owners = np.flatnonzero([bounds(rule.when) != (None, None) for rule in rules])
    pairs = [bounds(rules[number].when) for number in owners.tolist()]
    low = np.array([-np.inf if least is None else least for least, _ in pairs])
    high = np.array([np.inf if most is None else most for _, most in pairs])
    return owners, _Between(numbers, low, high)


def _lengths(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    def bounds(when: When) -> tuple[float | None, float | None]:
        return when.min_characters, None if when.max_characters is None else when.max_characters + 1

    return _bounded(
        rules, bounds, lambda seen: np.array([len(text) for text in seen.texts], dtype=np.float64)
    )


def _confidences(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    return _bounded(
        rules,
        lambda when: (when.confidence_at_least, when.confidence_below),
        lambda seen: np.array([one.confidence for one in seen.decided], dtype=np.float64),
    )


def _scopes(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    return _bounded(
        rules,
        lambda when: (when.out_of_scope_at_least, None),
        lambda seen: np.array([one.out_of_scope for one in seen.decided], dtype=np.float64),
    )


class _OneOf:
    """A word of each text, its language or a label, is one of those that the condition names."""

    def __init__(
        self, words: Callable[[_Seen], list[tuple[str, ...]]], named: Sequence[Collection[str]]
    ) -> None:
        self._words, self._columns = words, len(named)
        self._table: Mapping[str, BoolArray] = {
            word: np.array([word in one for one in named], dtype=np.bool_)
            for word in set(chain.from_iterable(named))
        }

    def hits(self, seen: _Seen) -> BoolArray:
        hits = np.zeros((len(seen.texts), self._columns), dtype=np.bool_)
        for row, words in enumerate(self._words(seen)):
            for word in words:
                if (columns := self._table.get(word)) is not None:
                    hits[row] |= columns
        return hits


def _labels(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    owners = _owners(rules, lambda when: when.labels + when.groups)
    named = []
    for rule in (rules[number] for number in owners.tolist()):
        if missing := [group for group in rule.when.groups if group not in book.members]:
            found = f"the group '{missing[0]}' without them"
            raise book.error(rule, "the model's labels", found, "give --model or --labels")
        named.append(
            {*rule.when.labels, *chain.from_iterable(book.members[group] for group in rule.when.groups)}
        )

    def said(seen: _Seen) -> list[tuple[str, ...]]:
        return [one.labels or (() if one.label is None else (one.label,)) for one in seen.decided]

    return owners, _OneOf(said, named)


class _Language:
    """The text is in one of some languages, or is known to be in another than some."""

    def __init__(self, inside: Sequence[Collection[str]], outside: Sequence[Collection[str]]) -> None:
        self._inside, self._outside = inside, outside

    def hits(self, seen: _Seen) -> BoolArray:
        found = languages_of(seen.texts)
        rows = {language: self._row(language) for language in set(found)}
        return np.array([rows[language] for language in found], dtype=np.bool_).reshape(len(found), -1)

    def _row(self, language: str | None) -> list[bool]:
        return [
            language is not None and (not inside or language in inside) and language not in outside
            for inside, outside in zip(self._inside, self._outside, strict=True)
        ]


def _language(rules: Sequence[WrittenRule], book: RuleBook) -> _Made:
    owners = _owners(rules, lambda when: when.languages + when.languages_not)
    conditions = [rules[number].when for number in owners.tolist()]
    return owners, _Language([one.languages for one in conditions], [one.languages_not for one in conditions])


KINDS: tuple[Callable[[Sequence[WrittenRule], RuleBook], _Made], ...] = (
    *(_keywords, _patterns, _lengths, _language),
    *(_labels, _confidences, _scopes),
)
