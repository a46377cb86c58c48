"""What every implementation of a protocol must keep: one `check_*` function for each protocol."""

from __future__ import annotations

import numpy as np

from vermilion.types import Encoder


def check_encoder(encoder: Encoder) -> None:
    """Check shape, type, unit length, determinism, order, and that a row does not depend on the others."""
    assert isinstance(encoder, Encoder)
    assert encoder.name
    assert len(encoder.digest) >= 16
    assert int(encoder.digest, 16) >= 0
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert encoder.encode([]).dtype == np.float32
    texts = ["where is my card?", "Ünïcödé – 你好 🙂", "", " \n\t", "a", "where is my card?", "x " * 3000]
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(texts), vectors)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], vectors, atol=1e-6)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(alone, vectors, atol=1e-6)
    assert not np.allclose(vectors[0], vectors[4])
