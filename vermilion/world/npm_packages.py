"""Pinned packages of the npm registry, trusted by their integrity only; nothing of them is run here."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vermilion.errors import ModelError

REGISTRY = "https://registry.npmjs.org"
TIMEOUT_SECONDS = 60
MAX_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """One version of one package.

    Attributes
    ----------
    name, version : str
    integrity : str
        What the registry gives as `dist.integrity`: sha512 of the .tgz, in base64.
    files : tuple of str
        Those that are wanted, without `package/`.
    """

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def archive(self) -> str:
        """The file's name, as `npm pack` writes it.

        Examples
        --------
        >>> NpmPackage("@huggingface/tokenizers", "0.2.0", "", ()).archive
        'huggingface-tokenizers-0.2.0.tgz'
        """
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    def read(self, folder: Path | None = None) -> dict[str, bytes]:
        """Return the wanted files by the last part of their name.

        Parameters
        ----------
        folder : Path, optional
            Holds the archive; by default it is fetched from the registry.

        Raises
        ------
        ModelError
            It cannot be read or fetched, or is not what its integrity says.
        """
        content = self._fetched() if folder is None else self._local(folder)
        found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        if found != self.integrity:
            raise ModelError(
                f"{self.archive}: expected {self.integrity[:20]}..., found {found[:20]}...; "
                f"get it by: npm pack {self.name}@{self.version}"
            )
        return _unpacked(content, self.files)

    def _local(self, folder: Path) -> bytes:
        path = folder / self.archive
        try:
            return path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{path}: cannot be read ({error.strerror}); in that folder, npm pack {self.name}@{self.version}"
            ) from None

    def _fetched(self) -> bytes:
        url = f"{REGISTRY}/{self.name}/-/{self.name.rsplit('/', maxsplit=1)[-1]}-{self.version}.tgz"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (https, and pinned)
                content: bytes = answer.read(MAX_BYTES)
        except (OSError, urllib.error.URLError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ModelError(
                f"{url}: cannot be fetched ({reason}); give --npm a folder with {self.archive},"
                f" written by: npm pack {self.name}@{self.version}"
            ) from None
        return content


def _unpacked(content: bytes, files: Sequence[str]) -> dict[str, bytes]:
    """Return files of an archive; nothing is written, so no name in it can lead anywhere."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for name in files:
            file = archive.extractfile(f"package/{name}")
            if file is not None:
                found[name.rsplit("/", maxsplit=1)[-1]] = file.read()
    return found


ORT_WEB = NpmPackage(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
)
TOKENIZERS = NpmPackage(
    "@huggingface/tokenizers",
    "0.2.0",
    "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
    ("dist/tokenizers.min.mjs",),
)
