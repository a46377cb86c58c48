"""Labels and their meanings: `labels.yaml`, kept by programs and edited by people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.data import check_labels, name_fault, stray
from vermilion.world.data_writer import replacing
from vermilion.world.source import shown

MAX_BYTES = 10_000_000
NONE_OF_THESE = "none of these"
FIELDS = ("meaning", "description", "parent", "name")
HEADER = (
    "# Each label with its meaning: when to use it, and when not. Edit freely; a label may name a parent.\n"
)


def read_labels(path: str | Path) -> tuple[Label, ...]:
    r"""Read labels from a YAML or JSON file, in its order.

    The file maps each name to `{meaning: ..., parent: ...}` or to its meaning, or is a list of names.
    `description` serves as `meaning`. What is written is taken as it stands: `no`, `007` and `1e3` are names.

    Raises
    ------
    InputError
        The file cannot be read or parsed; YAML anchors, aliases or tags; a name twice, empty, reserved, or
        equal to another but for case and space; a parent that is no label, or is its own ancestor.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.yaml"
    >>> _ = path.write_text("no: the customer declines\ncards:\nlost_card: {parent: cards}")
    >>> for label in read_labels(path):
    ...     print(label)
    Label(name='no', meaning='the customer declines', parent=None)
    Label(name='cards', meaning='', parent=None)
    Label(name='lost_card', meaning='', parent='cards')
    """
    where = str(path)
    labels = tuple(_label(name, value, where) for name, value in _entries(read_tree(path), where))
    if not labels:
        raise InputError("at least one label", "none", where, "list the labels in it")
    check_names([label.name for label in labels], where)
    _check_parents(labels, where)
    return labels


def read_tree(path: str | Path) -> Any:
    """Read a YAML or JSON file as plain mappings, lists and strings; scalars of YAML stay as they are written.

    Raises
    ------
    InputError
        The file cannot be read or parsed, or has YAML anchors, aliases or tags.
    """
    where = str(path)
    read = _read_json if Path(path).suffix.lower() == ".json" else _read_yaml
    return read(_text(path), where)


def labels_from(texts: Texts) -> tuple[Label, ...]:
    """Return the labels that texts carry, sorted by name.

    Raises
    ------
    InputError
        The texts have no labels; names that differ only in case or space; a text with different labels.

    Examples
    --------
    >>> labels_from(Texts(("0", "1"), ("x", "y"), (("b",), ("a",))))
    (Label(name='a', meaning='', parent=None), Label(name='b', meaning='', parent=None))
    """
    check_labels(texts, None)
    names = sorted({name for row in texts.labels or () for name in row})
    check_names(names, texts.source or "texts")
    return tuple(Label(name) for name in names)


def merge_labels(known: Sequence[Label] | None, texts: Texts) -> tuple[Label, ...]:
    """Return the labels to learn: the known ones in their order, each with an example, or those of the texts.

    A known label that has no example and is the parent of others is a group, not a class, and is left out.

    Raises
    ------
    InputError
        As `check_labels`: a text's label is not known, or a known label has no example.

    Examples
    --------
    >>> texts = Texts(("0",), ("lost it",), (("lost_card",),))
    >>> merge_labels([Label("cards"), Label("lost_card", "a card is lost", parent="cards")], texts)
    (Label(name='lost_card', meaning='a card is lost', parent='cards'),)
    """
    if known is None:
        return labels_from(texts)
    check_labels(texts, known)
    used = {name for row in texts.labels or () for name in row}
    return tuple(label for label in known if label.name in used)


def write_labels(path: str | Path, labels: Sequence[Label]) -> None:
    """Write labels as YAML for people to edit, in the order given; the file is replaced whole or not at all.

    Raises
    ------
    InputError
        The extension is not .yaml or .yml, the folder cannot be written, or `read_labels` would refuse
        the file.
    """
    if Path(path).suffix.lower() not in (".yaml", ".yml"):
        raise InputError("a .yaml file", f"'{Path(path).name}'", str(path), "rename the output")
    where = str(path)
    check_names([_named(label.name, where) for label in labels], where)
    _check_parents(labels, where)
    tree = {label.name: _fields(label, where) for label in labels}
    body = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=110)
    with replacing(path) as temporary:
        temporary.write_text(HEADER + body, encoding="utf-8", newline="\n")


def _fields(label: Label, where: str) -> dict[str, str]:
    parent = {} if label.parent is None else {"parent": label.parent}
    return {"meaning": _line(label.meaning, where), **parent}


def _text(path: str | Path) -> str:
    where = str(path)
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise InputError("a readable label file", found, where, "check the path") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"up to {MAX_BYTES:,} bytes", f"{len(raw):,}", where, "is it a label file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cure = "convert the file: iconv -f WINDOWS-1252 -t UTF-8"
        raise InputError("UTF-8", f"0x{raw[error.start]:02X} at byte {error.start:,}", where, cure) from None


def _read_json(text: str, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_repeated([name for name, _ in pairs], where)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError("JSON", error.msg, f"{where}, line {error.lineno}", "mend the file") from None
    except (ValueError, RecursionError):
        raise InputError("JSON", "numbers or nesting too large", where, "mend the file") from None


class _PlainLoader(yaml.SafeLoader):
    """YAML of mappings, lists and scalars alone: aliases can be bombs, tags can call code."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        for what, mark in (("anchor or alias", "anchor"), ("tag", "tag")):
            if (name := getattr(event, mark, None)) is not None:
                problem = f"the {what} '{name}', which a label file may not have"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def _read_yaml(text: str, where: str) -> Any:
    """Parse YAML into mappings, lists and strings; scalars stay as written, null is None."""
    try:
        node = yaml.compose(text, _PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = where if mark is None else f"{where}, line {mark.line + 1}"
        found = getattr(error, "problem", None) or getattr(error, "reason", None) or "something else"
        raise InputError("plain YAML", found, place, "mend the file; quote names with ':' or '#'") from None
    except RecursionError:
        raise InputError("plain YAML", "nesting too deep", where, "mend the file") from None
    return None if node is None else _plain(node, where)


def _plain(node: yaml.Node, where: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        names = [_key(key, where) for key, _ in node.value]
        _refuse_repeated(names, where)
        return {name: _plain(value, where) for name, (_, value) in zip(names, node.value, strict=True)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, where) for item in node.value]
    return None if node.tag.endswith(":null") else node.value


def _key(node: yaml.Node, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        place = f"{where}, line {node.start_mark.line + 1}"
        raise InputError("a name", "a list or mapping in its place", place, "write the name as a string")
    return str(node.value)


def _refuse_repeated(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError("each name once", f"'{name}' twice", where, "merge or rename the two")
        seen.add(name)


def _entries(tree: Any, where: str) -> list[tuple[object, object]]:
    if isinstance(tree, dict):
        return list(tree.items())
    if isinstance(tree, list):
        return [(name, None) for name in tree]
    raise InputError("labels", shown(tree), where, "write a list of names, or 'name: meaning' lines")


def _label(name: object, value: object, where: str) -> Label:
    name = _named(name, where)
    place = f"{where}, label '{name}'"
    if not isinstance(value, Mapping):
        return Label(name, _line(value, place))
    if unknown := [field for field in value if field not in FIELDS]:
        raise InputError("meaning or parent", f"'{unknown[0]}'", place, "remove or rename it")
    meaning, parent = value.get("meaning", value.get("description")), value.get("parent")
    return Label(name, _line(meaning, place), None if parent is None else _named(parent, place))


def _named(name: object, where: str) -> str:
    if fault := name_fault(name):
        raise InputError(fault[0], fault[1], where, fault[2])
    return str(name)


def _line(meaning: object, where: str) -> str:
    """Return a meaning as one line; nothing is ''."""
    if meaning is None:
        return ""
    if not isinstance(meaning, str):
        raise InputError("a meaning of one line", shown(meaning), where, "write it as a string")
    line = " ".join(meaning.split())
    if not line.isprintable() and (found := stray(line)):
        raise InputError("a meaning of one line", found, where, "remove it")
    return line


def check_names(names: Sequence[str], where: str) -> None:
    """Check that names may stand beside each other.

    Raises
    ------
    InputError
        A name twice, or reserved; two that differ only in case or space.
    """
    _refuse_repeated(names, where)
    alike: dict[str, str] = {}
    for name in names:
        folded = " ".join(name.casefold().split())
        if folded == NONE_OF_THESE:
            cure = "rename the label: it is what an expert answers when no label fits"
            raise InputError("a label's name", f"'{name}'", where, cure)
        if folded in alike:
            found = f"'{alike[folded]}' and '{name}'"
            cure = "write both alike, or rename one"
            raise InputError("names that differ by more than case and space", found, where, cure)
        alike[folded] = name


def _check_parents(labels: Sequence[Label], where: str) -> None:
    parents = {label.name: label.parent for label in labels}
    for label in labels:
        above, at = {label.name}, label.parent
        while at is not None:
            if at not in parents:
                found = f"'{at}', which is no label"
                raise InputError(f"a parent of '{label.name}'", found, where, "add it as a label")
            if at in above:
                found = f"a circle through '{at}'"
                raise InputError(f"ancestors of '{label.name}'", found, where, "remove one of the parents")
            above.add(at)
            at = parents[at]
