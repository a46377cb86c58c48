"""What became of simulated canaries: how many were taken back or promoted, after how many requests, by which rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.page.tables import markdown
from benchmarks.results import Row

HEAD = (
    "world",
    "challenger's errors",
    "steps",
    "canaries",
    "taken back",
    "after requests, median (mean)",
    "of them the challenger's",
    "promoted",
    "after requests",
    "over 1.2 times",
    "over 1.5 times",
    "z-test each second",
)
PLANS = {"steps": "5, 25, 50 %", "half": "50 %"}
TOLD = (
    "Simulated canaries of 12,000 requests at most, a hundred a second; the champion fails on 5 % of them. The judge is"
    " that of the service, with its margin of 2 points, looking each second; alpha is 5 %. The last three columns are"
    " the shares of the same canaries that rules roll back which people use: errors over 1.2 or 1.5 times the"
    " champion's from 100 of the challenger's requests on, and a one-sided z-test at 5 %. In *drift* errors of both"
    " rise and fall threefold, in *incident* both fail ten times as often for five seconds, in *users* (2,000 of them)"
    " and *few users* (50) the arm goes by user, and some send more requests and meet more errors than others; in"
    " *late* the challenger is as good as the champion for 3,000 requests."
)


def rollout(rows: Sequence[Row]) -> str:
    """Return a table with a line for each condition."""
    return f"{TOLD}\n\n{markdown(HEAD, (_line(row) for row in rows))}"


def _line(row: Row) -> list[str]:
    known, judge = row["condition"], row["figures"]["judge"]
    others = (_percent(row["figures"][name]["failed"]) for name in ("static 1.2", "static 1.5", "z-test"))
    return [
        known["world"],
        f"{100 * known['challenger']:.0f} %",
        PLANS[known["plan"]],
        f"{known['runs']:,}",
        _percent(judge["failed"]),
        _requests(judge, "failed_requests"),
        _requests(judge, "failed_challenger"),
        _percent(judge["successful"]),
        _requests(judge, "successful_requests"),
        *others,
    ]


def _requests(figures: dict[str, Any], name: str) -> str:
    if name not in figures:
        return "-"
    median, mean = figures[name]
    return f"{median:,.0f} ({mean:,.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
