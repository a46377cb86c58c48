"""Pairs of texts as vectors: both texts are encoded by themselves, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from vermilion.errors import InputError
from vermilion.types import Encoder, FloatArray, Texts
from vermilion.world.pairs import all_pairs, split_pair
from vermilion.world.vectors import VectorCache, unit_rows
from vermilion.world.weights import digest_of

# What stands before the name of the encoder of the single texts.
PREFIX = "pairs:"
# Of the cosine beside the four blocks of features; docs/design/pairs.md has what others give.
COSINE_WEIGHT = 4.0
# Pairs compared at once: of more, the blocks before they are joined would take as much memory again.
CHUNK_PAIRS = 4096
FEATURES = ["a", "b", "product", "difference", COSINE_WEIGHT, "unit", 1]


def pair_features(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return both vectors, their product and difference coordinate by coordinate, and their cosine.

    As in InferSent (Conneau et al., 2017), with the cosine added. Each block has a length of about 1; a product of
    two unit vectors would be `sqrt(d)` times shorter than they are.

    Parameters
    ----------
    first, second : ndarray of float32, shape (n, d)
        Unit rows.

    Returns
    -------
    ndarray of float32, shape (n, 4 * d + 1)
        Unit rows.

    Examples
    --------
    >>> same, other = pair_features(np.eye(2, dtype=np.float32)[[0, 0]], np.eye(2, dtype=np.float32))
    >>> bool(same[-1] > 0), float(other[-1])
    (True, 0.0)
    """
    product = first * second
    cosine = product.sum(axis=1, keepdims=True)
    blocks = [
        first,
        second,
        np.float32(first.shape[1] ** 0.5) * product,
        np.abs(first - second),
        np.float32(COSINE_WEIGHT) * cosine,
    ]
    return unit_rows(np.hstack(blocks))


def cosines(features: FloatArray) -> FloatArray:
    """Return the cosine of the two texts of each pair, shape (n,), from rows of `pair_features`.

    Examples
    --------
    >>> first = np.array([[0.6, 0.8], [1.0, 0.0]], dtype=np.float32)
    >>> cosines(pair_features(first, np.array([[0.6, 0.8], [0.0, 1.0]], dtype=np.float32))).round(3).tolist()
    [1.0, 0.0]
    """
    width = features.shape[1] // 4
    first, second = features[:, :width], features[:, width : 2 * width]
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    found: FloatArray = np.einsum("ij,ij->i", first, second) / lengths
    return found


class PairEncoder:
    """An encoder of pairs, made of one for single texts. A text that comes in many pairs is encoded once.

    Parameters
    ----------
    single : Encoder
        Of the two texts of each pair.

    Examples
    --------
    >>> from vermilion.world.encoders import load_encoder
    >>> from vermilion.world.pairs import join_pair
    >>> encoder = load_encoder("pairs:static")
    >>> answers = ("your card is on its way", "open a savings account")
    >>> vectors = encoder.encode([join_pair("where is my card?", answer) for answer in answers])
    >>> vectors.shape, bool(vectors[0, -1] > vectors[1, -1])
    ((2, 1025), True)
    """

    def __init__(self, single: Encoder) -> None:
        self.name = PREFIX + single.name
        self.dimension = 4 * single.dimension + 1
        self.digest = digest_of(self.name, single.digest, FEATURES)
        self.single = single
        self._cache: VectorCache | None = None

    def keeping(self, folder: Path) -> Self:
        """Return the same encoder with the vectors of single texts kept in a folder."""
        made = type(self)(self.single)
        made._cache = VectorCache(folder, self.single)
        return made

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension).

        Parameters
        ----------
        progress : callable, optional
            Called with the number of pairs whose share of the single texts is done; last with len(texts).

        Raises
        ------
        InputError
            A text is no pair.
        """
        pairs = [split_pair(text) for text in texts]
        distinct = list(dict.fromkeys(side for pair in pairs for side in pair))
        vectors = self._encode_single(distinct, _scaled(progress, len(texts), len(distinct)))
        place = {text: row for row, text in enumerate(distinct)}
        rows = np.array([(place[a], place[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
        features = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), CHUNK_PAIRS):
            part = rows[start : start + CHUNK_PAIRS]
            features[start : start + CHUNK_PAIRS] = pair_features(vectors[part[:, 0]], vectors[part[:, 1]])
        return features

    def _encode_single(self, texts: list[str], progress: Callable[[int], None] | None) -> FloatArray:
        if self._cache is not None:
            return self._cache.encode(texts, progress=progress)
        vectors = self.single.encode(texts)
        if progress is not None:
            progress(len(texts))
        return vectors


def _scaled(told: Callable[[int], None] | None, total: int, of: int) -> Callable[[int], None] | None:
    """Turn "so many single texts are done" into as large a share of the pairs."""
    if told is None:
        return None
    return lambda done: told(total * done // of if of else total)


def keep_vectors(folder: Path, encoder: Encoder) -> VectorCache | PairEncoder:
    """Return the encoder with its vectors kept in a folder; of pairs those of their single texts."""
    return encoder.keeping(folder) if isinstance(encoder, PairEncoder) else VectorCache(folder, encoder)


def spec_for(spec: str, texts: Texts) -> str:
    """Return the name of the encoder that suits the texts: for pairs, of pairs.

    Raises
    ------
    InputError
        An encoder of pairs is named, and the texts are single.

    Examples
    --------
    >>> from vermilion.world.pairs import join_pair
    >>> spec_for("static", Texts(("0",), (join_pair("hi", "hello"),)))
    'pairs:static'
    """
    pairs, named = all_pairs(texts.texts), spec.startswith(PREFIX)
    if named and not pairs:
        cure = "give the columns text_a and text_b, or another encoder"
        raise InputError("pairs of texts", "single texts", texts.source or "texts", cure)
    return f"{PREFIX}{spec}" if pairs and not named else spec


def check_kind(encoder: Encoder, texts: Texts) -> None:
    """Check that texts are of the kind that an encoder was made for.

    Raises
    ------
    InputError
        They are pairs and it is for single texts, or the other way round.
    """
    wanted = isinstance(encoder, PairEncoder)
    if not len(texts) or all_pairs(texts.texts) == wanted:
        return
    expected, found = ("pairs of texts", "single texts") if wanted else ("single texts", "pairs of texts")
    columns = "the columns text_a and text_b" if wanted else "a column text, or name one with --text-column"
    raise InputError(
        f"{expected}, which the model learned from", found, texts.source or "texts", f"give {columns}"
    )
