"""The first rule that applies decides; what rules find on many texts at once is what they find on each alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vermilion import cli_rules
from vermilion.errors import InputError
from vermilion.learn.heads import FlatHead
from vermilion.serve.rules import Decided, Rules, load_rules
from vermilion.serve.rules_trial import try_rules
from vermilion.types import Label
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel, save_model
from vermilion.world.rule_book import Outcome, RuleBook, When, WrittenRule

REVIEW, REFUSE = Outcome("review"), Outcome("refuse")


def rule(name: str, then: Outcome = REVIEW, *, on: bool = True, **when: object) -> WrittenRule:
    return WrittenRule(name, "a reason", When(**when), then, 1, enabled=on)  # type: ignore[arg-type]


def names(found: Sequence[object]) -> list[str | None]:
    return [getattr(one, "rule", None) for one in found]


def test_no_rules_decide_nothing() -> None:
    rules = Rules()
    assert rules.before(["a", "b"]) == [None, None]
    assert rules.after(["a"], [Decided("x", 0.5)]) == [None]
    assert rules.before([]) == []
    assert rules.names == ()


def test_the_first_that_applies_decides_and_rules_that_are_off_do_not() -> None:
    off = rule("off", keywords=("card",), on=False)
    first, second = rule("first", REFUSE, keywords=("card", "lost")), rule("second", keywords=("card", "fee"))
    rules = Rules(RuleBook((off, first, second)))
    assert rules.names == ("first", "second")
    assert names(rules.before(["a card fee", "a fee", "nothing"])) == ["first", "second", None]
    assert rules.before(["a card"])[0].outcome == REFUSE  # type: ignore[union-attr]
    turned = Rules(RuleBook((second, first)))
    assert names(turned.before(["a card fee", "lost"])) == ["second", "first"]


def test_all_conditions_of_a_rule_must_hold() -> None:
    both = rule("both", keywords=("card",), patterns=("[0-9]{4}",), min_characters=10, max_characters=12)
    rules = Rules(RuleBook((both,)))
    texts = ["card 1234 ..", "card 1234", "card 123 ...", "cart 1234 ..", "card 1234 ...."]
    assert names(rules.before(texts)) == ["both", None, None, None, None]


def test_languages_and_texts_of_none() -> None:
    rules = Rules(RuleBook((rule("german", languages=("de",)), rule("foreign", languages_not=("en", "de")))))
    texts = [
        "Wo ist meine Karte geblieben?",
        "where is my card?",
        "¿Dónde está mi tarjeta nueva?",
        "1234 5678",
    ]
    assert names(rules.before(texts)) == ["german", None, "foreign", None]


def test_what_the_model_says_is_judged_after_it() -> None:
    book = RuleBook(
        after=(
            rule("foreign", REFUSE, out_of_scope_at_least=0.9),
            rule("card", confidence_below=0.8, groups=("cards",)),
            rule("sure fee", Outcome("label", "vip"), labels=("fees",), confidence_at_least=0.9),
        )
    ).with_labels([Label("lost", parent="cards"), Label("late", parent="lost"), Label("fees"), Label("vip")])
    rules = Rules(book)
    said = [
        (Decided("fees", 0.95, 0.9), "foreign"),
        (Decided("late", 0.79, 0.0), "card"),  # under a label under the group
        (Decided("late", 0.8), None),
        (Decided("fees", 0.9), "sure fee"),
        (Decided("fees", 0.899), None),
        (Decided(None, 0.1), None),
        (Decided("fees", 0.7, labels=("fees", "lost")), "card"),  # any of several labels
    ]
    found = rules.after(["text"] * len(said), [decided for decided, _ in said])
    assert names(found) == [name for _, name in said]
    assert found[3] is not None
    assert found[3].label == "vip"
    assert found[3].overrides("fees")
    assert not found[3].overrides("vip")


def test_rules_after_the_model_may_look_at_the_text_too() -> None:
    rules = Rules(RuleBook(after=(rule("unsure vip", keywords=("vip",), confidence_below=0.9),)))
    found = rules.after(["VIP", "VIP", "no"], [Decided("x", 0.5), Decided("x", 0.95), Decided("x", 0.5)])
    assert names(found) == ["unsure vip", None, None]


def test_a_group_without_the_labels_is_refused() -> None:
    with pytest.raises(InputError, match="rule 'a': expected the model's labels, found the group 'cards'"):
        Rules(RuleBook(after=(rule("a", groups=("cards",)),)))


def test_many_texts_at_once_are_decided_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"w{n}" for n in range(60)])
    made = []
    for number in range(80):
        when: dict[str, object] = {}
        if rng.random() < 0.6:
            when["keywords"] = tuple(rng.choice(words, 2).tolist())
        if rng.random() < 0.4:
            when["patterns"] = (f"{rng.choice(words)} w[0-9]",)
        if rng.random() < 0.4:
            when["min_characters"] = int(rng.integers(1, 60))
        made.append(rule(f"r{number}", REVIEW, **(when or {"keywords": ("w1",)})))  # type: ignore[arg-type]
    order = np.argsort([len(one.when.keywords) == 0 for one in made], kind="stable")
    rules = Rules(RuleBook(tuple(made[place] for place in order.tolist())))
    texts = [" ".join(rng.choice(words, rng.integers(1, 12)).tolist()) for _ in range(300)]
    together = rules.before(texts)
    assert together == [rules.before([text])[0] for text in texts]
    assert together == [alone(rules.book.before, text) for text in texts]
    assert len(set(names(together))) > 20


def alone(rules: Sequence[WrittenRule], text: str) -> object:
    """Decide one text the plain way, rule by rule."""
    import re

    from vermilion.serve.rules import Ruling

    for one in rules:
        when, tokens = one.when, text.split()
        if when.keywords and not set(when.keywords) & set(tokens):
            continue
        if when.patterns and not any(re.search(pattern, text) for pattern in when.patterns):
            continue
        if when.min_characters is not None and len(text) < when.min_characters:
            continue
        return Ruling(one.name, one.then.action, one.then.label, one.reason)
    return None


# --- tests in the file

RULES = """
before:
- name: theft
  reason: law
  keywords: [stolen]
  then: review
  tests:
  - {text: It was STOLEN, expect: review}
  - {text: stole it, expect: nothing}
- name: shadowed
  reason: never first
  keywords: [stolen card]
  then: review
  tests:
  - {text: a stolen card, expect: review}
after:
- name: unsure
  reason: better asked
  confidence_below: 0.5
  then: review
  tests:
  - {label: lost, confidence: 0.4, expect: review}
  - {label: lost, confidence: 0.6, expect: {label: lost}}
  - {text: hello, expect: nothing}
"""


def test_trials_tell_what_was_expected_what_came_and_by_which_rule(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    rules = load_rules(tmp_path / "rules.yaml")
    trials = try_rules(rules)
    assert [trial.fault for trial in trials] == [
        "",
        "",
        "'theft' decided before it",
        "",
        "expected label lost",
        "needs a model",
    ]
    with_model = try_rules(rules, lambda texts: [Decided("lost", 0.9)] * len(texts))
    assert [trial.fault for trial in with_model][-1] == ""
    assert [trial.overrides for trial in with_model] == [True, False, True, True, False, False]


def invoke(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli_rules.app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_the_command_fails_where_a_test_fails(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    code, shown = invoke("test", path)
    assert code == 1
    assert "6 tests, 3 passed, 3 failed" in shown
    code, shown = invoke("test", path, "--json")
    assert code == 1
    assert [row["passed"] for row in json.loads(shown)] == [True, True, False, True, False, False]
    path.write_text(RULES.split("- name: shadowed", maxsplit=1)[0])
    assert invoke("test", path) == (0, invoke("test", path)[1])
    assert "2 tests, 2 passed, 0 failed" in invoke("test", path)[1]


def test_rules_are_shown_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES + "- {name: later, reason: r, labels: x, enabled: false, then: refuse}\n")
    code, shown = invoke("show", path)
    assert code == 0
    places = [shown.index(name) for name in ("theft", "shadowed", "unsure", "off: later")]
    assert places == sorted(places)
    assert [row["name"] for row in json.loads(invoke("show", path, "--json")[1])] == [
        *("theft", "shadowed", "unsure", "later"),
    ]


def test_a_model_gives_labels_and_says_what_it_would_have_said(tmp_path: Path) -> None:
    texts = ["where is my card", "my card is late", "what are the fees", "how much does it cost"]
    encoder = load_encoder("static")
    head = FlatHead(C=30.0).fit(encoder.encode(texts), np.array([0, 0, 1, 1]))
    labels = (Label("late", parent="cards"), Label("fees"))
    save_model(tmp_path / "model", SavedModel("flat", head, labels, 1.0, "static", encoder.digest), "card")
    path = tmp_path / "rules.yaml"
    after = "after:\n- {name: cards, reason: r, groups: cards, then: review, tests: [%s]}\n"
    path.write_text(after % "{text: my card is late, expect: review}, {text: the fees, expect: nothing}")
    code, shown = invoke("test", path, "--model", tmp_path / "model", "--json")
    rows = json.loads(shown)
    assert code == 0
    assert [row["model"]["label"] for row in rows] == ["late", "fees"]
    assert [row["decided_by"] for row in rows] == ["cards", None]
    path.write_text(after.replace("cards,", "fares,", 1).replace("groups: cards", "labels: fares") % "")
    with pytest.raises(InputError, match="found 'fares'"):
        invoke("test", path, "--model", tmp_path / "model")
