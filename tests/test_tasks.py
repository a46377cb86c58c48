"""The task that labelled texts pose."""

from __future__ import annotations

import pytest

from vermilion.errors import InputError
from vermilion.types import Label, Texts
from vermilion.world.pairs import join_pair
from vermilion.world.tasks import infer_task


def given(*labels: tuple[str, ...], pairs: bool = False) -> Texts:
    numbers = tuple(map(str, range(len(labels))))
    texts = tuple(join_pair(f"a {n}", f"b {n}") if pairs else f"text {n}" for n in numbers)
    return Texts(numbers, texts, labels, "given.csv", tuple(range(1, len(labels) + 1)))


A, B, C = Label("a"), Label("b"), Label("c")
TWO = given(("a",), ("b",))
THREE = given(("a",), ("b",), ("c",))
SEVERAL = given(("a",), ("a", "b"))
TREE = (Label("top"), Label("a", parent="top"), Label("b", parent="top"))


def test_tasks_are_inferred() -> None:
    assert infer_task(TWO, [A, B]) == "binary"
    assert infer_task(THREE, [A, B, C]) == "multi-class"
    assert infer_task(SEVERAL, [A, B]) == "multi-label"
    assert infer_task(TWO, TREE) == "hierarchical"
    assert infer_task(given(("a",), ("b",), pairs=True), [A, B], "pairs") == "binary"


def test_a_named_task_holds_where_the_data_allow_it() -> None:
    assert infer_task(TWO, [A, B], "multi-class") == "multi-class"
    assert infer_task(THREE, [A, B, C], "multi-label") == "multi-label"
    assert infer_task(TWO, TREE, "multi-class") == "multi-class"


@pytest.mark.parametrize(
    ("texts", "labels", "named", "message"),
    [
        (THREE, (A, B, C), "binary", "--task binary: expected two labels, found 3"),
        (SEVERAL, (A, B), "multi-class", r"found 'a' \+ 'b' in row 2 of given.csv"),
        (TWO, (A, B), "hierarchical", "expected labels with a parent"),
        (TWO, (A, B), "pairs", "columns text_a and text_b"),
        (TWO, (A, B), "regression", "expected one of auto, binary"),
    ],
)
def test_data_that_do_not_have_it_are_refused(
    texts: Texts, labels: tuple[Label, ...], named: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        infer_task(texts, labels, named)
