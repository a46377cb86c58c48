"""From an audit's answers to certificates, and to what may be accepted without a look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from vermilion.learn.acceptance import Acceptance, accept
from vermilion.learn.certificate import Bounds, share_right
from vermilion.red.problem import Problem
from vermilion.red.proposals import Proposals
from vermilion.red.record import Certificate, Decision, GroupCertificate
from vermilion.red.state import State, Step
from vermilion.types import BoolArray, FloatArray, IntArray, Label

# A group of labels is made where the audit is to have so many answers of it, and there are at most so many groups.
ANSWERS_A_GROUP, MOST_GROUPS = 25, 4
BY_DEFINITION = "by definition: the expert decided them"


@dataclass(frozen=True, slots=True)
class Population:
    """The texts that an audit is drawn from, as they were before its answers came; one entry a pool row.

    Attributes
    ----------
    owner : ndarray of int, shape (rows,)
        The open text of each row.
    labels : ndarray of int, shape (rows,)
        What was decided; -1 for no label, with which the expert agrees where it finds none right.
    confidence : ndarray of float, shape (rows,)
        The probability of that label as it was before the audit, so that it depends on none of its answers.
    tried, carried : ndarray of bool, shape (rows,)
        Rows for which the expert named none of the labels that it was shown; rows of an earlier run's answers.
    known : int
        Further rows of the pool, which the expert decided.
    """

    owner: IntArray
    labels: IntArray
    confidence: FloatArray
    tried: BoolArray
    carried: BoolArray
    known: int

    @classmethod
    def of(cls, problem: Problem, state: State, proposals: Proposals, nulls: BoolArray | None = None) -> Self:
        """Take down what the model has decided by now; `nulls` are the open texts that are to have no label."""
        owners = problem.owner[problem.owner >= 0]
        owner = owners[state.unsettled[owners]]
        tried = np.zeros(len(state.answers), dtype=np.bool_)
        tried[[row for row in state.ruled_out if state.tries[row]]] = True
        carried = state.answers[owner] >= 0
        labels = np.where(carried, state.answers[owner], proposals.labels[owner, 0])
        confidence = proposals.proba[owner, 0].astype(np.float64)
        if nulls is not None:
            none = nulls[owner] & ~carried
            labels, confidence = np.where(none, -1, labels), np.where(none, 1.0, confidence)
        return cls(owner, labels, confidence, tried[owner] & ~carried, carried, len(owners) - len(owner))

    @property
    def by_model(self) -> BoolArray:
        """Rows whose label the model decided alone."""
        return ~self.tried & ~self.carried & (self.labels >= 0)

    def sources(self) -> dict[str, BoolArray]:
        """Return the rows of each source that there is."""
        null = self.labels < 0
        named = {
            "auto": self.by_model,
            "review": self.tried & ~null,
            "none, out_of_scope": null,
            "carried over": self.carried,
        }
        return {name: rows for name, rows in named.items() if rows.any()}


@dataclass(frozen=True, slots=True)
class Sample:
    """What the audit drew and heard.

    Attributes
    ----------
    drawn : ndarray of bool, shape (rows,)
    agreed : ndarray of bool, shape (n,)
        Of each drawn row, in the rows' order; a text without an answer does not agree.
    settled, right : ndarray of bool, shape (rows,)
        Rows whose text has a label by the expert now, whichever of its rows was drawn; those of them on which the
        model agreed.
    """

    drawn: BoolArray
    agreed: BoolArray
    settled: BoolArray
    right: BoolArray

    @classmethod
    def of(cls, population: Population, step: Step, state: State) -> Self:
        """Gather an audit's answers, which the state has taken in."""
        texts = [step.asked[place].row for place in step.draws]
        drawn = _rows_drawn(population.owner, texts)
        heard = np.zeros(len(state.answers), dtype=np.bool_)
        heard[texts] = True
        answers = state.answers[population.owner]
        settled = heard[population.owner] & (answers >= 0)
        right = settled & (answers == population.labels)
        none = (population.labels < 0) & _refused(step, state)[population.owner]
        settled, right = settled | none, right | none
        return cls(drawn, right[drawn], settled, right)


def _refused(step: Step, state: State) -> BoolArray:
    """Return the open texts for which the expert found none of the labels right that the step showed."""
    found = np.zeros(len(state.answers), dtype=np.bool_)
    for asked in step.asked:
        found[asked.row] = state.answers[asked.row] < 0 and {*asked.options} <= {
            *state.ruled_out.get(asked.row, ())
        }
    return found


def _rows_drawn(owner: IntArray, texts: Sequence[int]) -> BoolArray:
    """Mark as many rows of a text as were drawn of it: which of them is all the same."""
    drawn = np.zeros(len(owner), dtype=np.bool_)
    order = np.argsort(owner, kind="stable")
    found, times = np.unique(np.array(texts, dtype=np.int64), return_counts=True)
    starts = np.searchsorted(owner[order], found)
    for start, count in zip(starts.tolist(), times.tolist(), strict=True):
        drawn[order[start : start + count]] = True
    return drawn


@dataclass(frozen=True, slots=True)
class Audit:
    """All that a complete audit says.

    Attributes
    ----------
    certificate : Certificate
    groups : tuple of GroupCertificate
    acceptance : Acceptance
    accepted : ndarray of bool, shape (n_open,)
        The open texts that may be accepted without a look.
    population : Population
    sample : Sample
    """

    certificate: Certificate
    groups: tuple[GroupCertificate, ...]
    acceptance: Acceptance
    accepted: BoolArray
    population: Population
    sample: Sample

    def for_people(self, target: float) -> BoolArray | None:
        """Return the open texts that are left to people, or None where no threshold sets any apart.

        None are where all decisions together are certified to reach the target, and none where no threshold could be
        certified: that an audit is too small says nothing against a decision.
        """
        if self.acceptance.threshold is None or self.certificate.lower >= target:
            return None
        return ~self.accepted


@dataclass(frozen=True, slots=True)
class Terms:
    """What an audit is to prove.

    Attributes
    ----------
    target, confidence : float
        Of the settings.
    delta : float
        Each bound of this audit fails with at most this probability.
    note : str
        What must be said beside the certificate.
    """

    target: float
    confidence: float
    delta: float
    note: str = ""


def certify(population: Population, sample: Sample, problem: Problem, terms: Terms) -> Audit:
    """Make out the certificates of a complete audit, and the threshold from which decisions may be accepted."""
    bounds = share_right(
        sample.agreed, population.confidence, sample.drawn, terms.delta, _columns(population)
    )
    score = np.where(population.by_model, population.confidence, -np.inf)
    alpha = round(1 - terms.target, 9)  # 1 - 0.9 is a little less than 0.1
    found = accept(sample.agreed, score, sample.drawn, alpha, terms.delta)
    accepted = np.zeros(len(problem.open_texts), dtype=np.bool_)
    if found.threshold is not None:
        accepted[population.owner[score >= found.threshold]] = True
    groups = (*_by_source(population, sample, terms), *_by_labels(population, sample, problem, terms))
    return Audit(_certificate(population, sample, bounds, terms), groups, found, accepted, population, sample)


def _columns(population: Population) -> FloatArray:
    return np.column_stack([population.tried, population.carried]).astype(np.float64)


def _certificate(population: Population, sample: Sample, bounds: Bounds, terms: Terms) -> Certificate:
    """Extend the bounds to all decisions as they are now: what the audit found wrong was put right."""
    settled, right = int(sample.settled.sum()), int(sample.right.sum())
    rows = len(population.owner)

    def now(share: float) -> float:
        rest = min(max(share * rows - right, 0.0), rows - settled)
        return (population.known + settled + rest) / (population.known + rows)

    note = (
        f"{population.known:,} texts that the expert decided agree by definition; the audit is a random sample of the"
        f" {rows:,} that the model decided, and what it found wrong was put right"
    )
    return Certificate(
        now(bounds.estimate),
        now(bounds.lower),
        now(bounds.upper),
        terms.confidence,
        bounds.method,
        bounds.n,
        f"{note}. {terms.note}" if terms.note else note,
    )


def _by_source(population: Population, sample: Sample, terms: Terms) -> Iterator[GroupCertificate]:
    """Yield a certificate for each source of decision, as it was when the audit was drawn."""
    if population.known:
        yield GroupCertificate(
            "source", "verified, corrected", population.known, 1.0, 1.0, 1.0, 0, BY_DEFINITION
        )
    yield from _certified("source", population.sources(), population, sample, terms.delta)


def _by_labels(
    population: Population, sample: Sample, problem: Problem, terms: Terms
) -> Iterator[GroupCertificate]:
    n = int(sample.drawn.sum())
    decided = population.labels >= 0
    group, names = label_groups(problem.labels, population.labels[decided], population.confidence[decided], n)
    rows = {name: decided & (group[population.labels] == place) for place, name in enumerate(names)}
    for found in _certified("labels", rows, population, sample, terms.delta):
        place = names.index(found.name)
        own = tuple(label.name for label, at in zip(problem.labels, group, strict=True) if at == place)
        yield replace(found, labels=own)


def _certified(
    kind: str, groups: dict[str, BoolArray], population: Population, sample: Sample, delta: float
) -> Iterator[GroupCertificate]:
    """Yield certificates that hold all at once: Bonferroni's correction, each bound at its part of `delta`."""
    for name, rows in groups.items():
        agreed = sample.agreed[rows[sample.drawn]]
        bounds = share_right(agreed, population.confidence[rows], sample.drawn[rows], delta / len(groups))
        method = bounds.method + (f", Bonferroni over {len(groups)} groups" if len(groups) > 1 else "")
        estimate = bounds.estimate if bounds.n else None
        yield GroupCertificate(
            kind, name, int(rows.sum()), estimate, bounds.lower, bounds.upper, bounds.n, method
        )


def label_groups(
    labels: Sequence[Label], decided: IntArray, confidence: FloatArray, n: int
) -> tuple[IntArray, list[str]]:
    """Return a group's number for each label, and the groups' names; no group where the audit is too small for two.

    Labels of one parent are a group, where there are parents and the audit is to have 25 answers of it; all others
    make one more. Without parents labels are ranked by how sure the model is of what it decided for them, and cut
    into at most four groups of about as many rows each. No group depends on an answer.

    Parameters
    ----------
    decided, confidence : ndarray of shape (rows,)
    n : int
        Size of the audit.

    Examples
    --------
    >>> decided = np.repeat([0, 1, 2, 3], 40)
    >>> sure = np.array([0.9, 0.5, 0.8, 0.6])[decided]
    >>> group, names = label_groups([Label(name) for name in "abcd"], decided, sure, 60)
    >>> group.tolist(), names
    ([1, 0, 1, 0], ['labels of which the model is least sure', 'labels of which the model is surest'])
    """
    rows = np.bincount(decided, minlength=len(labels))
    if any(label.parent for label in labels):
        group, names = _by_parent(labels, rows, n)
    else:
        total: FloatArray = np.bincount(decided, confidence, len(labels)).astype(np.float64)
        group, names = _by_confidence(rows, total, n)
    return (group, names) if len(names) > 1 else (np.full(len(labels), -1), [])


def _by_parent(labels: Sequence[Label], rows: IntArray, n: int) -> tuple[IntArray, list[str]]:
    parents = [label.parent or "" for label in labels]
    counts = {
        name: rows[[place for place, own in enumerate(parents) if own == name]].sum() for name in parents
    }
    least = ANSWERS_A_GROUP * rows.sum() / max(n, 1)
    names = sorted(name for name, count in counts.items() if name and count >= least)
    group = np.array([names.index(own) if own in names else len(names) for own in parents])
    rest = rows[group == len(names)].sum()
    return group, [*names, "other labels"] if rest else names


def _by_confidence(rows: IntArray, total: FloatArray, n: int) -> tuple[IntArray, list[str]]:
    count = min(MOST_GROUPS, n // ANSWERS_A_GROUP)
    order = np.argsort(total / np.maximum(rows, 1), kind="stable")
    before = np.cumsum(rows[order]) - rows[order] / 2
    group = np.empty(len(rows), dtype=np.int64)
    group[order] = np.minimum(before * count / max(rows.sum(), 1), max(count - 1, 0)).astype(np.int64)
    between = [f"labels between, part {place}" for place in range(1, count - 1)]
    names = ["labels of which the model is least sure", *between, "labels of which the model is surest"]
    used = np.unique(group)
    return (np.searchsorted(used, group), names) if len(used) == count == len(names) else (group, [])


def audit_rows(
    audit: Audit, problem: Problem, decisions: Sequence[Decision], state: State
) -> Iterator[dict[str, Any]]:
    """Yield what the audit asked, one row a draw, with the probability that it had of being drawn."""
    population, names = audit.population, [label.name for label in problem.labels]
    probability = len(audit.sample.agreed) / max(len(population.owner), 1)
    places = np.flatnonzero(problem.owner >= 0)
    unsettled = np.isin(problem.owner[places], population.owner)
    rows = places[unsettled]
    for place in np.flatnonzero(audit.sample.drawn).tolist():
        answer = int(state.answers[population.owner[place]])
        yield {
            "id": decisions[rows[place]].id,
            "text": decisions[rows[place]].text,
            "decided": names[population.labels[place]] if population.labels[place] >= 0 else None,
            "answer": names[answer] if answer >= 0 else None,
            "confidence": float(population.confidence[place]),
            "inclusion_probability": probability,
        }
