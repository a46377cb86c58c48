"""The report's tables: rows of cells that are already words for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from vermilion.page.figures import Table
from vermilion.red import wording
from vermilion.red.record import HeadTrial, RoundRecord, Summary
from vermilion.types import Source

SOURCES: dict[Source, str] = {
    "given": "given: already labelled",
    "verified": "verified: the expert agreed with the model",
    "corrected": "corrected: the expert said otherwise",
    "auto": "auto: decided by the model",
    "none": "none: no label, the expert found none right",
    "out_of_scope": "out of scope: no label, the text looks foreign to all",
    "review": "review: left for a person",
}


def or_dash(value: float | None, digits: int = 3) -> str:
    """Return a number to so many digits, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent_or_dash(share: float | None) -> str:
    """Return a share as a percentage, or a dash where there is none."""
    return "–" if share is None else wording.percent(share)


def rounds_table(summary: Summary) -> Table:
    """Return a row for each round; columns that hold nothing in any round are left out."""
    rounds = summary.rounds
    columns: list[tuple[str, list[str]]] = [
        ("Round", [str(r.round) for r in rounds]),
        ("Uncertain texts", [wording.count(r.uncertain) for r in rounds]),
        ("Asked", [wording.count(r.asked) for r in rounds]),
        ("Confirmed", [wording.count(r.confirmed) for r in rounds]),
        ("Answers so far", [wording.count(r.calls) for r in rounds]),
        *_optional_columns(rounds, summary.simulated),
        ("Fit", [wording.duration(r.seconds_fit) for r in rounds]),
        ("Expert", [wording.duration(r.seconds_expert) for r in rounds]),
    ]
    return Table.of(
        "Rounds",
        [name for name, _ in columns],
        list(zip(*(cells for _, cells in columns), strict=True)),
    )


def _optional_columns(rounds: Sequence[RoundRecord], simulated: bool) -> list[tuple[str, list[str]]]:
    columns = []
    if any(r.agreement is not None for r in rounds):
        name = "Agreement, random sample" + (" (simulation)" if simulated else "")
        columns.append((name, [percent_or_dash(r.agreement) for r in rounds]))
    if any(r.gold_agreement is not None for r in rounds):
        several = any(r.gold_f1 is not None for r in rounds)
        name = "All labels of a text right, by gold" if several else "Agreement with gold"
        columns.append((f"{name} (simulation)", [percent_or_dash(r.gold_agreement) for r in rounds]))
    if any(r.gold_f1 is not None for r in rounds):
        columns.append(("Micro-F1 by gold (simulation)", [percent_or_dash(r.gold_f1) for r in rounds]))
    if any(r.kappa is not None for r in rounds):
        columns.append(("Kappa", [or_dash(r.kappa) for r in rounds]))
    if any(r.cost_usd for r in rounds):
        columns.append(("Cost so far", [wording.money(r.cost_usd) for r in rounds]))
    return columns


def heads_table(trials: Sequence[HeadTrial]) -> Table:
    """Return the heads that were tried, the best first; the chosen one is marked.

    Where a text may have several labels there is no accuracy to tell of.
    """
    measured = any(isfinite(trial.accuracy) for trial in trials)
    ranked = sorted(trials, key=lambda trial: -trial.accuracy if measured else trial.log_loss)
    columns = [
        ("Head", False, [trial.head + (" (chosen)" if trial.chosen else "") for trial in ranked]),
        ("Parameters", False, [_parameters(trial) for trial in ranked]),
        ("Accuracy", True, [_accuracy(trial) for trial in ranked] if measured else []),
        ("Log loss", True, [or_dash(trial.log_loss) for trial in ranked]),
        ("Time", True, [wording.duration(trial.seconds) for trial in ranked]),
    ]
    named = tuple((name, numeric) for name, numeric, cells in columns if cells)
    rows = tuple(zip(*(cells for _, _, cells in columns if cells), strict=True))
    marked = next((place for place, trial in enumerate(ranked) if trial.chosen), None)
    return Table("Heads tried by cross-validation on the labelled texts", named, rows, marked)


def _parameters(trial: HeadTrial) -> str:
    return ", ".join(f"{name} = {value}" for name, value in wording.flat(trial.params)) or "–"


def _accuracy(trial: HeadTrial) -> str:
    return f"{wording.percent(trial.accuracy)} ± {trial.accuracy_std * 100:.1f}"


def labels_table(counts: Sequence[tuple[str, int, int]]) -> Table:
    """Return the texts of each label, most decided first."""
    total = sum(decided for _, decided, _ in counts)
    ranked = sorted(counts, key=lambda row: (-row[1], row[0]))
    rows = [
        (
            name,
            wording.count(decided),
            wording.percent(decided / total if total else 0),
            wording.count(labelled),
        )
        for name, decided, labelled in ranked
    ]
    columns = ("Label", "Texts decided", "Share", "Labelled texts given")
    return Table.of("Texts by label, the most frequent first", columns, rows)


def labels_line(counts: Sequence[tuple[str, int, int]]) -> str:
    """Return in one line how the texts spread over the labels.

    Examples
    --------
    >>> labels_line([("a", 3, 5), ("b", 1, 5), ("c", 0, 5)]).replace(wording.SPACE, " ")
    '3 labels; the most frequent has 75.0 % of the texts; 1 label got none.'
    """
    total = sum(decided for _, decided, _ in counts)
    line = wording.counted(len(counts), "label")
    if total:
        most = max(decided for _, decided, _ in counts)
        line += f"; the most frequent has {wording.percent(most / total)} of the texts"
    if empty := sum(decided == 0 for _, decided, _ in counts):
        line += f"; {wording.counted(empty, 'label')} got none"
    return line + "."


def repeat_tables(summary: Summary) -> list[Table]:
    """Return the tables that say how to repeat the run: settings, data hashes, versions."""
    parts = {
        "Settings": wording.flat(summary.settings),
        "Data, by sha256": wording.flat(dict(summary.data)),
        "Versions": wording.flat(dict(summary.versions)),
    }
    columns = (("Name", False), ("Value", False))
    return [Table(caption, columns, tuple(rows)) for caption, rows in parts.items() if rows]


def key_figures(summary: Summary) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of the run's key figures; what does not apply is left out."""
    texts = wording.counted(summary.unique_texts, "different text") if summary.unique_texts else ""
    labelled = wording.counted(summary.labelled, "labelled text") + " given" if summary.labelled else ""
    share = _share_asked(summary) if summary.calls else ""
    asked = summary.expert != "none"
    return [
        ("Texts", wording.count(summary.texts), texts),
        ("Labels", wording.count(summary.labels), labelled),
        ("Questions answered", wording.count(summary.calls), share),
        *_cost_figures(summary),
        *_time_figures(summary),
        *([("Expert", summary.expert, "simulation" if summary.simulated else "")] if asked else []),
        ("Head", summary.head, f"on {summary.encoder}"),
    ]


def _share_asked(summary: Summary) -> str:
    """Say how much was asked; where a text may have several labels it is asked about more than once."""
    share = summary.calls / summary.texts
    return f"{share:.2f} a text" if summary.task else f"{wording.percent(share)} of the texts"


def _cost_figures(summary: Summary) -> list[tuple[str, str, str]]:
    figures = []
    tokens = {name: number for name, number in summary.tokens.items() if number}
    if summary.cost_usd:
        each = f"{wording.money(summary.cost_usd / summary.calls)} a question" if summary.calls else ""
        figures.append(("Cost", wording.money(summary.cost_usd), each))
    if tokens:
        parts = ", ".join(f"{wording.count(number)} {name}" for name, number in tokens.items())
        figures.append(("Tokens", wording.count(sum(tokens.values())), parts))
    return figures


def _time_figures(summary: Summary) -> list[tuple[str, str, str]]:
    parts = {name: seconds for name, seconds in summary.seconds.items() if name != "total"}
    total = summary.seconds.get("total", sum(parts.values()))
    if not summary.seconds:
        return []
    return [
        ("Time", wording.duration(total), ", ".join(f"{n} {wording.duration(s)}" for n, s in parts.items()))
    ]
