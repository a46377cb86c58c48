"""Data for tests of whole runs: real diagnosis texts, a few labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from e2e.command import Data, Run, write_csv
from vermilion.errors import MissingExtraError
from vermilion.world.sample import diagnoses

LABELS = (
    "Chronic ulcer of skin",
    "Abdominal hernia",
    "Otitis media and related conditions",
    "Open wounds of extremities",
    "Conditions associated with dizziness or vertigo",
    "Cancer of breast",
)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Write the job's files."""
    folder = tmp_path_factory.mktemp("data")
    try:
        sample = diagnoses(np.random.default_rng(0), pool_a_label=20)
    except MissingExtraError as error:
        pytest.skip(str(error))
    given = _some(sample.labelled.texts, sample.labelled.labels)
    right = _some(sample.gold.texts, sample.gold.labels)
    first = {label: text for text, label in reversed(given.items())}
    texts = [*right, *list(right)[::10], *first.values()]
    order = np.random.default_rng(1).permutation(len(texts))
    pool = tuple(texts[place] for place in order)
    labelled = write_csv(folder / "labelled.csv", ("text", "label"), given.items())
    gold = write_csv(folder / "gold.csv", ("text", "label"), {**given, **right}.items())
    ids = [(f"p{place}", text) for place, text in enumerate(pool)]
    return Data(labelled, write_csv(folder / "pool.csv", ("id", "text"), ids), gold, pool, given, right)


def _some(texts: Sequence[str], labels: Sequence[tuple[str, ...]] | None) -> dict[str, str]:
    assert labels is not None
    return {text: label[0] for text, label in zip(texts, labels, strict=True) if label[0] in LABELS}


@pytest.fixture
def run(data: Data, tmp_path: Path) -> Run:
    """Return a run that has not begun."""
    return Run(data, tmp_path / "out")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would make a terminal of a pipe."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR_FORCE"):
        if name in os.environ:
            monkeypatch.delenv(name)
