"""Label documents that are longer than what an encoder reads: cut them into chunks, and pool what is said of these.

    python examples/long_documents.py

`minilm` reads 256 tokens, some 170 words. The model learns from short texts; of a document it judges each chunk, and
the mean of the chunks' probabilities is the document's. The mean suits labels of a whole document; for labels that one
passage is enough for, take the largest probability instead.
"""

from __future__ import annotations

import json
from pathlib import Path

from vermilion import TextClassifier

DATA = Path(__file__).parent / "help_centre.jsonl"
WORDS, OVERLAP = 40, 10


def main(encoder: str = "static") -> list[tuple[str, str]]:
    """Learn routes from queries, label one long document for each route; return right and predicted labels."""
    documents = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    known = [(query, each["route"]) for each in documents for query in each["questions"]]
    model = TextClassifier(encoder).fit([query for query, _ in known], [route for _, route in known])

    said = []
    for route in model.classes_.tolist():
        manual = " ".join(each["chunk"] for each in documents if each["route"] == route)
        pooled = model.predict_proba(chunked(manual)).mean(axis=0)
        said.append((route, str(model.classes_[pooled.argmax()])))
    return said


def chunked(text: str, words: int = WORDS, overlap: int = OVERLAP) -> list[str]:
    """Cut a text into chunks of so many words, each of which begins with the last words of the one before.

    Examples
    --------
    >>> chunked("a b c d e", words=3, overlap=1)
    ['a b c', 'c d e']
    """
    all_words = text.split()
    starts = range(0, max(1, len(all_words) - overlap), words - overlap)
    return [" ".join(all_words[start : start + words]) for start in starts]


if __name__ == "__main__":
    for right, label in main():
        print(f"{right:<12}labelled {label}")
