"""What comes in and goes out over HTTP, as shapes: what a client may send, and what it may rely on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from vermilion.learn.candidates import SHOWN_CANDIDATES
from vermilion.serve.settings import MOST_CHARACTERS, MOST_NAME, MOST_TEXTS
from vermilion.world.feedback import LONGEST_LABEL, MOST_LABELS
from vermilion.world.pairs import SEPARATOR, join_pair

DECISION_ID = "^d[a-z2-7]{32}$"


def _in_schema(most: int, without: str) -> WithJsonSchema:
    """Return what the schema says of a string; signs that it must not hold are found by `reading`."""
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in without)
    return WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": most, "pattern": f"^[^{escaped}]*$"}
    )


Text = Annotated[
    str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS), _in_schema(MOST_CHARACTERS, "\0")
]
Side = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_CHARACTERS),
    _in_schema(MOST_CHARACTERS, "\0" + SEPARATOR),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MOST_NAME), _in_schema(MOST_NAME, "\0")]
LabelName = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_LABEL), _in_schema(LONGEST_LABEL, "\0")
]


def _whole(value: object) -> object:
    """Return 5 for 5.0, which is the same number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Strict(BaseModel):
    """Takes what it says and nothing else, of the types that it says."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Item(Strict):
    """A text with an id of your own, which comes back with its answer."""

    text: Text
    id: Name | None = None


class Pair(Strict):
    """Two texts, about which a model of pairs is asked."""

    text_a: Side
    text_b: Side
    id: Name | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to know.

    Attributes
    ----------
    texts : tuple of str
    items : tuple of (str or None)
        The client's own ids.
    top_k : int
    routing_key : str or None
    """

    texts: tuple[str, ...]
    items: tuple[str | None, ...]
    top_k: int
    routing_key: str | None


class _Asking(Strict):
    top_k: Annotated[
        int, Field(ge=1, le=1000, description="Most candidates of each text."), BeforeValidator(_whole)
    ] = SHOWN_CANDIDATES
    routing_key: Annotated[
        Name | None, Field(description="While a rollout runs: the same key, the same version.")
    ] = None


class TextsRequest(_Asking):
    """Texts to classify."""

    texts: Annotated[list[Text | Item], Field(min_length=1, max_length=MOST_TEXTS)]

    def asked(self) -> Asked:
        """Return the texts and what goes with them."""
        texts = tuple([one if isinstance(one, str) else one.text for one in self.texts])
        items = tuple([None if isinstance(one, str) else one.id for one in self.texts])
        return Asked(texts, items, self.top_k, self.routing_key)


class PairsRequest(_Asking):
    """Pairs of texts to classify."""

    pairs: Annotated[list[Pair], Field(min_length=1, max_length=MOST_TEXTS)]

    def asked(self) -> Asked:
        """Return the pairs, each as one text, and what goes with them."""
        texts = tuple([join_pair(one.text_a, one.text_b) for one in self.pairs])
        return Asked(texts, tuple([one.id for one in self.pairs]), self.top_k, self.routing_key)


DecisionId = Annotated[
    str,
    StringConstraints(pattern=DECISION_ID),
    Field(description="The id that came with the answer."),
]


class LabelFeedback(Strict):
    """The right label of a decision; it may be one that the model does not know."""

    decision: DecisionId
    label: LabelName

    @property
    def right(self) -> list[str]:
        """The label."""
        return [self.label]


class LabelsFeedback(Strict):
    """The right labels of a decision, all of them; they may be some that the model does not know."""

    decision: DecisionId
    labels: Annotated[list[LabelName], Field(min_length=1, max_length=MOST_LABELS)]

    @property
    def right(self) -> list[str]:
        """The labels."""
        return self.labels


# --- what goes out


class Candidate(BaseModel):
    """A label with its calibrated probability."""

    label: str
    probability: Annotated[float, Field(ge=0, le=1)]


class OutOfScope(BaseModel):
    """How foreign a text looks."""

    score: Annotated[float, Field(ge=0, le=1, description="Share of known texts that look less foreign.")]
    refused: Annotated[bool, Field(description="Too foreign to have a label.")]


class Result(BaseModel):
    """What was decided about one text."""

    id: Annotated[str, Field(description="The decision's id, by which feedback is given.")]
    item: Annotated[str, Field(description="Your own id; only where you gave one.")] = ""
    label: Annotated[str | None, Field(description="None: out of scope, or withheld by a rule.")] = None
    labels: Annotated[list[str], Field(description="Where a text may have several.")] = []
    path: Annotated[
        list[str], Field(description="Where labels have parents: from the top to the label.")
    ] = []
    confidence: Annotated[
        float | None, Field(ge=0, le=1, description="Calibrated; null where a rule decided.")
    ] = None
    score: Annotated[
        float, Field(ge=0, le=1, description="Of two labels: the positive one's probability.")
    ] = 0
    candidates: list[Candidate]
    out_of_scope: OutOfScope | None
    abstained: Annotated[bool, Field(description="A rule withholds the label.")]
    decided_by: Annotated[str, Field(description="model, or rule:NAME.")]


class ServedVersion(BaseModel):
    """Which version of which model."""

    name: str
    version: Annotated[int | None, Field(description="null where a folder is served without a registry.")]
    digest: str
    training: Annotated[str | None, Field(description="The hash of the texts that it was learned from.")]


class Answer(BaseModel):
    """An answer: all of it by one version."""

    model: ServedVersion
    arm: Literal["champion", "challenger"]
    results: list[Result]


class Acknowledged(BaseModel):
    """Feedback that is on the disk."""

    decision: str
    number: int


class ModelFacts(ServedVersion):
    """What is known of a version that is served."""

    arm: Literal["champion", "challenger"]
    task: Literal["binary", "multi-class", "multi-label", "hierarchical"]
    pairs: bool
    encoder: str
    labels: list[str]
    rules: list[str]


class RolloutFacts(BaseModel):
    """A rollout that runs."""

    id: int
    kind: Literal["shadow", "canary", "ab"]
    share: float
    started_at: str


class Models(BaseModel):
    """All that is served now."""

    models: list[ModelFacts]
    rollout: RolloutFacts | None


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether a prediction just went through the queue, and answers can be recorded."""

    ready: bool
    reasons: list[str]


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    problem: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[Fault] = []
