"""One decision: what was answered about one text, as it goes to the client and into the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vermilion.world.rollout import one_label

BY_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one text.

    Attributes
    ----------
    id : str
        By which feedback can be given.
    said : mapping
        What the model says, as `vermilion.world.predictor.decisions` gives it; label or labels, confidence and all
        that goes with the task; after the rules.
    refused : bool
        The text looks too foreign to have a label.
    abstained : bool
        A rule withholds the label, for a person to look at or for good.
    by : str
        "model", or "rule:NAME".
    """

    id: str
    said: Mapping[str, Any]
    refused: bool = False
    abstained: bool = False
    by: str = BY_MODEL

    @property
    def words(self) -> str:
        """The answer as one string, as it is compared with others."""
        return words(self.said)

    def answer(self, item: str | None, shown: int) -> dict[str, Any]:
        """Return what the client gets; `item` is its own id of the text, `shown` the number of candidates it wants."""
        said = self.said
        row: dict[str, Any] = {"id": self.id}
        if item is not None:
            row["item"] = item
        for name in _SAID:
            if name in said:
                row[name] = said[name]
        labels = said.get("labels", ())
        row["candidates"] = [
            one for place, one in enumerate(said["candidates"]) if place < shown or one["label"] in labels
        ]
        row["out_of_scope"] = (
            {"score": said["out_of_scope"], "refused": self.refused} if "out_of_scope" in said else None
        )
        row["abstained"], row["decided_by"] = self.abstained, self.by
        return row

    def record(self) -> dict[str, Any]:
        """Return what the journal gets of the decision itself."""
        said = self.said
        row: dict[str, Any] = {"id": self.id}
        for name in _SAID:
            if name in said:
                row[name] = said[name]
        row["decided_by"], row["abstained"] = self.by, self.abstained
        if "out_of_scope" in said:
            row["out_of_scope"], row["refused"] = said["out_of_scope"], self.refused
        return row


def words(said: Mapping[str, Any]) -> str:
    """Return an answer as one string: equal where the same labels were meant."""
    labels = said.get("labels")
    return one_label(said["labels"]) if labels is not None else str(said["label"] or "")


_SAID = ("label", "labels", "path", "confidence", "score")
