"""Vectors kept in a folder by encoder and text, so that no text is encoded twice, not even by another run.

A folder holds one subfolder for each encoder's digest, and in it segments: safetensors files with `hashes`,
uint8 (n, 16), the texts' identities, and `vectors`, float32 (n, d). A segment is written under a temporary
name, then renamed, and never changed afterwards, so nobody needs a lock: two processes may fill one folder,
and at worst both encode the same text.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vermilion.errors import ModelError, StoreError
from vermilion.types import BoolArray, Encoder, FloatArray, IntArray, text_hash

# 16 bytes as a fixed-width string: NumPy sorts and searches these much faster than structured or void types.
Keys = NDArray[np.bytes_]
KEY = np.dtype("S16")


def unit_rows(vectors: FloatArray, fallback: FloatArray | None = None) -> FloatArray:
    """Return the rows as float32 of length 1; a row of zeros becomes `fallback` (default: the diagonal).

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(2).tolist()
    [[0.6..., 0.8...], [0.7..., 0.7...]]
    """
    rows = np.array(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    empty = lengths[:, 0] < 1e-12
    if empty.any():
        rows[empty] = 1.0 if fallback is None else fallback
        lengths[empty] = np.linalg.norm(rows[empty], axis=1, keepdims=True)
    rows /= lengths
    return rows


class VectorCache:
    """An encoder whose vectors are kept in a folder.

    Each chunk of newly encoded texts is saved as soon as it is done: a kill loses one chunk at most.
    A damaged segment is renamed to `*.damaged` and its texts are encoded again.

    Parameters
    ----------
    folder : Path
        Made where missing; may be shared by encoders and by processes.
    encoder : Encoder

    Attributes
    ----------
    hits : int
        Texts so far that needed no encoding, repeats of a text included.
    misses : int
        Texts so far that were encoded.

    Raises
    ------
    StoreError
        The folder cannot be made or written.
    ModelError
        The encoder returned other than finite unit rows.
    """

    # Unique texts in a segment; segments that make a merge worthwhile; bytes of vectors in a merged segment:
    # a merge holds them in memory up to four times.
    chunk = 2048
    most_segments = 64
    merged_bytes = 1 << 26

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self._encoder = encoder
        self._folder = folder / encoder.digest
        self._segments: dict[str, _Segment] = {}
        self._keys = np.empty(0, dtype=KEY)
        self._places: IntArray = np.empty((0, 2), dtype=np.int64)
        self.hits = self.misses = 0
        with _storing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension); only what is missing is encoded.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of texts done, after the look-up and each chunk; last with len(texts).
        """
        keys = _keys_of(texts)
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        repeats = np.bincount(inverse, minlength=len(unique))
        out = np.empty((len(texts), self._encoder.dimension), dtype=np.float32)
        found = self._fill(out, unique, first)
        done = int(repeats[found].sum())
        missing = np.flatnonzero(~found)
        missing = missing[np.argsort(first[missing])]
        _tell(progress, done)
        for start in range(0, len(missing), self.chunk):
            part = missing[start : start + self.chunk]
            out[first[part]] = self._encode_chunk([texts[row] for row in first[part]], unique[part])
            done += int(repeats[part].sum())
            _tell(progress, done)
        copies = np.flatnonzero(first[inverse] != np.arange(len(texts)))
        out[copies] = out[first[inverse[copies]]]
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        if len(missing):
            self._compact()
        return out

    def missing(self, texts: Sequence[str]) -> list[int]:
        """Return the rows whose vectors are not kept here, of a text that repeats only the first."""
        keys, first = np.unique(_keys_of(texts), return_index=True)
        self._refresh()
        return sorted(first[~np.isin(keys, self._keys)].tolist())

    def add(self, texts: Sequence[str], vectors: FloatArray) -> None:
        """Keep vectors that this encoder computed elsewhere, shape (len(texts), dimension).

        Raises
        ------
        ModelError
            They are not finite unit rows of that shape.
        """
        self._keep(_keys_of(texts), vectors)
        self._compact()

    def _encode_chunk(self, texts: list[str], keys: Keys) -> FloatArray:
        vectors = self._encoder.encode(texts)
        self._keep(keys, vectors)
        return vectors

    def _keep(self, keys: Keys, vectors: FloatArray) -> None:
        expected = (len(keys), self._encoder.dimension)
        if vectors.shape != expected or not _are_unit(vectors).all():
            raise ModelError(
                f"{self._encoder.name}: expected finite unit rows of shape {expected}, found other "
                f"(shape {vectors.shape}); nothing was kept, check the encoder"
            )
        self._save(keys, vectors)

    def _fill(self, out: FloatArray, keys: Keys, rows: IntArray) -> BoolArray:
        """Copy what the folder has for `keys` into `out[rows]`; return which were found."""
        self._refresh()
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.bool_)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: BoolArray = self._keys[at] == keys
        hit = np.flatnonzero(found)
        places = self._places[at[hit]]
        for number, segment in enumerate(self._segments.values()):
            mine = places[:, 0] == number
            if mine.any() and not segment.copy(out, rows[hit[mine]], places[mine, 1]):
                _set_aside(segment.path)
                found[hit[mine]] = False
        return found

    def _refresh(self) -> None:
        """Take up segments that this or another process has added, and drop those merged away."""
        segments = self._open_all()
        if segments.keys() == self._segments.keys():
            return
        self._segments = segments
        sizes = [len(segment.keys) for segment in segments.values()]
        keys = np.concatenate([np.empty(0, KEY), *(segment.keys for segment in segments.values())])
        starts = np.cumsum([0, *sizes])[:-1]
        owner = np.repeat(np.arange(len(sizes)), sizes)
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._places = np.stack([owner, np.arange(len(keys)) - starts[owner]], axis=1)[order]

    def _open_all(self) -> dict[str, _Segment]:
        for _ in range(10):
            names = sorted(path.name for path in self._folder.glob("*.safetensors"))
            try:
                opened = {name: self._segments.get(name) or self._open(name) for name in names}
            except FileNotFoundError:
                continue  # another process merged it away between listing and opening: list again
            return {name: segment for name, segment in opened.items() if segment is not None}
        raise StoreError(f"{self._folder}: the segments change faster than they can be read; start again")

    def _open(self, name: str) -> _Segment | None:
        """Return the segment, or None when it is damaged; then it is set aside."""
        path = self._folder / name
        try:
            return _Segment.open(path, self._encoder.dimension)
        except (SafetensorError, KeyError, ValueError):
            _set_aside(path)
            return None

    def _save(self, keys: Keys, vectors: FloatArray) -> None:
        """Write one segment: complete and on the disk before it has its name."""
        hashes = np.frombuffer(keys.tobytes(), dtype=np.uint8).reshape(-1, KEY.itemsize)
        name = uuid.uuid4().hex
        temporary = self._folder / f"{name}.tmp"
        with _storing(self._folder):
            try:
                with temporary.open("wb") as file:
                    file.write(save({"hashes": hashes, "vectors": np.ascontiguousarray(vectors, np.float32)}))
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self._folder / f"{name}.safetensors")
            finally:
                temporary.unlink(missing_ok=True)

    def _compact(self) -> None:
        """Merge small segments when there are many; remove one only when its copy is on the disk."""
        self._refresh()
        small = [one for one in self._segments.values() if one.vectors.nbytes < self.merged_bytes // 4]
        if len(small) <= self.most_segments:
            return
        for group in _groups(small, self.merged_bytes):
            keys, first = np.unique(np.concatenate([one.keys for one in group]), return_index=True)
            vectors = np.concatenate([one.vectors for one in group])[first]
            good = _are_unit(vectors)
            self._save(keys[good], vectors[good])
            for one in group:
                with _storing(self._folder):
                    one.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Segment:
    """An open segment: its keys, shape (n,), in memory, its vectors, shape (n, d), on the disk."""

    path: Path
    keys: Keys
    vectors: FloatArray

    @classmethod
    def open(cls, path: Path, dimension: int) -> _Segment:
        """Map the file. Raises SafetensorError, KeyError or ValueError when it is no whole segment."""
        with safe_open(path, framework="numpy") as file:  # compares the header with the file's size
            hashes = file.get_tensor("hashes")
        with path.open("rb") as raw:
            header = 8 + int.from_bytes(raw.read(8), "little")
            about = json.loads(raw.read(header - 8))["vectors"]
        if about["dtype"] != "F32" or about["shape"] != [len(hashes), dimension] or not len(hashes):
            raise ValueError(f"{path}: other vectors than expected")
        # safetensors itself can only read a whole tensor or a range of it; rows are wanted from anywhere.
        vectors = np.memmap(
            path, np.float32, "r", header + about["data_offsets"][0], (len(hashes), dimension)
        )
        return cls(path, np.frombuffer(hashes.tobytes(), dtype=KEY), vectors)

    def copy(self, out: FloatArray, rows: IntArray, places: IntArray) -> bool:
        """Copy `vectors[places]` into `out[rows]`; return False and copy nothing if they are damaged."""
        vectors = self.vectors[places]
        if not _are_unit(vectors).all():
            return False
        out[rows] = vectors
        return True


def _keys_of(texts: Sequence[str]) -> Keys:
    return np.frombuffer(bytes.fromhex("".join(map(text_hash, texts))), dtype=KEY)


def _are_unit(vectors: FloatArray) -> BoolArray:
    """Return which rows are finite and of length 1: what a block of zeros or noise on the disk is not."""
    lengths = np.linalg.norm(vectors, axis=1)
    unit: BoolArray = np.abs(lengths - 1.0) < 1e-3
    return unit


def _groups(segments: Iterable[_Segment], limit: int) -> Iterator[list[_Segment]]:
    """Split into groups of at most `limit` bytes of vectors, smallest segments first; none of one alone."""
    group: list[_Segment] = []
    for segment in sorted(segments, key=lambda one: one.vectors.nbytes):
        if group and sum(one.vectors.nbytes for one in group) + segment.vectors.nbytes > limit:
            yield group
            group = []
        group.append(segment)
    if len(group) > 1:
        yield group


def _set_aside(path: Path) -> None:
    """Rename a damaged segment. Another process may have done it already."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(f"{path.name}.damaged"))


def _tell(progress: Callable[[int], None] | None, done: int) -> None:
    if progress is not None:
        progress(done)


@contextlib.contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{folder}: vectors cannot be kept here ({error.strerror}); free space or give another folder"
        ) from error
