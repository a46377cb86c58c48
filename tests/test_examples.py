"""The recipes of examples/, run as they stand."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DOCUMENTS = [
    json.loads(line) for line in (ROOT / "examples/help_centre.jsonl").read_text("utf-8").splitlines()
]


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_queries_are_routed() -> None:
    routes = example("route_queries").main()
    right = {each["questions"][-1]: each["route"] for each in DOCUMENTS}
    assert {query for query, _ in routes} == set(right)
    assert sum(route == right[query] for query, route in routes) >= 0.8 * len(right)


def test_documents_are_tagged() -> None:
    rows = example("tag_documents").main()
    right = {each["chunk"]: set(each["tags"]) for each in DOCUMENTS}
    tags = set().union(*right.values())
    assert [row["text"] for row in rows] == [each["chunk"] for each in DOCUMENTS[::4]]
    assert all(set(row["tags"]) <= tags for row in rows)
    given = [(row["text"], tag) for row in rows for tag in row["tags"]]
    hits = sum(tag in right[text] for text, tag in given)
    assert hits >= 0.8 * len(given)
    assert hits >= 0.6 * sum(len(right[row["text"]]) for row in rows)


def test_every_tag_has_documents_to_learn_from() -> None:
    told = [tag for place, each in enumerate(DOCUMENTS) if place % 4 for tag in each["tags"]]
    assert all(told.count(tag) >= 2 for each in DOCUMENTS for tag in each["tags"])


def test_chunks_are_judged() -> None:
    judged = example("judge_chunks").main("static")
    right = {each["questions"][-1]: each["chunk"] for each in DOCUMENTS}
    kept = [(query, chunk) for query, chunk, keep in judged if keep]
    assert len(judged) == 4 * len(DOCUMENTS)
    # What is kept is right far more often than what was retrieved.
    retrieved = sum(right[query] == chunk for query, chunk, _ in judged) / len(judged)
    assert sum(right[query] == chunk for query, chunk in kept) / len(kept) > 2 * retrieved


def test_reranking_beats_the_order_of_the_retriever() -> None:
    ranks = example("rerank").main()
    assert ranks["reranked"] > ranks["cosine"] > 0.8


def test_long_documents_are_labelled() -> None:
    module = example("long_documents")
    assert all(right == label for right, label in module.main())
    assert module.chunked("a b c d e", words=3, overlap=1) == ["a b c", "c d e"]
    assert module.chunked("a b") == ["a b"]
    assert [chunk.split()[0] for chunk in module.chunked(" ".join(map(str, range(100))))] == ["0", "30", "60"]


@pytest.mark.parametrize("page", ["examples/README.md", "docs/recipes.md"])
def test_every_recipe_is_listed(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    missing = [path.name for path in EXAMPLES if path.name not in text]
    assert not missing, f"{page} has no line for {', '.join(missing)}"


def test_labels_slip_and_none_is_lost(tmp_path: Path) -> None:
    rows = [(f"text {place}, with a comma", f"label {place // 10}") for place in range(40)]
    given, slipped = tmp_path / "labelled.csv", tmp_path / "slipped.csv"
    with given.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    assert example("slip_labels").main(str(given), str(slipped)) == 40
    with slipped.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["text"] for row in found] == [text for text, _ in rows]
    assert sorted(row["label"] for row in found) == sorted(label for _, label in rows)
    assert not any(row["label"] == label for row, (_, label) in zip(found, rows, strict=True))
