"""Judge whether a retrieved chunk answers the query, and give the language model only those that do.

    python examples/judge_chunks.py

The judge is a binary classifier of pairs: a query and a chunk, "answers" or "does not". Its threshold is chosen for a
wanted precision, since a chunk that misleads costs more than one that is missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vermilion import TextClassifier
from vermilion.world.encoders import load_encoder

DATA = Path(__file__).parent / "help_centre.jsonl"
RETRIEVED = 4


def main(encoder: str = "minilm") -> list[tuple[str, str, bool]]:
    """Learn from judged pairs, retrieve for new queries; return each query and chunk, and whether it is kept."""
    documents = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    chunks = [each["chunk"] for each in documents]
    # Judged pairs: what the retriever found for known queries, and whether it was the right chunk.
    known = [(query, each["chunk"]) for each in documents for query in each["questions"][:-1]]
    pairs, labels = [], []
    for (query, right), found in zip(known, retrieve(encoder, [q for q, _ in known], chunks), strict=True):
        for chunk in {right, *found}:
            pairs.append((query, chunk))
            labels.append("answers" if chunk == right else "does not")
    judge = TextClassifier(encoder, threshold="precision:0.8", positive="answers").fit(pairs, labels)

    queries = [each["questions"][-1] for each in documents]
    new = [
        (q, c) for q, found in zip(queries, retrieve(encoder, queries, chunks), strict=True) for c in found
    ]
    return [(*pair, label == "answers") for pair, label in zip(new, judge.predict(new), strict=True)]


def retrieve(encoder: str, queries: list[str], chunks: list[str]) -> list[list[str]]:
    """Return for each query the chunks nearest to it, as a vector database would."""
    encode = load_encoder(encoder).encode
    near = np.argsort(-encode(queries) @ encode(chunks).T, axis=1, kind="stable")[:, :RETRIEVED]
    return [[chunks[place] for place in row] for row in near.tolist()]


if __name__ == "__main__":
    for query, chunk, kept in main():
        print(f"{'keep' if kept else 'drop'}  {query:<50.50}  {chunk:.60}")
