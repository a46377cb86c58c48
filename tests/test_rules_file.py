"""rules.yaml is read strictly: each fault is told by file, line and rule, in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from vermilion.errors import InputError, MissingExtraError
from vermilion.types import Label
from vermilion.world import language
from vermilion.world.patterns import KeywordSet, PatternSet, folded, pattern_fault
from vermilion.world.rule_book import MAX_RULES, Outcome, RuleBook, RuleTest, When, WrittenRule
from vermilion.world.rules_file import read_rules

LABELS = (Label("lost", parent="cards"), Label("late", parent="cards"), Label("fees"))
HEAD = "before:\n- name: a\n  reason: r\n  "
AFTER = "after:\n- name: a\n  reason: r\n  "
END = "\n  then: review\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_everything_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
format: 1
before:
- name: theft
  reason: law
  enabled: false
  keywords: [stolen, "identity  theft"]
  patterns: '\\d{16}'
  min_characters: 3
  max_characters: 1_000
  languages: [en, de]
  then: {label: lost}
  tests:
  - {text: " Stolen ", expect: {label: lost}}
  - {text: no, expect: nothing}
after:
- name: unsure
  reason: better asked
  labels: fees
  groups: [cards]
  confidence_at_least: 0.1
  confidence_below: 0.5
  out_of_scope_at_least: 0.9
  then: refuse
  tests: [{label: fees, confidence: 0.2, out_of_scope: 0.95, expect: refuse}]
""",
    )
    book = read_rules(path, LABELS)
    (theft,), (unsure,) = book.before, book.after
    assert not theft.enabled
    assert theft.when.keywords == ("stolen", "identity theft")
    assert theft.when.patterns == ("\\d{16}",)
    assert (theft.when.min_characters, theft.when.max_characters) == (3, 1000)
    assert theft.then == Outcome("label", "lost")
    assert theft.tests[0] == RuleTest(Outcome("label", "lost"), 14, " Stolen ")
    assert theft.tests[1].expect is None
    assert theft.tests[1].text == "no"  # and not False
    assert unsure.when.confidence_below == 0.5
    assert unsure.tests[0].out_of_scope == 0.95
    assert book.members == {"cards": {"cards", "lost", "late"}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "before:\nafter:\n", "before: []\n"])
def test_a_file_without_rules_has_none(tmp_path: Path, text: str) -> None:
    if text == "before:\nafter:\n":
        with pytest.raises(InputError, match="line 1: expected a list, found nothing"):
            read_rules(written(tmp_path, text))
        return
    assert read_rules(written(tmp_path, text)).rules == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "patterns: '(a'" + END, "line 4, rule 'a': .*RE2, found missing \\): \\(a"),
        (HEAD + "patterns: [b, '(?<=a)b']" + END, "line 4, rule 'a': .*invalid perl operator"),
        (HEAD + "patterns:\n  - b\n  - 'a{2000}'" + END, "line 6, rule 'a': .*invalid repetition size"),
        (HEAD + f"patterns: {'a' * 1001}" + END, "found 1,001 characters, allowed are 1 to 1,000"),
        (HEAD + "keyword: x" + END, "line 4, rule 'a': .*'keyword'; did you mean keywords\\?"),
        (HEAD + "keywords: []" + END, "line 4, rule 'a': .*an empty list"),
        (HEAD + "keywords: {x: y}" + END, "line 4, rule 'a': .*found a mapping"),
        (HEAD + 'keywords: ["\\u200d"]' + END, "line 4, rule 'a'"),
        (HEAD + "languages: english" + END, "line 4, rule 'a': .*ISO 639 code.*'english'"),
        (HEAD + "max_characters: -1" + END, "line 4, rule 'a': .*a whole number from 0.*'-1'"),
        (HEAD + "max_characters: 0" + END, "line 2, rule 'a': .*a length that a text can have"),
        (HEAD + "min_characters: 9\n  max_characters: 8" + END, "line 2, rule 'a': .*9 to 8"),
        (HEAD + "confidence_below: 0.5" + END, "line 4, rule 'a': .*move the rule to 'after'"),
        (HEAD + "enabled: yes" + END, "line 4, rule 'a': expected true or false, found 'yes'"),
        (HEAD + "keywords: x\n  then: reviw\n", "line 5, rule 'a': expected review, refuse or"),
        (HEAD + "keywords: x\n  then: {labels: lost}\n", "line 5, rule 'a': .*found a mapping"),
        (HEAD + "keywords: x\n", "line 2: expected 'then', found a rule without it"),
        (
            HEAD + "keywords: x\n  keywords: y" + END,
            "line 5: expected each name once, found 'keywords' twice",
        ),
        (HEAD + "keywords: x" + END + HEAD[8:], "line 6: expected 'then'"),
        (
            HEAD + "keywords: x" + END + HEAD[8:] + "keywords: y" + END,
            "line 6, rule 'a': .*same name in line 2",
        ),
        ("before:\n- name: a\n  keywords: x" + END, "line 2: expected 'reason'"),
        ("before:\n- name:\n  reason: r" + END, "line 2: expected a value, found nothing"),
        (f"before:\n- name: {'n' * 101}\n  reason: r" + END, "line 2, .*up to 100 characters"),
        (
            AFTER + "confidence_below: 50%" + END,
            "line 4, rule 'a': expected a number from 0 to 1, found '50%'",
        ),
        (AFTER + "confidence_below: .nan" + END, "expected a number from 0 to 1"),
        (AFTER + "confidence_below: 0" + END, "line 2, rule 'a': expected a confidence that can be"),
        (AFTER + "labels: lst" + END, "line 2, rule 'a': .*found 'lst'; did you mean 'lost'"),
        (
            AFTER + "groups: crds" + END,
            "line 2, rule 'a': .*a group of labels, found 'crds'; groups are cards",
        ),
        (HEAD + "keywords: x\n  then: {label: lst}\n", "line 2, rule 'a': .*found 'lst'"),
        (
            HEAD + "keywords: x" + END + "  tests: [{text: x, expect: {label: y}}]",
            "line 6, rule 'a': .*found 'y'",
        ),
        (
            HEAD + "keywords: x" + END + "  tests: [{expect: review}]",
            "line 6, rule 'a': expected text, and expect",
        ),
        (HEAD + "keywords: x" + END + "  tests: [{text: x}]", "line 6, rule 'a': expected text, and expect"),
        (
            HEAD + "keywords: x" + END + "  tests: [{text: x, expect: maybe}]",
            "line 6, rule 'a': .*nothing or",
        ),
        (HEAD + "keywords: x" + END + "  tests: [{text: x, label: lost, expect: review}]", "found 'label'"),
        (AFTER + "labels: lost" + END + "  tests: [{label: lost, expect: review}]", "label with confidence"),
        ("rules: []", "line 1: expected one of before, after, format, found 'rules'"),
        ("format: 2", "line 1: expected format 1, found '2'; update vermilion"),
        ("- a", "line 1: expected names with values, found a list"),
        ("before: {a: b}", "line 1: expected a list, found a mapping"),
        ("before: &x [*x]", "line 1: .*the anchor or alias 'x'"),
        ("before: !!python/name:os.system []", "line 1: .*the tag"),
        ("before: [", "line 1: expected plain YAML"),
        ("[" * 3000, "line 1: expected plain YAML, found nesting too deep"),
    ],
)
def test_each_fault_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_rules(written(tmp_path, text), LABELS)
    assert str(caught.value).startswith(str(tmp_path / "rules.yaml"))
    assert "\n" not in str(caught.value)


def test_a_rule_after_one_that_takes_every_text_is_refused(tmp_path: Path) -> None:
    catch = "- {name: all, reason: r, min_characters: 1, then: review}\n"
    more = "- {name: more, reason: r, keywords: x, then: refuse}\n"
    read_rules(written(tmp_path, "before:\n" + more + catch))
    read_rules(written(tmp_path, "before:\n" + catch.replace("all,", "all, enabled: false,") + more))
    with pytest.raises(
        InputError, match=r"line 3, rule 'more': .*'all' before it, which takes every text \(line 2\)"
    ):
        read_rules(written(tmp_path, "before:\n" + catch + more))


def test_too_many_rules_are_refused() -> None:
    rules = tuple(
        WrittenRule(f"r{n}", "r", When(keywords=("x",)), Outcome("review"), n) for n in range(MAX_RULES + 1)
    )
    RuleBook(rules[1:], source="rules.yaml").check()
    with pytest.raises(InputError, match=r"rules.yaml: expected up to 2,000 rules, found 2,001"):
        RuleBook(rules, source="rules.yaml").check()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a readable file of rules, found No such file"):
        read_rules(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("# für\n".encode("latin-1"))
    with pytest.raises(InputError, match="expected UTF-8, found 0xFC at byte 3"):
        read_rules(tmp_path / "latin.yaml")


def test_a_language_without_the_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language._identifier.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=re.escape("pip install 'vermilion[language]'")):
            read_rules(written(tmp_path, HEAD + "languages: en" + END))
    finally:
        language._identifier.cache_clear()


# --- keywords and patterns


@pytest.mark.parametrize(
    ("keyword", "text", "found"),
    [
        ("card", "My CARD, please", True),
        ("card", "cards", False),
        ("card", "card2", False),
        ("card", "post_card", False),
        ("lost card", "lost\n\tcard", True),
        ("lost card", "lost, card", False),
        ("straße", "STRASSE 5", True),
        ("ＣＡＲＤ", "card", True),
        ("card", "ca\u00adrd", True),  # a soft hyphen, to hide it
        ("c++", "I love C++!", True),
        ("c++", "c", False),
        ("e-mail", "E-Mail?", True),
        ("银行卡", "我的银行卡在哪里", True),
        ("बैंक", "मेरा बैंक कहाँ है", True),
        ("बैं", "बैंक", False),  # marks belong to their word
        ("i", "İ", False),
        ("1.5", "costs 1.5 EUR", True),
        (".*", "anything", False),
    ],
)
def test_keywords_are_whole_words_whatever_their_form(keyword: str, text: str, found: bool) -> None:
    assert bool(KeywordSet([keyword]).matches(text)) is found


def test_many_keywords_are_found_each(tmp_path: Path) -> None:
    words = [f"word{n}x" for n in range(20_000)]
    found = KeywordSet(words)
    assert found.matches("say Word7x, word19999x; word20000x") == [7, 19_999]


def test_a_pattern_that_takes_others_for_ever_is_linear_here() -> None:
    # A backtracking matcher needs 2^30 steps; the test would not end.
    assert PatternSet(["^(a+)+$"]).matches("a" * 30_000 + "!") == []


def test_patterns_that_need_too_much_memory_are_refused() -> None:
    assert pattern_fault(r"\pL{50}") == "a program of 59,804 steps, allowed are 20,000"
    assert pattern_fault(r"\pL{1000}") is not None
    large = [f".{{1000}}x{n}" for n in range(60)]
    assert pattern_fault(large[0]) is None
    with pytest.raises(ValueError, match=r"programs of 4.*steps, allowed are 400,000"):
        PatternSet(large)


def test_lone_surrogates_and_nul_are_just_characters() -> None:
    assert PatternSet(["b"]).matches("a\ud800b\0") == [0]
    assert KeywordSet(["b"]).matches("a \ud800 b\0") == [0]


def test_folding_keeps_words_apart() -> None:
    assert folded("a\u3000b") == " a b "
    assert folded("") == "  "
