"""The commands on rollouts: `vermilion rollout shadow`, `canary`, `ab`, and what became of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, By, DatabaseUrl, HomeFolder, Why, open_home, who
from vermilion.errors import InputError
from vermilion.screen import show_pairs, show_table

if TYPE_CHECKING:
    from vermilion.serve.rollout import Finding
    from vermilion.world.home import Home
    from vermilion.world.rollout import Kind, Plan, Rollout
    from vermilion.world.rollouts import Event

app = typer.Typer(no_args_is_help=True, help="Try a version on real requests; take it back, or promote it.")
out = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model whose champion is served.")]
Challenger = Annotated[
    str, typer.Option(help="The version to try: 4, NAME@4, an alias of NAME, or sha256:0a1b.")
]
Share = Annotated[float, typer.Option(help="Share of the requests, as 0.1.")]
Alpha = Annotated[float, typer.Option(help="Chance of a wrong verdict, for each of the two.")]
MaxRequests = Annotated[int, typer.Option(help="End after so many requests of both versions.")]
MaxHours = Annotated[float, typer.Option(help="End after so many hours in service.")]
SlowMs = Annotated[float, typer.Option(help="A request that takes longer is slow, in milliseconds.")]
Disagreement = Annotated[
    float | None,
    typer.Option("--max-disagreement", help="Largest share of answers that may differ, as 0.05."),
]


@app.command()
def shadow(
    name: Name,
    challenger: Challenger,
    share: Share = 1.0,
    max_disagreement: Disagreement = None,
    margin: Annotated[float, typer.Option(help="How much larger its share of errors may be.")] = 0.02,
    least: Annotated[int, typer.Option(help="Requests before the verdict of success.")] = 200,
    alpha: Alpha = 0.05,
    max_requests: MaxRequests = 200_000,
    max_hours: MaxHours = 168.0,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ask the challenger the same texts and answer nobody with it: how often does it differ, and who is right?"""
    from vermilion.world.rollout import Limit, Plan

    plan = Plan(
        shares=(share,),
        least=(least,),
        limits={"error": Limit(margin)},
        alpha=alpha,
        disagreement=max_disagreement,
        most_requests=max_requests,
        most_seconds=3600 * max_hours,
    )
    _start(open_home(home, database), _Wanted(name, "shadow", challenger, plan, who(by), why), as_json)


@app.command()
def canary(
    name: Name,
    challenger: Challenger,
    steps: Annotated[str, typer.Option(help="Shares of the requests, step by step.")] = "0.05,0.25,0.5",
    least: Annotated[str, typer.Option(help="Requests of each version within a step.")] = "30,100,200",
    margin: Annotated[float, typer.Option(help="How much larger its share of errors may be.")] = 0.02,
    slow_ms: SlowMs = 1000.0,
    slow_margin: Annotated[float, typer.Option(help="How much larger its share of slow ones may be.")] = 0.05,
    wrong_margin: Annotated[
        float | None, typer.Option(help="Success needs feedback: how much more often it may be wrong.")
    ] = None,
    both: Annotated[float, typer.Option(help="Share of requests on which both are asked, to compare.")] = 0.0,
    max_disagreement: Disagreement = None,
    alpha: Alpha = 0.05,
    max_requests: MaxRequests = 200_000,
    max_hours: MaxHours = 168.0,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give the challenger a share of the requests, step by step; promote it, or take it back, by tests."""
    from vermilion.world.rollout import Limit, Plan

    if max_disagreement is not None and not both:
        cure = "say on which share both are asked, as --both 0.1"
        raise InputError("a share over 0 with --max-disagreement", str(both), "--both", cure)
    wrong = Limit(0.05, needed=False) if wrong_margin is None else Limit(wrong_margin)
    plan = Plan(
        shares=_numbers(steps, "--steps", float),
        least=_numbers(least, "--least", int),
        limits={"error": Limit(margin), "slow": Limit(slow_margin), "wrong": wrong},
        alpha=alpha,
        slow_ms=slow_ms,
        both=both,
        disagreement=max_disagreement,
        most_requests=max_requests,
        most_seconds=3600 * max_hours,
    )
    _start(open_home(home, database), _Wanted(name, "canary", challenger, plan, who(by), why), as_json)


@app.command()
def ab(
    name: Name,
    challenger: Challenger,
    share: Share = 0.5,
    slow_ms: SlowMs = 1000.0,
    both: Annotated[float, typer.Option(help="Share of requests on which both are asked, to compare.")] = 0.0,
    alpha: Alpha = 0.05,
    max_requests: MaxRequests = 200_000,
    max_hours: MaxHours = 168.0,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give the challenger a share of the requests and measure both; nothing is moved by itself."""
    from vermilion.world.rollout import Plan

    plan = Plan(
        shares=(share,),
        least=(1,),
        alpha=alpha,
        slow_ms=slow_ms,
        both=both,
        most_requests=max_requests,
        most_seconds=3600 * max_hours,
    )
    _start(open_home(home, database), _Wanted(name, "ab", challenger, plan, who(by), why), as_json)


@app.command()
def status(
    name: Name, home: HomeFolder = None, database: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Show how the rollout of NAME stands, or how the last one ended."""
    from vermilion.serve.evidence import Evidence, Seen
    from vermilion.serve.rollout import findings
    from vermilion.world.rollouts import Rollouts

    with Rollouts.open(open_home(home, database)) as rollouts:
        past = rollouts.history(name)
        if not past:
            raise InputError("a name that has had a rollout", "none", name, "see vermilion rollout history")
        rollout = past[-1]
        progress, events = rollouts.progress(rollout.id), rollouts.events(rollout.id)
        seen = Seen(rollouts.totals(rollout.id), *rollouts.settled(rollout.id), seconds=progress.seconds)
    text = progress.evidence
    evidence = Evidence.none(rollout) if text is None else Evidence.loads(text, rollout)
    found = findings(rollout, evidence, seen)
    if as_json:
        told = _told(rollout) | {"seconds": progress.seconds, "findings": [asdict(one) for one in found]}
        _print_json(told | {"events": [asdict(event) for event in events]})
        return
    show_pairs(out, _lines(rollout, sum(seen.requests()), progress.seconds))
    _show_findings(found)
    _show_events(events)


@app.command()
def stop(
    name: Name,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """End the rollout of NAME; the champion answers everything from now on."""
    from vermilion.world.rollouts import Rollouts

    with Rollouts.open(open_home(home, database)) as rollouts:
        stopped = rollouts.stop(name, by=who(by), why=why or "stopped by hand")
    if as_json:
        _print_json(_told(stopped))
        return
    out.print(f"rollout {stopped.id} is stopped; {stopped.references['champion']} answers all", markup=False)


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model; else all.")] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the rollouts there were, and why each ended."""
    from vermilion.world.rollouts import Rollouts

    with Rollouts.open(open_home(home, database)) as rollouts:
        past = rollouts.history(name)
    if as_json:
        _print_json([_told(one) for one in past])
        return
    columns = [("rollout", True), ("started (UTC)", False), ("kind", False), ("champion", False)]
    columns += [("challenger", False), ("state", False), ("why", False)]
    rows = [
        [str(one.id), _time(one.started_at), one.kind, *one.references.values(), one.state, one.why]
        for one in past
    ]
    show_table(out, f"{len(past):,} rollouts", columns, rows)


@app.command()
def disagreements(
    name: Name,
    out_file: Annotated[Path | None, typer.Option("--out", help="JSONL file to write; else stdout.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that feedback has settled, too.")] = False,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """List requests that the two answered differently, for labelling: send what is right as feedback by its id."""
    from vermilion.world.rollouts import Rollouts

    with Rollouts.open(open_home(home, database)) as rollouts:
        past = rollouts.history(name)
        if not past:
            raise InputError("a name that has had a rollout", "none", name, "see vermilion rollout history")
        found = rollouts.disagreements(past[-1].id)
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in found if every or one.right is None]
    text = "".join(f"{line}\n" for line in lines)
    if out_file is None:
        sys.stdout.write(text)
        return
    try:
        out_file.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = error.strerror or "an error"
        raise InputError("a file to write to", problem, str(out_file), "name another with --out") from None
    out.print(f"{out_file}  {len(lines):,} disagreements", markup=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a command asks to be started."""

    name: str
    kind: Kind
    challenger: str
    plan: Plan
    by: str
    why: str


def _start(home: Home, wanted: _Wanted, as_json: bool) -> None:
    from vermilion.world.registry import Registry
    from vermilion.world.rollouts import NewRollout, Rollouts

    name = wanted.name
    with Registry.open(home) as registry:
        champion = registry.resolve(name)
        challenger = registry.resolve(
            wanted.challenger if "@" in wanted.challenger else f"{name}@{wanted.challenger}"
        )
        if challenger.name != champion.name:
            cure = "name one of its versions: vermilion models list"
            raise InputError(f"a version of {champion.name}", str(challenger), "--challenger", cure)
        registry.check(challenger)
    new = NewRollout(champion.name, wanted.kind, champion.number, challenger.number, wanted.plan)
    with Rollouts.open(home) as rollouts:
        started = rollouts.start(new, by=wanted.by, why=wanted.why)
    if as_json:
        _print_json(_told(started))
        return
    show_pairs(out, _lines(started, 0, 0.0))
    out.print(f"Next: vermilion rollout status {champion.name}", markup=False)


def _numbers(given: str, option: str, kind: type[Any]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in given.split(","))
    except ValueError:
        raise InputError("numbers with commas between", repr(given), option, "give them as 1,2,3") from None


def _lines(rollout: Rollout, requests: int, seconds: float) -> list[tuple[str, str]]:
    steps = " -> ".join(f"{share:.0%}" for share in rollout.plan.shares)
    now = (
        f"step {rollout.step + 1} of {len(rollout.plan.shares)} ({steps})"
        if rollout.state == "running"
        else steps
    )
    ended = f", ended {_time(rollout.ended_at)}" if rollout.ended_at else ""
    return [
        ("rollout", f"{rollout.id}, {rollout.kind} of {rollout.name}"),
        ("champion", rollout.references["champion"]),
        ("challenger", rollout.references["challenger"]),
        ("state", f"{rollout.state}{': ' if rollout.why else ''}{rollout.why}"),
        ("share", now),
        ("started", f"{_time(rollout.started_at)}{ended}"),
        ("seen", f"{requests:,} requests, {seconds / 3600:.1f} hours in service"),
    ]


def _show_findings(found: Sequence[Finding]) -> None:
    columns = [("", False), ("champion", True), ("challenger", True), ("difference", True)]
    columns += [("against it", True), ("for it", True)]
    rows = [
        [
            one.name,
            _arm(*one.champion, one.bounds.get("champion")),
            _arm(*one.challenger, one.bounds.get("challenger")),
            f"{100 * one.difference[0]:+.1f} to {100 * one.difference[1]:+.1f}" if one.difference else "",
            f"{_evidence(one.worse)} of {one.worse_needed:,.0f}",
            _evidence(one.better) + (f" of {one.better_needed:,.0f}" if one.better_needed else ""),
        ]
        for one in found
    ]
    show_table(out, "", columns, rows)


def _arm(n: int, bad: int, bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "none yet"
    return f"{bad:,} of {n:,} ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %)"


def _evidence(found: float) -> str:
    return "over 1,000" if found > 1000 else f"{found:,.0f}" if found >= 10 else f"{found:.1f}"


def _show_events(events: Sequence[Event]) -> None:
    for event in events:
        body = event.body
        told = body.get("how") or body.get("why") or ""
        by = f" by {body['by']}" if "by" in body else ""
        out.print(f"{_time(event.at)}  {event.kind}{by}{': ' if told else ''}{told}", markup=False)


def _told(rollout: Rollout) -> dict[str, Any]:
    return asdict(rollout) | {"plan": rollout.plan.as_dict()} | rollout.references


def _time(at: str) -> str:
    return at[:19].replace("T", " ")


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
