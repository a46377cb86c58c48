"""index.html of an incident: before and during side by side, in one file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vermilion.page.figures import Table
from vermilion.page.shell import assets, environment
from vermilion.serve.incident import Incident
from vermilion.serve.incident_counts import GROUPS, Counts

MOST_ROWS = 30
FILES = (
    ("decisions.jsonl", "each decision of the window"),
    ("feedback.jsonl", "what was said of decisions of the window and the time before it"),
    ("versions.json", "the versions that answered, with their metadata"),
    ("rollouts.json", "the rollouts that ran, and what happened to them"),
    ("audit_log.jsonl", "who changed what, in the window and the time before it"),
    ("keys.jsonl", "the keys by id, without anything that opens"),
    ("summary.json", "the figures of this page, all of them"),
    ("manifest.json", "the SHA-256 of each file"),
)


def render_incident(incident: Incident) -> str:
    """Return the page."""
    shared, window = assets(), incident.window
    view: dict[str, Any] = {
        "title": f"Incident {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC",
        "minutes": f"{window.before.total_seconds() / 60:,.0f}",
        "incident": incident,
        "sentences": list(sentences(incident)),
        "overview": _overview(incident.before, incident.during),
        "groups": [_group(name, incident.before, incident.during) for name in GROUPS],
        "confusion": _confusion(incident),
        "events": _events(incident),
        "files": Table("Files", (("File", False), ("What it holds", False)), FILES),
        "style": shared.style,
        "script": shared.script,
        "policy": shared.policy,
    }
    return environment("vermilion.serve").get_template("incident.html.j2").render(view)


def sentences(incident: Incident) -> Iterator[str]:
    """Yield what stands out, in words."""
    before, during = incident.before, incident.during
    yield f"{during.decisions:,} decisions in {during.requests:,} requests; in the time before {before.decisions:,}."
    if during.told:
        share = _share(during.wrong, during.told)
        yield (
            f"Feedback on {during.told:,} of them says that {during.wrong:,} were wrong ({share}); "
            f"before, {_share(before.wrong, before.told)} of {before.told:,}."
        )
    else:
        yield "No feedback on any of them: whether they were right is not known."
    moved = max(_shifts(before, during), default=None)
    if moved and moved[0] >= 0.05:
        yield f"The {moved[1]} {moved[2]} went from {moved[3]:.0%} to {moved[4]:.0%} of the decisions."


def _shifts(before: Counts, during: Counts) -> Iterator[tuple[float, str, str, float, float]]:
    if not before.decisions or not during.decisions:
        return
    for group in GROUPS:
        earlier, later = before.groups[group], during.groups[group]
        for name in earlier.keys() | later.keys():
            first, second = earlier[name] / before.decisions, later[name] / during.decisions
            yield abs(second - first), group, name, first, second


def _overview(before: Counts, during: Counts) -> Table:
    rows = [
        ("Decisions", *(f"{one.decisions:,}" for one in (before, during))),
        ("Requests", *(f"{one.requests:,}" for one in (before, during))),
        ("Decisions a second", *(f"{one.decisions / one.seconds:,.2f}" for one in (before, during))),
        *(
            (f"Latency, {name}", *(_milliseconds(one.latency(q)) for one in (before, during)))
            for name, q in (("median", 0.5), ("95 of 100", 0.95), ("99 of 100", 0.99))
        ),
        ("With feedback", *(f"{one.told:,}" for one in (before, during))),
        ("Wrong by feedback", *(_share(one.wrong, one.told) for one in (before, during))),
    ]
    return Table.of("Before and during", ("", "Before", "During"), rows)


def _group(name: str, before: Counts, during: Counts) -> Table:
    earlier, later = before.groups[name], during.groups[name]
    names = sorted(earlier.keys() | later.keys(), key=lambda one: (-later[one], -earlier[one], one))
    rows = [
        (
            *(one, f"{earlier[one]:,}", _share(earlier[one], before.decisions)),
            *(f"{later[one]:,}", _share(later[one], during.decisions)),
        )
        for one in names[:MOST_ROWS]
    ]
    more = f", the first {MOST_ROWS} of {len(names):,}" if len(names) > MOST_ROWS else ""
    return Table.of(
        f"Decisions by {name}{more}", (name.capitalize(), "Before", "Share", "During", "Share"), rows
    )


def _confusion(incident: Incident) -> Table:
    before, during = incident.before.confusion, incident.during.confusion
    wrong = [pair for pair in before.keys() | during.keys() if pair[0] != pair[1]]
    wrong.sort(key=lambda pair: (-during[pair], -before[pair], pair))
    rows = [(*pair, f"{before[pair]:,}", f"{during[pair]:,}") for pair in wrong[:MOST_ROWS]]
    columns = (("Answered", False), ("Right", False), ("Before", True), ("During", True))
    return Table("Where feedback says otherwise", columns, tuple(rows))


def _events(incident: Incident) -> Table:
    happened = [(one["at"], one["actor"], one["action"], one["subject"]) for one in incident.events]
    happened += [
        (event["at"], f"rollout {one['id']}", event["kind"], one["name"])
        for one in incident.rollouts
        for event in one["events"]
    ]
    rows = tuple((at[:19].replace("T", " "), *rest) for at, *rest in sorted(happened))
    columns = (("At (UTC)", False), ("Who", False), ("What", False), ("Of what", False))
    return Table("What was changed", columns, rows[-200:])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"
