"""Names, aliases and references to versions as people write them: NAME, NAME@champion, NAME@3, NAME@sha256:0a1b."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from vermilion.errors import InputError

CHAMPION, CHALLENGER = "champion", "challenger"
DIGEST = "sha256:"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGITS = re.compile(r"[0-9a-f]{4,64}")
# A number that a database's column holds.
_MOST = 2**31 - 1
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Reference:
    """What a person wrote for a version: a name and one of alias, number or the beginning of a digest.

    Examples
    --------
    >>> Reference.parse("intent")
    Reference(name='intent', alias='champion', number=None, digest=None)
    >>> Reference.parse("intent@3").number, Reference.parse("intent@sha256:0a1b").digest
    (3, '0a1b')
    """

    name: str
    alias: str | None = None
    number: int | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference; a name alone means its champion.

        Raises
        ------
        InputError
            It is none.
        """
        name, at, which = text.partition("@")
        check_name(name)
        if not at:
            return cls(name, alias=CHAMPION)
        if which.startswith(DIGEST):
            digest = which.removeprefix(DIGEST).lower()
            if not _DIGITS.fullmatch(digest):
                raise InputError("4 to 64 hex digits after sha256:", repr(digest), text, "give more of it")
            return cls(name, digest=digest)
        if which.isascii() and which.isdecimal():
            if not 1 <= int(which) <= _MOST:
                raise InputError("a version's number from 1", which, text, "see `vermilion models list`")
            return cls(name, number=int(which))
        check_alias(which)
        return cls(name, alias=which)


def check_name(name: str) -> str:
    """Return the name of a model.

    Raises
    ------
    InputError
        It is none.
    """
    return _check_word(name, "a model's name")


def check_alias(alias: str) -> str:
    """Return an alias, which cannot be taken for a number.

    Raises
    ------
    InputError
        It is none.
    """
    if alias.isdecimal():
        raise InputError("an alias that is no number", repr(alias), "alias", "put a letter into it")
    return _check_word(alias, "an alias")


def _check_word(word: str, what: str) -> str:
    if not _WORD.fullmatch(word):
        cure = "begin with a letter or digit"
        raise InputError("at most 100 letters, digits, . _ -", f"{word!r:.120}", what, cure)
    return word


def check_line(text: str, what: str, *, least: int = 0) -> str:
    """Return who did something, or why: one line that any database takes.

    Raises
    ------
    InputError
        It is empty though `least` is 1, too long, or has line breaks, control or half characters in it.

    Examples
    --------
    >>> check_line("it is better on refunds", "why")
    'it is better on refunds'
    """
    if not least <= len(text) <= LONGEST:
        raise InputError(f"{least} to {LONGEST} characters", f"{len(text)}", what, "give it in one line")
    if not text.isprintable():
        raise InputError(
            "one line of plain text", f"{text!r:.80}", what, "leave line breaks and the like out"
        )
    return text
