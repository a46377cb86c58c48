"""Labels: what people and public sets write is read; what cannot be meant is refused in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.labels import labels_from, merge_labels, read_labels, write_labels


def texts_of(*labels: str) -> Texts:
    numbers = range(len(labels))
    texts = tuple(f"text {i}" for i in numbers)
    return Texts(tuple(map(str, numbers)), texts, tuple((name,) for name in labels), "f.csv")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.yaml", "- b\n- a\n", (Label("b"), Label("a"))),
        ("a.yml", "b: use when b\na:\n", (Label("b", "use when b"), Label("a"))),
        ("a.yaml", "a: {meaning: m, parent: b}\nb: {parent: null}\n", (Label("a", "m", "b"), Label("b"))),
        ("a.yaml", "a:\n  description: >\n    two\n    lines\n", (Label("a", "two lines"),)),
        ("a.yaml", "no: 1\n007: 2024-01-01\n", (Label("no", "1"), Label("007", "2024-01-01"))),
        ("a.yaml", "- 1e3\n- yes\n- 0x1F\n", (Label("1e3"), Label("yes"), Label("0x1F"))),
        ("a.yaml", "\ufeffčeština: 日本語 🙂\n", (Label("čeština", "日本語 🙂"),)),
        ("a.json", '{"a": {"name": "An A", "description": "m"}, "b": {}}', (Label("a", "m"), Label("b"))),
        ("a.json", '["b", "a"]', (Label("b"), Label("a"))),
    ],
)  # fmt: skip
def test_forms_that_are_read(tmp_path: Path, name: str, content: str, expected: tuple[Label, ...]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_labels(path) == expected


# A bomb of nine levels: a gigabyte when its aliases are followed.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD = [
    ("empty.yaml", "", "expected labels, found nothing"),
    ("none.yaml", "[]", "expected at least one label, found none"),
    ("scalar.yaml", "just words", "expected labels, found 'just words'"),
    ("bomb.yaml", BOMB, "line 1: expected plain YAML, found the anchor or alias 'a'"),
    ("alias.yaml", "a: x\nb: *c\n", "line 2: expected plain YAML, found the anchor or alias 'c'"),
    ("tag.yaml", "a: x\nb: !!python/object/apply:os.system [ls]\n", "line 2: expected plain YAML, found the"),
    ("tag_key.yaml", "!!python/name:os.system : x\n", "line 1: expected plain YAML, found the tag"),
    ("deep.yaml", "[" * 2000, "nesting too deep"),
    ("colon.yaml", "a: x\nb: when: now\n", "line 2: expected plain YAML"),
    ("tab.yaml", "a: x\n\tb: y\n", "line 2: expected plain YAML"),
    ("control.yaml", "a: x\x07\n", "expected plain YAML"),
    ("two.yaml", "a: x\n---\nb: y\n", "expected plain YAML"),
    ("list_key.yaml", "? [a, b]\n: x\n", "line 1: expected a name, found a list or mapping"),
    ("twice.yaml", "a: x\nb: y\na: z\n", "expected each name once, found 'a' twice"),
    ("twice_list.yaml", "- a\n- a\n", "expected each name once, found 'a' twice"),
    ("twice_field.yaml", "a: {meaning: x, meaning: y}\n", "expected each name once, found 'meaning' twice"),
    ("twice.json", '{"a": {}, "a": {}}', "expected each name once, found 'a' twice"),
    ("case.yaml", "Card: x\ncard: y\n", "found 'Card' and 'card'; write both alike, or rename one"),
    ("space.yaml", '"card ": x\ncard: y\n', "found 'card ' and 'card'"),
    ("reserved.yaml", "None of  these: x\n", "rename the label: it is what an expert answers"),
    ("no_name.yaml", '"": x\n', "expected a label, found an empty cell"),
    ("null.yaml", "- a\n-\n", "expected a label, found nothing"),
    ("last_break.yaml", '"a\\n": x\n', "expected a label, found a line break"),
    ("parent.yaml", "a: {parent: [a]}\n", "label 'a': expected a label, found a list"),
    ("break.yaml", '"a\\nb": x\n', "expected a label, found a line break"),
    ("nul.json", '{"a\\u0000": "x"}', "expected a label, found a NUL"),
    ("surrogate.json", '{"a": "\\ud800"}', "label 'a': expected a meaning of one line, found a lone"),
    ("number.json", '{"a": 12}', "label 'a': expected a meaning of one line, found the number 12"),
    ("list.yaml", "a: [x, y]\n", "label 'a': expected a meaning of one line, found a list"),
    ("field.yaml", "a: {meening: x}\n", "label 'a': expected meaning or parent, found 'meening'"),
    ("orphan.yaml", "a: {parent: b}\n", "expected a parent of 'a', found 'b', which is no label"),
    ("own.yaml", "a: {parent: a}\n", "expected ancestors of 'a', found a circle through 'a'"),
    ("circle.yaml", "a: {parent: b}\nb: {parent: c}\nc: {parent: b}\n", "found a circle through 'b'"),
    ("half.json", '{"a": {"desc', "line 1: expected JSON"),
    ("deep.json", "[" * 100_000, "nesting too large"),
    ("latin1.yaml", "a: caf\xe9\n".encode("latin-1"), "expected UTF-8, found 0xE9 at byte 6; convert"),
    ("big.yaml", b"#" * 10_000_001, "expected up to 10,000,000 bytes"),
    ("missing.yaml", None, "expected a readable label file, found No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), BAD, ids=[name for name, *_ in BAD])
def test_a_bad_label_file_is_refused_in_one_line(
    tmp_path: Path, name: str, content: str | bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_is_no_label_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a readable label file, found Is a directory"):
        read_labels(tmp_path)


def folded(name: str) -> str:
    return " ".join(name.casefold().split())


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
names = lines.filter(lambda name: bool(name.strip()) and name.splitlines() == [name]).filter(
    lambda name: folded(name) != "none of these"
)
meanings = lines.map(lambda line: " ".join(line.split()))


@given(st.lists(st.tuples(names, meanings), min_size=1, max_size=6, unique_by=lambda pair: folded(pair[0])))
def test_what_is_written_is_read_again(pairs: list[tuple[str, str]]) -> None:
    first = pairs[0][0]
    labels = tuple(Label(name, meaning, first if name != first else None) for name, meaning in pairs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.yaml"
        write_labels(path, labels)
        assert read_labels(path) == labels
        as_others_read_it = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(as_others_read_it) == [label.name for label in labels]


def test_the_file_is_for_people(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    labels = (Label("no", "Karte verloren – 日本語"), Label("Überweisung", "use when\nmoney moves", "no"))
    write_labels(path, labels)
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        "'no':",
        "  meaning: Karte verloren – 日本語",
        "Überweisung:",
        "  meaning: use when money moves",
        "  parent: 'no'",
    ]
    once = path.read_bytes()
    write_labels(path, read_labels(path))
    assert path.read_bytes() == once


@pytest.mark.parametrize(
    ("name", "labels", "words"),
    [
        ("labels.json", (Label("a"),), "expected a .yaml file, found 'labels.json'"),
        ("labels.yaml", (Label("a"), Label("a")), "'a' twice"),
        ("labels.yaml", (Label("a", parent="b"),), "which is no label"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, name: str, labels: tuple[Label, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        write_labels(tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


def test_labels_of_texts_are_sorted() -> None:
    assert labels_from(texts_of("b", "a", "b")) == (Label("a"), Label("b"))


def test_labels_of_texts_must_differ_by_more_than_case() -> None:
    with pytest.raises(InputError, match=r"f\.csv: expected names that differ .*'A' and 'a'"):
        labels_from(texts_of("a", "A"))


def test_merge_keeps_the_known_order_and_meanings_and_leaves_groups_out() -> None:
    known = [Label("money"), Label("b", "is b", "money"), Label("a", "is a")]
    assert merge_labels(known, texts_of("a", "b")) == (known[1], known[2])
    assert merge_labels(known, texts_of("a", "b", "money")) == tuple(known)
    assert merge_labels(None, texts_of("b", "a")) == (Label("a"), Label("b"))


def test_merge_refuses_unknown_labels_and_labels_without_an_example() -> None:
    with pytest.raises(InputError, match=r"f\.csv, row 2, column label: .* found 'c'"):
        merge_labels([Label("a"), Label("b")], texts_of("a", "c"))
    with pytest.raises(InputError, match=r"found none for 1 of 2: 'b'; add examples, or"):
        merge_labels([Label("a"), Label("b")], texts_of("a"))
