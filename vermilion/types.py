"""The words of the project as frozen dataclasses and protocols; see docs/design/words.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]

QuestionKind = Literal["choose", "validate"]
Source = Literal["given", "verified", "corrected", "auto", "none", "out_of_scope", "review"]


def text_hash(text: str) -> str:
    """Return the identity of a text: 32 hex digits of the sha256 of its UTF-8 bytes.

    Examples
    --------
    >>> text_hash("where is my card?")
    'e310733a693e0f48e61198db79b6e66e'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Label:
    """A class: its name, a one-line meaning ("use when ..., not when ...") and an optional parent."""

    name: str
    meaning: str = ""
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as read from one source, in its order.

    Attributes
    ----------
    ids : tuple of str
        One per row, unique; the row number (from 0) where the source has no id column.
    texts : tuple of str
        The texts; never empty, no NUL, no lone surrogate.
    labels : tuple of tuple of str, or None
        The labels of each row (one for multi-class, any number where there may be several), or None for a pool.
    source : str
        The path, or "<stdin>", for messages.
    rows : tuple of int
        The row number of each text in its source, from 1, for messages; empty where they were not read from a file.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...] | None = None
    source: str = ""
    rows: tuple[int, ...] = field(default=(), compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the expert about one text.

    Attributes
    ----------
    text : str
    options : tuple of str
        Label names in the order shown. `choose`: which of these, or none? `validate`: exactly one, is it right?
    kind : {"choose", "validate"}
    examples : tuple of (text, label)
        Nearest confirmed examples of the options; never the text itself.
    """

    text: str
    options: tuple[str, ...]
    kind: QuestionKind = "choose"
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spend:
    """What was, or at worst may be, spent: questions, tokens, US dollars."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The expert's answer to one question, as stored.

    Attributes
    ----------
    key : str
        Hash of all that was asked: expert, prompt version, parameters, question.
    label : str or None
        One of the question's options, or None for "none of these" / "not this label".
    spend : Spend
        What this answer cost, repairs included.
    """

    key: str
    label: str | None
    spend: Spend = Spend()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one question: a verdict, or the reason why there is none (never stored)."""

    question: Question
    key: str
    verdict: Verdict | None
    error: str = ""


class Meter(Protocol):
    """Keeps spending under its caps: the worst case is reserved, durably, before each call."""

    def reserve(self, key: str, worst: Spend) -> int:
        """Set `worst` aside for the question `key`; return a ticket. Raises CapReachedError when it does not fit."""
        ...

    def settle(self, ticket: int, spent: Spend) -> None:
        """Replace the reservation by what was really spent; `calls` 0 when no answer came."""
        ...

    def charge(self, keys: Sequence[str], each: Spend) -> int:
        """Book `each` for as many of the keys, from the first, as fit, in one step; return how many.

        For answers that are there at once. Raises CapReachedError when not even the first fits.
        """
        ...


@runtime_checkable
class Encoder(Protocol):
    """Text to unit vector, frozen. `digest` changes whenever the vectors would."""

    name: str
    digest: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        ...


@runtime_checkable
class Head(Protocol):
    """A classifier on vectors, by scikit-learn's rules. `classes_` fixes the column order."""

    classes_: NDArray[Any]

    def fit(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Learn from rows of X, shape (n, d), and labels y, shape (n,)."""
        ...

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, n_classes); rows sum to 1."""
        ...

    def predict(self, X: FloatArray) -> NDArray[Any]:
        """Return the most probable label of each row."""
        ...

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as named numeric arrays (without `classes_`)."""
        ...

    def from_tensors(self, tensors: Mapping[str, NDArray[Any]], classes: NDArray[Any]) -> Self:
        """Restore what `to_tensors` gave, on an unfitted head of the same parameters."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments (JSON-safe)."""
        ...


@runtime_checkable
class Expert(Protocol):
    """Who answers questions. `simulated` is True where the answers come from gold labels."""

    name: str
    simulated: bool

    def key(self, question: Question) -> str:
        """Return the hash of all that determines the answer."""
        ...

    def worst_case(self, question: Question) -> Spend:
        """Return the most that asking this question can cost, repairs and retries included."""
        ...

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Ask all; yield each reply as it comes, in any order.

        When `meter.reserve` raises CapReachedError, calls already under way are finished and yielded, then the
        error is raised.
        """
        ...
