"""Pairs of a labelled text and a label to check the expert on, before the pool is touched."""

from __future__ import annotations

import numpy as np

from vermilion.red.check import Checked
from vermilion.red.several_loop import select_pairs
from vermilion.red.several_problem import SeveralProblem
from vermilion.types import BoolArray, FloatArray

Pair = tuple[int, int]


def pairs_to_check(problem: SeveralProblem, proba: FloatArray, most: int, seed: int) -> Checked:
    """Write out questions about labelled texts, each text once: is this label right?

    Half of them are about pairs on which the head, not having seen the text, is least sure, the labels in turn: such
    pairs are what a run asks about. The others are random, as many with a label that the text has as with one that it
    has not. The head says whichever of "has it" and "has it not" is likelier.

    Parameters
    ----------
    proba : ndarray of shape (n_given, K)
        What the head says of each labelled text that it has not learned from.
    most : int
        Questions.
    """
    disputed = _disputed(proba, most // 2)
    pairs = [*disputed, *_random(problem.Y_given, {row for row, _ in disputed}, most - len(disputed), seed)]
    truth = [bool(problem.Y_given[pair]) for pair in pairs]
    said = [bool(proba[pair] >= 0.5) for pair in pairs]
    return Checked(
        tuple(problem.question(-1 - row, label) for row, label in pairs),
        tuple(problem.labels[label].name if on else "" for (_, label), on in zip(pairs, truth, strict=True)),
        np.array(said, dtype=np.bool_) == np.array(truth, dtype=np.bool_),
        np.arange(len(pairs)) < len(disputed),
    )


def _disputed(proba: FloatArray, most: int) -> list[Pair]:
    """Choose as a round does, of each text one pair."""
    chosen: dict[int, int] = {}
    for row, label in select_pairs(proba, np.ones(proba.shape, dtype=np.bool_), proba.size):
        if len(chosen) == most:
            break
        chosen.setdefault(row, label)
    return list(chosen.items())


def _random(Y: BoolArray, but: set[int], most: int, seed: int) -> list[Pair]:
    """Draw texts, and of each a label that it has, or in turn one that it has not."""
    rng = np.random.default_rng([seed, 3])
    rows = [row for row in rng.permutation(len(Y)).tolist() if row not in but][:most]
    found = []
    for place, row in enumerate(rows):
        wanted = np.flatnonzero(Y[row] == (place % 2 == 0))
        found.append((row, int(rng.choice(wanted if len(wanted) else Y.shape[1]))))
    return found
