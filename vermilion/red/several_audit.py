"""The audit of a run with several labels a text: pairs drawn at random, half of them labels that the model gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vermilion.learn.certificate import Bounds, share_right
from vermilion.learn.f1_bounds import Audited, micro_f1_bounds
from vermilion.red.certifying import Terms
from vermilion.red.planning import AUDIT_LEAST, AUDIT_MOST
from vermilion.red.record import Certificate, GroupCertificate
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import NO, UNKNOWN, YES, PairState, PairStep
from vermilion.types import BoolArray, FloatArray, IntArray

Pair = tuple[int, int]

GIVEN, LEFT = "labels given by the model", "labels not given by the model"
METHOD = "MOVER of two samples"
AUDIT_SHARE = 0.1


def pair_audit_size(budget: int) -> int:
    """Return how many of `budget` questions the final audit gets: it takes two samples to speak of micro-F1.

    Examples
    --------
    >>> [pair_audit_size(n) for n in (0, 60, 1000, 3000, 100_000)]
    [0, 20, 100, 300, 400]
    """
    return min(max(round(AUDIT_SHARE * budget), AUDIT_LEAST), AUDIT_MOST, budget // 3)


@dataclass(frozen=True, slots=True)
class PairAudit:
    """All that a complete audit of pairs says; the certificate is of micro-F1, the groups of its two samples."""

    certificate: Certificate
    groups: tuple[GroupCertificate, ...]


@dataclass(frozen=True, slots=True)
class PairPopulation:
    """The pairs of an open text and a label that an audit is drawn from, as they were before its answers came.

    Attributes
    ----------
    said : ndarray of bool, shape (n_open, K)
        Labels that the model gives.
    proba : ndarray of float, shape (n_open, K)
    free : ndarray of bool, shape (n_open, K)
        Pairs that the expert has not answered.
    known : int
        Labels that the expert gave.
    """

    said: BoolArray
    proba: FloatArray
    free: BoolArray
    known: int

    @classmethod
    def of(cls, said: BoolArray, proba: FloatArray, state: PairState) -> Self:
        """Take down what the model has decided by now."""
        return cls(said, proba, state.answers == UNKNOWN, int((state.answers == YES).sum()))

    @property
    def halves(self) -> tuple[BoolArray, BoolArray]:
        """Pairs of labels that the model gives, and of those that it does not."""
        return self.free & self.said, self.free & ~self.said

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Pair, ...]:
        """Draw half of an audit among the labels given, half among those not given; where one is too few, more of
        the other.

        A sample of all pairs would say next to nothing of the labels given, which are few, and those are what counts.
        """
        given, left = (np.flatnonzero(half) for half in self.halves)
        most = min(max(size // 2, size - len(left)), len(given))
        cells = [
            rng.choice(among, size=min(count, len(among)), replace=False)
            for among, count in ((given, most), (left, size - most))
        ]
        chosen: list[int] = np.sort(np.concatenate(cells)).tolist()
        return tuple(divmod(cell, self.said.shape[1]) for cell in chosen)

    def promised(self, size: int, delta: float) -> float:
        """Return the lower bound of micro-F1 that an audit of this size would find, were the probabilities right."""
        counts = (size // 2, size - size // 2)
        found = []
        for half, count in zip(self.halves, counts, strict=True):
            sure, n = self.sure[half], min(count, int(half.sum()))
            drawn = np.arange(len(sure)) < n
            right = np.arange(n) < np.floor(n * sure.mean() if n else 0)
            found.append(_audited(sure, drawn, right, 0, delta))
        return micro_f1_bounds(found[0], found[1], self.known)[1]

    @property
    def sure(self) -> FloatArray:
        """The probability that each pair is decided rightly, shape (n_open, K)."""
        sure: FloatArray = np.where(self.said, self.proba, 1 - self.proba).astype(np.float64)
        return sure

    def certify(self, step: PairStep, answers: IntArray, terms: Terms) -> PairAudit | None:
        """Make out the certificate by the answers to all pairs drawn, which `answers` of shape (n_open, K) has.

        A pair without an answer counts as wrong. None where nothing was drawn of pairs that there are.
        """
        drawn = np.zeros(self.said.shape, dtype=np.bool_)
        drawn[tuple(np.array(step.pairs, dtype=np.intp).reshape(-1, 2).T)] = True
        if any(half.any() and not (half & drawn).any() for half in self.halves):
            return None
        given, left = (self._audited(half, drawn, answers, terms.delta) for half in self.halves)
        estimate, lower, upper = micro_f1_bounds(given, left, self.known)
        method = (
            f"{METHOD}: {given.right.method.removesuffix(', each bound one-sided')}; each bound one-sided"
        )
        n = given.right.n + left.right.n
        note = self._note(terms.note)
        certificate = Certificate(estimate, lower, upper, terms.confidence, method, n, note, "micro-F1")
        # The two are told beside each other, so their bounds hold at once.
        groups = (
            _group(name, self._audited(half, drawn, answers, terms.delta / 2))
            for name, half in zip((GIVEN, LEFT), self.halves, strict=True)
        )
        return PairAudit(certificate, tuple(groups))

    def _audited(self, half: BoolArray, drawn: BoolArray, answers: IntArray, delta: float) -> Audited:
        right = np.where(self.said, answers == YES, answers == NO)[half & drawn]
        mended = int((~right & (answers[half & drawn] != UNKNOWN)).sum())
        return _audited(self.sure[half], drawn[half], right, mended, delta)

    def _note(self, more: str) -> str:
        given, left = (int(half.sum()) for half in self.halves)
        rest = self.free.size - given - left
        note = (
            f"of {self.free.size:,} pairs of a distinct text and a label, with the expert's answers for the truth:"
            f" {rest:,} pairs that it answered before are right by definition; the audit is a random sample of the"
            f" {given:,} labels that the model gave and of the {left:,} that it did not give, and what it found wrong"
            " was put right"
        )
        return f"{note}. {more}" if more else note


def _audited(sure: FloatArray, drawn: BoolArray, right: BoolArray, mended: int, delta: float) -> Audited:
    bounds = share_right(right, sure, drawn, delta) if len(sure) else Bounds(1.0, 1.0, 1.0, 0, "none to draw")
    return Audited(len(sure), bounds, int(right.sum()), mended)


def _group(name: str, found: Audited) -> GroupCertificate:
    bounds = found.right
    estimate = bounds.estimate if bounds.n else None
    method = f"{bounds.method}, Bonferroni over 2 groups"
    return GroupCertificate(
        "pairs", name, found.pairs, estimate, bounds.lower, bounds.upper, bounds.n, method
    )


def audit_rows(problem: SeveralProblem, steps: Sequence[PairStep], state: PairState) -> list[dict[str, Any]]:
    """Return what the last audit asked, one row a pair: whether the model had given the label, what the expert said."""
    if not steps or steps[-1].kind != "audit":
        return []
    step = steps[-1]
    drawn = sum(step.proposed), len(step.pairs) - sum(step.proposed)
    given, left = (count / max(pairs, 1) for count, pairs in zip(drawn, step.halves, strict=True))
    return [
        {
            "text": problem.open_texts[row],
            "label": problem.labels[label].name,
            "given": said,
            "answer": _said(int(state.answers[row, label])),
            "inclusion_probability": given if said else left,
        }
        for (row, label), said in zip(step.pairs, step.proposed, strict=True)
    ]


def _said(answer: int) -> bool | None:
    return None if answer == UNKNOWN else answer == YES
