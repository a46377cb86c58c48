"""Agreement against questions as SVG: one line a contestant, named at its end, readable on light and on dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from benchmarks.page.measured import OURS, Contest, mean

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 52, 212, 46, 44
LINE_HEIGHT = 15
GRID_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
# Families share a colour, and their members differ by their dashes.
COLOURS = {"Vermilion": "a", "R.E.D.": "b", "small-text": "c", "scikit-activeml": "d", "SetFit": "e"}
DASHES, LEVEL_DASH = ("", "6 3", "3 2", "8 3 2 3"), "1 4"
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 14px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 1.6 }
.thick { stroke-width: 3 } text.thick { font-weight: 600 }
.a { stroke: #d1341f } .b { stroke: #b07410 } .c { stroke: #1a7f50 } .d { stroke: #2f6fd0 } .e { stroke: #8250df }
.o { stroke: #7d8590 }
text.a { fill: #d1341f } text.b { fill: #96620b } text.c { fill: #1a7f50 } text.d { fill: #2f6fd0 }
text.e { fill: #8250df } text.o { fill: #57606a } text { stroke: none !important }
@media (prefers-color-scheme: dark) {
text, text.o { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d }
.a { stroke: #ff6a50 } .b { stroke: #e3b341 } .c { stroke: #4ac380 } .d { stroke: #6cb6ff } .e { stroke: #c297ff }
text.a { fill: #ff6a50 } text.b { fill: #e3b341 } text.c { fill: #4ac380 } text.d { fill: #6cb6ff }
text.e { fill: #c297ff }
}
""".strip()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A contestant's curve, the mean over its seeds."""

    name: str
    asked: tuple[float, ...]
    agreement: tuple[float, ...]

    @property
    def is_level(self) -> bool:
        """Whether it is drawn as a level line: who asks about nothing, or about every text, has one point."""
        return len(self.asked) == 1

    @property
    def label(self) -> str:
        """What is written at its end."""
        return f"{self.name} ({self.asked[-1]:,.0f} asked)" if self.is_level else self.name


@dataclass(frozen=True, slots=True)
class Frame:
    """From questions and agreement to places in the picture; `step` lies between two level lines."""

    most: float
    low: float
    high: float
    step: float

    def x(self, asked: float) -> float:
        """Return the place from the left, in pixels."""
        return LEFT + (WIDTH - LEFT - RIGHT) * asked / self.most

    def y(self, agreement: float) -> float:
        """Return the place from the top, in pixels."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - agreement) / (self.high - self.low)


def plot(contest: Contest, title: str) -> str:
    """Return the picture of one condition; a contestant of a single point is a level line."""
    found = curves(contest)
    frame = _frame(found)
    paths = [_path(each, frame, dash) for each, dash in zip(found, _dashes(found), strict=True)]
    body = [*_grid(frame), *paths, *_names(found, frame)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    heading = f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>'
    return "\n".join([head, heading, *body, "</svg>"]) + "\n"


def curves(contest: Contest) -> list[Drawn]:
    """Return each contestant's mean curve, ours last so that it lies on top."""
    found = []
    for name, runs in contest.runs.items():
        known = [figures["curve"] for figures in runs.values() if figures["curve"]["asked"]]
        # The same curve twice would hide its twin: asking every text is drawn once.
        if known and name != "every text, no examples":
            found.append(average(name, [(curve["asked"], curve["agreement"]) for curve in known]))
    return sorted(found, key=lambda each: each.name == OURS)


def average(name: str, known: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Drawn:
    """Return the mean of curves at the first one's points, as far as all of them go.

    Examples
    --------
    >>> average("a", [([0, 10], [0.8, 0.9]), ([0, 5, 20], [0.6, 0.7, 1.0])])
    Drawn(name='a', asked=(0.0, 10.0), agreement=(0.7, 0.85))
    """
    end = min(asked[-1] for asked, _ in known)
    grid = sorted({float(min(asked, end)) for asked in known[0][0]})
    drawn = [[float(np.interp(place, asked, agreement)) for place in grid] for asked, agreement in known]
    return Drawn(name, tuple(grid), tuple(round(mean(values), 5) for values in zip(*drawn, strict=True)))


def _frame(found: Sequence[Drawn]) -> Frame:
    """Frame all curves, with five to ten level lines."""
    values = [value for each in found for value in each.agreement]
    most = max((each.asked[-1] for each in found if not each.is_level), default=1.0)
    span = max(values) - min(values)
    step = next((step for step in GRID_STEPS if span <= 7 * step), GRID_STEPS[-1])
    low, high = np.floor(min(values) / step), np.ceil(max(values) / step)
    return Frame(most, float(low * step), float(max(high, low + 1) * step), step)


def _colour(name: str) -> str:
    return next((letter for start, letter in COLOURS.items() if name.startswith(start)), "o")


def _dashes(found: Iterable[Drawn]) -> list[str]:
    """Give the members of a family different dashes."""
    seen: dict[str, int] = {}
    dashes = []
    for each in found:
        if each.is_level:
            dashes.append(LEVEL_DASH)
            continue
        place = seen[_colour(each.name)] = seen.get(_colour(each.name), -1) + 1
        dashes.append(DASHES[place % len(DASHES)])
    return dashes


def _class(name: str) -> str:
    return _colour(name) + (" thick" if name == OURS else "")


def _path(each: Drawn, frame: Frame, dash: str) -> str:
    style = f'class="line {_class(each.name)}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    if each.is_level:
        y = frame.y(each.agreement[-1])
        return f'<path {style} d="M{frame.x(0):.1f} {y:.1f}H{frame.x(frame.most):.1f}"/>'
    points = zip(each.asked, each.agreement, strict=True)
    joined = "L".join(f"{frame.x(asked):.1f} {frame.y(value):.1f}" for asked, value in points)
    return f'<path {style} d="M{joined}"/>'


def _grid(frame: Frame) -> list[str]:
    """Draw level lines with their agreement, and the questions below."""
    right = frame.x(frame.most)
    parts = []
    for place in range(round((frame.high - frame.low) / frame.step) + 1):
        value = frame.low + place * frame.step
        y = frame.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    y = HEIGHT - BOTTOM + 18
    parts += [
        f'<text x="{frame.x(asked):.1f}" y="{y}" text-anchor="middle">{asked:,.0f}</text>'
        for asked in round_numbers(frame.most)
    ]
    middle = frame.x(frame.most / 2)
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">questions asked</text>')
    return parts


def round_numbers(most: float) -> list[int]:
    """Return from 0 up to `most` in four to nine equal steps of a round number.

    Examples
    --------
    >>> round_numbers(1442)
    [0, 200, 400, 600, 800, 1000, 1200, 1400]
    """
    step = next(
        times * 10**zeros for zeros in range(12) for times in (1, 2, 5) if most <= 9 * times * 10**zeros
    )
    return list(range(0, int(most) + 1, step))


def _names(found: Sequence[Drawn], frame: Frame) -> list[str]:
    """Write each name at the end of its line, moved apart where they would lie on each other."""
    lines = sorted(found, key=lambda each: -each.agreement[-1])
    places = apart([frame.y(each.agreement[-1]) for each in lines], HEIGHT - BOTTOM)
    right = frame.x(frame.most)
    parts = []
    for each, y in zip(lines, places, strict=True):
        end = right if each.is_level else frame.x(each.asked[-1])
        lead = f"M{end + 2:.1f} {frame.y(each.agreement[-1]):.1f}L{right + 12:.1f} {y:.1f}"
        parts.append(f'<path class="line {_colour(each.name)}" stroke-opacity=".45" d="{lead}"/>')
        parts.append(
            f'<text class="{_class(each.name)}" x="{right + 15:.1f}" y="{y + 4:.1f}">'
            f"{escape(each.label)}</text>"
        )
    return parts


def apart(places: Sequence[float], lowest: float) -> list[float]:
    """Move places, which come from the top down, so far apart that names do not touch.

    Examples
    --------
    >>> apart([100, 101, 200], 300)
    [100, 115, 200]
    >>> apart([100, 299, 300], 300)
    [100, 285, 300]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LINE_HEIGHT) if moved else place)
    limit = lowest
    for at in range(len(moved) - 1, -1, -1):
        moved[at] = min(moved[at], limit)
        limit = moved[at] - LINE_HEIGHT
    return moved
