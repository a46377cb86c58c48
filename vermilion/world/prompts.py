"""What a model is asked, word for word, and how its answer is read. Pure: values in, values out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NONE = "none of these"
PROMPT_VERSION = 1


def shuffle_options(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels in an order that depends on the text and on the set of labels alone.

    A model favours some places of a list. Shuffled by a hash, the favour falls on other labels for each text, and
    the same question has the same order (and so the same key) every time.

    Examples
    --------
    >>> shuffle_options("where is it?", ["arrival", "loss", "fee"])
    ('arrival', 'loss', 'fee')
    >>> shuffle_options("where is it?", ["fee", "arrival", "loss"])
    ('arrival', 'loss', 'fee')
    """

    def place(label: str) -> bytes:
        return hashlib.sha256(f"{text}\0{label}".encode()).digest()

    return tuple(sorted(labels, key=place))
