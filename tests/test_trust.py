"""What is known of an expert, and the advice it leads to."""

from __future__ import annotations

import pytest

from vermilion.learn.paired import Paired
from vermilion.red.trust import Compared, Counted, MixedUp, SecondOpinion, Trust, advice, tolerable

BETTER, WORSE = Paired(20, 15, 2, 13), Paired(5, 1, 20, 24)
EQUAL, AHEAD = Paired(20, 4, 4, 22), Paired(20, 5, 3, 22)


def trust_of(disputed: Paired | None) -> Trust:
    """Return a report of which only the comparison on disputed texts is told."""
    random = Compared.of(Paired(45, 0, 5, 0))
    return Trust("openai:m", False, None if disputed is None else Compared.of(disputed), random)


@pytest.mark.parametrize(
    ("disputed", "judgement", "against", "told"),
    [
        (BETTER, "better", False, "it beats the head"),
        (AHEAD, "unclear", False, "it seems better than the head, but so few texts are no proof"),
        (EQUAL, "unclear", True, "may not be worth buying; too few texts to be sure"),
        (WORSE, "worse", True, "are not worth buying"),
    ],
)
def test_the_advice_goes_by_the_disputed_texts(
    disputed: Paired, judgement: str, against: bool, told: str
) -> None:
    trust = trust_of(disputed)
    assert (trust.judgement, trust.advises_against) == (judgement, against)
    assert advice(trust).endswith(told)
    assert tolerable(trust) is (judgement != "worse")


def test_without_disputed_texts_nothing_is_advised() -> None:
    trust = trust_of(None)
    assert (trust.judgement, trust.advises_against, trust.n) == ("unclear", False, 50)


def test_judgement_and_bounds_agree() -> None:
    for found in (BETTER, WORSE, EQUAL, AHEAD):
        part = Compared.of(found)
        assert part.lower < part.gain < part.upper
        assert (part.judgement == "worse") <= (part.upper < 0)
        assert (part.judgement == "better") <= (part.lower > 0)


def test_json_gives_all_of_it_back() -> None:
    whole = Trust(
        "openai:m",
        False,
        Compared.of(BETTER),
        None,
        Counted.of(1, 40),
        Counted.of(0, 20),
        Counted.of(3, 20),
        SecondOpinion("openai:n", Counted.of(38, 40), 0.9, 0.05, -0.02, 0.12),
        (MixedUp("a", "b", 2, "use when a", "b", ("one", "two")),),
    )
    told = whole.as_json()
    assert Trust.from_json(told) == whole
    assert (told["n"], told["judgement"]) == (50, "better")
