"""Vermilion: text into 2 to 1,000+ labels from a handful of examples each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vermilion.choose.estimator import TextClassifier as TextClassifier
    from vermilion.red.estimator import RedClassifier as RedClassifier

__version__ = "0.1.0"
__all__ = ["RedClassifier", "TextClassifier"]


def __getattr__(name: str) -> Any:
    """Import an estimator when it is first asked for: the command's start-up need not wait for it."""
    if name == "RedClassifier":
        from vermilion.red.estimator import RedClassifier

        return RedClassifier
    if name == "TextClassifier":
        from vermilion.choose.estimator import TextClassifier

        return TextClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
