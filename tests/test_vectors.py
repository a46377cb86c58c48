from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from vermilion.errors import ModelError, StoreError
from vermilion.types import Encoder, FloatArray, text_hash
from vermilion.world.vectors import VectorCache, unit_rows


class CountingEncoder:
    """A unit vector from each text's hash, and a record of what was asked."""

    def __init__(self, digest: str = "0123456789abcdef", dimension: int = 12) -> None:
        self.name = "counting"
        self.digest = digest
        self.dimension = dimension
        self.calls: list[list[str]] = []

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call]

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.calls.append(list(texts))
        return vectors_of(texts, self.dimension)


class KilledError(Exception):
    """Stands for the end of the process."""


class DyingEncoder(CountingEncoder):
    """Dies at its third call."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if len(self.calls) == 2:
            raise KilledError
        return super().encode(texts)


def vectors_of(texts: Sequence[str], dimension: int = 12) -> FloatArray:
    rows = np.empty((len(texts), dimension), dtype=np.float32)
    for row, text in enumerate(texts):
        rows[row] = np.frombuffer(hashlib.shake_128(text.encode()).digest(dimension), np.uint8)
    return unit_rows(rows + 1)


def small_cache(folder: Path, encoder: Encoder, chunk: int = 4) -> VectorCache:
    cache = VectorCache(folder, encoder)
    cache.chunk = chunk
    return cache


def segments(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


TEXTS = [f"text {number}" for number in range(10)]


def test_order_and_repeats(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    cache = small_cache(tmp_path, encoder)
    texts = ["b", "a", "b", "Ünï 🙂", "", "a", *TEXTS]
    np.testing.assert_array_equal(cache.encode(texts), vectors_of(texts))
    assert encoder.texts == ["b", "a", "Ünï 🙂", "", *TEXTS]
    assert [len(call) for call in encoder.calls] == [4, 4, 4, 2]
    assert (cache.hits, cache.misses) == (2, 14)


def test_nothing_is_encoded_twice_across_instances(tmp_path: Path) -> None:
    small_cache(tmp_path, CountingEncoder()).encode(TEXTS)
    encoder = CountingEncoder()
    cache = VectorCache(tmp_path, encoder)
    texts = ["new", *TEXTS[::-1], "new"]
    np.testing.assert_array_equal(cache.encode(texts), vectors_of(texts))
    assert encoder.texts == ["new"]
    assert (cache.hits, cache.misses) == (11, 1)
    np.testing.assert_array_equal(cache.encode(texts[:3]), vectors_of(texts[:3]))
    assert encoder.texts == ["new"]


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    VectorCache(tmp_path, CountingEncoder()).encode(TEXTS)
    other = CountingEncoder(digest="fedcba9876543210", dimension=3)
    assert VectorCache(tmp_path, other).encode(TEXTS).shape == (10, 3)
    assert other.texts == TEXTS


def test_no_texts(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    told: list[int] = []
    vectors = VectorCache(tmp_path, encoder).encode([], progress=told.append)
    assert vectors.shape == (0, 12)
    assert vectors.dtype == np.float32
    assert encoder.calls == []
    assert told == [0]


def test_progress_counts_texts_and_ends_with_all(tmp_path: Path) -> None:
    small_cache(tmp_path, CountingEncoder()).encode(TEXTS[:2])
    told: list[int] = []
    small_cache(tmp_path, CountingEncoder()).encode([*TEXTS, "text 9", "text 0"], progress=told.append)
    assert told == [3, 7, 12]


def test_a_segment_is_plain_safetensors(tmp_path: Path) -> None:
    VectorCache(tmp_path, CountingEncoder()).encode(TEXTS)
    (path,) = segments(tmp_path)
    tensors = load_file(path)
    by_hash = {
        row.tobytes().hex(): vector for row, vector in zip(tensors["hashes"], tensors["vectors"], strict=True)
    }
    for text, vector in zip(TEXTS, vectors_of(TEXTS), strict=True):
        np.testing.assert_array_equal(by_hash[text_hash(text)], vector)


def test_a_kill_loses_one_chunk_at_most(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        small_cache(tmp_path, DyingEncoder()).encode(TEXTS)
    encoder = CountingEncoder()
    np.testing.assert_array_equal(small_cache(tmp_path, encoder).encode(TEXTS), vectors_of(TEXTS))
    assert encoder.texts == TEXTS[8:]


def damage_by(kind: str, path: Path) -> None:
    data = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": data[:-20],
        "short header": data[:30],
        "zeros": bytes(len(data)),
        "noise": bytes([255]) * len(data),
        "other": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        "zero rows": data[:-200] + bytes(40) + data[-160:],
    }
    path.write_bytes(damaged[kind])


@pytest.mark.parametrize("kind", ["empty", "cut", "short header", "zeros", "noise", "other", "zero rows"])
def test_a_damaged_segment_is_set_aside_and_encoded_again(tmp_path: Path, kind: str) -> None:
    VectorCache(tmp_path, CountingEncoder()).encode(TEXTS[:5])
    (bad,) = segments(tmp_path)
    VectorCache(tmp_path, CountingEncoder()).encode(TEXTS[5:])
    damage_by(kind, bad)
    encoder = CountingEncoder()
    cache = VectorCache(tmp_path, encoder)
    np.testing.assert_array_equal(cache.encode(TEXTS), vectors_of(TEXTS))
    assert encoder.texts == TEXTS[:5]
    assert bad.with_name(f"{bad.name}.damaged").exists()
    assert not bad.exists()
    np.testing.assert_array_equal(cache.encode(TEXTS), vectors_of(TEXTS))
    assert len(encoder.calls) == 1


def test_vectors_of_another_dimension_are_set_aside(tmp_path: Path) -> None:
    VectorCache(tmp_path, CountingEncoder(dimension=5)).encode(TEXTS)
    encoder = CountingEncoder(dimension=12)
    np.testing.assert_array_equal(VectorCache(tmp_path, encoder).encode(TEXTS), vectors_of(TEXTS))
    assert encoder.texts == TEXTS


@pytest.mark.parametrize("wrong", [np.nan, 2.0, 0.0])
def test_what_is_no_unit_vector_is_refused_and_not_kept(tmp_path: Path, wrong: float) -> None:
    class Wrong(CountingEncoder):
        def encode(self, texts: Sequence[str]) -> FloatArray:
            return super().encode(texts) * np.float32(wrong)

    with pytest.raises(ModelError, match="counting: expected finite unit rows"):
        VectorCache(tmp_path, Wrong()).encode(TEXTS)
    assert segments(tmp_path) == []


def test_many_small_segments_are_merged(tmp_path: Path) -> None:
    texts = [f"{number}" for number in range(200)]
    writer = small_cache(tmp_path, CountingEncoder(), chunk=2)
    reader = VectorCache(tmp_path, CountingEncoder())
    writer.encode(texts[:100])
    assert len(segments(tmp_path)) == 50
    np.testing.assert_array_equal(reader.encode(texts[:100]), vectors_of(texts[:100]))
    writer.encode(texts[100:])
    assert len(segments(tmp_path)) == 1
    encoder = CountingEncoder()
    for cache in (writer, reader, VectorCache(tmp_path, encoder)):
        np.testing.assert_array_equal(cache.encode(texts), vectors_of(texts))
    assert encoder.calls == []


def test_a_merge_stays_within_its_bytes_and_leaves_out_damage(tmp_path: Path) -> None:
    texts = [f"{number}" for number in range(140)]
    cache = small_cache(tmp_path, CountingEncoder(), chunk=2)
    cache.merged_bytes = 40 * 12 * 4
    cache.encode(texts[:100])
    damaged = segments(tmp_path)[0]
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-128] + bytes(48) + data[-80:])  # the first of its two vectors
    cache.encode(texts[100:])
    assert 4 <= len(segments(tmp_path)) <= 8
    encoder = CountingEncoder()
    np.testing.assert_array_equal(VectorCache(tmp_path, encoder).encode(texts), vectors_of(texts))
    assert len(encoder.texts) == 1


def fill(folder: Path, texts: list[str]) -> None:
    cache = small_cache(folder, CountingEncoder(), chunk=2)
    for start in range(0, len(texts), 10):
        part = texts[start : start + 10]
        np.testing.assert_array_equal(cache.encode(part), vectors_of(part))


def test_processes_may_share_a_folder(tmp_path: Path) -> None:
    texts = [f"{number}" for number in range(200)]
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=fill, args=(tmp_path, list(part))) for part in (texts, texts[::-1])]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    encoder = CountingEncoder()
    np.testing.assert_array_equal(VectorCache(tmp_path, encoder).encode(texts), vectors_of(texts))
    assert encoder.calls == []
    assert list(tmp_path.rglob("*.tmp")) == []
    assert list(tmp_path.rglob("*.damaged")) == []


def test_many_texts_are_looked_up_by_all_128_bits(tmp_path: Path) -> None:
    texts = [f"{number}" for number in range(30_000)]
    VectorCache(tmp_path, CountingEncoder()).encode(texts)
    encoder = CountingEncoder()
    cache = VectorCache(tmp_path, encoder)
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = [texts[row] for row in order]
    np.testing.assert_array_equal(cache.encode([*shuffled, "new"])[:-1], vectors_of(shuffled))
    assert encoder.texts == ["new"]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        VectorCache(tmp_path / "file", CountingEncoder())
    assert "vectors cannot be kept here (Not a directory)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_write_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        VectorCache(tmp_path, CountingEncoder()).encode(TEXTS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
