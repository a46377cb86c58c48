"""Personal data by its form: what goes, what stays, and that no text takes longer than it is long."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.errors import InputError, MissingExtraError
from vermilion.serve.redaction import PATTERNS, Patterns, Presidio, Redactor, Span

redact = Redactor(1.0).redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail müller@bücher.example.de now", "mail [email] now"),
        ("<a.b+c@x.co>,d@e.org", "<[email]>,[email]"),
        ("call +49 (0)30 123456-78, thanks", "call [phone], thanks"),
        ("(555) 123-4567 or 030/1234567", "[phone] or [phone]"),
        ("iban de89370400440532013000 and more", "iban [iban] and more"),
        ("GB82 WEST 1234 5698 7654 32 thanks a lot", "[iban] thanks a lot"),
        ("card 4111-1111-1111-1111, 12/27", "card [card], 12/27"),
        ("378282246310005,6011111111111117", "[card],[card]"),
        ("é🙂 4111111111111111é", "é🙂 [card]é"),
        ("postgres://ada:s3cret@db/x", "postgres://[credentials]@db/x"),
        ("from 10.0.0.1: and 2001:db8::ff00:42:8329.", "from [ip]: and [ip]."),
        ("::1 fe80::1%eth0", "[ip] [ip]%eth0"),
        ("SSN 078-05-1120", "SSN [ssn]"),
        ("password=hunter22 Token: 'abc def'", "password=[secret] Token: '[secret] def'"),
        (f"key vk_abcdefgh_{'x' * 43}.", "key [secret]."),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-_", "[secret]"),
        ("write to a@b.de\nor\nc@d.de", "write to [email]\nor\n[email]"),
    ],
)
def test_what_goes(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order 12345678 of 2026-11-22, at 12:30:45, 22.11.2026",
        "version v1.2.3.4 costs 1,299.00 EUR, 50 %",
        "999.9.1.1 and 000-12-3456",
        "a @ b, x@y, @handle #tag",
        "https://example.org/path?x=1",
        "the token is lost; what is the password?",
        "DE89 is a road",
        "日本語のテキスト 🙂",
    ],
)
def test_what_stays(text: str) -> None:
    assert redact(text) == text


def test_numbers_with_a_wrong_checksum_are_not_taken_for_cards_or_accounts() -> None:
    kinds = {span.kind for span in Patterns().find("4111111111111112 DE88370400440532013000")}
    assert not kinds & {"card", "iban"}


@given(
    parts=st.lists(
        st.sampled_from(["4111 1111 1111 1111", "a@b.org", "+49 30 1234567", "é", "🙂", " ", "x", ",", "\n"])
    )
)
def test_none_of_it_is_left_wherever_it_stands(parts: list[str]) -> None:
    found = redact(" ".join(parts))
    assert "4111 1111 1111 1111" not in found
    assert "a@b.org" not in found
    assert "1234567" not in found
    assert found.count("🙂") == parts.count("🙂")


@given(text=st.text(max_size=200))
def test_spans_are_places_in_the_text(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    for span in Patterns().find(clean):
        assert 0 <= span.start < span.end <= len(clean)
    redact(text)


HARD = [
    "a",
    "a@",
    "1 ",
    "1",
    ":",
    "1.1.1.",
    "DE89",
    "+(",
    "password:",
    "://",
    "x:",
    "eyJ",
    "1-",
    "(1",
    "é",
    "sk_",
]


@pytest.mark.parametrize("piece", HARD)
@pytest.mark.parametrize("end", ["", "@", " x"])
def test_hard_texts_cost_no_more_than_they_are_long(piece: str, end: str) -> None:
    """Candidates are counted, each is short or taken whole; RE2 itself is linear."""
    text = (piece * 2000)[: 2000 - len(end)] + end
    looked = 0

    def counted(candidate: str) -> int:
        nonlocal looked
        looked += len(candidate)
        return 0

    Patterns([replace(one, measure=counted) for one in PATTERNS if one.measure is not len]).find(text)
    assert looked <= 60 * len(text)
    assert len(redact(text)) <= 2 * len(text)


def test_long_texts_and_half_characters_are_survived() -> None:
    assert redact("x" * 30_000) == "x" * 20_000
    assert redact("\ud800 a@b.org") == "? [email]"


def test_which_texts_are_kept_follows_from_the_id() -> None:
    some = Redactor(0.25)
    kept = [i for i in range(2000) if some.kept(f"d{i}", "text") is not None]
    assert 400 < len(kept) < 600
    again = Redactor(0.25)
    assert kept == [i for i in range(2000) if again.kept(f"d{i}", "text") == "text"]
    assert not any(Redactor(0).kept(f"d{i}", "text") for i in range(100))
    assert all(Redactor(1).kept(f"d{i}", "text") for i in range(100))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="a share from 0 to 1"):
        Redactor(share)


class Names:
    """A recogniser of one's own."""

    def find(self, text: str) -> list[Span]:
        at = text.find("Ada")
        return [Span(at, at + 12, "person")] if at >= 0 else []


def test_recognisers_of_ones_own_go_together_and_overlaps_are_one() -> None:
    both = Redactor(1.0, [Patterns(), Names()])
    assert both.redact("I am Ada Lovelace, x@y.org") == "I am [person], [email]"
    assert both.redact("I am Ada@love.org, x") == "I am [email], x"


def test_presidio_is_an_extra() -> None:
    if importlib.util.find_spec("presidio_analyzer") is None:
        with pytest.raises(MissingExtraError, match="vermilion\\[pii\\]"):
            Presidio()
        return
    pytest.importorskip("spacy", reason="Presidio needs a language model")
    assert Redactor(1.0, [Presidio()]).redact("My name is Ada Lovelace") != "My name is Ada Lovelace"
