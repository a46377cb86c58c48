"""Static vectors made by model2vec: a table of token vectors, and no model to run (extra `model2vec`)."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from vermilion.errors import MissingExtraError, ModelError
from vermilion.types import FloatArray
from vermilion.world.vectors import unit_rows
from vermilion.world.weights import digest_of

MAX_TOKENS = 512


class Model2VecEncoder:
    """A model2vec model, by the name of a hub repository or a local folder: the mean of a text's token vectors.

    The first 512 tokens count. Weights are read from safetensors only.

    Raises
    ------
    MissingExtraError
        model2vec is not installed.
    ModelError
        The model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from model2vec import StaticModel
        except ImportError:
            raise MissingExtraError("model2vec", "model2vec") from None
        self.name = f"model2vec:{model}"
        try:
            self._model = StaticModel.from_pretrained(model, normalize=False, force_download=False)
        # A damaged folder or a wrong name makes it raise anything: SafetensorError, KeyError, the hub's own errors.
        except Exception as error:
            reason = textwrap.shorten(str(error), 200, placeholder=" ...")
            raise ModelError(
                f"{self.name}: cannot be loaded ({reason}); expected a folder or a name on huggingface.co that"
                " model2vec can load"
            ) from error
        self.dimension = int(self._model.dim)
        self.digest = digest_of(self.name, _fingerprint(self._model), MAX_TOKENS, "unit", 1)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = self._model.encode(list(texts), max_length=MAX_TOKENS, use_multiprocessing=False)
        return unit_rows(vectors)


def _fingerprint(model: Any) -> str:
    """Return the hash of all that fixes the vectors: table, weights of tokens, and tokeniser."""
    found = hashlib.sha256(model.tokenizer.to_str().encode())
    for part in (model.embedding, model.weights, model.token_mapping):
        if part is not None:
            array = np.ascontiguousarray(part)
            found.update(f"{array.dtype}{array.shape}".encode())
            found.update(array.tobytes())
    return found.hexdigest()
