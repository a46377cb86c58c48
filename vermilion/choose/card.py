"""MODEL_CARD.md of a model that was learned from labelled texts alone."""

from __future__ import annotations

from vermilion.choose.lesson import Learned
from vermilion.world.models import SavedModel

SHOWN_LABELS = 50
MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{mark: f"\\{mark}" for mark in "\\`*_[]|~#"}}
)


def render_card(model: SavedModel, learned: Learned, texts: int) -> str:
    """Return a model's card as Markdown. Names and meanings are shown as they are, never as markup."""
    shown = [
        f"- **{plain(label.name)}**" + (f": {plain(label.meaning)}" if label.meaning else "")
        for label in model.labels[:SHOWN_LABELS]
    ]
    if len(model.labels) > SHOWN_LABELS:
        shown += ["", f"And {len(model.labels) - SHOWN_LABELS:,} more, all in `model.json`."]
    lines = [
        "# Model card",
        "",
        f"Task: {model.task}. Learned from {texts:,} labelled texts; no expert was asked.",
        "",
        "## How it was chosen",
        "",
        *(f"- {plain(name)}: {plain(value)}" for name, value in learned.lines),
        f"- encoder: `{model.encoder}`, digest `{model.encoder_digest}`",
        "",
        "Figures are of texts held out by cross-validation. Texts from another source or another time may fare worse.",
        "",
        "## Labels",
        "",
        *shown,
        "",
        "## How to use it",
        "",
        "```sh",
        "vermilion predict MODEL_FOLDER new-texts.csv --out predictions.jsonl",
        "```",
    ]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Return text on one line, with all that Markdown or HTML could read as markup escaped."""
    return " ".join(text.split()).translate(MARKDOWN)
