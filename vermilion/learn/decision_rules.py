"""How probabilities become labels: the likeliest, a threshold, one threshold a label, or a walk down a tree.

A rule is a value that is stored with a model. Its columns are the model's labels, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from vermilion.learn.hierarchy import Ways, levels, masses, paths
from vermilion.types import BoolArray, FloatArray, IntArray


@runtime_checkable
class Rule(Protocol):
    """Probabilities in, labels out. A value: equal ones decide alike."""

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, K), for probabilities of shape (n, K)."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types that `from_json` understands."""
        ...


@dataclass(frozen=True, slots=True)
class Argmax:
    """The likeliest label; of two that are equally likely, the first.

    Examples
    --------
    >>> Argmax().decide(np.array([[0.2, 0.8], [0.5, 0.5]])).tolist()
    [[False, True], [True, False]]
    """

    kind: ClassVar[str] = "argmax"

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, K)."""
        return one_hot(proba.argmax(axis=1), proba.shape[1])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rule": self.kind}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Of two labels the positive one, where its probability is at least `value`; else the other.

    Attributes
    ----------
    positive : int
        Its column, 0 or 1.
    value : float
        From 0 to 1.
    chosen_by : str
        What the value is good for, as in "f1" or "precision:0.9".

    Examples
    --------
    >>> Threshold(1, 0.3).decide(np.array([[0.6, 0.4], [0.8, 0.2]])).tolist()
    [[False, True], [True, False]]
    """

    positive: int
    value: float
    chosen_by: str = "0.5"

    kind: ClassVar[str] = "threshold"

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, 2)."""
        positive = proba[:, self.positive] >= self.value
        return one_hot(np.where(positive, self.positive, 1 - self.positive), 2)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rule": self.kind,
            "positive": self.positive,
            "value": self.value,
            "chosen_by": self.chosen_by,
        }


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every label whose probability is at least its own threshold; a row may have none, or several.

    Attributes
    ----------
    values : tuple of float
        One a label.
    chosen_by : str

    Examples
    --------
    >>> Thresholds((0.5, 0.1)).decide(np.array([[0.6, 0.2], [0.4, 0.0]])).tolist()
    [[True, True], [False, False]]
    """

    values: tuple[float, ...]
    chosen_by: str = "0.5"

    kind: ClassVar[str] = "thresholds"

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, K)."""
        chosen: BoolArray = proba >= np.asarray(self.values, dtype=np.float64)
        return chosen

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rule": self.kind, "values": list(self.values), "chosen_by": self.chosen_by}


@dataclass(frozen=True, slots=True)
class Tree:
    """One label and all that stand above it, as deep down the tree as is sure enough; see `hierarchy.Ways`.

    Attributes
    ----------
    parents : tuple of int
        The number of each label's parent; -1 for those at the top.
    least : float
        How likely a label below the top must be to be taken. 0 always goes down to a class.
    chosen_by : str
        What `least` is good for, as in "hierarchical f1" or "precision:0.9".

    Examples
    --------
    >>> tree = Tree((-1, 0, 0, -1), least=0.5)
    >>> tree.decide(np.array([[0.0, 0.4, 0.3, 0.3], [0.0, 0.6, 0.1, 0.3]])).tolist()
    [[True, False, False, False], [True, True, False, False]]
    """

    parents: tuple[int, ...]
    least: float = 0.5
    chosen_by: str = "0.5"

    kind: ClassVar[str] = "tree"

    def decide(self, proba: FloatArray) -> BoolArray:
        """Return which labels each row has, shape (n, K): those from the top down to where it is placed."""
        return paths(Ways.of(proba, self.parents).placed(self.least), self.parents)

    def mass(self, proba: FloatArray) -> FloatArray:
        """Return the probability of each label with all that stands under it, shape (n, K)."""
        return masses(proba, self.parents)

    def depths(self) -> tuple[int, ...]:
        """Return how far below the top each label is."""
        depth = np.empty(len(self.parents), dtype=np.int64)
        for place, level in enumerate(levels(self.parents)):
            depth[level] = place
        return tuple(depth.tolist())

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rule": self.kind,
            "parents": list(self.parents),
            "least": self.least,
            "chosen_by": self.chosen_by,
        }


def one_hot(columns: IntArray, n_columns: int) -> BoolArray:
    """Return True in one column of each row, shape (n, n_columns)."""
    chosen = np.zeros((len(columns), n_columns), dtype=np.bool_)
    chosen[np.arange(len(columns)), columns] = True
    return chosen


def from_json(told: Mapping[str, Any], n_labels: int) -> Rule:
    """Return the rule that `to_json` told of.

    Raises
    ------
    ValueError
        The rule is unknown, or does not fit so many labels.
    KeyError, TypeError
        A part is missing, or of the wrong type.

    Examples
    --------
    >>> rule = Threshold(0, 0.25, "f1")
    >>> from_json(rule.to_json(), 2) == rule
    True
    """
    kind = told["rule"]
    if kind not in RULES:
        raise ValueError(f"rule {kind!r:.40}")
    return RULES[kind](told, n_labels)


def _argmax(told: Mapping[str, Any], n_labels: int) -> Rule:
    return Argmax()


def _threshold(told: Mapping[str, Any], n_labels: int) -> Rule:
    positive = int(told["positive"])
    if n_labels != 2 or positive not in (0, 1):
        raise ValueError(f"a threshold between two labels, found {n_labels} labels, positive {positive}")
    return Threshold(positive, _share(told["value"]), str(told["chosen_by"]))


def _thresholds(told: Mapping[str, Any], n_labels: int) -> Rule:
    values = tuple(_share(value) for value in _as_many(told["values"], n_labels))
    return Thresholds(values, str(told["chosen_by"]))


def _tree(told: Mapping[str, Any], n_labels: int) -> Rule:
    parents = tuple(int(parent) for parent in _as_many(told["parents"], n_labels))
    levels(parents)
    return Tree(parents, _share(told["least"]), str(told["chosen_by"]))


def _as_many(values: Sequence[Any], n_labels: int) -> Sequence[Any]:
    if len(values) != n_labels:
        raise ValueError(f"{n_labels} labels need as many values, found {len(values)}")
    return values


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no probability")
    return share


RULES: dict[str, Callable[[Mapping[str, Any], int], Rule]] = {
    Argmax.kind: _argmax,
    Threshold.kind: _threshold,
    Thresholds.kind: _thresholds,
    Tree.kind: _tree,
}
