"""The figures of a comparison as words, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence

from vermilion.choose.encoders_record import Row, Tuned
from vermilion.choose.encoders_sheet import Sheet
from vermilion.learn.bootstrap import Estimate

DASH = "–"


def figure(estimate: Estimate, digits: int = 3) -> str:
    """Return a figure with its interval.

    Examples
    --------
    >>> figure(Estimate(0.9123, 0.9, 0.92)), figure(Estimate(0.5, None, None)), figure(Estimate(None, None, None))
    ('0.912 (0.900 to 0.920)', '0.500', '–')
    """
    if estimate.value is None:
        return DASH
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} ({estimate.lower:.{digits}f} to {estimate.upper:.{digits}f})"


def rate(texts: float) -> str:
    """Return a number of texts a second with two telling digits or so.

    Examples
    --------
    >>> rate(63507.2), rate(312.3), rate(4.26)
    ('64,000', '310', '4.3')
    """
    if texts < 10:
        return f"{texts:.1f}"
    digits = len(str(int(texts))) - 2
    return f"{round(texts / 10**digits) * 10**digits:,}"


def memory(size: int | None) -> str:
    """Return bytes as MiB, or a dash where the encoder runs elsewhere."""
    return DASH if size is None else f"{size / 2**20:,.0f} MiB"


def cost(dollars: float | None) -> str:
    """Return what a million texts cost."""
    return DASH if dollars is None else f"${dollars:,.2f}"


def figure_rows(rows: Sequence[Row], sheet: Sheet) -> list[tuple[str, list[str]]]:
    """Return the comparison turned on its side: a row for each figure, a cell for each candidate."""
    found = [(title, [figure(row.figures[key]) for row in rows]) for key, (title, _) in sheet.figures.items()]
    for each in sorted({each for row in rows for each in row.shots}):
        cells = [figure(row.shots[each]) if each in row.shots else DASH for row in rows]
        examples = sheet.curve.example + "s" * (each != 1)
        found.append((f"{each} {examples} a label", cells))
    found.append(
        ("Texts a second", [f"{rate(r.speed)} ({rate(r.slowest)} to {rate(r.fastest)})" for r in rows])
    )
    found.append(("Dimensions", [f"{row.dimension:,}" for row in rows]))
    found.append(("Memory", [memory(row.memory) for row in rows]))
    if any(row.cost is not None for row in rows):
        found.append(("Cost per million texts", [cost(row.cost) for row in rows]))
    return found


def tuned_rows(tuned: Sequence[Tuned]) -> list[tuple[str, str]]:
    """Return each fine-tuned model with its accuracy by texts a label."""
    return [
        (one.name, ", ".join(f"{each} a label {figure(estimate)}" for each, estimate in one.shots.items()))
        for one in tuned
    ]
