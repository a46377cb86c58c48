"""Rerank what a retriever found by a binary classifier of pairs: sort by the probability that a chunk answers.

    python examples/rerank.py

The same from the command line, with files that have the columns text_a and text_b:

    vermilion train judged.csv --out reranker --positive yes
    vermilion predict reranker retrieved.csv --out scored.csv    # then sort by the column score
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vermilion import TextClassifier
from vermilion.types import IntArray
from vermilion.world.encoders import load_encoder

DATA = Path(__file__).parent / "help_centre.jsonl"
WRONG, RETRIEVED = 3, 8


def main(encoder: str = "minilm") -> dict[str, float]:
    """Learn from three queries a chunk, rerank for the fourth; return the mean reciprocal ranks before and after."""
    documents = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    chunks = [each["chunk"] for each in documents]
    known = [query for each in documents for query in each["questions"][:-1]]
    right = np.repeat(np.arange(len(chunks)), len(known) // len(chunks))
    pairs, labels = [], []
    for query, place, found in zip(
        known, right, retrieve(encoder, known, chunks)[:, : WRONG + 1], strict=True
    ):
        pairs += [(query, chunks[place])] + [(query, chunks[other]) for other in found if other != place]
        labels += ["yes"] + ["no"] * (len(pairs) - len(labels) - 1)
    reranker = TextClassifier(encoder, positive="yes").fit(pairs, labels)
    yes = reranker.classes_.tolist().index("yes")

    queries = [each["questions"][-1] for each in documents]
    found = retrieve(encoder, queries, chunks)[:, :RETRIEVED]
    scores = reranker.predict_proba(
        [(q, chunks[c]) for q, row in zip(queries, found, strict=True) for c in row]
    )
    order = np.argsort(-scores[:, yes].reshape(found.shape), axis=1, kind="stable")
    return {"cosine": mean_rank(found), "reranked": mean_rank(np.take_along_axis(found, order, axis=1))}


def retrieve(encoder: str, queries: list[str], chunks: list[str]) -> IntArray:
    """Return the numbers of the chunks for each query, the nearest first, shape (n_queries, n_chunks)."""
    encode = load_encoder(encoder).encode
    order: IntArray = np.argsort(-encode(queries) @ encode(chunks).T, axis=1, kind="stable")
    return order


def mean_rank(found: IntArray) -> float:
    """Return the mean of 1 / rank of the right chunk, which has its query's number; 0 where it is not found."""
    hits = found == np.arange(len(found))[:, None]
    return float(np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0).mean())


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:<10}mean reciprocal rank {value:.3f}")
