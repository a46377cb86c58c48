"""A labelled set, a pool of any size and its gold labels, made of a real data set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vermilion.types import Texts
from vermilion.world.data import Columns, read_texts

MOST_TRIES = 50
LEAST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Pool:
    """Distinct texts with their labels: the first ones labelled, the others to be labelled.

    Attributes
    ----------
    made : int
        Texts of the pool that are variants of real ones.
    """

    labelled: tuple[tuple[str, str], ...]
    pool: tuple[tuple[str, str], ...]
    made: int

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write labelled.jsonl, pool.jsonl and gold.jsonl; return their paths."""
        labelled, pool, gold = (folder / f"{name}.jsonl" for name in ("labelled", "pool", "gold"))
        _write(labelled, ({"text": text, "label": label} for text, label in self.labelled))
        _write(pool, ({"text": text} for text, _ in self.pool))
        _write(gold, ({"text": text, "label": label} for text, label in self.pool))
        return labelled, pool, gold


def read(folder: Path) -> dict[str, list[str]]:
    """Return the distinct texts of each label, train and test together; a text's first label counts."""
    label_of: dict[str, str] = {}
    for part in ("train", "test"):
        texts: Texts = read_texts(folder / f"{part}.jsonl", Columns(), labelled=True)
        for text, labels in zip(texts.texts, texts.labels or (), strict=True):
            label_of.setdefault(text, labels[0])
    by_label: dict[str, list[str]] = {}
    for text, label in label_of.items():
        by_label.setdefault(label, []).append(text)
    return {label: by_label[label] for label in sorted(by_label)}


def make(texts_of: Mapping[str, Sequence[str]], labels: int, a_label: int, size: int, seed: int = 0) -> Pool:
    """Take `a_label` texts of each of the first labels as labelled, and make a pool of `size` of the rest.

    Real texts come first; then variants of real ones of the pool, with their label. No text comes twice.

    Raises
    ------
    ValueError
        The texts are too few or too short to make that many variants.

    Examples
    --------
    >>> made = make({"x": ["a b c d e f", "g h i j k l", "m n o p q r"]}, 1, 1, 5)
    >>> len(made.labelled), len(set(made.pool)), made.made
    (1, 5, 3)
    """
    rng = np.random.default_rng(seed)
    given: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for label in list(texts_of)[:labels]:
        own = [texts_of[label][place] for place in rng.permutation(len(texts_of[label]))]
        given += [(text, label) for text in own[:a_label]]
        rest += [(text, label) for text in own[a_label:]]
    real = [rest[place] for place in rng.permutation(len(rest))[:size]]
    seen = {text for text, _ in (*given, *rest)}
    made = _variants(real, size - len(real), seen, rng)
    return Pool(tuple(given), tuple(real + made), len(made))


def _variants(
    sources: Sequence[tuple[str, str]], count: int, seen: set[str], rng: np.random.Generator
) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []
    for _ in range(MOST_TRIES * count):
        if len(made) == count:
            break
        text, label = sources[int(rng.integers(len(sources)))]
        changed = variant(text, rng)
        if changed not in seen:
            seen.add(changed)
            made.append((changed, label))
    if len(made) < count:
        raise ValueError(f"expected {count:,} variants, the texts gave {len(made):,}; take a smaller pool")
    return made


def variant(text: str, rng: np.random.Generator) -> str:
    """Return a text without one or two of its words; a short one gets a word twice instead.

    Examples
    --------
    >>> len(variant("one two three four five six", np.random.default_rng(0)).split()) in (4, 5)
    True
    """
    words = text.split()
    if len(words) < LEAST_WORDS:
        place = int(rng.integers(len(words)))
        return " ".join([*words[: place + 1], *words[place:]])
    dropped = rng.choice(len(words), size=int(rng.integers(1, 3)), replace=False).tolist()
    return " ".join(word for place, word in enumerate(words) if place not in dropped)


def _write(path: Path, rows: Iterator[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
