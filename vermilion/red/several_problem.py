"""What a run works on where a text may have several labels: every distinct text once, labels as an indicator matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vermilion.red.asking import MOST_EXAMPLES_EACH
from vermilion.red.problem import Problem, find_owners
from vermilion.types import BoolArray, FloatArray, IntArray, Label, Question, Texts


@dataclass(frozen=True, slots=True)
class SeveralLayout:
    """The distinct texts of a labelled set and a pool, before they have vectors; `owner` as in `Problem`."""

    given: dict[str, tuple[str, ...]]
    open_texts: tuple[str, ...]
    owner: IntArray


def lay_out_several(labelled: Texts, pool: Texts) -> SeveralLayout:
    """Find the distinct texts, so that duplicates are encoded, asked and paid for once.

    Examples
    --------
    >>> labelled = Texts(("0",), ("pay me",), (("refund", "urgent"),))
    >>> layout = lay_out_several(labelled, Texts(("a", "b", "c"), ("hello", "pay me", "hello")))
    >>> layout.open_texts, layout.owner.tolist()
    (('hello',), [0, -1, 0])
    """
    given = dict(zip(labelled.texts, labelled.labels or (), strict=True))
    return SeveralLayout(given, *find_owners(given, pool))


@dataclass(frozen=True, slots=True)
class SeveralProblem:
    """Labelled texts, open texts and where each pool row finds its text.

    Attributes
    ----------
    labels : tuple of Label
        Column order of all matrices.
    given_texts, open_texts : tuple of str
    X_given, X_open : ndarray of shape (n_given, d) and (n_open, d)
    Y_given : ndarray of bool, shape (n_given, K)
    owner : ndarray of int, shape (n_pool_rows,)
        For each pool row its place in `open_texts`, or -1 - its place in `given_texts`.
    gold : ndarray of bool, shape (n_open, K), or None
        In a simulation.
    """

    labels: tuple[Label, ...]
    given_texts: tuple[str, ...]
    open_texts: tuple[str, ...]
    X_given: FloatArray
    X_open: FloatArray
    Y_given: BoolArray
    owner: IntArray
    gold: BoolArray | None = None

    @property
    def weights(self) -> IntArray:
        """Pool rows that each open text stands for, shape (n_open,)."""
        return np.bincount(self.owner[self.owner >= 0], minlength=len(self.open_texts))

    def question(self, place: int, label: int) -> Question:
        """Write out: is this label right for the open text of a place from 0, or the given text of a place -1 - p?

        With the nearest labelled texts that have the label; no text is an example in its own question.
        """
        text, x = (
            (self.open_texts[place], self.X_open[place])
            if place >= 0
            else (self.given_texts[-1 - place], self.X_given[-1 - place])
        )
        rows = np.flatnonzero(self.Y_given[:, label])
        rows = rows[rows != -1 - place]
        near = rows[np.argsort(-(self.X_given[rows] @ x), kind="stable")][:MOST_EXAMPLES_EACH]
        name = self.labels[label].name
        return Question(
            text, (name,), "validate", tuple((self.given_texts[row], name) for row in near.tolist())
        )

    def one_by_one(self) -> Problem:
        """Return the same with a row for each label of a labelled text: what meanings are written from."""
        rows, labels = np.nonzero(self.Y_given)
        texts = tuple(self.given_texts[row] for row in rows.tolist())
        return Problem(
            self.labels, texts, self.open_texts, self.X_given[rows], self.X_open, labels, self.owner
        )


def build_several(
    layout: SeveralLayout,
    labels: Sequence[Label],
    vectors: tuple[FloatArray, FloatArray],
    gold: Mapping[str, frozenset[str]] | None = None,
) -> SeveralProblem:
    """Put texts, their vectors (given, open) and gold labels together."""
    names = [label.name for label in labels]
    right = None if gold is None else indicator([gold[text] for text in layout.open_texts], names)
    given = indicator(list(layout.given.values()), names)
    return SeveralProblem(
        tuple(labels), tuple(layout.given), layout.open_texts, *vectors, given, layout.owner, right
    )


def indicator(rows: Sequence[Sequence[str] | frozenset[str]], names: Sequence[str]) -> BoolArray:
    """Return which of the names each row has, shape (rows, names); other names are passed over.

    Examples
    --------
    >>> indicator([("b",), (), ("b", "a", "z")], ["a", "b"]).astype(int).tolist()
    [[0, 1], [0, 0], [1, 1]]
    """
    number = {name: place for place, name in enumerate(names)}
    chosen = np.zeros((len(rows), len(names)), dtype=np.bool_)
    for place, row in enumerate(rows):
        chosen[place, [number[name] for name in row if name in number]] = True
    return chosen
