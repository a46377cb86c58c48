"""Any text model of fastembed, in ONNX Runtime (extra `fastembed`)."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.errors import MissingExtraError, ModelError
from vermilion.types import FloatArray
from vermilion.world.onnx_runtime import load_onnxruntime
from vermilion.world.vectors import unit_rows
from vermilion.world.weights import digest_of, folder_hashes

BATCH = 32
# What may lie in a model's folder and change its vectors: beside JSON and vocabularies, the graph and its weights.
GRAPHS = frozenset({".onnx", ".onnx_data", ".npy", ".safetensors", ".json", ".txt", ".model"})


class FastembedEncoder:
    """A model by its name in fastembed, loaded from its cache (FASTEMBED_CACHE_PATH) or downloaded.

    Where a model's activations are quantised on the way, as in some of those whose file says "quantized", a text's
    vector depends a little on the texts beside it; that is a property of those files.

    Raises
    ------
    MissingExtraError
        fastembed is not installed.
    ModelError
        fastembed does not know the name, or cannot load the model.
    """

    def __init__(self, model: str, *, threads: int | None = None) -> None:
        try:
            load_onnxruntime()  # before fastembed imports it
            from fastembed import TextEmbedding
        except ImportError:
            raise MissingExtraError("fastembed", "fastembed") from None
        self.name = f"fastembed:{model}"
        _check_known(self.name, model, [known["model"] for known in TextEmbedding.list_supported_models()])
        self._model = _loaded(TextEmbedding, self.name, model, threads)
        folder = Path(self._model.model._model_dir)
        self.dimension = len(next(iter(self._model.embed(["dimension"]))))
        self.digest = digest_of(self.name, folder_hashes(folder, GRAPHS), "unit", 1)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return unit_rows(np.array(list(self._model.embed(list(texts), batch_size=BATCH)), dtype=np.float32))


def _check_known(name: str, model: str, known: Sequence[str]) -> None:
    by_lower = {one.lower(): one for one in known}
    if model.lower() in by_lower:
        return
    near = difflib.get_close_matches(model.lower(), by_lower, n=1, cutoff=0.4)
    hint = (
        f"did you mean fastembed:{by_lower[near[0]]}?"
        if near
        else "give one of TextEmbedding.list_supported_models()"
    )
    raise ModelError(f"{name}: expected one of the {len(known)} models of fastembed, found {model!r}; {hint}")


def _loaded(kind: Any, name: str, model: str, threads: int | None) -> Any:
    """Load a model; fastembed reports each try of a download on stderr, of which the error tells enough."""
    from loguru import logger

    logger.disable("fastembed")
    try:
        return kind(model, threads=threads, providers=["CPUExecutionProvider"])
    # The hub, the file system and ONNX Runtime raise what they like.
    except Exception as error:
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise ModelError(
            f"{name}: cannot be loaded ({reason}); check the network or FASTEMBED_CACHE_PATH"
        ) from error
    finally:
        logger.enable("fastembed")
