"""Route a query to the part of the index that can answer it, and search everywhere where no route is sure.

    python examples/route_queries.py

A retriever that searches one part of the documents is faster and finds fewer lookalikes. The routes are learned from a
few queries each; what a probability must reach for a route to be taken is for you to choose.
"""

from __future__ import annotations

import json
from pathlib import Path

from vermilion import TextClassifier

DATA = Path(__file__).parent / "help_centre.jsonl"
SURE = 0.5


def main(encoder: str = "static") -> list[tuple[str, str | None]]:
    """Learn from three queries a document, route the fourth; return each query with its route, None for everywhere."""
    documents = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    known = [(query, each["route"]) for each in documents for query in each["questions"][:-1]]
    router = TextClassifier(encoder).fit([query for query, _ in known], [route for _, route in known])

    queries = [each["questions"][-1] for each in documents]
    routes = []
    for query, proba in zip(queries, router.predict_proba(queries), strict=True):
        best = proba.argmax()
        routes.append((query, str(router.classes_[best]) if proba[best] >= SURE else None))
    return routes


if __name__ == "__main__":
    for query, route in main():
        print(f"{route or 'everywhere':<12}{query}")
