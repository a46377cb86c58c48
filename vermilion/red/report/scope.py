"""What the report says of texts that no label fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vermilion.page.figures import Table
from vermilion.red import wording
from vermilion.red.record import ProposedLabel, Summary


@dataclass(frozen=True, slots=True)
class ScopeSection:
    """The report's section on out-of-scope texts: sentences, the scores tried, and proposed labels."""

    lines: tuple[str, ...]
    scores: Table | None
    proposed: tuple[ProposedLabel, ...]


def scope_section(summary: Summary, proposed: Sequence[ProposedLabel]) -> ScopeSection | None:
    """Return the section's content, or None where a run was made before there was one."""
    told = summary.out_of_scope
    if told is None:
        return None
    lines = [_decided(summary), *_shares(told, simulated=summary.simulated), *_rate(told)]
    return ScopeSection(tuple(line for line in lines if line), _scores(told), tuple(proposed))


def _decided(summary: Summary) -> str:
    none, looks = (summary.decisions.get(source, 0) for source in ("none", "out_of_scope"))
    return (
        f"{wording.counted(none + looks, 'text')} got no label: for {wording.count(none)} the expert found none right,"
        f" {wording.count(looks)} look foreign to all labels."
    )


def _shares(told: dict[str, Any], *, simulated: bool) -> list[str]:
    lines = []
    refused = told["refused"]
    if refused:
        who = "simulated expert" if simulated else "expert"
        lines.append(
            f"The {who} found no label right for {wording.count(refused['refused'])} of"
            f" {wording.count(refused['n'])} random texts. Extended to the pool that is"
            f" {wording.percent(refused['share'])}, from {wording.percent_at_least(refused['lower'])} to"
            f" {wording.percent_at_most(refused['upper'])} with {wording.level(refused['confidence'])} confidence;"
            " texts whose label was not among those shown are counted, too."
        )
    if told["looks_foreign"] is not None:
        lines.append(
            f"By their looks alone at least {wording.percent(told['looks_foreign'])} of the pool is out of scope."
        )
    return lines


def _rate(told: dict[str, Any]) -> list[str]:
    if told["rate"] is None:
        return [
            "No text lost its label for its looks, since no rate of false alarms was set (--out-of-scope)."
        ]
    if "note" in told:
        return [f"{told['note'][0].upper()}{told['note'][1:]}."]
    return [
        f"Of texts like the labelled ones, at most {wording.percent(told['rate_at_most'])} lose their label for their"
        f" looks, judged by {wording.counted(told['held_out'], 'labelled text')} held out."
    ]


def _scores(told: dict[str, Any]) -> Table | None:
    rows = [
        (name + (" (chosen)" if name == told["score"] else ""), f"{auroc:.3f}")
        for name, auroc in told["labels_left_out"].items()
    ]
    if not rows:
        return None
    return Table.of(
        "How well scores tell texts of labels that were left out (AUROC)", ("Score", "AUROC"), rows
    )
