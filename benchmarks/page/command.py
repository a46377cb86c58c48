"""The page put together, and the command that writes or checks it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import (
    guarantees,
    new_labels,
    out_of_scope,
    rollout,
    service,
    speed,
    tables,
    tasks,
    worst,
)
from benchmarks.page.goals import Goal, State, goals
from benchmarks.page.measured import FILES, Contest, Measured, contests
from benchmarks.page.plots import plot
from benchmarks.results import FOLDER, Row

ROOT = Path(__file__).parent.parent.parent
NOTES = ROOT / "benchmarks" / "notes.md"
PAGE = "benchmarks.md"
SHORT = "What falls short"
COMMANDS = {
    "cost": "python -m benchmarks cost DATA_FOLDER",
    "small": "python -m benchmarks cost DATA_FOLDER --small",
    "ablation": "python -m benchmarks ablation DATA_FOLDER",
    "speed": "python -m benchmarks speed DATA_FOLDER",
    "scale": "python -m benchmarks scale DATA_FOLDER",
    "worst": "python -m benchmarks worst DATA_FOLDER",
    "new_labels": "python -m benchmarks new-labels DATA_FOLDER",
    "out_of_scope": "python -m benchmarks out-of-scope DATA_FOLDER",
    "guarantees": "python -m benchmarks guarantees",
    "several_labels": "python -m benchmarks multi-label DATA_FOLDER",
    "pairs": "python -m benchmarks pairs DATA_FOLDER",
    "rare_labels": "python -m benchmarks imbalance DATA_FOLDER",
    "hierarchy": "python -m benchmarks hierarchy",
    "service": "python -m benchmarks service DATA_FOLDER",
    "rollout": "python -m benchmarks rollout",
}
INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m benchmarks page` from benchmarks/results; edit that program or benchmarks/notes.md. -->

Every expert on this page is a **simulated expert**: it knows the gold labels and gives a wrong answer, towards a label
that is like the true one, for the share of texts that each table names. A real model errs on other texts. Agreement is
that of all decisions on the pool with gold: what the expert answered where it was asked, else what the model predicts.
Test accuracy is the learned model's on the public test split. ± is half of a 95 % interval over seeds.

DATA_FOLDER in the commands holds a folder for each set with its `train.jsonl` and `test.jsonl`
([benchmarks/tasks.py](../benchmarks/tasks.py)). `make bench DATA=folder` runs everything and goes on where it was
stopped; `make bench-small DATA=folder` takes minutes. Peers run in environments of their own, with the versions in
`requirements/peers/`, on the same vectors, splits and simulated expert."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this program's arguments."""
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is another")
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder of the results")
    parser.add_argument("--notes", type=Path, default=NOTES, help="what is written by hand")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder that the page is written to")


def main(arguments: argparse.Namespace) -> None:
    """Write the page and its plots, or exit 1 where they are not what the results give."""
    measured = Measured.read(arguments.results)
    wanted = {PAGE: page(measured, arguments.notes.read_text(encoding="utf-8")), **plots(measured)}
    if arguments.check:
        other = [name for name, text in wanted.items() if _text(arguments.docs / name) != text]
        if other:
            sys.exit(f"not what the results give: {', '.join(other)}; write with python -m benchmarks page")
        return
    for name, text in wanted.items():
        path = arguments.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def plots(measured: Measured) -> dict[str, str]:
    """Return each plot by its file, below the folder of the pages."""
    return {
        _image(contest): plot(contest, f"Agreement, simulated expert ({contest.place})")
        for contest in _pictured(measured)
    }


def _pictured(measured: Measured) -> list[Contest]:
    """Return the first condition of each set, which is the usual one where it was run."""
    first: dict[str, Contest] = {}
    for contest in contests(measured.cost):
        if any(figures["curve"]["asked"] for runs in contest.runs.values() for figures in runs.values()):
            first.setdefault(contest.condition["set"], contest)
    return list(first.values())


def _image(contest: Contest) -> str:
    return f"images/cost-{contest.condition['set']}.svg"


def page(measured: Measured, notes: str) -> str:
    """Return the page.

    Parameters
    ----------
    notes : str
        What is written by hand, in sections with headings of the second level. The one on what falls short comes
        after the goals that were missed; the others before it.
    """
    by_hand = sections(notes)
    found = goals(measured)
    short = "\n".join(filter(None, [missed(found), by_hand.pop(SHORT, "")]))
    parts = [
        INTRODUCTION,
        f"## Goals\n\n{goal_table(found)}",
        f"## Cost to agreement\n\n{cost(measured)}",
        f"## The small version\n\n{_section('small', measured.small, _small(measured))}",
        f"## Ablation\n\n{ablation(measured)}",
        f"## Speed and memory\n\n{_section('speed', measured.speed, speed.speed(measured))}",
        f"## Beyond one machine\n\n{_section('scale', measured.scale, _scale(measured))}",
        f"## Worst decisions\n\n{_section('worst', measured.worst, _worst(measured))}",
        f"## Labels added to a finished run\n\n{_section('new_labels', measured.new_labels, _new_labels(measured))}",
        f"## Texts that no label fits\n\n{_section('out_of_scope', measured.out_of_scope, _out_of_scope(measured))}",
        f"## Guarantees\n\n{_section('guarantees', measured.guarantees, _guarantees(measured))}",
        f"## Several labels a text\n\n{_task('several_labels', measured.several_labels, tasks.several_labels)}",
        f"## Pairs of texts\n\n{_task('pairs', measured.pairs, tasks.pairs)}",
        f"## Rare labels\n\n{_task('rare_labels', measured.rare_labels, tasks.rare_labels)}",
        f"## Labels that stand under others\n\n{_task('hierarchy', measured.hierarchy, tasks.hierarchy)}",
        f"## The service under load\n\n{_task('service', measured.service, service.service)}",
        f"## Canaries\n\n{_task('rollout', measured.rollout, rollout.rollout)}",
        *(f"## {name}\n\n{text}" for name, text in by_hand.items()),
        f"## {SHORT}\n\n{short}",
        f"## Machine, versions, seeds\n\n{provenance(measured)}",
    ]
    return "\n\n".join(parts) + "\n"


def sections(notes: str) -> dict[str, str]:
    """Return the text below each heading of the second level; what stands before the first is left out.

    Examples
    --------
    >>> sections("a comment\\n\\n## One\\n\\nText.\\n\\n## Two\\n\\nMore.\\n")
    {'One': 'Text.', 'Two': 'More.'}
    """
    parts = re.split(r"^## +(.+)$", notes, flags=re.MULTILINE)
    return {name.strip(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def goal_table(found: Iterable[Goal]) -> str:
    """Return the goals with their figures."""
    body = (
        [goal.text, goal.figure or "-", goal.state if goal.state == State.REACHED else f"**{goal.state}**"]
        for goal in found
    )
    return tables.markdown(["goal", "found", ""], body)


def missed(found: Iterable[Goal]) -> str:
    """Return a line for each goal that is not reached."""
    return "\n".join(
        f"- Not reached: {goal.text}. {goal.figure[:1].upper()}{goal.figure[1:]}."
        for goal in found
        if goal.state == State.MISSED
    )


def _section(name: str, rows: Iterable[Row], text: str) -> str:
    """Return a section's command and text, or that it was not measured yet."""
    command = f"```sh\n{COMMANDS[name]}\n```"
    return f"{command}\n\n{text}" if rows else f"Not measured yet:\n\n{command}"


def cost(measured: Measured) -> str:
    """Return the overview, and for each set its plot and the tables of all conditions; the usual one is open."""
    found = contests(measured.cost)
    if not found:
        return _section("cost", (), "")
    told = (
        "Questions to a level are read off the straight line between two points of a run; a contestant that does not"
        " reach a level in any run is said not to, and a mean is given only where every run reached it. Tokens are"
        " those of the rendered prompts and answers, counted with the Llama 2 tokenizer. The best peer is the better"
        " of small-text's and scikit-activeml's strategies in each cell, chosen after the fact. Ours asks among a"
        " shortlist with examples; a peer's question offers all labels without examples."
    )
    parts = [told, tables.overview(found)]
    names = dict.fromkeys(contest.condition["set"] for contest in found)
    pictures = {contest.condition["set"]: contest for contest in _pictured(measured)}
    for name in names:
        parts.append(f"### {name}")
        if name in pictures:
            parts.append(f"![Agreement against questions asked, simulated expert]({_image(pictures[name])})")
        own = [contest for contest in found if contest.condition["set"] == name]
        parts += [_condition(contest, is_open=contest is own[0]) for contest in own]
    return _section("cost", measured.cost, "\n\n".join(parts))


def _condition(contest: Contest, *, is_open: bool) -> str:
    told, table = tables.caption(contest), tables.contestants(contest)
    if is_open:
        return f"{told}:\n\n{table}"
    return f"<details><summary>{told}</summary>\n\n{table}\n\n</details>"


def ablation(measured: Measured) -> str:
    """Return the table of what each part carries."""
    if not measured.ablation:
        return _section("ablation", (), "")
    told = (
        "One thing is switched off or exchanged at a time; those first that cost most agreement. Changes are in points,"
        " seed by seed, against what the variant was made from. All with a simulated expert."
    )
    each = (f"{tables.caption(one)}:\n\n{tables.ablation(one)}" for one in contests(measured.ablation))
    return _section("ablation", measured.ablation, "\n\n".join([told, *each]))


def _small(measured: Measured) -> str:
    return tables.small(measured.small, measured.cost) if measured.small else ""


def _scale(measured: Measured) -> str:
    told = (
        "`vermilion predict` without Ray and with it, the same bytes each time. CPU seconds are those of all processes"
        " together. What a billion texts would cost is reckoned in [scale.md](scale.md)."
    )
    return f"{told}\n\n{speed.scale(measured.scale)}" if measured.scale else ""


def _worst(measured: Measured) -> str:
    return worst.worst(measured.worst) if measured.worst else ""


def _new_labels(measured: Measured) -> str:
    return new_labels.new_labels(measured.new_labels) if measured.new_labels else ""


def _task(name: str, rows: Sequence[Row], table: Callable[[Sequence[Row]], str]) -> str:
    return _section(name, rows, table(rows) if rows else "")


def _guarantees(measured: Measured) -> str:
    return guarantees.guarantees(measured.guarantees) if measured.guarantees else ""


def _out_of_scope(measured: Measured) -> str:
    return out_of_scope.out_of_scope(measured.out_of_scope) if measured.out_of_scope else ""


def provenance(measured: Measured) -> str:
    """Return for each file of results its machine, versions, commits and seeds."""
    lines = list(_provenance(measured))
    if not lines:
        return "Not measured yet."
    head = ["results", "rows", "seeds", "machine", "versions", "commit"]
    return tables.markdown(head, lines)


def _provenance(measured: Measured) -> Iterator[list[str]]:
    for file, rows in measured.files():
        seeds = sorted({row["condition"]["seed"] for row in rows if "seed" in row["condition"]})
        commits = [_fact(row, "commit") for row in rows]
        link = f"[{file}](../benchmarks/results/{file})"
        yield [
            link,
            str(len(rows)),
            ", ".join(map(str, seeds)) or "-",
            _distinct(_machine(row) for row in rows),
            _distinct(_versions(row["machine"]) for row in rows),
            _distinct(commit for commit in commits if commit) or "not written down",
        ]


def _fact(row: Row, name: str) -> Any:
    """Return a fact that some benchmarks keep with the machine and some with the figures."""
    return row["machine"].get(name, row["figures"].get(name))


def _machine(row: Row) -> str:
    memory = _fact(row, "memory_gib")
    told = f"{row['machine']['processor']}, {row['machine']['cores']} cores"
    return told + (f", {memory:.0f} GiB" if memory else "")


def _versions(machine: Row) -> str:
    own = {
        name: value
        for name, value in machine.items()
        if name not in {"processor", "cores", "commit", "memory_gib"}
    }
    return ", ".join(f"{name} {value}" for name, value in own.items())


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


assert set(COMMANDS) == set(FILES)
