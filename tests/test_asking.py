"""Which confirmed texts a question shows as examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vermilion.red.asking import Confirmed, Examples, nearest_examples
from vermilion.types import FloatArray


def by_looking_at_all(
    known: Confirmed, x: FloatArray, options: Sequence[int], but: int, most: int
) -> list[tuple[int, int]]:
    """Return the examples of each option, found row by row."""
    shares = [0] * len(options)
    for turn in range(4 * len(options)):
        shares[turn % len(options)] += sum(shares) < most
    found = []
    for option, share in zip(options, shares, strict=True):
        rows = [row for row, label in enumerate(known.y) if label == option and int(known.places[row]) != but]
        rows.sort(key=lambda row: -float(known.X[row] @ x))
        found += [(option, int(known.places[row])) for row in rows[:share]]
    return found


@given(
    seed=st.integers(0, 1000),
    y=st.lists(st.integers(0, 5), max_size=30),
    options=st.lists(st.integers(0, 7), max_size=8, unique=True),
    but=st.integers(-16, 15),
    most=st.integers(1, 24),
)
def test_examples_are_the_nearest_of_each_option(
    seed: int, y: list[int], options: list[int], but: int, most: int
) -> None:
    """Vectors are small whole numbers, so that products are exact and there are ties; some labels have no text."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, size=(len(y), 3)).astype(np.float32)
    known = Confirmed(X, np.array(y, dtype=np.int64), rng.permutation(np.arange(-15, 15))[: len(y)])
    x = rng.integers(-2, 3, size=3).astype(np.float32)
    found = nearest_examples(Examples.of(known), x, options, but=but, most=most)
    assert list(found) == by_looking_at_all(known, x, options, but, most)
    assert but not in [place for _, place in found]
