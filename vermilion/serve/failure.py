"""What the log is told of a failure that nobody foresaw: where it came about, and no word of what came in."""

from __future__ import annotations

import traceback


def trace(error: BaseException) -> str:
    """Return an error's kind and its lines of code; its message is left out, for a text may be in it.

    Examples
    --------
    >>> texts = ["a private text"]
    >>> try:
    ...     {}[texts[0]]
    ... except KeyError as error:
    ...     found = trace(error)
    >>> found.splitlines()[0], "private" in found
    ('KeyError', False)
    """
    return "\n".join(
        [type(error).__name__, *(part.rstrip() for part in traceback.format_tb(error.__traceback__))]
    )
