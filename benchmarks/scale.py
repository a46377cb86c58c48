"""What Ray adds and what it gains: the same file labelled without it, and on it with one worker and with two.

    python -m benchmarks scale DATA_FOLDER [--small]

DATA_FOLDER holds banking77/train.jsonl. Each measurement is a command of its own, so start-up is counted; a file of
a few rows is labelled beside it and taken away, which leaves what a long job would take. CPU seconds are those of all
processes together, Ray's own included: they tell the cost of a text even where other work shares the machine, and
texts a second do not. Figures go to benchmarks/results/scale.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from hashlib import file_digest
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.results import FOLDER, Results
from vermilion.learn.heads import FlatHead
from vermilion.types import Label
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel, save_model

SHOTS = 10
FEW = 16
# Texts labelled with each encoder: about a minute without Ray, and a fifth of that.
TEXTS = {"static": (1_000_000, 100_000), "minilm": (24_576, 8_192)}
# Ray's options; without Ray also on one core, since a worker has one.
SETUPS: dict[str, tuple[str, ...]] = {
    "here, all cores": (),
    "here, 1 core": (),
    "ray, 1 worker": ("--ray", "local", "--workers", "1"),
    "ray, 2 workers": ("--ray", "local", "--workers", "2"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the data folder, and whether to be quick."""
    parser.add_argument("data", type=Path, help="folder that holds banking77/train.jsonl")
    parser.add_argument("--small", action="store_true", help="a fifth of the texts")
    parser.add_argument("--encoder", choices=TEXTS, action="append", help="one or both; default both")


def main(arguments: argparse.Namespace) -> None:
    """Measure every setup with every encoder; what is in the results already is not measured again."""
    results = Results(FOLDER / "scale.jsonl")
    rows = [
        json.loads(line) for line in (arguments.data / "banking77" / "train.jsonl").open(encoding="utf-8")
    ]
    for encoder in arguments.encoder or TEXTS:
        count = TEXTS[encoder][int(arguments.small)]
        with TemporaryDirectory() as name:
            folder = Path(name)
            learn(encoder, rows, folder / "model")
            write(folder / "few.jsonl", rows, FEW)
            write(folder / "many.jsonl", rows, count)
            outputs = {measure(results, encoder, setup, count, folder) for setup in SETUPS}
            assert len(outputs - {None}) <= 1, "two setups gave different bytes"


def learn(encoder: str, rows: list[dict[str, str]], folder: Path) -> None:
    """Save a model that was fitted on ten texts of each label."""
    names = sorted({row["label"] for row in rows})
    chosen = [row for name in names for row in [row for row in rows if row["label"] == name][:SHOTS]]
    loaded = load_encoder(encoder)
    codes = np.array([names.index(row["label"]) for row in chosen])
    head = FlatHead(C=10.0).fit(loaded.encode([row["text"] for row in chosen]), codes)
    save_model(folder, SavedModel("flat", head, tuple(map(Label, names)), 1.0, encoder, loaded.digest), "")


def write(path: Path, rows: list[dict[str, str]], count: int) -> None:
    """Write `count` texts, those of the set again and again, each with a number."""
    texts = (f"{row['text']} {number}" for number, row in enumerate(islice(cycle(rows), count)))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)


@dataclass(frozen=True, slots=True)
class Timing:
    """One command: seconds by the clock, CPU seconds of all its processes, and the hash of what it wrote."""

    seconds: float
    cpu: float
    sha256: str


def measure(results: Results, encoder: str, setup: str, count: int, folder: Path) -> str | None:
    """Time a setup, keep its figures, and return the hash of what it wrote; None where it was there already."""
    condition = {"encoder": encoder, "setup": setup, "texts": count}
    if results.has(condition):
        return None
    few, many = timed(setup, folder, "few"), timed(setup, folder, "many")
    figures = {
        "start_seconds": few.seconds,
        "seconds": many.seconds,
        "texts_a_second": (count - FEW) / (many.seconds - few.seconds),
        "texts_a_cpu_second": (count - FEW) / (many.cpu - few.cpu),
        "load": os.getloadavg()[0],
        "sha256": many.sha256,
    }
    results.add(condition, figures)
    rounded = {name: f"{value:,.1f}" for name, value in figures.items() if isinstance(value, float)}
    print(encoder, setup, f"{count:,}", rounded, flush=True)
    return many.sha256


def timed(setup: str, folder: Path, name: str) -> Timing:
    """Run the command on what its setup allows it."""
    target = folder / "labels.jsonl"
    model, source = str(folder / "model"), str(folder / f"{name}.jsonl")
    cores = sorted(os.sched_getaffinity(0))[: 1 if setup == "here, 1 core" else None]
    code = f"import os; os.sched_setaffinity(0, {cores}); from vermilion.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", model, source, "--out", str(target), *SETUPS[setup]]
    start = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    spent: dict[int, float] = {}
    while running.poll() is None:
        spent |= cpu_seconds(running.pid)
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    if running.returncode:
        sys.exit(f"{setup}: the command failed, see above")
    with target.open("rb") as file:
        return Timing(seconds, sum(spent.values()), file_digest(file, "sha256").hexdigest())


def cpu_seconds(root: int) -> dict[int, float]:
    """Return the CPU seconds so far of a process and of all that descend from it, by their number."""
    parents, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # It has just ended.
            continue
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        spent[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {number: value for number, value in spent.items() if descends(number, root, parents)}


def descends(number: int, root: int, parents: dict[int, int]) -> bool:
    """Tell whether a process is `root` or was started below it."""
    while number in parents and number != root:
        number = parents[number]
    return number == root
