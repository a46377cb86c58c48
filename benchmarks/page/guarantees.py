"""Whether certificates keep their promise: shares of simulated runs, and how near to the truth their bounds come."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.page.tables import markdown
from benchmarks.results import Row

HEAD = (
    "simulated expert wrong",
    "audit answers",
    "runs",
    "held",
    "fewest of any confidence",
    "one look: held",
    "Clopper-Pearson: held",
    "below the truth",
    "Clopper-Pearson: below",
    "corrected for people: held",
    "accepted",
    "accepted err too often, most of any confidence",
)
TOLD = (
    "Simulated pools of 6,000 rows whose agreement is known, with six kinds of confidence: calibrated, too sure, too"
    " modest, of no use, turned round, and few mistakes that are all foreseen. A run is up to three audits, each of a"
    " better model; it *held* where no certificate of any of them promised more than was true, to be so in 95 %."
    " *Below the truth* is the mean distance of the lower bound of one audit, in points. *Accepted* is the mean share"
    " of decisions accepted at five points more errors than the expert makes; they may err too often in 5 %. *Corrected"
    " for people* is the bound by the expert's answers and people's on three tenths of them."
)


def guarantees(rows: Sequence[Row]) -> str:
    """Return a table with a line for each error of the expert and each size of the audit."""
    keys = sorted({(row["condition"]["error"], row["condition"]["audit"]) for row in rows})
    groups = [
        [row for row in rows if (row["condition"]["error"], row["condition"]["audit"]) == key] for key in keys
    ]
    return f"{TOLD}\n\n{markdown(HEAD, (_line(group) for group in groups))}"


def _line(rows: Sequence[Row]) -> list[str]:
    known, runs = rows[0]["condition"], sum(row["condition"]["runs"] for row in rows)

    def mean(name: str) -> float:
        return float(sum(row["figures"][name] * row["condition"]["runs"] for row in rows) / runs)

    worst = min(rows, key=lambda row: float(row["figures"]["held"]))
    riskiest = max(rows, key=lambda row: float(row["figures"]["too_many_errors"]))
    return [
        f"{100 * known['error']:.0f} %",
        str(known["audit"]),
        f"{runs:,}",
        _percent(mean("held")),
        f"{_percent(worst['figures']['held'])} ({worst['condition']['confidence']})",
        _percent(mean("held_single")),
        _percent(mean("held_clopper_pearson")),
        f"{100 * mean('below'):.2f}",
        f"{100 * mean('below_clopper_pearson'):.2f}",
        _percent(mean("held_people")),
        _percent(mean("accepted")),
        f"{_percent(riskiest['figures']['too_many_errors'])} ({riskiest['condition']['confidence']})",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
