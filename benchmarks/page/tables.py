"""Tables of the cost to agreement: the contestants, the overview, the ablation, the small version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isinf

from scipy.stats import spearmanr

from benchmarks.figures import LEVELS, Estimate, Line, Reached, estimate, lines, name_of, title
from benchmarks.page.measured import OURS, Contest, at_end, contests, is_peer
from benchmarks.results import Row

MILLION = 1e6
# The variant of an ablation from which nothing is taken.
WHOLE = "default"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Examples
    --------
    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines_of = [list(head), *map(list, rows)]
    written = [f"| {' | '.join(row)} |" for row in lines_of]
    return "\n".join([written[0], "|" + "---|" * len(head), *written[1:]])


def caption(contest: Contest) -> str:
    """Return a condition in words, with what it says of the expert."""
    rounds = contest.condition.get("rounds")
    return title(contest.condition) + (f", {rounds} rounds" if rounds else "")


COST_HEAD = (
    "contestant",
    "seeds",
    *(f"questions to {level:.2f}" for level in LEVELS),
    f"million tokens to {max(LEVELS):.2f}",
    "questions in all",
    "agreement",
    "million tokens",
    "test accuracy",
    "seconds",
)


def contestants(contest: Contest) -> str:
    """Return the table of one condition, those first that need the fewest questions."""
    found = lines(row for name in contest.runs for row in _rows(contest, name))
    return markdown(COST_HEAD, map(_contestant, sorted(found, key=_rank)))


def _rows(contest: Contest, name: str) -> list[Row]:
    """Return one contestant's rows again, as its lines are made of."""
    known = {**contest.condition, "contestant": name}
    return [
        {"condition": {**known, "seed": seed}, "figures": figures}
        for seed, figures in contest.runs[name].items()
    ]


def _rank(line: Line) -> tuple[float, ...]:
    calls = [each.calls.mean if each.calls else float("inf") for each in reversed(line.reached)]
    return (*calls, -line.agreement.mean if line.agreement else 0.0)


def _contestant(line: Line) -> list[str]:
    name = f"**{line.contestant}**" if line.contestant == OURS else line.contestant
    unfinished = line.runs - line.finished
    highest = line.reached[-1]
    return [
        name + (f" ({unfinished} of {line.runs} did not finish)" if unfinished else ""),
        str(line.runs),
        *map(_reached, line.reached),
        _millions(highest.tokens),
        _cell(line.asked, ",.0f"),
        _cell(line.agreement, ".4f"),
        _millions(line.tokens),
        _cell(line.test_accuracy, ".4f"),
        _cell(line.seconds, ",.0f"),
    ]


def _reached(each: Reached) -> str:
    none = "not reached" if not each.runs else f"reached in {each.runs} of {each.of}"
    return none if each.calls is None else each.calls.text(",.0f")


def _cell(value: Estimate | None, form: str) -> str:
    return "-" if value is None else value.text(form)


def _millions(value: Estimate | None) -> str:
    if value is None:
        return "-"
    half = None if value.half is None else value.half / MILLION
    return replace(value, mean=value.mean / MILLION, half=half).text(".2f")


def overview(found: Iterable[Contest]) -> str:
    """Return one line a condition: ours beside the best peer, over the seeds that both ran with."""
    head = ["set", "labelled a label", "simulated expert wrong"]
    head += [f"questions to {level:.2f}: {who}" for level in LEVELS for who in ("ours", "best peer")]
    head += ["agreement: ours", "best peer", "test accuracy: ours", "best peer"]
    return markdown(head, (_overview(contest) for contest in found if OURS in contest.runs))


def _overview(contest: Contest) -> list[str]:
    known = contest.condition
    cells = [name_of(known), str(known["a_label"]), f"{100 * known['error']:.0f} %"]
    peers = {name: seeds for name in contest.runs if is_peer(name) and (seeds := contest.common(OURS, name))}
    # One that was tried with a seed or two is in its set's table; here it would stand beside a mean of five.
    most = max(map(len, peers.values()), default=0)
    peers = {name: seeds for name, seeds in peers.items() if len(seeds) == most}
    own = sorted(contest.runs[OURS])
    for level in LEVELS:
        calls = [(contest.calls(name, level, seeds), seeds) for name, seeds in peers.items()]
        best, seeds = min(calls, default=(None, own))
        cells += [_calls(contest.calls(OURS, level, seeds)), _calls(best)]
    for column in ("agreement", "test_accuracy"):
        ends = [(contest.last(name, column, seeds), seeds) for name, seeds in peers.items()]
        end, seeds = max(((end, seeds) for end, seeds in ends if end is not None), default=(None, own))
        ours = contest.last(OURS, column, seeds)
        cells += ["-" if value is None else f"{value:.4f}" for value in (ours, end)]
    return cells


def _calls(value: float | None) -> str:
    if value is None:
        return "-"
    return "not reached" if isinf(value) else f"{value:,.0f}"


ABLATION_HEAD = (
    "changed",
    "compared with",
    "seeds",
    "agreement",
    "change in points",
    "test accuracy",
    "change in points",
    *(f"questions to {level:.2f}" for level in LEVELS),
)


def ablation(contest: Contest) -> str:
    """Return a line a variant, those first whose change takes most from the agreement of what it was made from."""
    bases = {name: next(iter(runs.values())).get("base", WHOLE) for name, runs in contest.runs.items()}
    changes = {name: _change(contest, base, name, "agreement") for name, base in bases.items()}
    ranked = sorted(bases, key=lambda name: (name != bases[name], _cost(changes[name])))
    return markdown(ABLATION_HEAD, (_variant(contest, bases[name], name) for name in ranked))


def _cost(change: Estimate | None) -> float:
    """Return a change to sort by; what was not measured comes last."""
    return float("inf") if change is None else change.mean


def _variant(contest: Contest, base: str, name: str) -> list[str]:
    is_base, runs = name == base, contest.runs[name].values()
    cells = [f"**{name}**" if is_base else name, "" if is_base else base, str(len(runs))]
    for column in ("agreement", "test_accuracy"):
        change = "" if is_base else _cell(_change(contest, base, name, column), "+.2f")
        # Half an interval's width has no sign.
        cells += [
            _cell(estimate(at_end(figures, column) for figures in runs), ".4f"),
            change.replace("± +", "± "),
        ]
    (line,) = lines(_rows(contest, name))
    return [*cells, *map(_reached, line.reached)]


def _change(contest: Contest, base: str, name: str, column: str) -> Estimate | None:
    """Return the change in points, seed by seed: what seeds differ in does not count."""
    pairs = [
        (at_end(contest.runs[name][seed], column), at_end(contest.runs[base][seed], column))
        for seed in contest.common(name, base)
    ]
    return estimate(None if a is None or b is None else 100 * (a - b) for a, b in pairs)


def small(rows: Sequence[Row], whole: Sequence[Row]) -> str:
    """Return the tables of the small version, and how far its order is that of the whole."""
    full = {contest.condition["set"]: contest for contest in contests(whole) if contest.is_usual}
    parts = []
    for contest in contests(rows):
        name = contest.condition["set"]
        parts.append(f"{caption(contest)}:\n\n{contestants(contest)}")
        if name in full and (order := _same_order(contest, full[name])):
            parts.append(order)
    return "\n\n".join(parts)


def _same_order(one: Contest, other: Contest) -> str:
    """Say how alike the orders of the contestants are, by agreement at the end (simulated expert)."""
    pairs = []
    for name in one.runs:
        if name in other.runs and not name.startswith("every text"):
            ends = [contest.last(name, "agreement", contest.runs[name]) for contest in (one, other)]
            if None not in ends:
                pairs.append(ends)
    if len(pairs) < 3:
        return ""
    alike = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return (
        f"Its order of the {len(pairs)} contestants by agreement (simulated expert) and that of the main table"
        f" have a rank correlation of {alike:.2f}."
    )
