"""How a service runs: what `vermilion serve` was told, checked, as one value that goes to every worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vermilion.errors import InputError
from vermilion.serve.guard import is_loopback
from vermilion.world.home import Home

# A request may hold so many texts; the queue must be able to take one such request.
MOST_TEXTS, MOST_CHARACTERS, MOST_NAME = 1000, 20_000, 256


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What a service was told.

    Attributes
    ----------
    model : str
        A model folder, or a reference to the registry, as NAME or NAME@alias.
    home : Home
    host, port, workers
        Where to listen, and with how many processes; port 0 takes any that is free.
    keys : bool
        Whether a request needs a key. Without, only on a loopback address.
    batch : int
        Most texts that are encoded at once.
    queue : int
        Most texts that may wait in a worker.
    deadline : float
        Seconds that a request may wait before its texts are looked at.
    threads : int
        Cores for the encoder of a worker.
    rate : float
        Requests a second of a key that has no rate of its own.
    log_texts : float
        Share of the texts that are kept in the journal, redacted.
    retain_days : int or None
        How many days of decisions before today stay; None keeps all.
    base_url : str or None
        Endpoint of an `openai:` encoder.
    """

    model: str
    home: Home
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    keys: bool = True
    batch: int = 32
    queue: int = 2000
    deadline: float = 10.0
    threads: int = 1
    rate: float = 1000.0
    log_texts: float = 0.0
    retain_days: int | None = None
    base_url: str | None = None

    def checked(self) -> Self:
        """Return the settings, all within their bounds.

        Raises
        ------
        InputError
        """
        _bounds("--port", self.port, 0, 65_535)
        _bounds("--workers", self.workers, 1, 256)
        _bounds("--batch", self.batch, 1, MOST_TEXTS)
        _bounds("--queue", self.queue, MOST_TEXTS, 1_000_000)
        _bounds("--deadline", self.deadline, 0.05, 600)
        _bounds("--rate", self.rate, 0.001, 1_000_000)
        _bounds("--log-texts", self.log_texts, 0, 1)
        if self.retain_days is not None:
            _bounds("--retain-days", self.retain_days, 1, 36_500)
        if not self.keys and not is_loopback(self.host):
            raise InputError(
                "a loopback address for a service without keys",
                repr(self.host),
                "--no-keys",
                "leave --host out, or leave --no-keys out and make a key with vermilion keys create",
            )
        return self

    @property
    def folder(self) -> Path | None:
        """The model folder, where one was named: a path that exists, or that looks like nothing else."""
        path = Path(self.model)
        return path if path.is_dir() or "/" in self.model or self.model in (".", "..") else None


def _bounds(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InputError(f"a number from {least:g} to {most:g}", f"{value:g}", option, "give another value")
