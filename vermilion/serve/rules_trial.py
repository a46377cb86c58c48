"""The tests that a file of rules brings with it, run: what was expected, what came, by which rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vermilion.serve.rules import Decided, Rules, Ruling
from vermilion.world.rule_book import Outcome, RuleTest, WrittenRule

Model = Callable[[Sequence[str]], Sequence[Decided]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One test of one rule, run against all rules of its stage.

    Attributes
    ----------
    rule : WrittenRule
        The rule under which the test stands.
    stage : {"before", "after"}
    test : RuleTest
    ruling : Ruling or None
        What the rules decided.
    said : Decided or None
        What the model says of the text; None where there is no model, or no text.
    missing : bool
        It was not run, since it needs a model and there is none.
    """

    rule: WrittenRule
    stage: str
    test: RuleTest
    ruling: Ruling | None = None
    said: Decided | None = None
    missing: bool = False

    @property
    def outcome(self) -> Outcome | None:
        """What becomes of the text by the rules."""
        return None if self.ruling is None else self.ruling.outcome

    @property
    def fault(self) -> str:
        """What is wrong, or nothing.

        A test that expects what its own rule does is about that rule: another may not have decided in its place.
        """
        if self.missing or self.outcome != self.test.expect:
            return "needs a model" if self.missing else f"expected {told(self.test.expect)}"
        if self.ruling is None or self.ruling.rule == self.rule.name or self.outcome != self.rule.then:
            return ""
        return f"'{self.ruling.rule}' decided before it"

    @property
    def overrides(self) -> bool:
        """Whether the rules decided other than the model says."""
        return self.ruling is not None and self.said is not None and self.ruling.overrides(self.said.label)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rule": self.rule.name,
            "stage": self.stage,
            "line": self.test.line,
            "text": self.test.text,
            "expected": told(self.test.expect),
            "found": told(self.outcome),
            "decided_by": None if self.ruling is None else self.ruling.rule,
            "model": None
            if self.said is None
            else {"label": self.said.label, "confidence": self.said.confidence},
            "overrides": self.overrides,
            "passed": not self.fault,
            "fault": self.fault,
        }


def told(outcome: Outcome | None) -> str:
    """Return an outcome in words.

    Examples
    --------
    >>> told(None), told(Outcome("refuse")), told(Outcome("label", "card"))
    ('nothing', 'refuse', 'label card')
    """
    return "nothing" if outcome is None else str(outcome)


def try_rules(rules: Rules, model: Model | None = None) -> list[Trial]:
    """Run the tests of all rules that are on, in the order of the file.

    Parameters
    ----------
    rules : Rules
    model : callable, optional
        Texts in, what the model says of each out. Tests after the model that do not tell it themselves need it.
    """
    book = rules.book
    return _before(rules, book.before, model) + _after(rules, book.after, model)


def _tests(written: Sequence[WrittenRule]) -> list[tuple[WrittenRule, RuleTest]]:
    return [(rule, test) for rule in written if rule.enabled for test in rule.tests]


def _before(rules: Rules, written: Sequence[WrittenRule], model: Model | None) -> list[Trial]:
    pairs = _tests(written)
    texts = [test.text for _, test in pairs]
    said = model(texts) if model and texts else [None] * len(texts)
    return [
        Trial(rule, "before", test, ruling, says)
        for (rule, test), ruling, says in zip(pairs, rules.before(texts), said, strict=True)
    ]


def _after(rules: Rules, written: Sequence[WrittenRule], model: Model | None) -> list[Trial]:
    pairs = _tests(written)
    said = _said([test for _, test in pairs], model)
    ready = [place for place in range(len(pairs)) if place in said]
    rulings = dict(
        zip(
            ready,
            rules.after([pairs[place][1].text for place in ready], [said[p] for p in ready]),
            strict=True,
        )
    )
    return [
        Trial(rule, "after", test, rulings.get(place), said.get(place), missing=place not in said)
        for place, (rule, test) in enumerate(pairs)
    ]


def _said(tests: Sequence[RuleTest], model: Model | None) -> Mapping[int, Decided]:
    """Return what the model says in each test: as the test tells it, else as the model does."""
    given = {
        place: Decided(test.label, test.confidence, test.out_of_scope)
        for place, test in enumerate(tests)
        if test.confidence is not None
    }
    open_ = [place for place in range(len(tests)) if place not in given]
    if model is None or not open_:
        return given
    return given | dict(zip(open_, model([tests[place].text for place in open_]), strict=True))
