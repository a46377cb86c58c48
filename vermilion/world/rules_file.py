"""`rules.yaml`: what is decided by rule before or after the model, written by people and read strictly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from vermilion.errors import InputError
from vermilion.types import Label
from vermilion.world.language import known_languages
from vermilion.world.patterns import folded, pattern_fault
from vermilion.world.rule_book import Outcome, RuleBook, RuleTest, When, WrittenRule

MAX_BYTES = 4_000_000
MAX_NAME, MAX_DEPTH = 100, 10
MAX_CHARACTERS, MAX_PATTERN_CHARACTERS = 1_000_000, 1_000
NOTHING = "nothing"
STAGES = ("before", "after")


def read_rules(path: str | Path, labels: Collection[str | Label] | None = None) -> RuleBook:
    r"""Read and check a file of rules.

    Parameters
    ----------
    path : str or Path
    labels : collection of str or Label, optional
        Those of the model. A rule that names another is refused; groups need their parents.

    Raises
    ------
    InputError
        The file cannot be read or parsed, a field is unknown or of the wrong type, a regular expression or a language
        is not understood, a name comes twice, a label is not known, a rule can never apply.
    MissingExtraError
        A rule asks for a language, and py3langid is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rules.yaml"
    >>> _ = path.write_text("before:\n- name: theft\n  reason: law\n  keywords: [stolen]\n  then: review\n")
    >>> read_rules(path).before[0].then
    Outcome(action='review', label=None)
    """
    where = _Where(str(path))
    root = _compose(path)
    parts = {} if root is None else dict(_pairs(root, where))
    for name, node in parts.items():
        where.known(name, (*STAGES, "format"), node)
    if "format" in parts and _plain(parts["format"], where) != "1":
        raise where.error(parts["format"], "format 1", _shown(parts["format"]), "update vermilion")
    before, after = (_stage(parts.get(stage), stage, where) for stage in STAGES)
    book = RuleBook(before, after, source=str(path))
    book.check()
    return book if labels is None else book.with_labels(labels)


# --- where something stands


@dataclass(frozen=True, slots=True)
class _Where:
    """Where in the file we are, for messages."""

    path: str
    rule: str = ""

    def error(self, node: yaml.Node | int, expected: str, found: str, cure: str) -> InputError:
        line = node if isinstance(node, int) else node.start_mark.line + 1
        rule = f", rule '{self.rule}'" if self.rule else ""
        return InputError(expected, found, f"{self.path}, line {line}{rule}", cure)

    def known(self, name: str, names: Sequence[str], node: yaml.Node) -> None:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            cure = f"did you mean {near[0]}?" if near else "remove or rename it"
            raise self.error(node, f"one of {', '.join(names)}", f"'{name}'", cure)


def _compose(path: str | Path) -> yaml.Node | None:
    """Parse the file into nodes, which know their lines; anchors, aliases and tags are refused."""
    where = str(path)
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise InputError("a readable file of rules", found, where, "check the path") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"up to {MAX_BYTES:,} bytes", f"{len(raw):,}", where, "is it a file of rules?")
    try:
        return yaml.compose(raw.decode("utf-8-sig"), _PlainLoader)
    except UnicodeDecodeError as error:
        cure = "convert the file: iconv -f WINDOWS-1252 -t UTF-8"
        raise InputError("UTF-8", f"0x{raw[error.start]:02X} at byte {error.start:,}", where, cure) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = where if mark is None else f"{where}, line {mark.line + 1}"
        found = getattr(error, "problem", None) or getattr(error, "reason", None) or "something else"
        raise InputError("plain YAML", found, place, "mend the file; quote values with ':' or '#'") from None


class _PlainLoader(yaml.SafeLoader):
    """YAML of mappings, lists and scalars alone: aliases can be bombs, tags can call code, depth takes for ever."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        for what, mark in (("anchor or alias", "anchor"), ("tag", "tag")):
            if (name := getattr(event, mark, None)) is not None:
                problem = f"the {what} '{name}', which a file of rules may not have"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nesting too deep", problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _pairs(node: yaml.Node, where: _Where) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise where.error(node, "names with values", _shown(node), "write 'name: value' lines")
    seen = set()
    for key, value in node.value:
        name = _plain(key, where)
        if name in seen:
            raise where.error(key, "each name once", f"'{name}' twice", "remove one of them")
        seen.add(name)
        yield name, value


def _items(node: yaml.Node, where: _Where) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise where.error(node, "a list", _shown(node), "write it as a list")
    return list(node.value)


def _plain(node: yaml.Node, where: _Where) -> str:
    """Return a scalar as it is written; what YAML takes for nothing is not one."""
    if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
        raise where.error(node, "a value", _shown(node), "write one, quoted where it is a word of YAML")
    return str(node.value)


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "nothing" if node.tag.endswith(":null") else repr(node.value)[:60]
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


# --- values


def _line(node: yaml.Node, where: _Where) -> str:
    text = " ".join(_plain(node, where).split())
    if not text or not text.isprintable():
        raise where.error(node, "one line of text", repr(text)[:60], "write it as a string")
    return text


def _text(node: yaml.Node, where: _Where) -> str:
    return _plain(node, where)


def _texts(node: yaml.Node, where: _Where) -> tuple[str, ...]:
    """Return a list of values, or the one that stands alone."""
    nodes = _items(node, where) if isinstance(node, yaml.SequenceNode) else [node]
    if not nodes:
        raise where.error(node, "at least one value", "an empty list", "write one, or remove the line")
    return tuple(_line(item, where) for item in nodes)


def _keywords(node: yaml.Node, where: _Where) -> tuple[str, ...]:
    words = _texts(node, where)
    for word in words:
        if not folded(word).strip():
            raise where.error(node, "keywords with a letter or a sign", repr(word), "remove it")
    return words


def _patterns(node: yaml.Node, where: _Where) -> tuple[str, ...]:
    nodes = _items(node, where) if isinstance(node, yaml.SequenceNode) else [node]
    found = tuple(_plain(item, where) for item in nodes)
    for item, pattern in zip(nodes, found, strict=True):
        fault = pattern_fault(pattern)
        if not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
            fault = f"{len(pattern):,} characters, allowed are 1 to {MAX_PATTERN_CHARACTERS:,}"
        if fault:
            cure = "see https://github.com/google/re2/wiki/Syntax; quote it as '...'"
            raise where.error(item, "a regular expression of RE2", fault, cure)
    if not found:
        raise where.error(node, "at least one value", "an empty list", "write one, or remove the line")
    return found


def _languages(node: yaml.Node, where: _Where) -> tuple[str, ...]:
    codes = _texts(node, where)
    known = known_languages()
    for code in codes:
        if code not in known:
            cure = "write it as en, de, fr, ..."
            raise where.error(node, "an ISO 639 code that py3langid knows", repr(code), cure)
    return codes


def _count(node: yaml.Node, where: _Where) -> int:
    written = _plain(node, where).replace("_", "")
    if not (written.isascii() and written.isdigit() and int(written) <= MAX_CHARACTERS):
        expected = f"a whole number from 0 to {MAX_CHARACTERS:,}"
        raise where.error(node, expected, _shown(node), "give another value")
    return int(written)


def _share(node: yaml.Node, where: _Where) -> float:
    try:
        share = float(_plain(node, where))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise where.error(node, "a number from 0 to 1", _shown(node), "give another value")
    return share


def _flag(node: yaml.Node, where: _Where) -> bool:
    written = _plain(node, where)
    if written not in ("true", "false"):
        raise where.error(node, "true or false", _shown(node), "write one of the two")
    return written == "true"


def _outcome(node: yaml.Node, where: _Where) -> Outcome:
    if isinstance(node, yaml.MappingNode):
        pairs = dict(_pairs(node, where))
        if list(pairs) == ["label"]:
            return Outcome("label", _line(pairs["label"], where))
    elif isinstance(node, yaml.ScalarNode):
        for action in ("review", "refuse"):
            if node.value == action:
                return Outcome(action)
    cure = "a label is written {label: NAME}"
    raise where.error(node, "review, refuse or {label: NAME}", _shown(node), cure)


Read = Callable[[yaml.Node, _Where], Any]
TEXT_CONDITIONS: dict[str, Read] = {
    "keywords": _keywords,
    "patterns": _patterns,
    "min_characters": _count,
    "max_characters": _count,
    "languages": _languages,
    "languages_not": _languages,
}
MODEL_CONDITIONS: dict[str, Read] = {
    "labels": _texts,
    "groups": _texts,
    "confidence_below": _share,
    "confidence_at_least": _share,
    "out_of_scope_at_least": _share,
}
CONDITIONS: dict[str, dict[str, Read]] = {
    "before": TEXT_CONDITIONS,
    "after": TEXT_CONDITIONS | MODEL_CONDITIONS,
}
ABOUT: dict[str, Read] = {"name": _line, "reason": _line, "then": _outcome, "enabled": _flag}
TEST_FIELDS: dict[str, dict[str, Read]] = {
    "before": {"text": _text},
    "after": {"text": _text, "label": _line, "confidence": _share, "out_of_scope": _share},
}


# --- rules


def _stage(node: yaml.Node | None, stage: str, where: _Where) -> tuple[WrittenRule, ...]:
    if node is None:
        return ()
    return tuple(_rule(item, stage, where) for item in _items(node, where))


def _rule(node: yaml.Node, stage: str, where: _Where) -> WrittenRule:
    pairs = dict(_pairs(node, where))
    for name in ("name", "reason", "then"):
        if name not in pairs:
            cure = "each rule has a name, a reason and what follows (then)"
            raise where.error(node, f"'{name}'", "a rule without it", cure)
    where = _Where(where.path, _line(pairs["name"], where))
    if len(where.rule) > MAX_NAME:
        raise where.error(pairs["name"], f"a name of up to {MAX_NAME} characters", "more", "shorten it")
    conditions = CONDITIONS[stage]
    for name, value in pairs.items():
        if stage == "before" and name in MODEL_CONDITIONS:
            cure = "move the rule to 'after'"
            raise where.error(value, "conditions on the text alone", f"'{name}'", cure)
        where.known(name, (*ABOUT, *conditions, "tests"), value)
    about = {name: read(pairs[name], where) for name, read in ABOUT.items() if name in pairs}
    when = When(**{name: read(pairs[name], where) for name, read in conditions.items() if name in pairs})
    tests = (
        tuple(_test(item, stage, where) for item in _items(pairs["tests"], where)) if "tests" in pairs else ()
    )
    line = node.start_mark.line + 1
    _check_possible(when, line, where)
    return WrittenRule(**about, when=when, line=line, tests=tests)


def _test(node: yaml.Node, stage: str, where: _Where) -> RuleTest:
    pairs = dict(_pairs(node, where))
    readers = TEST_FIELDS[stage]
    for name, value in pairs.items():
        where.known(name, (*readers, "expect"), value)
    if "expect" not in pairs or not {"text", "label"} & pairs.keys():
        found = "a test without" if pairs else "an empty test"
        needed = "text" if stage == "before" else "text or label"
        raise where.error(node, f"{needed}, and expect", found, "write what comes and what must follow")
    if ("label" in pairs) != ("confidence" in pairs):
        cure = "give both, or neither and a model (--model)"
        raise where.error(node, "label with confidence", "one of the two", cure)
    values = {name: read(pairs[name], where) for name, read in readers.items() if name in pairs}
    return RuleTest(_expectation(pairs["expect"], where), node.start_mark.line + 1, **values)


def _expectation(node: yaml.Node, where: _Where) -> Outcome | None:
    if isinstance(node, yaml.ScalarNode) and node.value == NOTHING:
        return None
    try:
        return _outcome(node, where)
    except InputError:
        expected = f"review, refuse, {NOTHING} or {{label: NAME}}"
        raise where.error(node, expected, _shown(node), "write what the rules must do") from None


def _check_possible(when: When, line: int, where: _Where) -> None:
    """Refuse conditions that no text can meet."""
    least, most = when.min_characters or 0, when.max_characters
    if most is not None and most < max(least, 1):
        raise where.error(line, "a length that a text can have", f"{least} to {most}", "mend the bounds")
    low, high = when.confidence_at_least or 0.0, when.confidence_below
    if high is not None and high <= low:
        raise where.error(line, "a confidence that can be", f"{low} up to {high}", "mend the bounds")
