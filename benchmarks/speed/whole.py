"""A whole `vermilion run` with a simulated expert: seconds by part, peak memory, growth with texts and labels."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed import pools
from benchmarks.speed.machine import run_command
from benchmarks.speed.predicting import COMMAND
from benchmarks.speed.timing import growth

CAPPED = 3
GROWING = ("besides", "fit", "rest", "around")
# A part that takes less is lost in the clock and in what the machine does beside it.
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How large a run is.

    Attributes
    ----------
    share : float
        Of the pool that is asked about.
    fresh_vectors : bool
        Whether the run encodes all its texts itself; else it finds some in the vector cache, and its seconds
        of encoding tell nothing.
    """

    texts: int
    labels: int
    a_label: int
    encoder: str
    fresh_vectors: bool
    share: float = 0.15
    error: float = 0.05
    seed: int = 0

    def condition(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "part": "run",
            "texts": self.texts,
            "labels": self.labels,
            "a_label": self.a_label,
            "encoder": self.encoder,
            "fresh_vectors": self.fresh_vectors,
            "share": self.share,
            "error": self.error,
            "seed": self.seed,
        }


def measure(plan: RunPlan, texts_of: Mapping[str, Sequence[str]], vectors: Path) -> dict[str, Any]:
    """Write the files, run the command as a process, and read what it says of itself.

    Parameters
    ----------
    vectors : Path
        Vectors that the run may use and adds to. A run that encodes all its texts itself empties it first.
    """
    pool = pools.make(texts_of, plan.labels, plan.a_label, plan.texts, plan.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labelled, texts, gold = pool.write(folder)
        out = folder / "out"
        if plan.fresh_vectors:
            shutil.rmtree(vectors, ignore_errors=True)
        vectors.mkdir(parents=True, exist_ok=True)
        out.mkdir()
        (out / "vectors").symlink_to(vectors.resolve(), target_is_directory=True)
        ran = run_command(
            [*COMMAND, "run", str(labelled), str(texts), "--out", str(out), *_options(plan, gold)],
            accept=(0, CAPPED),
        )
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        decided = _count_lines(out / "decisions.jsonl")
    if decided != plan.texts:
        raise RuntimeError(f"expected {plan.texts:,} decisions, found {decided:,}")
    return {
        "labelled": len(pool.labelled),
        "variants": pool.made,
        "seconds": {part: round(value, 2) for part, value in parts(summary["seconds"], ran.seconds).items()},
        "peak_mib": round(ran.peak_mib),
        "asked": summary["calls"],
        "rounds": len(summary["rounds"]),
        "head": summary["head"],
        "agreement": summary["gold"]["agreement"],
        "expert": "simulated expert",
        "stopped": summary["stopped"],
    }


def _options(plan: RunPlan, gold: Path) -> list[str]:
    options = {
        "--encoder": plan.encoder,
        "--expert": f"oracle:{gold}",
        "--expert-error": plan.error,
        "--max-calls": round(plan.share * plan.texts),
        "--target": 1.0,
        "--seed": plan.seed,
    }
    return [str(word) for option in options.items() for word in option]


def parts(told: Mapping[str, float], wall: float) -> dict[str, float]:
    """Return the seconds of a run by part.

    Parameters
    ----------
    told : mapping
        The run's own encode, fit, expert and total.
    wall : float
        Of the process.

    Returns
    -------
    dict
        `encode`; `fit` (choosing a head, fitting, proposing); `expert` (asking, here a simulated one that
        answers at once, and storing); `rest` (selecting, writing out questions, deciding); `around` (start,
        reading, writing, which the run does not count); `wall`; `besides`, all but encoding; `loop`, that
        without the expert.

    Examples
    --------
    >>> parts({"encode": 8.0, "fit": 1.0, "expert": 0.5, "total": 10.0}, 11.0)["besides"]
    3.0
    """
    return {
        "encode": told["encode"],
        "fit": told["fit"],
        "expert": told["expert"],
        "rest": told["total"] - told["encode"] - told["fit"] - told["expert"],
        "around": wall - told["total"],
        "wall": wall,
        "besides": wall - told["encode"],
        "loop": wall - told["encode"] - told["expert"],
    }


def ratio_to_encoding(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return what a run takes besides encoding as a share of encoding, with the expert's part and without.

    Examples
    --------
    >>> ratio_to_encoding(parts({"encode": 8.0, "fit": 1.0, "expert": 0.5, "total": 10.0}, 11.0))
    {'besides': 0.375, 'loop': 0.312}
    """
    return {name: round(seconds[name] / seconds["encode"], 3) for name in ("besides", "loop")}


def exponents(sizes: Sequence[float], seconds: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Return for each part the exponent of its growth; None where it is too quick to tell.

    Examples
    --------
    >>> runs = [{"besides": 10.0, "fit": 5.0, "rest": 0.1, "around": 2.0},
    ...         {"besides": 20.0, "fit": 20.0, "rest": 0.2, "around": 2.0}]
    >>> exponents([1, 2], runs)
    {'besides': 1.0, 'fit': 2.0, 'rest': None, 'around': 0.0}
    """
    found: dict[str, float | None] = {}
    for part in GROWING:
        own = [run[part] for run in seconds]
        found[part] = None if min(own) < LEAST_SECONDS else round(growth(sizes, own), 2) + 0.0
    return found


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
