"""The likeliest labels of a text as they are shown: by name, with rounded probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vermilion.types import FloatArray, IntArray

SHOWN_CANDIDATES = 5

Candidates = tuple[tuple[str, float], ...]


def shown_candidates(
    names: Sequence[str], labels: IntArray, proba: FloatArray, most: int = SHOWN_CANDIDATES
) -> list[Candidates]:
    """Return the first candidates of each row, by name and with rounded probability.

    Parameters
    ----------
    names : sequence of str
        Of the numbers in `labels`.
    labels, proba : ndarray of shape (n, width)
        The likeliest first.
    most : int
        How many at most.

    Examples
    --------
    >>> import numpy as np
    >>> shown_candidates(["a", "b"], np.array([[1, 0]]), np.array([[2 / 3, 1 / 3]]))
    [(('b', 0.666667), ('a', 0.333333))]
    """
    # Lists, since a Python number is made in one go for all rows: one by one takes three times as long.
    numbers, values = labels[:, :most].tolist(), proba[:, :most].tolist()
    return [
        tuple((names[number], round(p, 6)) for number, p in zip(row, shares, strict=True))
        for row, shares in zip(numbers, values, strict=True)
    ]


def candidate_cells(candidates: Candidates) -> list[dict[str, Any]]:
    """Return candidates as they stand in an output file."""
    return [{"label": label, "probability": p} for label, p in candidates]
