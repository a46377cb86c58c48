"""MODEL_CARD.md: what a saved model does, where it came from and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from vermilion.red import wording
from vermilion.red.record import Summary
from vermilion.types import Label
from vermilion.world.encoders_joined import split_spec

SHOWN_LABELS = 50
MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{mark: f"\\{mark}" for mark in "\\`*_[]|~#"}}
)
WEIGHTS = {
    "minilm": "The encoder's weights, all-MiniLM-L6-v2, are under Apache-2.0.",
    "static": "The encoder's weights, WordLlama's static vectors, are under the MIT licence.",
}
OTHER_WEIGHTS = "The licence of the encoder's weights is its publisher's."
USE = """\
```sh
vermilion predict MODEL_FOLDER new-texts.csv --out predictions.jsonl
```

`MODEL_FOLDER` is the folder of this file. Each row gets a label, a calibrated confidence and the next
candidates."""


def render_model_card(summary: Summary, labels: Sequence[Label], encoder_digest: str) -> str:
    """Return a model's card as Markdown. Label names and meanings are shown as they are, never as markup.

    Parameters
    ----------
    summary : Summary
        Of the run that made the model.
    labels : sequence of Label
        The first 50 are listed, the others counted.
    encoder_digest : str
        The digest of the encoder; vectors of another digest do not fit the head.

    Examples
    --------
    >>> summary = Summary(2, 1, "static", "flat", (), 0, {}, 0.0, {}, {"auto": 2}, None, "rounds: 2 asked")
    >>> card = render_model_card(summary, [Label("praise", "use when <3")], "1a2b")
    >>> print(card.split("## Labels")[1].split("##")[0].strip())
    - **praise**: use when &lt;3
    """
    sections = {
        "What it does": [_purpose(summary)],
        "Labels": _labels(labels),
        "Quality": _quality(summary),
        "How the labels came about": _making(summary),
        "Limits": _limits(summary),
        "How to use it": [USE],
        "Encoder and head": _parts(summary, encoder_digest),
        "Data": _named(summary.data) or ["No data was recorded."],
        "Settings": _named(summary.settings) or ["No settings were recorded."],
        "Versions": _named(summary.versions) or ["No versions were recorded."],
        "Licence": [_licence(summary)],
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    return f"# Model card\n\n{body}\n".replace(wording.SPACE, " ")


def _plain(text: str) -> str:
    """Return text on one line, with all that Markdown or HTML could read as markup escaped."""
    return " ".join(text.split()).translate(MARKDOWN)


def _purpose(summary: Summary) -> str:
    many = "any number" if summary.task else "one"
    return (
        f"It gives a text {many} of {wording.counted(summary.labels, 'label')}, with a confidence. It was learned "
        f"from {wording.counted(summary.labelled, 'labelled text')} and from the answers to "
        f"{wording.counted(summary.calls, 'question')} about a pool of {wording.counted(summary.texts, 'text')}."
    )


def _labels(labels: Sequence[Label]) -> list[str]:
    lines = [
        f"- **{_plain(label.name)}**" + (f": {_plain(label.meaning)}" if label.meaning else "")
        for label in labels[:SHOWN_LABELS]
    ]
    if len(labels) > SHOWN_LABELS:
        lines += ["", f"And {wording.count(len(labels) - SHOWN_LABELS)} more, all in `model.json`."]
    return lines or ["None."]


def _quality(summary: Summary) -> list[str]:
    lines = []
    if certificate := summary.certificate:
        bounds = (
            f"The audit's estimate is {wording.percent(certificate.estimate)}, with bounds from "
            f"{wording.percent_at_least(certificate.lower)} to {wording.percent_at_most(certificate.upper)}."
        )
        lines += [f"- {wording.certificate_line(certificate, summary.simulated)} {bounds}"]
        lines += [f"- {_sentence(certificate.note)}"] if certificate.note else []
        lines += ["- The certificate speaks of the run's decisions, those of the expert included."]
    else:
        lines += ["- There is no certificate: how often the labels agree with the expert was not measured."]
    if gold := wording.gold_line(summary):
        lines += [f"- {gold}"]
    own = (summary.gold or {}).get("auto_agreement")
    if own is not None:
        lines += [f"- Of the model's own decisions, {wording.percent(own)} agree with gold (simulation)."]
    return lines


def _sentence(note: str) -> str:
    text = _plain(note)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _making(summary: Summary) -> list[str]:
    expert = f"`{_code(summary.expert)}`" + (
        " (simulation: made from gold labels)" if summary.simulated else ""
    )
    spent = f", for {wording.money(summary.cost_usd)}" if summary.cost_usd else ""
    sources = ", ".join(f"{wording.count(n)} {source}" for source, n in summary.decisions.items() if n)
    asked = f"{wording.counted(summary.calls, 'question')} answered in "
    asked += f"{wording.counted(sum(r.asked > 0 for r in summary.rounds), 'round')}{spent}"
    return [
        f"- Expert: {expert}; {asked}.",
        f"- Decisions by source: {sources or 'none'}.",
        f"- The run stopped: {_plain(summary.stopped)}.",
    ]


def _limits(summary: Summary) -> list[str]:
    lines = [
        "- It knows no labels but these: a text of another kind still gets one of them. A low confidence is a "
        "hint, not proof.",
        "- Its quality was measured on the run's pool. Texts from another source or another time may fare "
        "worse.",
        "- Agreement with the expert is not agreement with people, and the expert errs too.",
    ]
    if summary.simulated:
        lines += ["- All figures about the expert are a simulation: a real expert may answer otherwise."]
    return lines


def _parts(summary: Summary, encoder_digest: str) -> list[str]:
    return [
        f"- Encoder: `{_code(summary.encoder)}`, digest `{_code(encoder_digest)}`.",
        f"- Head: `{_code(summary.head)}`.",
    ]


def _named(values: dict[str, str]) -> list[str]:
    return [f"- {_plain(name)}: `{_code(value)}`" for name, value in wording.flat(dict(values))]


def _code(value: str) -> str:
    """Return a value for a code span, in which nothing is markup but the backtick."""
    return " ".join(value.replace("`", "'").split())


def _licence(summary: Summary) -> str:
    parts = split_spec(summary.encoder)
    weights = " ".join(dict.fromkeys(WEIGHTS.get(part, OTHER_WEIGHTS) for part in parts))
    return (
        f"{weights} They are not in this folder. The head and the label meanings come from your own data, and "
        "are yours to license."
    )
