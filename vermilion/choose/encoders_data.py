"""The texts that all encoders are compared on, and the splits that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vermilion.errors import InputError
from vermilion.learn.shared_splits import Splits, sample_rows
from vermilion.types import IntArray, Texts, text_hash
from vermilion.world.weights import digest_of


@dataclass(frozen=True, slots=True)
class Bench:
    """What every candidate is measured on.

    Attributes
    ----------
    texts : tuple of str
        Each once, in an order that does not depend on the file's.
    labels : tuple of str
    splits : Splits
        Of the rows of `texts`.
    given, distinct : int
        Texts in the data, and how many of them differ: the sample is drawn from these.
    source : str
    key : str
        Changes with texts, labels and splits.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    splits: Splits
    given: int
    distinct: int
    source: str
    key: str

    @property
    def codes(self) -> IntArray:
        """Labels of the texts as numbers, shape (n,)."""
        return self.splits.codes


def lay_out_bench(labelled: Texts, most: int, seed: int) -> Bench:
    """Return the texts to compare encoders on: each once, at most about `most`, of every label its share.

    Raises
    ------
    InputError
        Texts with several labels; fewer than two labels; no label with two different texts.

    Examples
    --------
    >>> names = tuple(("pay",) if place % 2 else ("card",) for place in range(8))
    >>> bench = lay_out_bench(Texts(tuple("01234567"), tuple("aabbccdd"), names), 5000, seed=0)
    Traceback (most recent call last):
    vermilion.errors.InputError: texts: expected one label a text, found 'a' as 'card' and as 'pay'; settle its label
    """
    where = labelled.source or "texts"
    label_of = _single_labels(labelled, where)
    names = tuple(sorted(set(label_of.values())))
    if len(names) < 2:
        raise InputError("at least two labels", f"only '{names[0]}'", where, "give texts of others, too")
    texts = sorted(label_of, key=text_hash)
    numbers = {name: place for place, name in enumerate(names)}
    codes = np.array([numbers[label_of[text]] for text in texts])
    if np.bincount(codes).max() < 2:
        raise InputError("labels with two texts", "one text a label", where, "give more texts")
    kept = sample_rows(codes, most, np.random.default_rng([seed, 30]))
    chosen = tuple(texts[row] for row in kept)
    found, own = np.unique(codes[kept], return_inverse=True)
    key = digest_of([text_hash(text) for text in chosen], own.tolist(), seed)
    labels = tuple(names[number] for number in found)
    return Bench(chosen, labels, Splits.draw(own, seed), len(labelled), len(texts), where, key)


def _single_labels(labelled: Texts, where: str) -> dict[str, str]:
    """Return the label of each text, which must be one."""
    if labelled.labels is None:
        raise InputError("labelled texts", "texts without labels", where, "read them with a label column")
    label_of: dict[str, str] = {}
    for place, (text, names) in enumerate(zip(labelled.texts, labelled.labels, strict=True)):
        if len(names) != 1:
            row = labelled.rows[place] if labelled.rows else place + 1
            cure = "encoders are compared on texts with one label each; keep one, or leave the row out"
            raise InputError("one label a text", f"{len(names)}", f"{where}, row {row}", cure)
        if label_of.setdefault(text, names[0]) != names[0]:
            found = f"{text[:40]!r} as '{label_of[text]}' and as '{names[0]}'"
            raise InputError("one label a text", found, where, "settle its label")
    return label_of
