"""What the report and the screen say of an expert that was checked on labelled texts."""

from __future__ import annotations

from dataclasses import dataclass

from vermilion.page.figures import Table
from vermilion.red import wording
from vermilion.red.trust import Compared, Counted, MixedUp, Trust, advice


@dataclass(frozen=True, slots=True)
class TrustSection:
    """The report's section on the expert: one line, tables, and labels it mixes up."""

    line: str
    tables: tuple[Table, ...]
    mixed_up: tuple[MixedUp, ...]


def trust_section(trust: Trust) -> TrustSection:
    """Return the section's content."""
    line = advice(trust)
    tables = [table for table in (_against_the_head(trust), _constancy(trust)) if table.rows]
    return TrustSection(f"{line[0].upper()}{line[1:]}.", tuple(tables), trust.mixed_up)


def _against_the_head(trust: Trust) -> Table:
    rows = [
        (
            words,
            wording.count(part.n),
            wording.percent(part.expert),
            wording.percent(part.head),
            wording.points(part.gain),
            f"{wording.points(part.lower)} to {wording.points(part.upper)}",
            "< 0.001" if part.p_value < 0.001 else f"{part.p_value:.3f}",
        )
        for words, part in (
            ("The head is least sure", trust.disputed),
            ("Random others", trust.random),
        )
        if part is not None
    ]
    caption = "Right answers on the same labelled texts" + (" (simulation)" if trust.simulated else "")
    return Table.of(caption, ("Texts", "Number", "Expert", "Head", "Gain", "Bounds", "p"), rows)


def _constancy(trust: Trust) -> Table:
    rows = [
        (
            name[0].upper() + name[1:],
            wording.count(part.n),
            wording.percent(part.share),
            f"{wording.percent(part.lower)} to {wording.percent(part.upper)}",
        )
        for name, part in _counted(trust)
    ]
    return Table.of("How constant the answers are", ("Question", "Number", "Share", "Bounds"), rows)


def _counted(trust: Trust) -> list[tuple[str, Counted]]:
    possible = [
        ("refused the right label, though it was there", trust.none),
        ("another answer to the very same question", trust.flips),
        ("another answer with the options in reverse", trust.order),
    ]
    found = [(name, part) for name, part in possible if part is not None]
    second = trust.second
    return (
        found
        if second is None
        else [*found, (f"the second expert, {second.name}, answered alike", second.agreed)]
    )


def trust_lines(trust: Trust) -> list[tuple[str, str]]:
    """Return what is known of an expert as name and value, for a person who decides.

    Examples
    --------
    >>> lines = trust_lines(Trust("m", False, flips=Counted.of(2, 20)))
    >>> [(name, value.replace(wording.SPACE, " ")) for name, value in lines]
    [('expert', 'm'), ('another answer to the very same question', '10.0 % of 20 (at most 26.2 %)')]
    """
    lines = [("expert", trust.expert + " (simulation)" * trust.simulated)]
    for name, part in (("disputed texts", trust.disputed), ("random texts", trust.random)):
        if part is not None:
            lines.append((name, _compared(part)))
    for name, found in _counted(trust):
        upper = wording.percent(found.upper)
        lines.append((name, f"{wording.percent(found.share)} of {wording.count(found.n)} (at most {upper})"))
    return lines + [
        ("mixed up", f"{pair.label} / {pair.other}: {wording.counted(pair.count, 'text')}")
        for pair in trust.mixed_up
    ]


def _compared(part: Compared) -> str:
    bounds = f"{wording.points(part.lower)} to {wording.points(part.upper)}"
    return (
        f"expert {wording.percent(part.expert)}, head {wording.percent(part.head)} of {wording.count(part.n)};"
        f" gain {wording.points(part.gain)} ({bounds}), p = {part.p_value:.2g}"
    )
