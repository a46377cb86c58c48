"""Tag documents before they are indexed, so that a search can be narrowed to a tag; a document may have several.

    python examples/tag_documents.py

Each tag has a threshold of its own, chosen on texts held out. The rows that come out go into the index as they are.
A tag can be given only where some tagged document has it, so few tags with many documents each are worth more than many
with one: see docs/recipes.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vermilion import TextClassifier

DATA = Path(__file__).parent / "help_centre.jsonl"


def main(encoder: str = "static") -> list[dict[str, Any]]:
    """Learn from the tagged documents and the questions they answer; return the others with their tags."""
    documents = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    # Every fourth document comes without its tags; a question has the tags of the document that answers it.
    tagged = [each for place, each in enumerate(documents) if place % 4]
    texts = [(text, each["tags"]) for each in tagged for text in (each["chunk"], *each["questions"])]
    tagger = TextClassifier(encoder).fit([text for text, _ in texts], [tags for _, tags in texts])

    new = [each["chunk"] for each in documents[::4]]
    return [{"text": text, "tags": sorted(tags)} for text, tags in zip(new, tagger.predict(new), strict=True)]


if __name__ == "__main__":
    for row in main():
        print(json.dumps(row))
