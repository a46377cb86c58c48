"""What the report says of the price of more: what the next questions were expected to buy, round by round."""

from __future__ import annotations

from dataclasses import dataclass

from vermilion.learn.worth import Gain
from vermilion.red import wording
from vermilion.red.record import RoundRecord, Summary
from vermilion.red.report_tables import Table, or_dash


@dataclass(frozen=True, slots=True)
class WorthSection:
    """The report's section: one line on what more would buy, and a row for each round."""

    line: str
    table: Table


def worth_section(summary: Summary) -> WorthSection | None:
    """Return the section's content; None where nothing could be expected yet."""
    rounds = summary.rounds
    known = [record for record in rounds if record.gain_per_100_calls is not None]
    if not known:
        return None
    columns = [
        ("Round", [str(record.round) for record in rounds]),
        ("100 more calls", [_gain(record.gain_per_100_calls) for record in rounds]),
        ("A dollar more", [_gain(record.gain_per_dollar) for record in rounds]),
        ("Kappa", [or_dash(record.kappa) for record in rounds]),
        ("Uncertain texts", [wording.count(record.uncertain) for record in rounds]),
    ]
    kept = [(name, cells) for name, cells in columns if any(cell != "–" for cell in cells)]
    caption = "Expected gain in agreement with the expert" + (" (simulation)" if summary.simulated else "")
    rows = list(zip(*(cells for _, cells in kept), strict=True))
    return WorthSection(_line(known[-1]), Table.of(caption, [name for name, _ in kept], rows))


def _line(last: RoundRecord) -> str:
    told = (
        f"After round {last.round}, 100 more questions were expected to buy {_gain(last.gain_per_100_calls)}"
    )
    return told + (f", a dollar more {_gain(last.gain_per_dollar)}." if last.gain_per_dollar else ".")


def _gain(gain: Gain | None) -> str:
    return "–" if gain is None else wording.gain_words(gain)
