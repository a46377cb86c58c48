"""Which language a text is in: the door of py3langid, whose weights are arrays and lie in its wheel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from vermilion.errors import MissingExtraError

# What is less sure is not known; the library's own advice. A greeting or a number has no language.
LEAST_SURE = 0.2
UNKNOWN = frozenset({"und", "zxx"})
# So much of a text is looked at: its first paragraphs tell as much as all of it.
MAX_CHARACTERS = 2000


def languages_of(texts: Sequence[str]) -> list[str | None]:
    """Return the ISO 639 code of each text's language, or None where it cannot be told.

    Raises
    ------
    MissingExtraError
        py3langid is not installed.

    Examples
    --------
    >>> languages_of(["where is my card?", "Wo ist meine Karte?", "12345"])
    ['en', 'de', None]
    """
    identifier = _identifier()
    found = (identifier.classify(text[:MAX_CHARACTERS])[0] for text in texts)
    return [None if language in UNKNOWN else language for language in found]


def known_languages() -> frozenset[str]:
    """Return the codes that `languages_of` may give.

    Raises
    ------
    MissingExtraError
        py3langid is not installed.
    """
    return frozenset(_identifier().labels) - UNKNOWN


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtraError("py3langid", "language") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=LEAST_SURE)
