"""The packaged encoders as ONNX models: token numbers in, vectors of length 1 out, no code of ours needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vermilion.errors import InputError
from vermilion.types import FloatArray
from vermilion.world.encoders import (
    MINILM_MODEL,
    MINILM_TOKENIZER,
    STATIC_TOKENIZER,
    STATIC_VECTORS,
    MiniLMEncoder,
    StaticEncoder,
)
from vermilion.world.encoders_joined import SECOND_WEIGHT, split_spec
from vermilion.world.onnx_graph import Graph, as_int8

IDS, MASK, TYPES, STATES = "input_ids", "attention_mask", "token_type_ids", "last_hidden_state"
VECTORS = "vectors"


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """An encoder as files.

    Attributes
    ----------
    name : str
    onnx : bytes
        Inputs `input_ids` and `attention_mask`, int64 of shape (n, tokens); output `vectors`, float32 of length 1.
    tokenizer : bytes
        A tokenizer.json that gives the tokens as they are to go in; cut, not padded.
    max_characters : int
        Only so many of a text are tokenised.
    max_tokens : int or None
        The tokenizer cuts there; None: it does not.
    empty : int
        The token of a text without tokens.
    weight : float
        What its vector is multiplied by before the vectors of all encoders are put side by side.
    """

    name: str
    onnx: bytes
    tokenizer: bytes
    max_characters: int
    max_tokens: int | None
    empty: int
    weight: float = 1.0

    def limits(self) -> dict[str, Any]:
        """Return what is to be known of it besides the files, as plain JSON types."""
        return {
            "name": self.name,
            "max_characters": self.max_characters,
            "max_tokens": self.max_tokens,
            "empty": self.empty,
            "weight": self.weight,
        }


def tokens_of(files: EncoderFiles, texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of texts by the tokenizer that goes with an encoder."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(files.tokenizer.decode())
    return [tokenizer.encode(text[: files.max_characters]).ids for text in texts]


def encoder_files(spec: str, *, int8: bool = False) -> tuple[EncoderFiles, ...]:
    """Return an encoder as files: one, or two where it joins two.

    Parameters
    ----------
    spec : str
        minilm, static, or both as in minilm+static.
    int8 : bool
        The table of `static` as int8 by rows; MiniLM's weights are int8 as packaged.

    Raises
    ------
    InputError
        The encoder is another.
    MissingExtraError, ModelError
        onnx is not installed; a packaged file is missing or damaged.
    """
    parts = split_spec(spec)
    if any(part not in FILES for part in parts):
        cure = "learn the model with one of these, or serve it by vermilion serve"
        raise InputError("an encoder of minilm, static or minilm+static", repr(spec), "the model", cure)
    length = float(np.hypot(1.0, SECOND_WEIGHT))
    weights = (1.0,) if len(parts) == 1 else (1 / length, SECOND_WEIGHT / length)
    return tuple(FILES[part](weight, int8) for part, weight in zip(parts, weights, strict=True))


def _minilm(weight: float, int8: bool) -> EncoderFiles:
    graph = Graph()
    types = graph.add("Sub", IDS, IDS)
    mask = graph.add("Cast", MASK, to=graph.onnx.TensorProto.FLOAT)
    row = graph.add("Unsqueeze", mask, graph.constant(np.array([1], dtype=np.int64)))
    total = graph.add(
        "Squeeze", graph.add("MatMul", row, STATES), graph.constant(np.array([1], dtype=np.int64))
    )
    vectors = graph.unit_rows(total)  # of the sum, since the mean has its direction
    onnx = graph.extended(MINILM_MODEL.read(), {VECTORS: vectors}, {TYPES: types})
    told = json.loads(MINILM_TOKENIZER.read())
    cut = {
        "direction": "Right",
        "max_length": MiniLMEncoder.max_tokens,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    tokenizer = _packed(told | {"padding": None, "truncation": cut})
    limits = (MiniLMEncoder.max_characters, MiniLMEncoder.max_tokens)
    return EncoderFiles("minilm", onnx, tokenizer, *limits, empty=100, weight=weight)


def _static(weight: float, int8: bool) -> EncoderFiles:
    from safetensors.numpy import load

    (table,) = load(STATIC_VECTORS.read()).values()
    told = json.loads(STATIC_TOKENIZER.read())
    unknown = int(told["model"]["vocab"]["<unk>"])
    graph = Graph()
    mask = graph.add("Cast", MASK, to=graph.onnx.TensorProto.FLOAT)
    row = graph.add("Unsqueeze", mask, graph.constant(np.array([1], dtype=np.int64)))
    total = graph.add("MatMul", row, _rows_of(graph, table, int8))
    total = graph.add("Squeeze", total, graph.constant(np.array([1], dtype=np.int64)))
    length = graph.add("ReduceL2", total, axes=[-1], keepdims=1)
    nothing = graph.add("Equal", length, graph.constant(np.float32(0)))
    fallback = graph.constant(table[[unknown]].astype(np.float32))
    vectors = graph.unit_rows(graph.add("Where", nothing, fallback, total))
    onnx = graph.model(
        {IDS: ("int64", ["batch", "tokens"]), MASK: ("int64", ["batch", "tokens"])},
        {VECTORS: ("float32", ["batch", table.shape[1]])},
        {VECTORS: vectors},
    )
    tokenizer = _packed(told | {"post_processor": None, "padding": None, "truncation": None})
    return EncoderFiles("static", onnx, tokenizer, StaticEncoder.max_characters, None, unknown, weight)


def _rows_of(graph: Graph, table: FloatArray, int8: bool) -> str:
    """Return the rows of a table that the tokens name, as float32; the table stays as small as it is packed."""
    if not int8:
        rows = graph.add("Gather", graph.constant(table), IDS)
        return graph.add("Cast", rows, to=graph.onnx.TensorProto.FLOAT)
    whole, scale = as_int8(table.astype(np.float32))
    rows = graph.add("Cast", graph.add("Gather", graph.constant(whole), IDS), to=graph.onnx.TensorProto.FLOAT)
    return graph.add("Mul", rows, graph.add("Gather", graph.constant(scale[:, None]), IDS))


def _packed(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


FILES: dict[str, Callable[[float, bool], EncoderFiles]] = {"minilm": _minilm, "static": _static}
