"""Many keywords or regular expressions looked for at once, in time linear in the text: the door of RE2."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import re2

# RE2 may use so much memory for one set; past it, it forgets and starts again, and is slower.
SET_MEMORY = 64 << 20
# Steps of RE2's program: most patterns have some dozens, `.{1000}` has 8,004, `\pL{100}` a hundred thousand.
MAX_STEPS, MAX_STEPS_TOGETHER = 20_000, 400_000
# Scripts without spaces between words: each of their letters counts as a word.
UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)),  # Thai, Lao, Burmese, Khmer
    *((0x3040, 0x30FF), (0x3400, 0x9FFF), (0x20000, 0x323AF)),  # kana, Han
)


class KeywordSet:
    """Keywords as whole words, whatever their case, form of letters and spaces.

    Text and keyword are brought into one form (see `folded`), in which a keyword is a literal, so that all of them
    are one automaton.

    Parameters
    ----------
    keywords : sequence of str
        None of them without a letter, digit or sign; see `folded`.

    Examples
    --------
    >>> found = KeywordSet(["lost card", "STRASSE", "c++"])
    >>> found.matches("I lost  card 7 in our Straße"), found.matches("lost cards"), found.matches("C++?")
    ([0, 1], [], [2])
    """

    def __init__(self, keywords: Sequence[str]) -> None:
        self._set = _compiled([re2.escape(folded(keyword)) for keyword in keywords])

    def matches(self, text: str) -> list[int]:
        """Return the numbers of the keywords that the text has, rising."""
        return _matches(self._set, folded(text))


class PatternSet:
    r"""Regular expressions in RE2's syntax, found anywhere in a text.

    Parameters
    ----------
    patterns : sequence of str
        Each without a `pattern_fault`.

    Raises
    ------
    ValueError
        Together they are too large.

    Examples
    --------
    >>> PatternSet([r"(?i)order \d{6}", "^hello"]).matches("Hello, where is ORDER 123456?")
    [0]
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        if (steps := sum(map(_steps, patterns))) > MAX_STEPS_TOGETHER:
            raise ValueError(f"programs of {steps:,} steps, allowed are {MAX_STEPS_TOGETHER:,}")
        self._set = _compiled(patterns)

    def matches(self, text: str) -> list[int]:
        """Return the numbers of the patterns that are found in the text, rising."""
        return _matches(self._set, text)


def pattern_fault(pattern: str) -> str | None:
    """Return why RE2 cannot use a pattern, or None.

    Examples
    --------
    >>> pattern_fault("a+b"), pattern_fault("(a")
    (None, 'missing ): (a')
    """
    try:
        steps = _steps(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else "no reason given"
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return f"a program of {steps:,} steps, allowed are {MAX_STEPS:,}" if steps > MAX_STEPS else None


def _steps(pattern: str) -> int:
    options = re2.Options()
    options.log_errors = False  # RE2 would write the pattern to stderr
    return int(re2.compile(pattern, options).programsize)


class _Forms(dict[int, str]):
    """What `str.translate` puts for a character, found when it is first met."""

    most = 65_536  # a stranger's texts must not fill the memory with characters

    def __missing__(self, code: int) -> str:
        form = _form(code)
        if len(self) < self.most:
            self[code] = form
        return form


def _form(code: int) -> str:
    letter = chr(code)
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return ""  # soft hyphens, joiners, marks of direction: not to be seen
    if kind[0] in "ZC":
        return " "
    if any(first <= code <= last for first, last in UNSPACED):
        return f" {letter} " if kind[0] != "M" else letter
    return letter if kind[0] in "LNM" or letter == "_" else f" {letter} "


_FORMS = _Forms()


def folded(text: str) -> str:
    r"""Return the words and signs of a text, in one form and with one space around each.

    Compatible letters are made equal (NFKC), case is folded, what cannot be seen is dropped. A word is a run of
    letters, marks, digits and `_`; every other sign stands alone, and so does each letter of scripts that put no
    space between words.

    Examples
    --------
    >>> folded("E-mail ＳＴＲＡＳＳＥ\u200b 5!"), folded("銀行 x"), folded(" ")
    (' e - mail strasse 5 ! ', ' 銀 行 x ', '  ')
    """
    words = unicodedata.normalize("NFKC", text).casefold().translate(_FORMS).split()
    return f" {' '.join(words)} "


def _compiled(patterns: Sequence[str]) -> re2.Set:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_MEMORY
    found = re2.Set.SearchSet(options)
    try:
        for pattern in patterns:
            found.Add(pattern)
        found.Compile()
    except re2.error:
        raise ValueError(f"patterns that need more than {SET_MEMORY >> 20} MiB") from None
    return found


def _matches(patterns: re2.Set, text: str) -> list[int]:
    return sorted(patterns.Match(text.encode(errors="replace")) or ())
