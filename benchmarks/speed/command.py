"""The command: which parts are measured, how large, and where the figures go."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks import results, tasks
from benchmarks.speed import encoding, fitting, pools, predicting, search, whole
from benchmarks.speed.machine import facts
from benchmarks.speed.rows import RealRows, read
from vermilion.types import Encoder
from vermilion.world.data import Columns, read_texts
from vermilion.world.encoders import available_cores, load_encoder

PARTS = ("encoding", "fitting", "search", "predict", "run")
ENVIRONMENTS = Path("build/peers")
WORDS = (12, 150)
# The static encoder is some hundred times as quick: so many more texts, or its time would be too short to tell.
STATIC_FACTOR = 50
FULL: dict[str, Any] = {
    "encode_texts": 1024,
    "labels": 970,
    "a_label": [30, 300],
    "search_texts": 100_000,
    "predict_rows": 1_000_000,
    "run_texts": [100_000, 50_000, 25_000],
    "run_labels": [500, 250],
    "run_a_label": 30,
    "repeats": 5,
}
SMALL: dict[str, Any] = {
    "encode_texts": 32,
    "labels": 40,
    "a_label": [10],
    "search_texts": 5_000,
    "predict_rows": 5_000,
    "run_texts": [1_000, 500],
    "run_labels": [20],
    "run_a_label": 5,
    "repeats": 2,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given; sizes that are not given are those of the full or the small version."""
    parser.add_argument("data", type=Path, help="folder of the data sets' folders")
    parser.add_argument("--set", default="wordnet_hypernym", help="data set to take texts from")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--small", action="store_true", help="small sizes and static vectors: about a minute")
    parser.add_argument("--encoder", help="of fitting, search and run: minilm, or static with --small")
    parser.add_argument("--predict-encoder", default="static", help="of predict; minilm takes an hour")
    parser.add_argument("--threads", type=int, default=available_cores(), help="of the encoders")
    parser.add_argument("--seed", type=int, default=0)
    for name, value in FULL.items():
        many = "*" if isinstance(value, list) else None
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, nargs=many, help=f"{value}; small: {SMALL[name]}")
    parser.add_argument("--vectors", type=Path, default=tasks.VECTORS, help="folder of the vector cache")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="the peers' environments")
    parser.add_argument("--out", type=Path, help="results file; by default results/speed.jsonl here")


def main(arguments: argparse.Namespace) -> None:
    """Measure what is not there yet."""
    for name, value in (SMALL if arguments.small else FULL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    arguments.encoder = arguments.encoder or ("static" if arguments.small else "minilm")
    session = Session(arguments)
    for part in arguments.only:
        MEASURE[part](session)


@dataclass(frozen=True)
class Session:
    """The arguments, and what several parts need, made when it is first needed."""

    arguments: argparse.Namespace

    @cached_property
    def folder(self) -> Path:
        """The data set's folder."""
        folder: Path = self.arguments.data / self.arguments.set
        return folder

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of fitting, search and run."""
        return load_encoder(self.arguments.encoder, threads=self.arguments.threads)

    @cached_property
    def rows(self) -> RealRows:
        """The data set's vectors."""
        return read(self.folder, self.encoder, self.arguments.vectors)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The test texts of the data set."""
        return read_texts(self.folder / "test.jsonl", Columns(), labelled=True).texts

    @cached_property
    def results(self) -> results.Results:
        """Where the figures go."""
        name = "speed-small.jsonl" if self.arguments.small else "speed.jsonl"
        return results.Results(self.arguments.out or results.FOLDER / name)

    def once(self, condition: Mapping[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the figures under a condition; measure and write them down where they are not there."""
        known = {"set": self.arguments.set, **condition}
        for row in self.results.rows():
            if row["condition"] == known:
                return dict(row["figures"])
        row = self.results.add(known, measure() | facts())
        print(json.dumps({"condition": row["condition"], "figures": row["figures"]}), flush=True)
        return dict(row["figures"])


def measure_encoding(session: Session) -> None:
    """Encode short and long texts; of long ones as many fewer, so that both take about as long."""
    given = session.arguments
    for words in WORDS:
        texts = max(8, given.encode_texts * WORDS[0] // words)
        plan = encoding.EncodingPlan(words, texts, STATIC_FACTOR * texts, given.repeats, given.threads)
        session.once(plan.condition(), partial(encoding.measure, plan, session.texts, given.environments))


def measure_fitting(session: Session) -> None:
    """Fit with few and with many rows a label; the many take minutes, so once."""
    given = session.arguments
    for count in given.a_label:
        repeats = given.repeats if count == min(given.a_label) else 1
        plan = fitting.FittingPlan(given.labels, count, repeats, seed=given.seed)
        condition = plan.condition() | {"encoder": given.encoder}
        session.once(condition, partial(_with_rows, session, fitting.measure, plan))


def measure_search(session: Session) -> None:
    """Do one round's selection and search: 15 % of the texts are asked about in ten rounds."""
    given = session.arguments
    questions = given.search_texts * 15 // 1000
    plan = search.SearchPlan(
        given.search_texts, given.labels, min(given.a_label), questions, given.repeats, given.seed
    )
    condition = plan.condition() | {"encoder": given.encoder}
    session.once(condition, partial(_with_rows, session, search.measure, plan))


def _with_rows(
    session: Session, measure: Callable[[Any, RealRows], dict[str, Any]], plan: Any
) -> dict[str, Any]:
    """Measure on the data set's vectors, which are not needed where the figures are there."""
    return measure(plan, session.rows)


def measure_predict(session: Session) -> None:
    """Predict a file of many rows."""
    given = session.arguments
    plan = predicting.PredictPlan(given.predict_rows, given.labels, given.predict_encoder)

    def measure() -> dict[str, Any]:
        encoder = load_encoder(given.predict_encoder, threads=given.threads)
        rows = read(session.folder, encoder, given.vectors)
        return predicting.measure(plan, session.texts, rows.train, encoder)

    session.once(plan.condition(), measure)


def measure_run(session: Session) -> None:
    """Do the largest run with all its encoding, then smaller ones for the growth with texts and labels."""
    given = session.arguments
    most = max(given.run_texts)
    full = _run(session, most, given.labels, fresh=True)
    by_texts, by_labels = {most: full}, {given.labels: full}
    for size in sorted(set(given.run_texts) - {most}):
        by_texts[size] = _run(session, size, given.labels)
    for count in sorted(set(given.run_labels) - {given.labels}):
        by_labels[count] = _run(session, most, count)
    growths = {
        "ratio_to_encoding": whole.ratio_to_encoding(full["seconds"]),
        "growth_with_texts": _growth(by_texts),
        "growth_with_labels": _growth(by_labels),
        "expert": "simulated expert",
    }
    condition = {
        "part": "growth",
        "texts": sorted(by_texts),
        "labels": sorted(by_labels),
        "encoder": given.encoder,
        "seed": given.seed,
    }
    session.once(condition, lambda: growths)


def _run(session: Session, texts: int, labels: int, *, fresh: bool = False) -> dict[str, Any]:
    given = session.arguments
    plan = whole.RunPlan(texts, labels, given.run_a_label, given.encoder, fresh, seed=given.seed)
    vectors = given.vectors.with_name(f"{given.vectors.name}-of-runs")
    return session.once(plan.condition(), lambda: whole.measure(plan, pools.read(session.folder), vectors))


def _growth(runs: Mapping[int, Mapping[str, Any]]) -> dict[str, float | None]:
    if len(runs) < 2:
        return {}
    sizes = sorted(runs)
    return whole.exponents(sizes, [runs[size]["seconds"] for size in sizes])


MEASURE: dict[str, Callable[[Session], None]] = {
    "encoding": measure_encoding,
    "fitting": measure_fitting,
    "search": measure_search,
    "predict": measure_predict,
    "run": measure_run,
}
