"""The heads: scikit-learn's rules, and what each promises beyond them."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from vermilion.learn.folds import fold_numbers, row_keys, splits
from vermilion.learn.heads import HEADS, CentroidHead, FlatHead, SubsetHead
from vermilion.learn.model_choice import choose_head
from vermilion.learn.softmax_fit import C_GRID, CHOICE_CELLS, choice_sample, choose_c
from vermilion.learn.subsets import unit_rows
from vermilion.types import FloatArray, Head


def blobs(
    n_classes: int, each: int, noise: float = 0.35, seed: int = 0
) -> tuple[FloatArray, NDArray[Any], FloatArray, NDArray[Any]]:
    """Return training and test rows around directions on the sphere, with names for labels."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(n_classes, 24)))
    codes = np.tile(np.arange(n_classes), 2 * each)
    X = unit_rows(centres[codes] + noise * rng.normal(size=(len(codes), 24)) / 2).astype(np.float32)
    y = np.array([f"label {code:03d}" for code in codes])
    half = n_classes * each
    return X[:half], y[:half], X[half:], y[half:]


def variants() -> list[Any]:
    """Return every kind of head with small fixed parameters."""
    return [
        FlatHead(C=10.0),
        CentroidHead(),
        *(SubsetHead(subset_size=4, C=10.0, arbiter=arbiter) for arbiter in ("flat", "centroid", "none")),
        SubsetHead(subset_size=4, C=10.0, noise="hard"),
    ]


def expected_failures(head: Any) -> dict[str, str]:
    if isinstance(head, FlatHead):
        return {
            "check_sample_weight_equivalence_on_dense_data": "it replaces a parameter named cv by a list of "
            "splits; ours is a number of folds. test_a_weight_counts_as_repetition checks the same."
        }
    return {}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        FlatHead(),
        CentroidHead(),
        SubsetHead(subset_size=2, C=1.0),
        SubsetHead(subset_size=2, C=1.0, arbiter="centroid", noise="hard"),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_rules(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        # Its data are neither scaled nor many; whether 300 iterations suffice there is not the question.
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.mark.parametrize("head", variants(), ids=repr)
@pytest.mark.parametrize("n_classes", [2, 3, 50])
def test_blobs_are_told_apart(head: Any, n_classes: int) -> None:
    X, y, X_test, y_test = blobs(n_classes, 8)
    fitted = clone(head).fit(X, y)
    proba = fitted.predict_proba(X_test)
    assert (fitted.predict(X_test) == y_test).mean() > 0.9
    assert fitted.classes_.tolist() == sorted(set(y))
    assert proba.dtype == np.float32
    assert proba.shape == (len(X_test), n_classes)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-4)
    assert (fitted.classes_[proba.argmax(axis=1)] == fitted.predict(X_test)).all()


@pytest.mark.parametrize("head", variants(), ids=repr)
def test_tensors_restore_the_head(head: Any) -> None:
    X, y, X_test, _ = blobs(10, 4)
    fitted = clone(head).fit(X, y)
    params = json.loads(json.dumps(fitted.get_params()))
    assert isinstance(fitted, Head)
    tensors = {name: values.copy() for name, values in fitted.to_tensors().items()}
    assert all(values.dtype.kind in "fiu" for values in tensors.values())
    restored = type(head)(**params).from_tensors(tensors, fitted.classes_)
    np.testing.assert_array_equal(restored.predict_proba(X_test), fitted.predict_proba(X_test))
    with pytest.raises(ValueError, match="9 classes"):
        type(head)(**params).from_tensors(tensors, fitted.classes_[:9])


@pytest.mark.parametrize("head", variants(), ids=repr)
def test_the_order_of_the_rows_does_not_matter(head: Any) -> None:
    X, y, X_test, _ = blobs(12, 5)
    order = np.random.default_rng(3).permutation(len(X))
    one, other = clone(head).fit(X, y), clone(head).fit(X[order], y[order])
    np.testing.assert_array_equal(one.predict_proba(X_test), other.predict_proba(X_test))


@pytest.mark.parametrize("head", [FlatHead(), CentroidHead(), SubsetHead(subset_size=4)], ids=repr)
def test_single_examples_and_imbalance(head: Any) -> None:
    X, y, X_test, y_test = blobs(9, 20)
    number = np.array([int(name[-3:]) for name in y])
    kept = np.concatenate([np.flatnonzero(number == label)[: 1 if label < 4 else 20] for label in range(9)])
    fitted = clone(head).fit(X[kept], y[kept])
    assert (fitted.predict(X_test) == y_test).mean() > 0.6
    alone = clone(head).fit(X[:9], y[:9])
    assert (alone.predict(X_test) == y_test).mean() > 0.5


@pytest.mark.parametrize("head", [FlatHead(C=1.0), CentroidHead()])
def test_nearly_as_many_labels_as_rows_are_no_regression(head: Any) -> None:
    """scikit-learn warns of such labels, and warnings are errors here."""
    X = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    for y in (np.maximum(np.arange(30), 9), np.arange(30).astype(str)):
        assert len(clone(head).fit(X, y).classes_) > 15


@pytest.mark.parametrize("head", [FlatHead(), CentroidHead(), SubsetHead()], ids=repr)
def test_one_label_is_always_predicted(head: Any) -> None:
    X, _, X_test, _ = blobs(3, 2)
    fitted = head.fit(X, np.repeat("only", len(X)))
    assert set(fitted.predict(X_test)) == {"only"}
    assert (fitted.predict_proba(X_test) == 1).all()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (FlatHead(C=0.0), "C must be 'cv' or a positive number, got 0.0"),
        (FlatHead(cv=1), "cv must be a whole number from 2, got 1"),
        (FlatHead(max_iter=0), "max_iter must be a whole number from 1, got 0"),
        (CentroidHead(temperature=-1.0), "temperature must be 'cv' or a positive number, got -1.0"),
        (SubsetHead(subset_size=0), "subset_size must be a whole number from 1, got 0"),
        (SubsetHead(noise_ratio=0.0), "noise_ratio must be a positive number, got 0.0"),
        (SubsetHead(noise="loud"), "noise must be one of .*, got 'loud'"),  # type: ignore[arg-type]
        (SubsetHead(arbiter="coin"), "arbiter must be one of .*, got 'coin'"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_parameters_are_named(head: Any, message: str) -> None:
    X, y, _, _ = blobs(3, 2)
    with pytest.raises(ValueError, match=message):
        head.fit(X, y)


# --- flat


def test_c_is_chosen_once_and_kept() -> None:
    X, y, _, _ = blobs(6, 10, noise=1.2)
    head = FlatHead().fit(X, y)
    chosen = head.C_
    assert chosen in C_GRID
    assert chosen == head.tuned(X, y).C
    assert chosen == head.fit(X[:12], y[:12]).C_
    assert chosen == FlatHead(warm_start=False).fit(X, y).C_


def test_noisy_rows_get_a_smaller_c_than_clean_ones() -> None:
    X, y, _, _ = blobs(3, 60, noise=0.3)
    codes = np.unique(y, return_inverse=True)[1]
    muddled = np.where(np.arange(len(codes)) % 2 == 0, codes, np.random.default_rng(0).permutation(codes))
    assert choose_c(X, muddled, 3, 300, 0) < choose_c(X, codes, 3, 300, 0)


def test_large_problems_choose_c_on_some_classes() -> None:
    X = np.random.default_rng(0).normal(size=(6000, 3)).astype(np.float32)
    codes = np.arange(6000) % 600
    rows, sampled = choice_sample(X, codes, 0)
    assert len(rows) * len(np.unique(sampled)) <= CHOICE_CELLS
    assert np.array_equal(np.unique(sampled), np.arange(sampled.max() + 1))
    assert (np.bincount(sampled) == 10).all(), "the classes that stay keep their rows"
    few, binary = choice_sample(np.repeat(X, 100, axis=0), np.arange(600_000) % 2, 0)
    assert len(few) == CHOICE_CELLS // 2
    assert set(binary) == {0, 1}


def test_a_warm_refit_ends_where_a_cold_one_does_with_less_work() -> None:
    X, y, X_test, y_test = blobs(30, 10, noise=0.6)
    warm = FlatHead(C=10.0).fit(X, y)
    X_more, y_more = np.concatenate([X, X_test[:15]]), np.concatenate([y, y_test[:15]])
    warm.fit(X_more, y_more)
    cold = FlatHead(C=10.0).fit(X_more, y_more)
    assert warm.n_iter_ < cold.n_iter_
    assert (warm.predict(X_test) == cold.predict(X_test)).mean() > 0.99
    np.testing.assert_allclose(warm.predict_proba(X_test), cold.predict_proba(X_test), atol=0.02)


@pytest.mark.parametrize("known", [1, 2, 3, 20])
def test_a_warm_refit_learns_new_labels(known: int) -> None:
    X, y, X_test, y_test = blobs(25, 6)
    old = np.isin(y, np.unique(y)[-known:])  # the last ones, so that their numbers change
    head = FlatHead(C=10.0).fit(X[old], y[old]).fit(X, y)
    cold = FlatHead(C=10.0).fit(X, y)
    assert head.coef_.shape == (25, 24)
    assert (head.predict(X_test) == cold.predict(X_test)).mean() > 0.98
    assert (head.predict(X_test) == y_test).mean() > 0.9


def test_a_warm_refit_forgets_labels_that_are_gone() -> None:
    X, y, X_test, _ = blobs(5, 6)
    left = y != "label 002"
    head = FlatHead(C=10.0).fit(X, y).fit(X[left], y[left])
    assert "label 002" not in head.predict(X_test)
    assert head.coef_.shape == (4, 24)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_weight_counts_as_repetition(n_classes: int) -> None:
    X, y, X_test, _ = blobs(n_classes, 10, noise=1.5)
    weights = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = FlatHead(C=1.0).fit(X, y, sample_weight=weights.astype(np.float32))
    repeated = FlatHead(C=1.0).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict_proba(X_test), repeated.predict_proba(X_test), atol=5e-3)


def test_two_labels_have_one_decision_value_that_agrees_with_the_probabilities() -> None:
    X, y, X_test, _ = blobs(2, 10, noise=1.0)
    head = FlatHead(C=1.0).fit(X, y)
    sigmoid = 1 / (1 + np.exp(-head.decision_function(X_test)))
    np.testing.assert_allclose(sigmoid, head.predict_proba(X_test)[:, 1], rtol=1e-4)


# --- subset


def test_the_arbiter_decides_and_the_others_are_ranked() -> None:
    X, y, X_test, _ = blobs(20, 6, noise=1.0)
    head = SubsetHead(subset_size=5, C=10.0).fit(X, y)
    proba = head.predict_proba(X_test)
    own, noise = head.division_.log_proba(X_test)
    for subset in range(4):
        members = np.flatnonzero(head.subset_of_ == subset)
        total = np.exp(own[:, members]).sum(axis=1) + np.exp(noise[:, subset])
        np.testing.assert_allclose(total, 1, rtol=1e-4)
        # Within a subset its own classifier ranks.
        np.testing.assert_array_equal(proba[:, members].argmax(axis=1), own[:, members].argmax(axis=1))
    winner = own == head.division_.winners(own)[:, head.subset_of_]
    assert winner[np.arange(len(proba)), proba.argmax(axis=1)].all()


def test_an_arbiter_beats_the_largest_probability_where_subsets_split_lookalikes() -> None:
    rng = np.random.default_rng(0)
    centres = unit_rows(rng.normal(size=(6, 24)).repeat(4, axis=0) + 0.35 * rng.normal(size=(24, 24)))
    codes = np.tile(np.arange(24), 40)
    X = unit_rows(centres[codes] + 0.08 * rng.normal(size=(len(codes), 24))).astype(np.float32)
    scores = {
        arbiter: SubsetHead(subset_size=6, C=10.0, arbiter=arbiter)
        .fit(X[:240], codes[:240])
        .score(X[240:], codes[240:])
        for arbiter in ("flat", "none")
    }
    assert scores["flat"] > scores["none"] + 0.02


def rows_of(head: SubsetHead, labels: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    at = np.searchsorted(head.classes_, labels)
    return head.division_.own.coef[at], head.division_.own.intercept[at]


def test_only_the_subset_whose_rows_changed_is_trained_again() -> None:
    X, y, X_test, y_test = blobs(20, 6)
    head = SubsetHead(subset_size=5, C=10.0).fit(X, y)
    assert head.n_subsets_refitted_ == 4
    assert head.fit(X, y).n_subsets_refitted_ == 0
    before, subset_of = head.to_tensors(), head.subset_of_.copy()
    before = {name: values.copy() for name, values in before.items()}
    label = 7
    more = np.flatnonzero(y_test == head.classes_[label])
    head.fit(np.concatenate([X, X_test[more]]), np.concatenate([y, y_test[more]]))
    untouched = subset_of != subset_of[label]
    assert head.n_subsets_refitted_ == 1
    np.testing.assert_array_equal(head.subset_of_, subset_of)
    np.testing.assert_array_equal(head.division_.own.coef[untouched], before["coef"][untouched])
    assert not np.array_equal(head.division_.own.coef[~untouched], before["coef"][~untouched])


@pytest.mark.parametrize("restored", [False, True])
def test_a_new_label_leaves_the_other_subsets_bit_for_bit(restored: bool) -> None:
    X, y, X_test, y_test = blobs(20, 6)
    new = y == "label 003"
    head = SubsetHead(subset_size=5, C=10.0, arbiter="centroid").fit(X[~new], y[~new])
    old_labels, old_subsets = head.classes_.copy(), head.subset_of_.copy()
    coef, intercept = (values.copy() for values in rows_of(head, old_labels))
    if restored:
        head = clone(head).from_tensors(head.to_tensors(), head.classes_)
        with pytest.raises(ValueError, match="give all rows to fit"):
            head.add_labels(X[new], y[new])
        head.fit(X, y)
    else:
        head.add_labels(X[new], y[new])
    at = int(np.searchsorted(head.classes_, "label 003"))
    untouched = old_subsets != head.subset_of_[at]
    assert head.n_subsets_refitted_ == 1
    assert np.bincount(head.subset_of_).max() == 5
    after_coef, after_intercept = rows_of(head, old_labels)
    np.testing.assert_array_equal(after_coef[untouched], coef[untouched])
    np.testing.assert_array_equal(after_intercept[untouched], intercept[untouched])
    assert (head.predict(X_test) == y_test).mean() > 0.9
    assert head.warm_start


def test_labels_that_find_no_room_open_a_subset() -> None:
    X, y, X_test, y_test = blobs(12, 6)
    new = y >= "label 010"
    head = SubsetHead(subset_size=5, C=10.0).fit(X[~new], y[~new]).add_labels(X[new], y[new])
    assert head.n_subsets_refitted_ == 1
    assert np.bincount(head.subset_of_).tolist() == [5, 5, 2]
    assert (head.predict(X_test) == y_test).mean() > 0.9
    with pytest.raises(ValueError, match="are known"):
        head.add_labels(X[:1], y[:1])


def test_the_only_subset_learns_noise_once_there_is_another() -> None:
    X, y, X_test, y_test = blobs(6, 6)
    new = y == "label 005"
    head = SubsetHead(subset_size=5, C=10.0).fit(X[~new], y[~new])
    assert (head.noise_score(X_test) == 0).all()
    head.add_labels(X[new], y[new])
    assert head.n_subsets_refitted_ == 2
    assert np.isfinite(head.division_.noise.intercept).all()
    assert (head.predict(X_test) == y_test).mean() > 0.9


def test_foreign_texts_score_higher_as_noise() -> None:
    X, y, X_test, y_test = blobs(20, 10)
    foreign = y_test >= "label 015"
    head = SubsetHead(subset_size=5, C=30.0).fit(X[y < "label 015"], y[y < "label 015"])
    score = head.noise_score(X_test)
    assert ((score >= 0) & (score <= 1)).all()
    higher = score[foreign][:, None] > score[~foreign][None, :]
    assert higher.mean() > 0.9


def test_without_warm_start_all_subsets_are_trained() -> None:
    X, y, _, _ = blobs(10, 4)
    head = SubsetHead(subset_size=5, C=10.0, warm_start=False).fit(X, y).fit(X, y)
    assert head.n_subsets_refitted_ == 2


# --- folds


def test_no_class_is_ever_missing_from_training() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), rng.integers(1, 6, size=40))
    numbers = fold_numbers(codes, row_keys(rng.normal(size=(len(codes), 3))), 3)
    assert ((numbers == -1) == (np.bincount(codes)[codes] == 1)).all()
    for train, held in splits(numbers):
        assert set(codes[train]) == set(range(40))
        assert not (train & held).any()
    assert np.ptp(np.bincount(numbers[numbers >= 0])) <= 20


def test_row_keys_depend_on_values_and_seed_only() -> None:
    X = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    assert len(np.unique(row_keys(X))) == 500
    assert np.array_equal(row_keys(X[100:110]), row_keys(X)[100:110])
    assert not np.array_equal(np.argsort(row_keys(X, 0)), np.argsort(row_keys(X, 1)))


# --- choice


def ticking() -> Any:
    times = iter(range(1000))
    return lambda: float(next(times))


def test_choice_compares_heads_on_the_same_folds() -> None:
    X, y, X_test, _y_test = blobs(12, 6, noise=1.0)
    candidates: dict[str, Head] = {
        "flat": FlatHead(),
        "centroid": CentroidHead(),
        "subset": SubsetHead(subset_size=4, C=10.0),
    }
    head, trials, held_out = choose_head(X, y, candidates, clock=ticking())
    assert [trial.head for trial in trials] == list(candidates)
    assert [trial.seconds for trial in trials] == [1.0, 1.0, 1.0]
    assert [trial.chosen for trial in trials].count(True) == 1
    chosen = next(trial for trial in trials if trial.chosen)
    assert json.loads(json.dumps(chosen.params)) == head.get_params()
    assert not hasattr(head, "classes_")
    assert trials[0].params["C"] in C_GRID
    codes = np.unique(y, return_inverse=True)[1]
    np.testing.assert_array_equal(held_out.codes, codes[held_out.rows])
    assert (held_out.proba.argmax(axis=1) == held_out.codes).mean() == pytest.approx(chosen.accuracy)
    assert held_out.temperature == chosen.temperature
    assert head.fit(X, y).predict_proba(X_test).shape == (72, 12)


def test_the_first_good_head_is_preferred_and_a_bad_one_is_not() -> None:
    X, y, _, _ = blobs(8, 8)
    same = {"one": FlatHead(C=10.0), "two": FlatHead(C=10.0)}
    assert [trial.chosen for trial in choose_head(X, y, same)[1]] == [True, False]
    # Both classes of a quartered circle have their mean at its centre; the third coordinate is too short
    # to move the cosines much, but a softmax may use it.
    ring = unit_rows(np.random.default_rng(0).normal(size=(200, 2)))
    product = ring[:, :1] * ring[:, 1:]
    X_ring = np.hstack([ring, 0.2 * product]).astype(np.float32)
    bad_first: dict[str, Head] = {"centroid": CentroidHead(), "flat": FlatHead(C=1e4)}
    head, trials, _ = choose_head(X_ring, (product[:, 0] > 0).astype(int), bad_first)
    assert isinstance(head, FlatHead)
    assert trials[1].accuracy > 0.9


@pytest.mark.parametrize("each", [1, 2])
def test_few_rows_can_be_compared(each: int) -> None:
    X, y, _, _ = blobs(6, each)
    head, trials, held_out = choose_head(X, y, {"flat": FlatHead(), "centroid": CentroidHead()})
    assert isinstance(head, FlatHead)
    assert len(held_out.rows) == (0 if each == 1 else 12)
    assert np.isnan(trials[0].accuracy) == (each == 1)
    assert held_out.temperature > 0


def test_a_choice_needs_candidates() -> None:
    X, y, _, _ = blobs(3, 2)
    with pytest.raises(ValueError, match="need candidates"):
        choose_head(X, y, {})


def test_every_name_makes_a_head() -> None:
    for make in HEADS.values():
        assert isinstance(clone(make()).get_params(), dict)
