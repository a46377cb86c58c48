"""The texts that all encoders are compared on, and the splits that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.errors import InputError
from vermilion.learn.shared_splits import Splits, sample_groups, sample_rows
from vermilion.types import BoolArray, Encoder, FloatArray, IntArray, Texts, text_hash
from vermilion.world.encoders_pairs import PairEncoder
from vermilion.world.labels import merge_labels
from vermilion.world.pairs import all_pairs, sides, split_pair
from vermilion.world.tasks import infer_task
from vermilion.world.weights import digest_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """How texts are laid out.

    Attributes
    ----------
    most : int
        More texts are sampled.
    seed : int
    task : str
        One of TASK_CHOICES.
    positive : str or None
        Of two labels of pairs the right one; None: the rarer.
    """

    most: int = 5000
    seed: int = 0
    task: str = "auto"
    positive: str | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """What every candidate is measured on: texts with one label each.

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

    @property
    def single_texts(self) -> tuple[str, ...]:
        """What encoders are given."""
        return self.texts

    def vectors(self, encoder: Encoder) -> FloatArray:
        """Return the unit rows that are measured, shape (n, d)."""
        return encoder.encode(self.texts)


@dataclass(frozen=True, slots=True)
class SeveralBench(Bench):
    """Texts that may have several labels, or none; splits go by each text's rarest label.

    Attributes
    ----------
    truth : ndarray of bool, shape (n, K)
    """

    truth: BoolArray


@dataclass(frozen=True, slots=True)
class PairsBench(Bench):
    """Pairs with one label each; those with the same first text, a query, are held out together.

    Attributes
    ----------
    queries : ndarray of int, shape (n,)
        0 to Q - 1.
    """

    queries: IntArray

    @property
    def single_texts(self) -> tuple[str, ...]:
        """The texts of the pairs, each once."""
        return tuple(sides(self.texts))

    def vectors(self, encoder: Encoder) -> FloatArray:
        """Return how the two texts of each pair compare, unit rows of shape (n, 4 * d + 1)."""
        return PairEncoder(encoder).encode(self.texts)


@dataclass(frozen=True, slots=True)
class RightPairsBench(PairsBench):
    """Pairs that are right or wrong.

    Attributes
    ----------
    positive : int
        The number of the label that says right.
    """

    positive: int

    @property
    def right(self) -> BoolArray:
        """Whether each pair is right, shape (n,)."""
        return np.asarray(self.codes == self.positive)


def lay_out_bench(labelled: Texts, wanted: Wanted) -> Bench:
    """Return the texts to compare encoders on: each once, at most about `most`, of every label its share.

    Raises
    ------
    InputError
        Fewer than two labels; no label with two different texts; labels that do not fit the task that was named.

    Examples
    --------
    >>> names = tuple(("pay",) if place % 2 else ("card",) for place in range(8))
    >>> bench = lay_out_bench(Texts(tuple("01234567"), tuple("aabbccdd"), names), Wanted())
    Traceback (most recent call last):
    vermilion.errors.InputError: texts: expected one label a text, found 'a' as 'card' and as 'pay'; settle its label
    """
    where = labelled.source or "texts"
    labels_of = _labels_of(labelled, where)
    task = infer_task(labelled, merge_labels(None, labelled), wanted.task)
    names = tuple(sorted({name for own in labels_of.values() for name in own}))
    if len(names) < 2:
        found = f"only '{names[0]}'" if names else "none"
        raise InputError("at least two labels", found, where, "give texts of others, too")
    pairs = all_pairs(labelled.texts)
    if wanted.positive is not None and not (pairs and len(names) == 2):
        cure = "leave it out: it says which of two labels of pairs is the right one"
        raise InputError("pairs with two labels", "other data", "--positive", cure)
    texts = tuple(sorted(labels_of, key=text_hash))
    data = _Data(texts, tuple(labels_of[text] for text in texts), names, len(labelled), where)
    if task == "multi-label":
        return _lay_out_several(data, wanted, pairs)
    return _lay_out_pairs(data, wanted) if pairs else _lay_out_one(data, wanted)


def _labels_of(labelled: Texts, where: str) -> dict[str, tuple[str, ...]]:
    """Return the labels of each text, which must be the same each time it occurs."""
    if labelled.labels is None:
        raise InputError("labelled texts", "texts without labels", where, "read them with a label column")
    labels_of: dict[str, tuple[str, ...]] = {}
    for text, names in zip(labelled.texts, labelled.labels, strict=True):
        own = tuple(sorted(set(names)))
        if labels_of.setdefault(text, own) != own:
            before, now = (" + ".join(each) or "none" for each in (labels_of[text], own))
            found = f"{text[:40]!r} as '{before}' and as '{now}'"
            raise InputError("one label a text", found, where, "settle its label")
    return labels_of


@dataclass(frozen=True, slots=True)
class _Data:
    """Distinct texts with their labels, in the order of their hashes."""

    texts: tuple[str, ...]
    own: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    given: int
    where: str

    @property
    def codes(self) -> IntArray:
        """The number of each text's only label."""
        number = {name: place for place, name in enumerate(self.names)}
        return np.array([number[own[0]] for own in self.own])

    def key(self, rows: IntArray, parts: Sequence[object]) -> str:
        return digest_of([text_hash(self.texts[row]) for row in rows], *parts)

    def chosen(self, rows: IntArray) -> tuple[str, ...]:
        return tuple(self.texts[row] for row in rows)


def _lay_out_one(data: _Data, wanted: Wanted) -> Bench:
    codes = data.codes
    _check_two_texts(codes, data.where)
    kept = sample_rows(codes, wanted.most, np.random.default_rng([wanted.seed, 30]))
    found, own = np.unique(codes[kept], return_inverse=True)
    labels = tuple(data.names[number] for number in found)
    return Bench(
        data.chosen(kept),
        labels,
        Splits.draw(own, wanted.seed),
        data.given,
        len(data.texts),
        data.where,
        data.key(kept, [own.tolist(), wanted.seed]),
    )


def _check_two_texts(codes: IntArray, where: str) -> None:
    if np.bincount(codes).max() < 2:
        raise InputError("labels with two texts", "one text a label", where, "give more texts")


def _lay_out_several(data: _Data, wanted: Wanted, pairs: bool) -> SeveralBench:
    if pairs:
        cure = "keep one label a pair"
        raise InputError("pairs with one label each", "some with several", data.where, cure)
    number = {name: place for place, name in enumerate(data.names)}
    truth = np.zeros((len(data.texts), len(data.names)), dtype=np.bool_)
    for row, names in enumerate(data.own):
        truth[row, [number[name] for name in names]] = True
    rarest = rarest_labels(truth)
    _check_two_texts(rarest, data.where)
    kept = sample_rows(rarest, wanted.most, np.random.default_rng([wanted.seed, 30]))
    there = np.flatnonzero(truth[kept].any(axis=0))
    own = np.unique(rarest[kept], return_inverse=True)[1]
    return SeveralBench(
        data.chosen(kept),
        tuple(data.names[label] for label in there),
        Splits.draw(own, wanted.seed),
        data.given,
        len(data.texts),
        data.where,
        data.key(kept, ["several", [data.own[row] for row in kept], wanted.seed]),
        truth[kept][:, there],
    )


def rarest_labels(truth: BoolArray) -> IntArray:
    """Return the rarest label of each row, shape (n,); K where it has none.

    Folds that deal these out evenly give each label its share, the rare ones above all.

    Examples
    --------
    >>> rarest_labels(np.array([[True, True], [True, False], [False, False]])).tolist()
    [1, 0, 2]
    """
    counts = np.where(truth, truth.sum(axis=0), len(truth) + 1)
    rarest: IntArray = np.where(truth.any(axis=1), counts.argmin(axis=1), truth.shape[1])
    return rarest


def _lay_out_pairs(data: _Data, wanted: Wanted) -> PairsBench:
    number: dict[str, int] = {}
    queries = np.array(
        [number.setdefault(split_pair(text)[0], len(number)) for text in data.texts], dtype=np.int64
    )
    kept = sample_groups(queries, wanted.most, np.random.default_rng([wanted.seed, 30]))
    found, own = np.unique(data.codes[kept], return_inverse=True)
    groups = np.unique(queries[kept], return_inverse=True)[1]
    labels = tuple(data.names[code] for code in found)
    if len(labels) < 2:
        cure = "raise --max-texts, which leaves first texts whole"
        raise InputError("pairs of two labels in the sample", f"only '{labels[0]}'", data.where, cure)
    try:
        splits = Splits.draw_whole(own, groups, wanted.seed)
    except ValueError as error:
        raise InputError(
            "pairs of each label with two different first texts",
            "a label with one first text",
            data.where,
            "give more pairs",
        ) from error
    common = (
        data.chosen(kept),
        labels,
        splits,
        data.given,
        len(data.texts),
        data.where,
    )
    if len(labels) != 2:
        return PairsBench(*common, data.key(kept, ["pairs", own.tolist(), wanted.seed]), groups)
    positive = _positive(own, labels, wanted.positive)
    key = data.key(kept, ["right pairs", own.tolist(), wanted.seed, positive])
    return RightPairsBench(*common, key, groups, positive)


def _positive(codes: IntArray, labels: tuple[str, ...], named: str | None) -> int:
    """Return the number of the label that says right: the one named, else the rarer, else the second."""
    if named is not None and named not in labels:
        raise InputError(f"'{labels[0]}' or '{labels[1]}'", repr(named), "--positive", "give one of them")
    if named is not None:
        return labels.index(named)
    first, second = np.bincount(codes, minlength=2).tolist()
    return 0 if first < second else 1
