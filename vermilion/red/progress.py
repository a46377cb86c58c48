"""How long work tells whoever watches how far it has come."""

from __future__ import annotations

from typing import Protocol

from vermilion.red.record import RoundRecord
from vermilion.types import Spend


class Progress(Protocol):
    """Receives what happens; the command shows it, tests and machines ignore it."""

    def start(self, what: str, total: int | None) -> None:
        """Begin a piece of work of `total` steps; None: nobody knows."""
        ...

    def advance(self, steps: int, spend: Spend | None = None) -> None:
        """Some steps of the current piece are done, at this expense."""
        ...

    def done(self) -> None:
        """End the current piece of work."""
        ...

    def note(self, line: str) -> None:
        """Tell something worth a line of its own."""
        ...

    def round(self, record: RoundRecord) -> None:
        """A round has ended."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, what: str, total: int | None) -> None:
        """Ignore it."""

    def advance(self, steps: int, spend: Spend | None = None) -> None:
        """Ignore it."""

    def done(self) -> None:
        """Ignore it."""

    def note(self, line: str) -> None:
        """Ignore it."""

    def round(self, record: RoundRecord) -> None:
        """Ignore it."""
