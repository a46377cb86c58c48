"""Rules as people wrote them: conditions, what follows, tests; and whether they can stand beside each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal

from vermilion.errors import InputError
from vermilion.types import Label

MAX_RULES, MAX_KEYWORDS, MAX_PATTERNS = 2_000, 50_000, 1_000

Action = Literal["label", "review", "refuse"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a text: a label, a person's review, or a refusal."""

    action: Action
    label: str | None = None

    def __str__(self) -> str:
        return self.action if self.label is None else f"label {self.label}"


@dataclass(frozen=True, slots=True)
class RuleTest:
    """An example in the file, and what the rules must make of it.

    Attributes
    ----------
    expect : Outcome or None
        None: no rule applies.
    label, confidence : str or None, float or None
        What the model says; rules after the model need it, from here or from a model.
    """

    expect: Outcome | None
    line: int
    text: str = ""
    label: str | None = None
    confidence: float | None = None
    out_of_scope: float | None = None


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a rule; all that are given must hold. Of several values in one of them, any.

    Attributes
    ----------
    keywords, patterns : tuple of str
        See `patterns.KeywordSet` and `patterns.PatternSet`.
    min_characters, max_characters : int or None
        The text has at least, or at most, so many.
    languages, languages_not : tuple of str
        ISO 639 codes. A text whose language cannot be told is in none, and outside none.
    labels, groups : tuple of str
        What the model says: one of these labels, or a label that stands under one of these parents.
    confidence_below, confidence_at_least, out_of_scope_at_least : float or None
        Of what the model says.
    """

    keywords: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    min_characters: int | None = None
    max_characters: int | None = None
    languages: tuple[str, ...] = ()
    languages_not: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    confidence_below: float | None = None
    confidence_at_least: float | None = None
    out_of_scope_at_least: float | None = None

    def given(self) -> Iterator[str]:
        """Yield the names of the conditions that there are."""
        yield from (one.name for one in fields(self) if getattr(self, one.name) not in (None, ()))

    @property
    def always(self) -> bool:
        """Whether every text meets the conditions."""
        nothing = When(
            min_characters=self.min_characters if self.min_characters in (0, 1) else None,
            confidence_at_least=self.confidence_at_least if self.confidence_at_least == 0 else None,
        )
        return self == nothing


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """One rule as it stands in the file."""

    name: str
    reason: str
    when: When
    then: Outcome
    line: int
    enabled: bool = True
    tests: tuple[RuleTest, ...] = ()

    def named(self) -> Iterator[tuple[int, str]]:
        """Yield each label that the rule or a test of it names, with the line."""
        if self.then.label is not None:
            yield self.line, self.then.label
        yield from ((self.line, name) for name in self.when.labels)
        for test in self.tests:
            told = (test.label, None if test.expect is None else test.expect.label)
            yield from ((test.line, name) for name in told if name is not None)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of a file in their order; the first that applies decides.

    Attributes
    ----------
    members : mapping of str to frozenset of str
        The labels under each group that a rule names; empty where the labels are not known.
    source : str
        The path, for messages.
    """

    before: tuple[WrittenRule, ...] = ()
    after: tuple[WrittenRule, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    source: str = ""

    @property
    def rules(self) -> tuple[WrittenRule, ...]:
        """Those before the model, then those after it."""
        return self.before + self.after

    def check(self) -> None:
        """Check what no rule can be told on its own.

        Raises
        ------
        InputError
            Too many rules; a name twice; a rule that can never apply.
        """
        self._check_size()
        self._check_names()
        for rules in (self.before, self.after):
            self._check_reach([rule for rule in rules if rule.enabled])

    def _check_size(self) -> None:
        counts = {
            "rules": (len(self.rules), MAX_RULES),
            "keywords": (sum(len(rule.when.keywords) for rule in self.rules), MAX_KEYWORDS),
            "patterns": (sum(len(rule.when.patterns) for rule in self.rules), MAX_PATTERNS),
        }
        for what, (count, most) in counts.items():
            if count > most:
                cure = "leave the frequent cases to the model"
                raise InputError(f"up to {most:,} {what}", f"{count:,}", self.source, cure)

    def _check_names(self) -> None:
        lines: dict[str, int] = {}
        for rule in self.rules:
            if rule.name in lines:
                found = f"the same name in line {lines[rule.name]}"
                raise self.error(rule, "each rule's name once", found, "rename one of them")
            lines[rule.name] = rule.line

    def _check_reach(self, rules: Sequence[WrittenRule]) -> None:
        for first, second in pairwise(rules):
            if first.when.always:
                found = f"'{first.name}' before it, which takes every text (line {first.line})"
                raise self.error(second, "a rule that can be reached", found, "move that one to the end")

    def with_labels(self, labels: Collection[str | Label]) -> RuleBook:
        """Return the book with the labels under each group, each label and group that a rule names checked.

        Raises
        ------
        InputError
            A rule or test names a label or group that is not among them.
        """
        known = [label if isinstance(label, Label) else Label(label) for label in labels]
        names = {label.name for label in known}
        for rule in self.rules:
            for line, name in rule.named():
                if name not in names:
                    near = get_close_matches(name, names, n=1)
                    cure = f"did you mean '{near[0]}'?" if near else "write a label of the model"
                    raise self.error(rule, "a label of the model", f"'{name}'", cure, line)
        members = {
            group: self._members(rule, group, known) for rule in self.rules for group in rule.when.groups
        }
        return replace(self, members=members)

    def _members(self, rule: WrittenRule, group: str, labels: Sequence[Label]) -> frozenset[str]:
        """Return a group and all that stands under it, at any depth."""
        members = {group}
        while more := {label.name for label in labels if label.parent in members} - members:
            members |= more
        if members == {group}:
            parents = sorted({label.parent for label in labels if label.parent})
            cure = f"groups are {', '.join(parents[:5])}" if parents else "the model's labels have no parents"
            raise self.error(rule, "a group of labels", f"'{group}'", cure)
        return frozenset(members)

    def error(
        self, rule: WrittenRule, expected: str, found: str, cure: str, line: int | None = None
    ) -> InputError:
        """Return an error that names the file, the line and the rule."""
        return InputError(
            expected, found, f"{self.source}, line {line or rule.line}, rule '{rule.name}'", cure
        )
