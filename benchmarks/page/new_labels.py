"""Labels added to a finished run, beside a fresh run with all labels."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.page.tables import markdown
from benchmarks.results import Row

HEAD = ("set", "seed", "run", "questions", "agreement (simulated expert)")
TOLD = (
    "Some labels are left out of the labelled texts and added, with as many examples as the others have, to the run"
    " that ended without them. *Going on* counts the questions after they were added; in brackets, how many of them"
    " were about texts that had been answered before. The fresh run knew all labels from the start."
)


def new_labels(rows: Sequence[Row]) -> str:
    """Return the table of all runs."""
    return f"{TOLD}\n\n{markdown(HEAD, (line for row in rows for line in _lines(row)))}"


def _lines(row: Row) -> list[list[str]]:
    known, found = row["condition"], row["figures"]
    place = [f"{known['set']}, {known['a_label']} a label, pool of {found['pool']:,}", str(known["seed"])]
    runs = (
        (f"fresh, {found['labels']} labels", found["fresh"], ""),
        (f"without {known['new']} of them", found["before"], ""),
        ("going on", found["after"], f" ({found['after']['asked_again']:,})"),
    )
    return [
        [*place, name, f"{one['asked']:,}{again}", f"{100 * one['agreement']:.2f} %"]
        for name, one, again in runs
    ]
