"""Changes of a run's labels, as people and programs write them down: `label_proposals.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from vermilion.errors import InputError
from vermilion.world.data import name_fault, read_texts
from vermilion.world.data_writer import replacing
from vermilion.world.labels import read_tree
from vermilion.world.source import shown

T = TypeVar("T")
Where = Literal["pool", "labelled", "text"]
SECTIONS = ("add", "rename", "merge", "split", "relabel", "remove")
# Keys that any entry may have.
COMMON = ("accept", "reason")
YES, NO = ("yes", "true", "on"), ("no", "false", "off")


@dataclass(frozen=True, slots=True)
class Named:
    """A text by what it is called.

    Attributes
    ----------
    where : {"pool", "labelled", "text"}
        Whose id it is; or that it is the text itself.
    value : str
    """

    where: Where
    value: str


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label that is to be, and texts that have it."""

    name: str
    examples: tuple[Named, ...]
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """A label that is to be called otherwise; an empty meaning leaves it as it is."""

    label: str
    to: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """Labels that are to be one; an empty meaning takes that of `into`, where there is one."""

    labels: tuple[str, ...]
    into: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """A label that is to be several; one of the parts may keep its name."""

    label: str
    into: tuple[NewLabel, ...]


@dataclass(frozen=True, slots=True)
class Relabel:
    """A text that is to have another label."""

    text: Named
    to: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that is to be done, at once: every name is one of before, but for those that come to be.

    Attributes
    ----------
    where : str
        The file, for messages.
    """

    where: str
    add: tuple[NewLabel, ...] = ()
    rename: tuple[Rename, ...] = ()
    merge: tuple[Merge, ...] = ()
    split: tuple[Split, ...] = ()
    relabel: tuple[Relabel, ...] = ()
    remove: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many changes there are of each kind, those that occur."""
        return {name: len(getattr(self, name)) for name in SECTIONS if getattr(self, name)}


def read_changes(path: str | Path) -> Changes:
    r"""Read what is to be changed from a YAML or JSON file; entries with `accept: no` are passed over.

    Raises
    ------
    InputError
        The file cannot be read or parsed; a part of it is none that is known, is missing or of another kind;
        nothing in it is accepted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "changes.yaml"
    >>> _ = path.write_text("rename:\n- {label: fee, to: charge}\nremove: [spam]\nmerge:\n- {labels: [a, b], into: a,"
    ...                     " accept: no}")
    >>> changes = read_changes(path)
    >>> changes.rename, changes.remove, changes.merge
    ((Rename(label='fee', to='charge', meaning=''),), ('spam',), ())
    """
    where = str(path)
    tree = read_tree(path)
    if not isinstance(tree, Mapping):
        raise InputError(
            f"a mapping with {', '.join(SECTIONS)}", shown(tree), where, "name what is to be done"
        )
    _only(tree, SECTIONS, where)
    folder = Path(path).parent
    readers: dict[str, Callable[[Entry], Any]] = {
        "add": lambda entry: _new_label(entry, folder),
        "rename": lambda entry: Rename(entry.name("label"), entry.name("to"), entry.line("meaning")),
        "merge": lambda entry: Merge(entry.names("labels"), entry.name("into"), entry.line("meaning")),
        "split": lambda entry: _split(entry, folder),
        "relabel": _relabel,
        "remove": lambda entry: entry.name("label"),
    }
    parts = {
        section: tuple(readers[section](entry) for entry in _entries(tree.get(section), where, section))
        for section in SECTIONS
    }
    changes = Changes(where, **parts)
    if not changes.counts():
        raise InputError(
            "a change to carry out", "none that is accepted", where, "write accept: yes beside it"
        )
    return changes


def read_additions(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return the names of labels that a program proposed to add, each with ids of pool texts.

    What the file says beside is passed over; no file proposes none.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "proposed_labels.json"
    >>> read_additions(path)
    []
    >>> _ = path.write_text('{"add": [{"name": "parking", "examples": [7, "p9"], "size": 2}]}')
    >>> read_additions(path)
    [('parking', ('7', 'p9'))]
    """
    tree = read_tree(path) if path.exists() else {}
    listed = tree.get("add") if isinstance(tree, Mapping) else None
    return [
        (str(one["name"]), tuple(map(str, one["examples"])))
        for one in listed or []
        if isinstance(one, Mapping) and one.get("name") and one.get("examples")
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a section, and where it stands."""

    value: Mapping[str, Any]
    where: str

    def only(self, *keys: str) -> Entry:
        """Refuse keys that mean nothing here."""
        _only(self.value, (*keys, *COMMON), self.where)
        return self

    def name(self, key: str) -> str:
        """Return a name; it must be there."""
        found = self.value.get(key)
        if fault := name_fault(found):
            raise InputError(fault[0], fault[1], f"{self.where}, {key}", "write the name there")
        return str(found)

    def names(self, key: str) -> tuple[str, ...]:
        """Return two names or more."""
        found = self.value.get(key)
        if not isinstance(found, list) or len(found) < 2:
            raise InputError(
                "a list of two names or more", shown(found), f"{self.where}, {key}", "list them there"
            )
        return tuple(Entry({key: one}, self.where).name(key) for one in found)

    def line(self, key: str) -> str:
        """Return a line of text; nothing is ''."""
        found = self.value.get(key)
        if found is not None and not isinstance(found, str):
            raise InputError("a line of text", shown(found), f"{self.where}, {key}", "write it as a string")
        return " ".join((found or "").split())

    @property
    def accepted(self) -> bool:
        """Whether it is to be carried out; so it is where nothing is said."""
        said = str(self.value.get("accept", "yes")).casefold()
        if said not in (*YES, *NO):
            raise InputError("yes or no", shown(said), f"{self.where}, accept", "write one of them")
        return said in YES


def _only(value: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    if unknown := [key for key in value if key not in keys]:
        raise InputError(f"one of {', '.join(keys)}", f"'{unknown[0]}'", where, "remove or rename it")


def _entries(section: Any, where: str, name: str) -> Iterator[Entry]:
    """Yield the accepted entries of a section; a plain name in `remove` is one, too."""
    if section is None:
        return
    if not isinstance(section, list):
        raise InputError("a list", shown(section), f"{where}, {name}", "begin each entry with '- '")
    for place, item in enumerate(section, start=1):
        value = {"label": item} if name == "remove" and isinstance(item, str) else item
        at = f"{where}, {name} {place}"
        if not isinstance(value, Mapping):
            raise InputError("an entry such as {label: ..., to: ...}", shown(value), at, "write it so")
        entry = Entry(value, at)
        if entry.accepted:
            yield entry.only(*KEYS[name])


KEYS = {
    "add": ("name", "meaning", "examples", "file"),
    "rename": ("label", "to", "meaning"),
    "merge": ("labels", "into", "meaning"),
    "split": ("label", "into"),
    "relabel": ("id", "labelled", "pool", "text", "to"),
    "remove": ("label",),
}


def _new_label(entry: Entry, folder: Path) -> NewLabel:
    examples = list(_examples(entry))
    if "file" in entry.value:
        texts = read_texts(folder / entry.line("file"), labelled=False).texts
        examples += [Named("text", text) for text in texts]
    name = entry.name("name")
    if not examples:
        cure = "list ids of pool texts under examples, or name a file with texts"
        raise InputError(f"examples of '{name}'", "none", entry.where, cure)
    return NewLabel(name, tuple(dict.fromkeys(examples)), entry.line("meaning"))


def _examples(entry: Entry) -> Iterator[Named]:
    listed = entry.value.get("examples") or []
    if not isinstance(listed, list):
        raise InputError("a list of ids", shown(listed), f"{entry.where}, examples", "list them there")
    for one in listed:
        if isinstance(one, Mapping):
            yield _named(Entry(one, f"{entry.where}, examples"))
        else:
            yield Named("pool", str(one))


def _named(entry: Entry) -> Named:
    """Return the one text that an entry names."""
    kinds: tuple[Where, ...] = ("pool", "labelled", "text")
    found = [kind for kind in kinds if kind in entry.value]
    if len(found) != 1 or not isinstance(entry.value[found[0]], str | int):
        raise InputError(
            "one of pool, labelled, text", shown(dict(entry.value)), entry.where, "name the text by one"
        )
    return Named(found[0], str(entry.value[found[0]]))


def _split(entry: Entry, folder: Path) -> Split:
    parts = entry.value.get("into")
    if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(part, Mapping) for part in parts):
        raise InputError(
            "two parts or more", shown(parts), f"{entry.where}, into", "list them with their examples"
        )
    entries = [Entry(part, f"{entry.where}, into {place}") for place, part in enumerate(parts, start=1)]
    return Split(entry.name("label"), tuple(_new_label(part.only(*KEYS["add"]), folder) for part in entries))


def _relabel(entry: Entry) -> Relabel:
    value = dict(entry.value)
    if "id" in value:  # a bare id is that of a labelled text, which is what is relabelled most
        value["labelled"] = value.pop("id")
    return Relabel(_named(Entry(value, entry.where)), entry.name("to"))


Proposal = tuple[Mapping[str, Any], Sequence[str]]


def write_proposals(path: str | Path, header: str, sections: Mapping[str, Sequence[Proposal]]) -> None:
    """Write proposals for people to edit; each is passed over until its `accept` says yes.

    Parameters
    ----------
    header : str
        Lines that stand first, as a comment.
    sections : mapping of section to (entry, comment lines)
    """
    lines = [*_comments(header.splitlines())]
    for name in SECTIONS:
        if sections.get(name):
            lines += ["", f"{name}:"]
            for value, comments in sections[name]:
                lines += ["", *_comments(comments), *_item({"accept": False, **value})]
    if not any(sections.values()):
        lines += ["{}"]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _comments(lines: Iterable[str]) -> list[str]:
    # A text may hold line breaks and stray signs, none of which may end the comment.
    plain = (" ".join(line.split()) for line in lines)
    return [f"# {''.join(sign if sign.isprintable() else '?' for sign in line)}".rstrip() for line in plain]


def _item(value: Mapping[str, Any]) -> list[str]:
    written: str = yaml.safe_dump([dict(value)], allow_unicode=True, sort_keys=False, width=110)
    # PyYAML writes false; yes and no are what people write here.
    return written.replace("- accept: false", "- accept: no", 1).splitlines()
