"""Small problems of clustered vectors, for tests of what works on one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vermilion.learn.heads import FlatHead
from vermilion.red.problem import Problem, build, lay_out
from vermilion.red.proposals import Model, Proposals, propose
from vermilion.red.state import State
from vermilion.types import FloatArray, Label, Texts


def texts_of(texts: Sequence[str], labels: Sequence[str] | None = None) -> Texts:
    """Return texts numbered from 0."""
    ids = tuple(str(place) for place in range(len(texts)))
    return Texts(ids, tuple(texts), None if labels is None else tuple((label,) for label in labels))


def make_problem(seed: int = 0, n_labels: int = 4, n_open: int = 24, copies: Sequence[int] = (1,)) -> Problem:
    """Return a problem of labels a, b, ...; the pool holds open text i `copies[i % len(copies)]` times.

    Each label has three given texts, the first of which stands in the pool, too. Gold is the cluster that an
    open text was drawn from.
    """
    rng = np.random.default_rng(seed)
    names = [chr(ord("a") + place) for place in range(n_labels)]
    centres = rng.normal(size=(n_labels, 8))
    cluster = np.arange(n_open) % n_labels
    labelled = texts_of(
        [f"{name} given {i}" for name in names for i in range(3)], [name for name in names for _ in range(3)]
    )
    pool = [f"open {i}" for i in range(n_open) for _ in range(copies[i % len(copies)])]
    layout = lay_out(labelled, texts_of([*pool, *(f"{name} given 0" for name in names)]))
    vectors = (
        _unit(centres.repeat(3, axis=0) + rng.normal(scale=0.5, size=(3 * n_labels, 8))),
        _unit(centres[cluster] + rng.normal(scale=0.8, size=(n_open, 8))),
    )
    gold = {f"open {i}": names[cluster[i]] for i in range(n_open)}
    return build(layout, [Label(name) for name in names], vectors, gold)


def propose_for(problem: Problem, state: State, width: int | None = None) -> tuple[Model, Proposals]:
    """Fit a flat head on the given texts and let it propose."""
    head = FlatHead(C=10.0).fit(problem.X_given, problem.y_given)
    model = Model(head, 1.0)
    return model, propose(model, problem.X_open, state.ruled_out, width or len(problem.labels))


def _unit(X: FloatArray) -> FloatArray:
    rows: FloatArray = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    return rows
