"""What a run is told about its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vermilion.world.source import Columns


@dataclass(frozen=True, slots=True)
class Request:
    """What the files of a run are called, and how they are read.

    Attributes
    ----------
    store : str or None
        A database's URL; None is a file in `out`.
    prices, second_prices : tuple of float or None
        US dollars for a million prompt tokens, and a million completion tokens; of the second expert likewise.
    """

    labelled: str
    pool: str
    out: Path
    labels: str | None = None
    columns: Columns = field(default_factory=Columns)
    decisions: str = "decisions.jsonl"
    store: str | None = None
    fresh: bool = False
    skip_bad_rows: bool = False
    prices: tuple[float, float] | None = None
    second_prices: tuple[float, float] | None = None
    title: str = ""
