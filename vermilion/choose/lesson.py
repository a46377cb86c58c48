"""What is learned from, what was learned, and who learns which task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vermilion.config import TrainSettings
from vermilion.learn.calibrators import Calibrator
from vermilion.learn.decision_rules import Rule
from vermilion.learn.model_choice import OutOfFold
from vermilion.types import BoolArray, FloatArray, Head, IntArray, Label


@dataclass(frozen=True, slots=True)
class Lesson:
    """Distinct labelled texts as vectors.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    y : tuple of tuple of int
        The numbers of each text's labels.
    labels : tuple of Label
        Where labels are grouped, with the groups.
    task : {"binary", "multi-class", "multi-label", "hierarchical"}
    queries : ndarray of int, shape (n,), or None
        Of pairs, which share their first text: they are held out together.
    """

    X: FloatArray
    y: tuple[tuple[int, ...], ...]
    labels: tuple[Label, ...]
    task: str
    settings: TrainSettings
    queries: IntArray | None = None

    @property
    def codes(self) -> IntArray:
        """The one label of each text, shape (n,)."""
        return np.array([row[0] for row in self.y], dtype=np.int64)

    @property
    def indicator(self) -> BoolArray:
        """Which labels each text has, shape (n, n_labels)."""
        chosen = np.zeros((len(self.y), len(self.labels)), dtype=np.bool_)
        for place, numbers in enumerate(self.y):
            chosen[place, list(numbers)] = True
        return chosen


@dataclass(frozen=True, slots=True)
class Learned:
    """A fitted head, the rule that goes with it, and how both came about.

    Attributes
    ----------
    kind : str
        A key of HEADS.
    findings : dict
        What was compared and chosen: plain JSON, kept in the model's origin.
    lines : tuple of (name, value)
        The same in words, for the terminal and the model card.
    held_out : OutOfFold or None
        What the model, calibrated, said of texts that it had not learned from.
    """

    kind: str
    head: Head
    temperature: float
    rule: Rule
    findings: dict[str, Any] = field(default_factory=dict)
    lines: tuple[tuple[str, str], ...] = ()
    calibrator: Calibrator | None = None
    held_out: OutOfFold | None = None


Learner = Callable[[Lesson], Learned]


def percent(share: float) -> str:
    """Return a share in words.

    Examples
    --------
    >>> percent(0.945), percent(float("nan"))
    ('94.5 %', 'unknown')
    """
    return f"{100 * share:.1f} %" if np.isfinite(share) else "unknown"
