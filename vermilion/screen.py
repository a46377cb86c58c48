"""What the command shows on a terminal; on anything else it keeps quiet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vermilion.red import wording
from vermilion.red.plan import Plan
from vermilion.red.record import RoundRecord, Summary
from vermilion.red.report.certificates import acceptance_line
from vermilion.red.report.trust import trust_lines
from vermilion.red.trust import Trust
from vermilion.types import Spend

# Of a table that no terminal shows.
WIDE = 200

MEASURES = {"agreement": "agreement with the expert", "micro-F1": "micro-F1 by the expert's answers"}


class RateColumn(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing before there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed and speed >= 10 else f"{speed:.1f}/s" if speed else "")


class CostColumn(ProgressColumn):
    """US dollars spent on the current piece of work."""

    def render(self, task: Task) -> Text:
        """Return the cost, or nothing where it is free."""
        cost = task.fields.get("cost", 0.0)
        return Text(f"${cost:,.4f}" if cost else "")


class Screen:
    """Live progress on a terminal: counts, rate, cost, time left; and a line a round."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = console.is_terminal
        self._progress: Progress | None = None
        self._task: Any = None
        self._cost = 0.0

    def start(self, what: str, total: int | None) -> None:
        """Begin a bar; `total` None: of unknown length."""
        self.done()
        if not self.live or total == 0:
            return
        self._cost = 0.0
        self._progress = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(complete_style="red", finished_style="red"),
            MofNCompleteColumn(),
            RateColumn(),
            CostColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(what, total=total, cost=0.0)

    def advance(self, steps: int, spend: Spend | None = None) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._cost += spend.cost_usd if spend else 0.0
            self._progress.update(self._task, advance=steps, cost=self._cost)

    def done(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def note(self, line: str) -> None:
        """Print a line; also where there is no terminal, since it may matter."""
        self.console.print(line, highlight=False, markup=False)

    def round(self, record: RoundRecord) -> None:
        """Print a round's line, below a heading; a column is there where the first round has it."""
        if not self.live:
            return
        cells = [
            ("round", f"{record.round}"),
            ("uncertain", f"{record.uncertain:,}"),
            ("asked", f"{record.asked:,}"),
            ("in all", f"{record.calls:,}"),
            ("sample agrees", _share(record.agreement)),
        ]
        if record.gold_agreement is not None:
            cells.append(("gold (simulation)", _share(record.gold_agreement)))
        if record.cost_usd:
            cells.append(("cost", f"${record.cost_usd:,.2f}"))
        gain = record.gain_per_100_calls
        cells.append(("100 more buy", "" if gain is None else wording.gain_words(gain)))
        widths = [max(len(name), 7) for name, _ in cells]
        if not record.round:
            self.console.print(_line([name for name, _ in cells], widths), style="bold", highlight=False)
        self.console.print(_line([value for _, value in cells], widths), highlight=False)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _share(share: float | None) -> str:
    return "" if share is None else wording.percent(share)


def show_plan(console: Console, plan: Plan) -> None:
    """Print what a run is about to do, before it spends anything."""
    show_pairs(console, plan.lines())


def show_trust(console: Console, trust: Trust) -> None:
    """Print what is known of an expert, for whoever decides whether it is worth its price."""
    show_pairs(console, trust_lines(trust))


def show_summary(console: Console, summary: Summary, paths: Sequence[tuple[str, str]]) -> None:
    """Print how a run ended, and where its results lie."""
    console.print()
    console.print(
        Text("Done" if not summary.stopped.startswith("cap") else "Stopped by a cap", style="bold red")
    )
    show_pairs(console, [*headlines(summary), *paths])


def show_pairs(console: Console, pairs: Sequence[tuple[str, str]]) -> None:
    """Print a name and its value a line; no value is ever cut, since a path may be copied from here."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        console.print(Text.assemble((name.ljust(width), "bold"), "  ", value), soft_wrap=True)


def show_table(
    console: Console, title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]
) -> None:
    """Print a table of columns (name, whether numeric); in a file or a pipe no cell is broken."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name, numeric in columns:
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    wide = console if console.is_terminal else Console(file=console.file, width=WIDE, highlight=False)
    wide.print(table, soft_wrap=False)


def _gold(gold: dict[str, float]) -> str:
    if "f1_micro" not in gold:
        return f"{wording.percent(gold['agreement'])} agreement (simulation)"
    f1 = ", ".join(f"{wording.percent(gold[f'f1_{kind}'])} {kind}-F1" for kind in ("micro", "macro"))
    return f"{f1}, all labels right in {wording.percent(gold['agreement'])} of the texts (simulation)"


def headlines(summary: Summary) -> list[tuple[str, str]]:
    """Return the figures that matter most, as name and value."""
    lines = [
        ("texts", f"{summary.texts:,} in {summary.labels:,} labels ({summary.labelled:,} labelled)"),
        ("decisions", ", ".join(f"{count:,} {name}" for name, count in summary.decisions.items() if count)),
        (
            "expert",
            f"{summary.calls:,} questions to {summary.expert}" + (" (simulation)" * summary.simulated),
        ),
    ]
    if summary.cost_usd:
        lines.append(("cost", f"${summary.cost_usd:,.4f}"))
    certificate = summary.certificate
    if certificate is not None:
        lines.append(
            (
                "certificate",
                f"{MEASURES[certificate.measure]} at least {wording.percent_at_least(certificate.lower)}"
                f" with {wording.level(certificate.confidence)} confidence (estimate "
                f"{wording.percent(certificate.estimate)}, {certificate.n:,} random blind answers)",
            )
        )
    if summary.acceptance is not None:
        lines.append(("acceptance", acceptance_line(summary.acceptance, summary)))
    if summary.gold and "agreement" in summary.gold:
        lines.append(("gold", _gold(summary.gold)))
    if summary.rounds and (gain := summary.rounds[-1].gain_per_100_calls) is not None:
        dollar = summary.rounds[-1].gain_per_dollar
        more = f"; a dollar more {wording.gain_words(dollar)}" if dollar else ""
        lines.append(("outlook", f"100 more questions buy about {wording.gain_words(gain)}{more}"))
    lines.append(("stopped", summary.stopped))
    return lines
