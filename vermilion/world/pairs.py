"""A pair of texts as one text, so that whatever handles texts handles pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vermilion.errors import InputError
from vermilion.types import IntArray, Texts

# Stands between the two texts of a pair, as ASCII means it to; no cell of a file may hold it.
SEPARATOR = "\u001f"
TEXT_A, TEXT_B = "text_a", "text_b"


def is_pair(text: str) -> bool:
    """Tell whether a text is two, one beside the other."""
    return SEPARATOR in text


def join_pair(text_a: str, text_b: str) -> str:
    r"""Return two texts as one.

    Examples
    --------
    >>> split_pair(join_pair("where is it?", "on its way"))
    ('where is it?', 'on its way')
    """
    return f"{text_a}{SEPARATOR}{text_b}"


def split_pair(text: str) -> tuple[str, str]:
    """Return the two texts of a pair.

    Raises
    ------
    InputError
        It is a single text.
    """
    text_a, separator, text_b = text.partition(SEPARATOR)
    if not separator:
        raise InputError(
            "pairs of texts", "a single text", "texts", "give a file with the columns text_a and text_b"
        )
    return text_a, text_b


def named(text: str, name: str = "text") -> dict[str, str]:
    """Return a text under its name, or both texts of a pair under theirs.

    Examples
    --------
    >>> named("hi"), named(join_pair("hi", "hello"))
    ({'text': 'hi'}, {'text_a': 'hi', 'text_b': 'hello'})
    """
    if not is_pair(text):
        return {name: text}
    return dict(zip((TEXT_A, TEXT_B), split_pair(text), strict=True))


def spread(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with both texts of a pair in the place of its text; other rows as they are.

    Examples
    --------
    >>> spread({"id": "0", "text": join_pair("hi", "hello"), "label": "same"})
    {'id': '0', 'text_a': 'hi', 'text_b': 'hello', 'label': 'same'}
    """
    text = row.get("text")
    if not isinstance(text, str) or not is_pair(text):
        return row
    both = named(text)
    return {
        new: cell
        for name, value in row.items()
        for new, cell in (both.items() if name == "text" else ((name, value),))
    }


def gathered(row: Mapping[str, Any]) -> str:
    """Return the text of a row that `spread` may have spread.

    Raises
    ------
    KeyError
        The row has neither a text nor both texts of a pair.
    """
    return str(row["text"]) if TEXT_A not in row else join_pair(str(row[TEXT_A]), str(row[TEXT_B]))


def on_one_line(text: str) -> str:
    """Return a text as a page shows it; a pair as its two texts with a mark between them.

    Examples
    --------
    >>> on_one_line(join_pair("where is it?", "on its way"))
    'where is it? ⟷ on its way'
    """
    return text.replace(SEPARATOR, " ⟷ ")


def sides(texts: Iterable[str]) -> list[str]:
    """Return all single texts, those of pairs included, each once, in the order met.

    Examples
    --------
    >>> sides([join_pair("q", "a"), join_pair("q", "b"), "c"])
    ['q', 'a', 'b', 'c']
    """
    return list(dict.fromkeys(side for text in texts for side in text.split(SEPARATOR)))


def refuse_mixed(first: Texts, second: Texts) -> None:
    """Raise InputError where one source has pairs and the other single texts."""
    if all_pairs(first.texts) == all_pairs(second.texts):
        return
    expected, found = ("pairs", "single texts") if all_pairs(first.texts) else ("single texts", "pairs")
    raise InputError(
        f"{expected} as in {first.source or 'the other texts'}",
        found,
        second.source or "texts",
        "give both the columns text_a and text_b, or both a column text",
    )


def all_pairs(texts: Sequence[str]) -> bool:
    """Tell whether texts of one source are pairs: the first one tells, for a source has only one kind."""
    return bool(texts) and is_pair(texts[0])


def queries_of(texts: Sequence[str], cells: Sequence[str | None] | None = None) -> IntArray | None:
    """Return which query each row is a candidate for, shape (n,), or None where no query has several.

    Parameters
    ----------
    texts : sequence of str
    cells : sequence of (str or None), optional
        What names the queries; None takes the first text of each pair, and no queries of single texts. A row whose cell
        is None is a query of its own.

    Examples
    --------
    >>> queries_of(["a", "b", "c"], ["q", None, "q"]).tolist()
    [0, 1, 0]
    """
    if cells is None and not all_pairs(texts):
        return None
    named = [split_pair(text)[0] for text in texts] if cells is None else cells
    keys = [f"row {row}" if name is None else f"query {name}" for row, name in enumerate(named)]
    found: IntArray = np.unique(keys, return_inverse=True)[1]
    return found if len(keys) > found.max() + 1 else None
