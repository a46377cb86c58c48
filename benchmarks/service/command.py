"""The command: which servers, how much load, and where the figures go."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.service.load import Found, Target, open_loop, saturate
from benchmarks.service.servers import COMMAND, OURS, PEERS, Kind, Server, ServerError, started
from vermilion.world.data import read_texts
from vermilion.world.encoders import available_cores, load_encoder
from vermilion.world.source import Columns

# wrk hangs up on requests under way, which most servers answer all the same.
QUIET_SECONDS = 5
# Of what each server takes at most.
SHARES = (0.25, 0.5, 0.7, 0.8, 0.9)
# Rates are compared where 95 of 100 answers come within this.
P95_MS = 100.0
LABELLED, ASKED = 1_540, 1_000
# What our own service has in a batch under full load, so that the bare encoder gets the same.
BARE_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    names = [kind.name for kind in (OURS, *PEERS)]
    parser.add_argument("data", type=Path, help="folder of the data sets' folders")
    parser.add_argument("--set", default="banking77", help="data set to take texts from")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="servers to measure")
    parser.add_argument("--seconds", type=float, default=15, help="of each load")
    parser.add_argument("--workers", type=int, default=available_cores(), help="of our own service")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="results file; by default results/service.jsonl here")


@dataclass(frozen=True, slots=True)
class Task:
    """What every server does."""

    model: Path
    labelled: Path
    texts: Sequence[str]


def main(arguments: argparse.Namespace) -> None:
    """Measure the bare encoder, then each server; what is there already is measured again only if it failed."""
    found = results.Results(arguments.out or results.FOLDER / "service.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        task = _prepare(Path(folder), arguments.data / arguments.set)
        condition = {"set": arguments.set, "seconds": arguments.seconds, "cores": available_cores()}
        if OURS.name in arguments.only:
            _write(found, condition | {"part": "bare"}, bare(task.texts, arguments.seconds))
        for kind in (OURS, *PEERS):
            if kind.name not in arguments.only:
                continue
            own = condition | {"part": "server", "server": kind.name}
            if kind == OURS:
                own |= {"workers": arguments.workers}
            _write(found, own, measure(kind, task, arguments))


def _write(found: results.Results, condition: dict[str, Any], figures: dict[str, Any]) -> None:
    print(json.dumps(found.add(condition, figures)["figures"]), flush=True)


def _prepare(folder: Path, data: Path) -> Task:
    """Train the model that is served, on as many texts as the peers get, too."""
    labelled = folder / "labelled.jsonl"
    with (data / "train.jsonl").open(encoding="utf-8") as train, labelled.open("w", encoding="utf-8") as some:
        lines = train.readlines()
        some.writelines(lines[:: max(1, len(lines) // LABELLED)])
    command = ["train", str(labelled), "--encoder", "minilm", "--out", str(folder / "trained")]
    subprocess.run([*COMMAND, *command], check=True, stdout=subprocess.DEVNULL)
    asked = read_texts(str(data / "test.jsonl"), Columns(), labelled=True).texts
    (model,) = (path.parent for path in folder.glob("trained/**/model.json"))
    return Task(model, labelled, list(islice(dict.fromkeys(asked), ASKED)))


def bare(texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return what the encoder alone takes for a text, in batches as full as ours are under load."""
    encoder = load_encoder("minilm")
    encoder.encode(texts[:BARE_BATCH])
    done, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        first = done % len(texts)
        done += len(encoder.encode(texts[first : first + BARE_BATCH]))
    return {
        "texts_a_second": round(done / (time.perf_counter() - start), 1),
        "cpu_ms_a_text": round(1000 * (time.process_time() - cpu) / done, 4),
    }


def measure(kind: Kind, task: Task, arguments: argparse.Namespace) -> dict[str, Any]:
    """Start a server, find what it takes at most, and how long answers take at shares of that."""
    try:
        with started(kind, task.model, task.labelled, task.texts, arguments.workers) as server:
            return _loaded(server, arguments.seconds, arguments.seed)
    except (ServerError, RuntimeError) as error:
        return {"not_measured": str(error)}


def _loaded(server: Server, seconds: float, seed: int) -> dict[str, Any]:
    saturate(server.target, 3)  # warm
    cpu, start = server.cpu_seconds(), time.perf_counter()
    most = saturate(server.target, seconds)
    used = server.cpu_seconds() - cpu
    answered = most * (time.perf_counter() - start)
    time.sleep(QUIET_SECONDS)
    loads = [open_loop(server.target, share * most, seconds, seed) for share in SHARES]
    return {
        "saturation": round(most, 1),
        "cpu_ms_a_request": round(1000 * used / answered, 4),
        "memory_mib": round(server.memory_mib(), 1),
        "loads": [{"share": share, **found.figures()} for share, found in zip(SHARES, loads, strict=True)],
        "rate_within_p95": _within(server.target, most, loads, seconds, seed),
    }


def _within(target: Target, most: float, loads: Sequence[Found], seconds: float, seed: int) -> float:
    """Return the largest rate at which 95 of 100 answers come in time: of those tried, and of three steps between."""
    fine = [found.rate for found in loads if _in_time(found)]
    low, high = max(fine, default=0.0), min((f.rate for f in loads if not _in_time(f)), default=most)
    for step in range(3):
        middle = (low + high) / 2
        if _in_time(open_loop(target, middle, seconds, seed + 1 + step)):
            low = middle
        else:
            high = middle
    return round(low, 1)


def _in_time(found: Found) -> bool:
    return not found.refused and found.quantile(0.95) <= P95_MS
