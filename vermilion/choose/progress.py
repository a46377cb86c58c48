"""What receives how far a piece of work is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives how far the encoding is."""

    def start(self, what: str, total: int | None) -> None:
        """Begin a piece of work of `total` steps."""
        ...

    def advance(self, steps: int) -> None:
        """Some steps are done."""
        ...

    def done(self) -> None:
        """End the piece of work."""
        ...
