"""The service under load: tables of servers, and what the goals ask of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.page.tables import markdown
from benchmarks.results import Row

OURS, PLAIN = "vermilion", "plain"
HALF = 0.5
NAMES = {
    "vermilion": "`vermilion serve`",
    "plain": "FastAPI + sentence-transformers + scikit-learn in a handler",
    "litserve": "LitServe, dynamic batches",
    "mlflow": "`mlflow models serve`",
}
HEAD = (
    "server",
    "requests a second at most",
    "with P95 within 100 ms",
    "P50 / P95 / P99 at half of the most, ms",
    "CPU ms a request",
    "MiB",
)
TOLD = (
    "One text a request, the texts of {set}'s test split, all-MiniLM-L6-v2 and a linear head of its {labels} labels"
    " everywhere; {cores} cores for server and load together. *At most*: 64 clients that ask again as soon as they are"
    " answered (wrk). All else: requests at random times (Poisson), {seconds:.0f} s each;"
    " a latency counts from when the request was due. Ours checks, writes down each decision and flushes it to disk"
    " before it answers; the others write nothing. Ours runs an int8 encoder in ONNX Runtime, the others float32 in"
    " torch, which is how each comes."
)


def latest(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the figures of each server's last run, and of the bare encoder as `bare`."""
    return {row["condition"].get("server", row["condition"]["part"]): row["figures"] for row in rows}


def service(rows: Sequence[Row]) -> str:
    """Return the table of servers, with those that could not be measured below."""
    found = latest(rows)
    known = rows[-1]["condition"]
    measured = {name: figures for name, figures in found.items() if "saturation" in figures}
    table = markdown(HEAD, (_line(name, figures) for name, figures in measured.items()))
    told = TOLD.format(**{"labels": 77, **known})
    parts = [told, table]
    if (share := overhead(found)) is not None:
        parts.append(
            f"The encoder alone, in batches: {found['bare']['texts_a_second']:,.0f} texts a second,"
            f" {found['bare']['cpu_ms_a_text']:.2f} CPU ms a text; the whole service takes {share:.0%} more."
        )
    parts += [
        f"{NAMES[n]} was not measured: {f['not_measured']}." for n, f in found.items() if "not_measured" in f
    ]
    return "\n\n".join(parts)


def _line(name: str, figures: dict[str, Any]) -> list[str]:
    half = at_half(figures)
    return [
        NAMES[name],
        f"{figures['saturation']:,.0f}",
        f"{figures['rate_within_p95']:,.0f}",
        " / ".join("-" if half[f"p{q}_ms"] is None else f"{half[f'p{q}_ms']:.0f}" for q in (50, 95, 99)),
        f"{figures['cpu_ms_a_request']:.2f}",
        f"{figures['memory_mib']:,.0f}",
    ]


def at_half(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the load at half of what a server takes at most."""
    load: dict[str, Any] = next(load for load in figures["loads"] if load["share"] == HALF)
    return load


def overhead(found: dict[str, dict[str, Any]]) -> float | None:
    """Return by what share our service's processor time exceeds the bare encoder's, for a text."""
    if "bare" not in found or "saturation" not in found.get(OURS, {}):
        return None
    own, bare = found[OURS]["cpu_ms_a_request"], found["bare"]["cpu_ms_a_text"]
    return float(own / bare - 1)
