"""What a version is made of: files of kinds that cannot run code, and the manifest that lists their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors

from vermilion.errors import ModelError
from vermilion.world.models import DESCRIPTION, TENSORS
from vermilion.world.onnx_wire import check_onnx

MANIFEST, RULES = "manifest.json", "rules.yaml"
FORMAT = 1
AGAIN = "add the model once more from where it was learned, which mends it"

Contents = Mapping[str, bytes]


def _check_text(content: bytes) -> None:
    content.decode("utf-8")


# What a version may be made of, by the end of the name, with a look at whether it is that.
KINDS: dict[str, Callable[[bytes], Any]] = {
    ".safetensors": safetensors.deserialize,
    ".json": json.loads,
    ".yaml": _check_text,
    ".md": _check_text,
    ".onnx": check_onnx,
}


def gather(source: Path, rules: Path | None = None) -> dict[str, bytes]:
    """Return the files of a model folder by name, each of a kind that cannot run code.

    Parameters
    ----------
    source : Path
        A model folder; one that is a version already is checked against its manifest, which is made anew.
    rules : Path, optional
        The file that becomes rules.yaml, in place of one in `source`.

    Raises
    ------
    ModelError
        A file is missing, of another kind, a link or a folder, or cannot be read.
    """
    contents = read_files(source)
    if MANIFEST in contents:
        compare(source, listed(source / MANIFEST, contents.pop(MANIFEST)), contents)
    for name in (DESCRIPTION, TENSORS):
        if name not in contents:
            raise ModelError(
                f"{source}: expected a model folder with {name}, found none; name the model/ of a run"
            )
    paths = {name: source / name for name in contents}
    if rules is not None:
        contents[RULES], paths[RULES] = _read(rules), rules
    for name, content in contents.items():
        _check_kind(paths[name], content)
    return contents


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name, sorted.

    Raises
    ------
    ModelError
        It is no folder, or holds what is no plain file of a known kind.
    """
    if folder.is_symlink() or not folder.is_dir():
        found = "a link" if folder.is_symlink() else "a file" if folder.exists() else "none"
        raise ModelError(f"{folder}: expected a model folder, found {found}; name the model/ of a run")
    try:
        return {path.name: _read(path) for path in sorted(folder.iterdir())}
    except OSError as error:
        raise ModelError(f"{folder}: cannot be read ({error.strerror}); give yourself leave to") from None


def _read(path: Path) -> bytes:
    """Return a file's bytes; what is no plain file of a known kind is refused before it is opened."""
    if path.is_symlink() or path.is_dir() or path.suffix not in KINDS:
        found = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "another kind"
        raise ModelError(f"{path}: expected plain files of {', '.join(KINDS)}, found {found}; take it out")
    if not path.is_file():
        raise ModelError(f"{path}: expected a plain file, found none; put one there")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give yourself leave to") from None


def _check_kind(path: Path, content: bytes) -> None:
    try:
        KINDS[path.suffix](content)
    except (ValueError, RecursionError, safetensors.SafetensorError) as error:
        problem = (str(error).splitlines() or [""])[0][:200]
        raise ModelError(
            f"{path}: is not what {path.suffix} promises ({problem}); take it out or mend it"
        ) from None


def hashes(contents: Contents) -> dict[str, str]:
    """Return the sha256 of each file by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}


def manifest(contents: Contents) -> bytes:
    """Return the manifest's bytes: the same for the same files, with no time and no place in it."""
    told = {"format": FORMAT, "files": hashes(contents)}
    return (json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n").encode()


def digest_of(manifest_bytes: bytes) -> str:
    """Return the name of the version that has this manifest, 64 hex digits.

    Examples
    --------
    >>> digest_of(manifest({"a.json": b"1"})) == digest_of(manifest({"a.json": b"2"}))
    False
    """
    return hashlib.sha256(manifest_bytes).hexdigest()


def listed(path: Path, content: bytes) -> dict[str, str]:
    """Return the hashes that a manifest lists.

    Raises
    ------
    ModelError
        It lists none.
    """
    try:
        told = json.loads(content)
        if told["format"] == FORMAT:
            return {str(name): str(digest) for name, digest in told["files"].items()}
        found = f"{told['format']!r:.40}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"{path}: damaged, it lists no files; {AGAIN}") from None
    raise ModelError(f"{path}: expected format {FORMAT}, found {found}; update vermilion")


def compare(folder: Path, expected: Mapping[str, str], contents: Contents) -> None:
    """Check that files are those that a manifest lists.

    Raises
    ------
    ModelError
        One is missing, one is too many, or one is another; the first by name is told.
    """
    found = hashes(contents)
    for name in sorted(expected.keys() | found.keys()):
        path = folder / name
        if name not in found:
            raise ModelError(f"{path}: expected a file, found none; {AGAIN}")
        if name not in expected:
            raise ModelError(f"{path}: expected only files of the version, found one more; take it out")
        if expected[name] != found[name]:
            raise ModelError(
                f"{path}: expected sha256 {expected[name][:16]}..., found {found[name][:16]}...; {AGAIN}"
            )
