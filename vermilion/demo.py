"""The demonstration: real work on real data, with a simulated expert, in some two minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vermilion.config import Caps, RunSettings
from vermilion.red.request import Request
from vermilion.types import Texts
from vermilion.world.data_writer import write_decisions
from vermilion.world.sample import diagnoses

ASKED_SHARE = 0.3


def prepare(out: Path, seed: int = 0) -> tuple[Request, RunSettings]:
    """Write labelled.csv, pool.csv and gold.csv to `out`/data; return the run that uses them."""
    sample = diagnoses(np.random.default_rng(seed))
    data = out / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write(data / "labelled.csv", sample.labelled)
    _write(data / "pool.csv", sample.pool)
    _write(data / "gold.csv", sample.gold)
    settings = RunSettings(
        expert=f"oracle:{data / 'gold.csv'}",
        expert_error=0.05,
        caps=Caps(max_calls=round(ASKED_SHARE * len(sample.pool))),
        seed=seed,
    )
    return Request(str(data / "labelled.csv"), str(data / "pool.csv"), out, title="diagnosis texts"), settings


def _write(path: Path, texts: Texts) -> None:
    labels = texts.labels or [None] * len(texts)
    write_decisions(
        path,
        (
            {"id": id_, "text": text} | ({"label": label[0]} if label else {})
            for id_, text, label in zip(texts.ids, texts.texts, labels, strict=True)
        ),
    )
