"""Texts encoded a second: ours beside sentence-transformers and fastembed, and the share of the machine's peak."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from benchmarks.speed.machine import flops_of_multiply, multiply
from benchmarks.speed.peers import PEERS, Peer, PeerError, started, write_model_folder
from benchmarks.speed.timing import Contestant, Times, alternate, ratios, stopwatch
from vermilion.types import Encoder
from vermilion.world.encoders import MINILM_TOKENIZER, MiniLMEncoder, StaticEncoder

OURS, PEAK = "minilm", "multiply"
LAYERS, WIDTH, WIDER, MOST_TOKENS = 6, 384, 1536, 256


@dataclass(frozen=True, slots=True)
class EncodingPlan:
    """How much is encoded.

    Attributes
    ----------
    words : int
        Of each text.
    texts : int
        In each repeat; `static` gets `static_texts`, or its time would be too short to tell.
    """

    words: int
    texts: int
    static_texts: int
    repeats: int
    threads: int

    def condition(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "part": "encoding",
            "words": self.words,
            "texts": self.texts,
            "static_texts": self.static_texts,
            "threads": self.threads,
        }


def pieces(texts: Sequence[str], words: int, count: int) -> list[str]:
    """Return `count` texts of exactly `words` words, cut from real ones laid end to end, over again if need be.

    Examples
    --------
    >>> pieces(["a b c", "d e"], 2, 3)
    ['a b', 'c d', 'e a']
    """
    stream = _endless(" ".join(texts).split())
    return [" ".join(next(stream) for _ in range(words)) for _ in range(count)]


def _endless(words: Sequence[str]) -> Iterator[str]:
    while True:
        yield from words


def flops(tokens: Sequence[int]) -> float:
    """Return the multiplications and additions of all-MiniLM-L6-v2 for texts of so many tokens each.

    Matrix products only, without padding: four of WIDTH x WIDTH and two of WIDTH x WIDER a token and layer, and
    the scores and sums of attention, which grow with the square of a text's length.

    Examples
    --------
    >>> flops([1]) == 6 * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 4 * 384)
    True
    """
    lengths = np.asarray(tokens, dtype=np.float64)
    linear = 2 * (4 * WIDTH * WIDTH + 2 * WIDTH * WIDER) * lengths
    attention = 4 * WIDTH * lengths**2
    return float(LAYERS * (linear + attention).sum())


def measure(plan: EncodingPlan, texts: Sequence[str], environments: Path) -> dict[str, Any]:
    """Let all encoders take turns on the same texts."""
    short, many = pieces(texts, plan.words, plan.texts), pieces(texts, plan.words, plan.static_texts)
    minilm = MiniLMEncoder(threads=plan.threads)
    contestants: dict[str, Contestant] = {
        OURS: _ours(minilm, short),
        "static": _ours(StaticEncoder(), many),
        PEAK: lambda: multiply(plan.threads),
    }
    with ExitStack() as stack:
        peers, missing = _peers(stack, environments, plan.threads)
        for name, peer in peers.items():
            contestants[name] = _theirs(peer, short)
        for warm_up in contestants.values():
            warm_up()
        times = alternate(contestants, plan.repeats)
    first = minilm.encode(short[:1])[0]
    cosines = {name: round(float(first @ peer.first), 5) for name, peer in peers.items()}
    versions = {name: peer.versions for name, peer in peers.items()}
    return _figures(plan, short, times) | {
        "cosine_to_ours": cosines,
        "versions": versions,
        "not_measured": missing,
    }


def _ours(encoder: Encoder, texts: Sequence[str]) -> Contestant:
    return stopwatch(lambda: encoder.encode(texts))


def _theirs(peer: Peer, texts: Sequence[str]) -> Contestant:
    return lambda: peer.encode(texts)


def _peers(stack: ExitStack, environments: Path, threads: int) -> tuple[dict[str, Peer], dict[str, str]]:
    """Start every peer that is there; say of each other one why it is not measured."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_model_folder(folder)
    running, missing = {}, {}
    for kind in PEERS:
        try:
            running[kind.name] = stack.enter_context(started(kind, environments, folder, threads))
        except PeerError as error:
            missing[kind.name] = str(error)
    return running, missing


def _figures(plan: EncodingPlan, texts: Sequence[str], times: dict[str, Times]) -> dict[str, Any]:
    tokens = _token_counts(texts)
    peak = flops_of_multiply() / times[PEAK].least
    encoders = {name: own for name, own in times.items() if name != PEAK}
    counts = {name: plan.static_texts if name == "static" else plan.texts for name in encoders}
    same_texts = {name: own for name, own in encoders.items() if name != "static"}
    return {
        "tokens_a_text": round(float(np.mean(tokens)), 2),
        "seconds": {name: own.figures() for name, own in encoders.items()},
        "texts_a_second": {name: round(counts[name] / own.median, 1) for name, own in encoders.items()},
        "times_as_long_as_ours": ratios(same_texts, OURS),
        "peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": {
            name: round(flops(tokens) / own.least / peak, 3) for name, own in same_texts.items()
        },
    }


def _token_counts(texts: Sequence[str]) -> list[int]:
    tokenizer: Any = Tokenizer.from_str(MINILM_TOKENIZER.read(None).decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=MOST_TOKENS)
    return [len(one.ids) for one in tokenizer.encode_batch_fast(list(texts))]
