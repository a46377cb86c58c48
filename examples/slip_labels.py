"""Write a file of labelled texts whose labels have slipped by ten rows, for a worse model to learn from.

python examples/slip_labels.py labelled.csv slipped.csv

Needs nothing but Python.
"""

from __future__ import annotations

import csv
import sys

ROWS = 10


def main(labelled: str, slipped: str) -> int:
    """Write `slipped`; return how many rows it has."""
    with open(labelled, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [row["label"] for row in rows[ROWS:] + rows[:ROWS]]
    with open(slipped, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(zip((row["text"] for row in rows), labels, strict=True))
    return len(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(f"{main(*sys.argv[1:]):,} rows in {sys.argv[2]}")
