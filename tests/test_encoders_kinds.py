"""Encoders compared on texts with several labels and on pairs: how data are laid out, figures against scikit-learn."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    label_ranking_average_precision_score,
    ndcg_score,
    roc_auc_score,
)
from test_encoders_bench import Watcher, labelled

from vermilion.choose.encoders_bench import CompareSettings, compare
from vermilion.choose.encoders_data import (
    Bench,
    PairsBench,
    RightPairsBench,
    SeveralBench,
    Wanted,
    lay_out_bench,
    rarest_labels,
)
from vermilion.choose.encoders_files import write_comparison
from vermilion.choose.encoders_record import Comparison
from vermilion.choose.encoders_sheet import CLASSES_OF_PAIRS, RIGHT_PAIRS, SEVERAL_LABELS, Sheet
from vermilion.choose.encoders_suites import SUITES
from vermilion.cli_encoders import show_comparison
from vermilion.errors import InputError
from vermilion.learn.pairs_judged import query_shares
from vermilion.learn.probes_several import (
    decided,
    few_shot_ranking,
    held_out_scores,
    label_means,
    label_penalty,
    neighbour_shares,
    one_vs_rest,
)
from vermilion.learn.same_label import same_label_retrieval, shared_label_retrieval
from vermilion.learn.shared_splits import Splits, sample_groups
from vermilion.types import BoolArray, FloatArray, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import PairEncoder
from vermilion.world.pairs import join_pair, split_pair


def several() -> Texts:
    """Return the small texts, and texts of two subjects each, which have both labels; two have none."""
    one = labelled()
    assert one.labels is not None
    both = [
        (f"{one.texts[row]} and {one.texts[row + 16]}", (*one.labels[row], *one.labels[row + 16]))
        for row in range(64)
    ]
    rows = [*zip(one.texts, one.labels, strict=True), *both, ("good morning", ()), ("hm", ())]
    texts, labels = zip(*rows, strict=True)
    return Texts(tuple(map(str, range(len(rows)))), texts, labels, "several.csv")


def pairs(kinds: tuple[str, ...] = ("wrong", "right")) -> Texts:
    """Return questions with three answers each; the last kind is a question and another of its subject."""
    one = labelled()
    assert one.labels is not None
    rng, rows = np.random.default_rng(0), {}
    for text, (label,) in zip(one.texts, one.labels, strict=True):
        for place in range(3):
            kind = kinds[-1] if place == 0 else kinds[place % (len(kinds) - 1)]
            near = [
                other
                for other, own in zip(one.texts, one.labels, strict=True)
                if (own == (label,)) == (place == 0)
            ]
            other = near[rng.integers(len(near))]
            if other != text:
                rows[join_pair(text, other)] = kind
    ids = tuple(map(str, range(len(rows))))
    return Texts(ids, tuple(rows), tuple((kind,) for kind in rows.values()), "pairs.csv")


def clouds(seed: int, n: int = 90, labels: int = 5) -> tuple[FloatArray, BoolArray]:
    """Return unit rows that point to the sum of their labels' directions; some have no label."""
    rng = np.random.default_rng(seed)
    Y = rng.random((n, labels)) < 0.3
    X = Y @ rng.normal(size=(labels, 12)) + 0.4 * rng.normal(size=(n, 12))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), Y


# How data are laid out


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (labelled(), Bench),
        (several(), SeveralBench),
        (pairs(), RightPairsBench),
        (pairs(("a", "b", "c")), PairsBench),
    ],
)
def test_the_kind_of_data_is_inferred(texts: Texts, kind: type[Bench]) -> None:
    bench = lay_out_bench(texts, Wanted())
    assert type(bench) is kind
    assert sorted(bench.texts) == sorted(set(texts.texts))
    assert lay_out_bench(texts, Wanted()).key == bench.key
    assert lay_out_bench(texts, Wanted(seed=1)).key != bench.key


def test_every_sheet_has_the_figures_that_it_names() -> None:
    for suite in SUITES.values():
        sheet = suite.sheet
        assert {purpose.key for purpose in sheet.purposes.values()} <= sheet.figures.keys()
        assert {key for keys in sheet.charts.values() for key in keys} <= sheet.figures.keys()
        assert "few_shot" in suite.measures


def test_folds_share_out_rare_labels() -> None:
    bench = lay_out_bench(several(), Wanted())
    assert isinstance(bench, SeveralBench)
    assert bench.truth.sum() == 80 + 2 * 64
    assert (~bench.truth.any(axis=1)).sum() == 2
    for fold in bench.splits.numbers:
        assert bench.truth[bench.splits.held(fold)].any(axis=0).all()
    assert rarest_labels(np.zeros((2, 3), dtype=bool)).tolist() == [3, 3]


def test_a_query_is_held_out_and_sampled_as_a_whole() -> None:
    bench = lay_out_bench(pairs(), Wanted(most=100))
    assert isinstance(bench, RightPairsBench)
    assert bench.labels == ("right", "wrong")
    assert bench.positive == 0
    assert 90 <= len(bench.texts) <= 100
    assert all(
        len(np.unique(bench.splits.folds[bench.queries == query])) == 1 for query in set(bench.queries)
    )
    kept = {split_pair(text)[0] for text in bench.texts}
    assert len(bench.texts) == sum(split_pair(text)[0] in kept for text in pairs().texts)
    assert set(bench.single_texts) == {side for text in bench.texts for side in split_pair(text)}
    assert lay_out_bench(pairs(), Wanted(positive="wrong")).key != lay_out_bench(pairs(), Wanted()).key


def test_one_group_at_least_is_sampled() -> None:
    groups = np.repeat([0, 1], [5, 7])
    assert len(sample_groups(groups, 2, np.random.default_rng(0))) in (5, 7)


@pytest.mark.parametrize(
    ("texts", "wanted", "said"),
    [
        (
            several(),
            Wanted(task="binary"),
            "--task binary: expected one label a row, found 'card' + 'weather' in row",
        ),
        (several(), Wanted(positive="card"), "--positive: expected pairs with two labels, found other data"),
        (
            pairs(),
            Wanted(positive="yes"),
            "--positive: expected 'right' or 'wrong', found 'yes'; give one of them",
        ),
        (
            labelled(),
            Wanted(task="pairs"),
            "--task pairs: expected columns text_a and text_b, found one text a row",
        ),
        (
            Texts(("0", "1"), (join_pair("q", "a"), join_pair("q", "b")), (("yes",), ("no",)), "p.csv"),
            Wanted(),
            "p.csv: expected pairs of each label with two different first texts, found a label with one first text",
        ),
        (
            Texts(("0", "1"), (join_pair("q", "a"), join_pair("q", "b")), (("yes", "no"), ("no",)), "p.csv"),
            Wanted(),
            "p.csv: expected pairs with one label each, found some with several; keep one label a pair",
        ),
    ],
)
def test_what_cannot_be_laid_out_is_said_in_one_line(texts: Texts, wanted: Wanted, said: str) -> None:
    with pytest.raises(InputError) as caught:
        lay_out_bench(texts, wanted)
    assert str(caught.value).startswith(said)


def test_setfit_and_encoders_of_pairs_want_their_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--setfit: expected single texts with one label each"):
        compare(several(), ["static"], CompareSettings(tmp_path, tune=("st:x",)), Watcher())
    with pytest.raises(InputError, match="expected pairs of texts, found single texts"):
        compare(labelled(), ["pairs:static"], CompareSettings(tmp_path), Watcher())
    with pytest.raises(InputError, match="'static' twice"):
        compare(pairs(), ["pairs:static", "static"], CompareSettings(tmp_path), Watcher())


# Figures


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Comparison]]:
    made = {}
    for name, texts in {"several": several(), "right": pairs(), "classes": pairs(("a", "b", "c"))}.items():
        folder = tmp_path_factory.mktemp(name)
        made[name] = (folder, compare(texts, ["static"], CompareSettings(folder), Watcher()))
    return made


@pytest.mark.parametrize(
    ("kind", "sheet", "purposes"),
    [
        ("several", SEVERAL_LABELS, ["classification", "retrieval"]),
        ("right", RIGHT_PAIRS, ["judging pairs", "ranking candidates", "ranking without labels"]),
        ("classes", CLASSES_OF_PAIRS, ["judging pairs"]),
    ],
)
def test_a_comparison_has_its_figures_its_page_and_its_words(
    compared: dict[str, tuple[Path, Comparison]], kind: str, sheet: Sheet, purposes: list[str]
) -> None:
    folder, found = compared[kind]
    assert found.sheet is sheet
    for row in found.rows:
        assert set(row.figures) == set(sheet.figures)
        for name, estimate in row.figures.items():
            assert estimate.value is not None, name
            assert estimate.lower is not None, name
            assert estimate.upper is not None, name
            assert 0 <= estimate.lower <= estimate.value <= estimate.upper <= 1, name
        assert row.shots
    assert [one.purpose for one in found.recommendations] == purposes
    told, page = (path.read_text() for path in write_comparison(found, folder))
    assert set(sheet.figures) < set(json.loads(told)["encoders"][0])
    assert page.count('data-chart="') == 2 + len(sheet.charts)
    console = Console(file=StringIO(), width=1000)
    show_comparison(console, found)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (*sheet.left_out, *(one.sentence for one in found.recommendations), *found.gains):
        assert words in shown
    assert bool(found.gains) == (sheet is RIGHT_PAIRS)


def test_figures_of_several_labels_are_those_of_scikit_learn(
    compared: dict[str, tuple[Path, Comparison]],
) -> None:
    bench = lay_out_bench(several(), Wanted())
    assert isinstance(bench, SeveralBench)
    X, Y, splits = bench.vectors(load_encoder("static")), bench.truth, bench.splits
    C = label_penalty(X, Y, splits.training(0), 0)
    proba = held_out_scores(X, Y, splits, one_vs_rest(C))
    chosen = decided(proba, Y, splits.folds)
    figures = compared["several"][1].rows[0].figures
    assert figures["linear_lrap"].value == pytest.approx(label_ranking_average_precision_score(Y, proba))
    for average in ("macro", "micro"):
        assert figures[f"linear_f1_{average}"].value == pytest.approx(f1_score(Y, chosen, average=average))


def test_probes_of_several_labels_learn_what_can_be_learned() -> None:
    X, Y = clouds(0)
    splits = Splits.draw(rarest_labels(Y), 0)
    random = label_ranking_average_precision_score(Y, np.random.default_rng(0).random(Y.shape))
    for fit in (one_vs_rest(10.0), label_means, neighbour_shares):
        scores = held_out_scores(X, Y, splits, fit)
        assert label_ranking_average_precision_score(Y, scores) > random + 0.2
    few, more = (few_shot_ranking(X, Y, splits, each) for each in (1, 8))
    assert few.shape == more.shape == (5,)
    assert more.mean() > few.mean()


def test_a_neighbour_is_worth_the_share_of_labels_in_common() -> None:
    X, Y = clouds(1)
    found = shared_label_retrieval(X, Y, np.arange(len(X)))
    assert not np.isin(np.flatnonzero(~Y.any(axis=1)), found.queries).any()
    for row, own in zip(found.queries, found.ndcg, strict=True):
        others = np.delete(np.arange(len(X)), row)
        gains = (Y[others] & Y[row]).sum(axis=1) / (Y[others] | Y[row]).sum(axis=1)
        assert own == pytest.approx(ndcg_score(gains[None], (X[others] @ X[row])[None], k=10))


def test_with_one_label_each_both_kinds_of_retrieval_agree() -> None:
    X, _ = clouds(2)
    codes = np.random.default_rng(2).integers(0, 4, len(X))
    one = same_label_retrieval(X, codes, np.arange(len(X)))
    other = shared_label_retrieval(X, np.eye(4, dtype=bool)[codes], np.arange(len(X)))
    np.testing.assert_allclose(one.ndcg, other.ndcg)
    np.testing.assert_allclose(one.reciprocal_rank, other.reciprocal_rank)


def test_areas_over_queries_are_those_over_pairs() -> None:
    rng = np.random.default_rng(0)
    queries, positive = np.repeat(np.arange(30), 4), rng.random(120) < 0.3
    scores = positive + rng.normal(size=120)
    found = query_shares(queries, positive, scores)
    assert found["roc_auc"].mean() == pytest.approx(roc_auc_score(positive, scores))
    assert found["average_precision"].mean() == pytest.approx(average_precision_score(positive, scores))
    for query in range(30):
        own = positive[queries == query]
        expected = (
            ndcg_score(own[None], scores[queries == query][None], k=10) if 0 < own.sum() < 4 else np.nan
        )
        assert found["ndcg_at_10"][query] == pytest.approx(expected, nan_ok=True)


def test_the_interval_of_an_area_is_as_wide_as_samples_of_queries_differ() -> None:
    def sample(rng: np.random.Generator) -> FloatArray:
        queries, positive = np.repeat(np.arange(60), 4), rng.random(240) < 0.4
        hard = rng.normal(size=60)[queries]
        return query_shares(queries, positive, positive + hard + rng.normal(size=240))["roc_auc"]

    drawn = [sample(np.random.default_rng(seed)) for seed in range(200)]
    spread = np.std([values.mean() for values in drawn])
    told = np.mean([values.std(ddof=1) / len(values) ** 0.5 for values in drawn])
    assert told == pytest.approx(spread, rel=0.2)


def test_vectors_of_pairs_are_the_features_of_their_texts() -> None:
    bench, encoder = lay_out_bench(pairs(), Wanted()), load_encoder("static")
    np.testing.assert_array_equal(bench.vectors(encoder), PairEncoder(encoder).encode(bench.texts))
