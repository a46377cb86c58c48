"""`vermilion predict` on a file of any number of rows: seconds, rows a second, peak memory, and the right output."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.fitting import our_head
from benchmarks.speed.machine import run_command
from benchmarks.speed.rows import Rows, a_label
from vermilion.types import Encoder, Label
from vermilion.world.models import SavedModel, save_model

COMMAND = (sys.executable, "-c", "from vermilion.cli import main; main()")
CARD = "Made for a measurement of speed.\n"
FIT_ROWS = 10
BATCH = 4096


@dataclass(frozen=True, slots=True)
class PredictPlan:
    """How much is predicted."""

    rows: int
    labels: int
    encoder: str = "static"
    suffix: str = ".jsonl"

    def condition(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "part": "predict",
            "rows": self.rows,
            "labels": self.labels,
            "encoder": self.encoder,
            "output": self.suffix,
        }


def measure(plan: PredictPlan, texts: Sequence[str], train: Rows, encoder: Encoder) -> dict[str, Any]:
    """Save a model, write a file of rows, run the command on it as a process, and look through its output.

    Raises
    ------
    RuntimeError
        The output has not one row for each input row, in the same order.
    """
    rows = a_label(train.of_labels(plan.labels), FIT_ROWS, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model", _model(plan, rows, encoder), CARD)
        source, target = folder / "rows.jsonl", folder / f"labels{plan.suffix}"
        _write(source, repeated(texts, plan.rows))
        ran = run_command([*COMMAND, "predict", str(folder / "model"), str(source), "--out", str(target)])
        if plan.suffix == ".jsonl":
            check(target, plan.rows)
        size = target.stat().st_size
    encoding = _encoding_seconds(encoder, texts, plan.rows)
    return {
        "seconds": round(ran.seconds, 2),
        "rows_a_second": round(plan.rows / ran.seconds, 1),
        "peak_mib": round(ran.peak_mib),
        "output_mib": round(size / 2**20, 1),
        "seconds_encoding_alone": round(encoding, 2),
        "times_as_long_as_encoding": round(ran.seconds / encoding, 3),
    }


def repeated(texts: Sequence[str], count: int) -> Iterator[str]:
    """Yield `count` different texts: the given ones over and over, each time with its number.

    Examples
    --------
    >>> list(repeated(["a", "b"], 3))
    ['a 0', 'b 1', 'a 2']
    """
    for row in range(count):
        yield f"{texts[row % len(texts)]} {row}"


def check(path: Path, rows: int) -> None:
    """Make sure that a JSONL file has the rows 0 to rows - 1, each with a label and a confidence.

    Raises
    ------
    RuntimeError
        It has not.
    """
    count = 0
    with path.open(encoding="utf-8") as lines:
        for place, line in enumerate(lines):
            row = json.loads(line)
            if row["id"] != str(place) or not row["label"] or not 0 < row["confidence"] <= 1:
                raise RuntimeError(f"{path}: row {place} is {line[:200]!r}")
            count += 1
    if count != rows:
        raise RuntimeError(f"{path}: expected {rows:,} rows, found {count:,}")


def _model(plan: PredictPlan, rows: Rows, encoder: Encoder) -> SavedModel:
    labels = tuple(Label(f"label {number}") for number in range(plan.labels))
    head = our_head().fit(rows.X, rows.y)
    return SavedModel("flat", head, labels, 0.9, plan.encoder, encoder.digest)


def _write(path: Path, texts: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)


def _encoding_seconds(encoder: Encoder, texts: Sequence[str], rows: int) -> float:
    """Return the seconds that encoding the same texts takes by itself, in the batches that prediction makes."""
    stream = repeated(texts, rows)
    seconds = 0.0
    while batch := [text for text, _ in zip(stream, range(BATCH), strict=False)]:
        start = time.perf_counter()
        encoder.encode(batch)
        seconds += time.perf_counter() - start
    return seconds
