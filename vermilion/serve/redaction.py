"""Personal data taken out of texts before they are kept, in time that grows with the text and nothing else.

What can be recognised by its form is replaced by what it is, as `[email]`. RE2 finds candidates, which never takes
longer than the text is long, and checksums tell card and account numbers from other digits. Names, addresses and what
people tell of themselves have no form: keep no texts where that matters, or hand `Redactor` a recogniser of your own.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import re2

from vermilion.errors import InputError, MissingExtraError

MOST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text that is not to be kept: from `start` to before `end`, in characters."""

    start: int
    end: int
    kind: str


class Recogniser(Protocol):
    """Finds what is not to be kept."""

    def find(self, text: str) -> Iterable[Span]:
        """Return the pieces of a text that are not to be kept, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of data by its form.

    Attributes
    ----------
    kind : str
        What stands in its place.
    pattern : str
        In RE2's language; the first group is what goes.
    measure : callable
        Tells how many of a candidate's characters, from its first, are one; 0 for none.
    """

    kind: str
    pattern: str
    measure: Callable[[str], int] = len


def card_length(text: str) -> int:
    """Return how much of a candidate is a card's number, by Luhn's checksum.

    Examples
    --------
    >>> [card_length(one) for one in ("4111 1111 1111 1111 17", "4111-1111-1111-1112", "0000000000000000")]
    [19, 0, 0]
    """
    places = [place for place, one in enumerate(text) if one.isdigit()]
    digits = [int(text[place]) for place in places]
    for length in _CARD_LENGTHS:
        if length <= len(digits) and len(set(digits[:length])) > 1 and _luhn(digits[:length]):
            return places[length - 1] + 1
    return 0


def _luhn(digits: list[int]) -> bool:
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def iban_length(text: str) -> int:
    """Return how much of a candidate is an IBAN, by its country's length and its checksum modulo 97.

    Examples
    --------
    >>> [iban_length(one) for one in ("DE89 3704 0044 0532 0130 00 and", "DE88370400440532013000", "XX00")]
    [27, 0, 0]
    """
    places = [place for place, one in enumerate(text) if one != " "]
    packed = text.replace(" ", "").upper()
    length = IBAN_LENGTHS.get(packed[:2], 99)
    if length > len(packed):
        return 0
    turned = packed[4:length] + packed[:4]
    return places[length - 1] + 1 if int("".join(str(int(one, 36)) for one in turned)) % 97 == 1 else 0


def address_length(text: str) -> int:
    """Return the length of an IPv4 or IPv6 address, a colon or full stop behind it not counted; 0 of another text."""
    text = text if text.endswith("::") else text.rstrip(":.")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return 0
    return len(text)


def ssn_length(text: str) -> int:
    """Return the length of a US social security number: some areas and groups were never given out."""
    area, group, serial = text.replace(" ", "-").split("-")
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return len(text) if given else 0


def phone_length(text: str) -> int:
    """Return the length of what may be a telephone number: 8 to 15 digits, written as one, and no date.

    Examples
    --------
    >>> [phone_length(one) for one in ("+49 30 123456", "030/1234567", "2026-11-22", "12345678")]
    [13, 11, 0, 0]
    """
    digits = sum(one.isdigit() for one in text)
    looks = text[0] in "+(0" or digits >= 10 or digits < len(text)
    return len(text) if looks and 8 <= digits <= 15 and not _DATE.search(text) else 0


_DATE = re2.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}")
# The usual ones first: a longer run of digits may have more than one in it.
_CARD_LENGTHS = (16, 15, 14, 13, 19, 18, 17)
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {one: length for length, several in _IBAN_COUNTRIES.items() for one in several.split()}

_BEFORE = r"(?:^|[^\pL\pN])"  # RE2 does not look behind, and its \b knows ASCII only

# The first that claims a piece of text has it: what is more certain stands before what is less.
# Without a check of the candidate a repetition may be endless; with one it is bounded, as it may be tried again.
PATTERNS: tuple[Pattern, ...] = (
    Pattern("credentials", r"[A-Za-z][A-Za-z0-9+.-]*://([^\s/@:]*:[^\s/@]+)@"),
    Pattern("secret", r"(?:^|[^A-Za-z0-9_])((?:vk|sk|pk|rk|gh[pousr])[_-][A-Za-z0-9_-]{16,})"),
    Pattern(
        "secret",
        r"(?i)(?:password|passwd|passwort|secret|api[_-]?key|token)[\"']?\s*[:=]\s*[\"']?([^\s\"',;]+)",
    ),
    Pattern("secret", r"(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)"),
    Pattern("email", r"([\pL\pN._%+'-]+@(?:[\pL\pN-]+\.)+\pL+)"),
    Pattern("iban", _BEFORE + r"([A-Za-z]{2}\d{2}(?:[ ]?[A-Za-z0-9]){11,30})", iban_length),
    Pattern("card", r"(?:^|[^\d])(\d(?:[ -]?\d){12,18})", card_length),
    Pattern("ssn", r"(?:^|[^\d-])(\d{3}[- ]\d{2}[- ]\d{4})(?:$|[^\d-])", ssn_length),
    Pattern("ip", r"(?:^|[^\pL\pN.])(\d{1,3}(?:\.\d{1,3}){3})(?:$|[^\d])", address_length),
    Pattern(
        "ip",
        r"(?:^|[^0-9A-Za-z:])([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3})",
        address_length,
    ),
    Pattern("phone", r"(?:^|[^\pL\pN+])(\+?\(?\d(?:[ ./()-]{0,2}\d){7,14})(?:$|[^\d])", phone_length),
)


class Patterns:
    """Recognises data by its form.

    Parameters
    ----------
    patterns : iterable of Pattern
        Earlier ones go first.

    Examples
    --------
    >>> [span.kind for span in Patterns().find("mail a@example.org or call +49 30 1234567")]
    ['email', 'phone']
    """

    def __init__(self, patterns: Iterable[Pattern] = PATTERNS) -> None:
        options = re2.Options()
        options.log_errors = False  # RE2 would write to stderr
        self._patterns = [(one, re2.compile(one.pattern, options)) for one in patterns]

    def find(self, text: str) -> list[Span]:
        """Return what was recognised, in the order of certainty."""
        # In bytes, as the library would encode the whole text anew for each search.
        data = text.encode()
        found: list[Span] = []
        for pattern, compiled in self._patterns:
            spans = list(_places(pattern, compiled, data))
            found += _in_characters(data, spans)
        return found


def _places(pattern: Pattern, compiled: re2._Regexp, data: bytes) -> Iterator[Span]:
    """Yield what one pattern finds, in bytes."""
    at = 0
    while (match := compiled.search(data, at)) is not None:
        start, end = match.span(1)
        candidate = data[start:end].decode()
        if length := pattern.measure(candidate):
            end = start + len(candidate[:length].encode())
            yield Span(start, end, pattern.kind)
            at = end
        else:
            at = max(at + 1, _behind_run(data, start))


def _behind_run(data: bytes, start: int) -> int:
    """Return where to look on after a candidate that was none: behind its first letters or digits."""
    at = start + 1
    while at < len(data) and data[at : at + 1].isalnum():
        at += 1
    return at


def _in_characters(data: bytes, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans, which rise, with their places in characters."""
    at = characters = 0
    for span in spans:
        start = characters + len(data[at : span.start].decode())
        characters, at = start + len(data[span.start : span.end].decode()), span.end
        yield Span(start, characters, span.kind)


class Presidio:
    """Recognises names, places and more by Microsoft's Presidio; needs the extra `pii` and a model of its own.

    Parameters
    ----------
    language : str
    score : float
        What it is less sure of than this stays.
    """

    def __init__(self, language: str = "en", score: float = 0.5) -> None:
        try:
            from presidio_analyzer import AnalyzerEngine
        except ModuleNotFoundError:
            raise MissingExtraError("presidio-analyzer", "pii") from None
        self._engine, self._language, self._score = AnalyzerEngine(), language, score

    def find(self, text: str) -> list[Span]:
        """Return what Presidio recognises."""
        results = self._engine.analyze(text, language=self._language, score_threshold=self._score)
        return [Span(one.start, one.end, one.entity_type.lower()) for one in results]


class Redactor:
    """Takes personal data out of texts, and draws the texts that are kept at all.

    Parameters
    ----------
    share : float
        Of the texts, from 0 (none) to 1. Which, follows from the decision's id alone.
    recognisers : iterable of Recogniser

    Examples
    --------
    >>> Redactor(1.0).kept("d1", "I am ada@example.org, card 4111 1111 1111 1111")
    'I am [email], card [card]'
    >>> Redactor(0.0).kept("d1", "text") is None
    True
    """

    def __init__(self, share: float, recognisers: Iterable[Recogniser] | None = None) -> None:
        if not 0 <= share <= 1:
            raise InputError("a share from 0 to 1", str(share), "--log-texts", "give another value")
        self._share = share
        self._recognisers = (Patterns(),) if recognisers is None else tuple(recognisers)

    def kept(self, decision: str, text: str) -> str | None:
        """Return what may be kept of a decision's text, or None where it is not drawn."""
        return self.redact(text) if self._share and _drawn(decision) < self._share else None

    def redact(self, text: str) -> str:
        """Return a text, up to 20,000 characters of it, with what was recognised replaced by its kind."""
        # A lone surrogate is no character, and RE2 reads UTF-8.
        text = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()
        spans = [span for one in self._recognisers for span in one.find(text)]
        pieces, at = [], 0
        for span in _apart(spans):
            pieces += [text[at : span.start], f"[{span.kind}]"]
            at = span.end
        return "".join([*pieces, text[at:]])


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that overlap joined under the kind of the one that was found first."""
    order = sorted(enumerate(spans), key=lambda pair: pair[1].start)
    joined: list[tuple[int, Span]] = []
    for rank, span in order:
        if joined and span.start < joined[-1][1].end:
            first, before = joined[-1]
            kind = before.kind if first < rank else span.kind
            joined[-1] = min(first, rank), Span(before.start, max(before.end, span.end), kind)
        else:
            joined.append((rank, span))
    return [span for _, span in joined]


def _drawn(decision: str) -> float:
    """Return a number from 0 to below 1 that every worker gives to the same decision."""
    return int.from_bytes(hashlib.blake2b(decision.encode(), digest_size=7).digest()) / 2**56
