"""What refusals say: no label, or one that was not shown; by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.no_label import no_label_proba


def asked(seed: int, foreign: float, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what was left out of each list, who was refused, and who has no label; foreign texts look harder."""
    rng = np.random.default_rng(seed)
    none = rng.random(n) < foreign
    unlisted = np.where(none, rng.beta(2, 8, n), rng.beta(0.6, 8, n))
    return unlisted, none | (rng.random(n) < unlisted), none


@pytest.mark.parametrize("foreign", [0.0, 0.02, 0.2])
def test_no_label_is_said_of_texts_without_one(foreign: float) -> None:
    wrong, found, there = 0, 0, 0
    for seed in range(40):
        unlisted, refused, none = asked(seed, foreign)
        said = no_label_proba(unlisted, refused) > 0.5
        wrong += int((said & ~none).sum())
        found += int((said & none).sum())
        there += int(none.sum())
    assert wrong <= 0.5 * max(found, 1) + 40  # at most one a run where nothing is foreign
    assert foreign < 0.1 or found > 0.9 * there


def test_probabilities_are_about_right() -> None:
    """Of refused texts, as many have no label as the probabilities add up to."""
    expected = real = 0.0
    for seed in range(40):
        unlisted, refused, none = asked(seed, 0.1)
        expected += float(no_label_proba(unlisted, refused).sum())
        real += float(none.sum())
    assert expected == pytest.approx(real, rel=0.1)


def test_who_was_not_refused_has_a_label() -> None:
    unlisted, refused, _ = asked(0, 0.3)
    proba = no_label_proba(unlisted, refused)
    assert (proba[~refused] == 0).all()
    assert (proba[refused] > 0).all()


def test_nothing_asked_and_nothing_refused() -> None:
    assert no_label_proba(np.zeros(0), np.zeros(0, dtype=bool)).tolist() == []
    assert no_label_proba(np.full(3, 0.5), np.zeros(3, dtype=bool)).tolist() == [0.0] * 3


@pytest.mark.parametrize("unlisted", [0.0, 1.0])
def test_certain_lists_give_finite_answers(unlisted: float) -> None:
    assert np.isfinite(no_label_proba(np.full(5, unlisted), np.array([True] * 5))).all()
