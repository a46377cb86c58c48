"""Two encoders side by side, `minilm+static`: what one of them misses, the other may see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from vermilion.types import Encoder, FloatArray
from vermilion.world.weights import digest_of

# docs/design/encoders.md has the accuracy at other weights.
SECOND_WEIGHT = 0.5
# Texts given to an encoder at once: its vectors exist beside the joined ones, but never all of them.
CHUNK_TEXTS = 4096
# The name of a model may have a plus sign of its own, as in st:/models/c++.
JOINT = re.compile(r"\+(?=(?:minilm|static)(?:\+|$)|(?:st|openai|fastembed|model2vec):)")


class JoinedEncoder:
    """The vectors of two encoders as one of unit length, the second's with half the weight of the first's.

    Parameters
    ----------
    first, second : Encoder
        Their order matters: `minilm+static` and `static+minilm` are two encoders.
    """

    def __init__(self, first: Encoder, second: Encoder) -> None:
        self.name = f"{first.name}+{second.name}"
        self.dimension = first.dimension + second.dimension
        self.digest = digest_of(self.name, first.digest, second.digest, ["joined", SECOND_WEIGHT, 1])
        self._first, self._second = first, second

    @property
    def parts(self) -> tuple[Encoder, Encoder]:
        """The two encoders, first and second."""
        return self._first, self._second

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        length = np.float32(np.hypot(1.0, SECOND_WEIGHT))  # of two unit vectors side by side, so weighted
        border = self._first.dimension
        for start in range(0, len(texts), CHUNK_TEXTS):
            rows = slice(start, start + CHUNK_TEXTS)
            vectors[rows, :border] = self._first.encode(texts[rows]) / length
            vectors[rows, border:] = self._second.encode(texts[rows]) * (SECOND_WEIGHT / length)
        return vectors


def split_spec(spec: str) -> list[str]:
    """Return the parts of an encoder's name that plus signs join.

    Examples
    --------
    >>> split_spec("minilm+static"), split_spec("st:/models/c++/a"), split_spec("st:acme/a+openai:b")
    (['minilm', 'static'], ['st:/models/c++/a'], ['st:acme/a', 'openai:b'])
    """
    return [part for run in JOINT.split(spec) for part in _before_colon(run)]


def _before_colon(run: str) -> Iterator[str]:
    """Split at every plus sign that stands before the first colon: none of those belongs to a model."""
    kinds, colon, model = run.partition(":")
    *plain, last = kinds.split("+")
    yield from plain
    yield last + colon + model
