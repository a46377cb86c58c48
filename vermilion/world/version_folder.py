"""The folders of versions: each named by what is in it, never changed, hashed again whenever it is read.

What must be swept after a kill is told by names in the same folder: `.fresh-` is not whole yet, `.away-` is on its way
out, `.pending-DIGEST` stands beside a version until the registry's transaction has ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vermilion.errors import InputError, ModelError, StoreError
from vermilion.world.home import PRIVATE
from vermilion.world.models import load_model
from vermilion.world.rules_file import read_rules
from vermilion.world.version_contents import (
    AGAIN,
    MANIFEST,
    RULES,
    Contents,
    compare,
    digest_of,
    listed,
    manifest,
    read_files,
)

READ_ONLY = 0o400
FRESH, AWAY, PENDING, OWNER, LOCK = ".fresh-", ".away-", ".pending-", ".registry", ".lock"


def check_version(folder: Path, digest: str) -> None:
    """Hash a version's folder again.

    Raises
    ------
    ModelError
        A byte is another, a file is missing or too many, or one is a link; the line names the file.
    """
    contents = read_files(folder)
    if MANIFEST not in contents:
        raise ModelError(f"{folder / MANIFEST}: expected a file, found none; {AGAIN}")
    found = contents.pop(MANIFEST)
    if digest_of(found) != digest:
        raise ModelError(
            f"{folder / MANIFEST}: expected sha256 {digest[:16]}..., found {digest_of(found)[:16]}...; {AGAIN}"
        )
    compare(folder, listed(folder / MANIFEST, found), contents)


class VersionFolders:
    """The folders of all versions of a home.

    Parameters
    ----------
    models : Path
        The folder above them, made by `belong_to`.
    """

    def __init__(self, models: Path) -> None:
        self._models = models

    def path(self, digest: str) -> Path:
        """Return where a version lies, or would lie."""
        return self._models / digest

    def belong_to(self, registry: str) -> None:
        """Note whose folders these are, or check it: two databases would sweep away each other's.

        Raises
        ------
        StoreError
            They are another registry's, or cannot be written.
        """
        owner = self._models / OWNER
        with self._refusing():
            self._models.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            if not owner.exists():
                with self._alone():
                    self._own(owner, registry)
            found = owner.read_text(encoding="utf-8").strip()
        if found != registry:
            raise StoreError(
                f"{self._models}: the versions there belong to another database; give its --database, or another"
                f" --home (where that database is gone for good, delete {owner})"
            )

    def _own(self, owner: Path, registry: str) -> None:
        if owner.exists():
            return
        fresh = self._models / f"{FRESH}{uuid.uuid4().hex}"
        _write(fresh, f"{registry}\n".encode())
        fresh.rename(owner)
        _sync(self._models)

    @contextmanager
    def locked(self, known: Callable[[str], bool]) -> Iterator[None]:
        """Keep others from changing folders, and sweep what a kill has left; the lock goes with the process.

        Parameters
        ----------
        known : callable
            Tells of a digest whether the registry has a version of it.

        Raises
        ------
        StoreError
            The folder cannot be written.
        """
        with self._alone():
            with self._refusing():
                self._sweep(known)
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._refusing():
            lock = os.open(self._models / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._refusing():
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _sweep(self, known: Callable[[str], bool]) -> None:
        for path in sorted(self._models.iterdir()):
            if path.name.startswith((FRESH, AWAY)):
                _remove(path)
            elif path.name.startswith(PENDING):
                self.settle(path.name.removeprefix(PENDING), known)

    def put(self, contents: Contents, source: Path, rules: Path | None = None) -> str:
        """Put a version in its place, whole and on the disk; call `settle` once the registry knows it.

        A folder of the same digest that is damaged gives way.

        Parameters
        ----------
        contents : mapping of name to bytes
            As from `gather`.
        source, rules : Path
            What messages call the model, and its rules where they are not in it.

        Returns
        -------
        str
            The digest.

        Raises
        ------
        ModelError
            It is no model that can be loaded.
        InputError
            Its rules cannot be used with it.
        StoreError
            The disk is full, or the folder cannot be written.
        """
        told = manifest(contents)
        digest = digest_of(told)
        if self._whole(digest):
            return digest
        fresh = self._models / f"{FRESH}{uuid.uuid4().hex}"
        try:
            with self._refusing():
                _write_folder(fresh, {**contents, MANIFEST: told})
            _check_loads(fresh, source, rules or source / RULES)
            with self._refusing():
                self.mark(digest)
                self._take_away(digest)
                fresh.rename(self.path(digest))
                _sync(self._models)
        except BaseException:
            _remove(fresh)
            raise
        return digest

    def _whole(self, digest: str) -> bool:
        try:
            check_version(self.path(digest), digest)
        except ModelError:
            return False
        return True

    def mark(self, digest: str) -> None:
        """Note that the registry may or may not come to know this digest."""
        with self._refusing():
            _write(self._models / f"{PENDING}{digest}", b"")
            _sync(self._models)

    def settle(self, digest: str, known: Callable[[str], bool]) -> None:
        """Take a folder away that the registry does not know; in either case nothing is pending any more."""
        with self._refusing():
            if not known(digest):
                self._take_away(digest)
            (self._models / f"{PENDING}{digest}").unlink(missing_ok=True)

    def _take_away(self, digest: str) -> None:
        if os.path.lexists(self.path(digest)):
            away = self._models / f"{AWAY}{uuid.uuid4().hex}"
            self.path(digest).rename(away)
            _remove(away)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn the disk's error into one line."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self._models}: versions cannot be kept here ({error.strerror}); nothing that was there is lost;"
                " make room, or give another --home"
            ) from None


def _check_loads(fresh: Path, source: Path, rules: Path) -> None:
    """Check that what was written can be loaded; the line names what the user gave."""
    try:
        model = load_model(fresh)
        if (fresh / RULES).exists():
            read_rules(fresh / RULES, model.labels)
    except ModelError as error:
        raise ModelError(str(error).replace(str(fresh), str(source))) from None
    except InputError as error:
        where = error.where.replace(str(fresh / RULES), str(rules))
        raise InputError(error.expected, error.found, where, error.cure) from None


def _write_folder(folder: Path, contents: Contents) -> None:
    folder.mkdir(mode=PRIVATE)
    for name, content in contents.items():
        _write(folder / name, content)
    _sync(folder)


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody changes; it is on the disk when this returns."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READ_ONLY), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
