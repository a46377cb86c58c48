"""The pure parts of the benchmark of speed, and one small measurement of each kind on made data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import encode as peer_script
from benchmarks.speed import encoding, fitting, pools, predicting, search, whole
from benchmarks.speed.command import FULL, SMALL, Session, add_arguments, measure_run
from benchmarks.speed.machine import PeakMemory, facts, run_command
from benchmarks.speed.peers import PEERS, PeerError, PeerKind, started
from benchmarks.speed.rows import RealRows, Rows, a_label, noisy, real_share
from benchmarks.speed.timing import Times, alternate, growth, ratios
from vermilion.learn.subsets import unit_rows


def made_rows(labels: int = 4, each: int = 12, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((labels, 16), dtype=np.float32)
    y = np.repeat(np.arange(labels), each)
    return Rows(unit_rows(centres[y] + 0.5 * rng.standard_normal((len(y), 16), dtype=np.float32)), y)


def test_contestants_take_turns_in_an_order_that_turns_round() -> None:
    seen: list[str] = []

    def contestant(name: str) -> float:
        seen.append(name)
        return float(len(seen))

    times = alternate({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, 3)
    assert seen == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": Times((1, 4, 5)), "b": Times((2, 3, 6))}
    assert times["a"].figures() == {"least": 1.0, "median": 4.0, "spread": 5.0, "repeats": 3}


def test_ratios_are_multiples_of_the_base() -> None:
    times = {"ours": Times((1.0, 2.0, 3.0)), "theirs": Times((2.0, 6.0, 9.0))}
    assert ratios(times, "ours") == {"theirs": {"least": 2.0, "median": 3.0}}


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5])
def test_growth_finds_the_power(power: float) -> None:
    sizes = [25_000, 50_000, 100_000]
    assert growth(sizes, [3e-4 * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_growth_of_one_size_is_refused() -> None:
    with pytest.raises(ValueError, match="two different sizes"):
        growth([5, 5], [1.0, 2.0])


def test_a_command_is_measured_by_its_own_memory_and_not_by_ours() -> None:
    ballast = bytearray(300 * 2**20)
    ran = run_command([sys.executable, "-c", "print('said')"])
    assert ran.output == "said"
    assert ran.seconds > 0
    assert 3 < ran.peak_mib < 100 < len(ballast) / 2**20
    big = run_command([sys.executable, "-c", "b'x' * (200 * 2**20)"])
    assert big.peak_mib > 200


def test_a_command_that_fails_says_what_it_said() -> None:
    fails = [sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"]
    assert run_command(fails, accept=(0, 3)).output == "no such thing"
    with pytest.raises(RuntimeError, match=r"ended with 3: no such thing"):
        run_command(fails)


def test_peak_memory_sees_what_is_already_free_again() -> None:
    with PeakMemory() as memory:
        block = np.ones(100 * 2**17)  # too large for what the allocator keeps of earlier blocks
        del block
    if memory.grown is None:
        pytest.skip("this system does not tell the peak of a block")
    assert 90 < memory.grown < 140
    with PeakMemory() as later:
        pass
    assert later.grown is not None
    assert later.grown < 5


def test_facts_name_the_commit_and_the_memory() -> None:
    found = facts()
    assert found["memory_gib"] > 0
    assert found["commit"]


def test_pieces_have_the_words_asked_for() -> None:
    texts = ["where is my card", "it has not come yet", "help"]
    found = encoding.pieces(texts, 7, 5)
    assert [len(text.split()) for text in found] == [7] * 5
    assert len(set(found)) > 1


def test_flops_grow_a_little_more_than_linearly_with_length() -> None:
    short, long = encoding.flops([16]), encoding.flops([160])
    assert 10 < long / short < 11.5
    assert encoding.flops([16, 160]) == short + long


def test_missing_rows_of_a_label_are_made_of_its_own() -> None:
    rows = made_rows(labels=3, each=4)
    more = a_label(rows, 10, np.random.default_rng(1))
    assert np.bincount(more.y).tolist() == [10, 10, 10]
    assert np.allclose(np.linalg.norm(more.X, axis=1), 1, atol=1e-5)
    assert len(np.unique(more.X, axis=0)) == 30
    assert real_share(rows, 10) == pytest.approx(0.4)
    assert real_share(rows, 2) == 1.0


def test_noise_leaves_a_row_near_its_source() -> None:
    rng = np.random.default_rng(0)
    rows = Rows(unit_rows(rng.standard_normal((50, 384), dtype=np.float32)), np.zeros(50, dtype=np.int64))
    cosines = (rows.X * noisy(rows, rng).X).sum(axis=1)
    assert 0.93 < cosines.min() < cosines.max() < 0.98


def test_fitting_measures_cold_warm_and_one_label_more() -> None:
    rows = made_rows(labels=5, each=20)
    plan = fitting.FittingPlan(labels=5, a_label=10, repeats=1, added=10)
    found = fitting.measure(plan, RealRows(rows, made_rows(labels=5, each=6, seed=0)))
    assert found["rows"] == 50
    cold = found["cold"]
    assert cold["scikit_learn_steps_to_equal_accuracy"] in fitting.STEPS
    assert set(cold["seconds"]) == {"ours", "scikit-learn"}
    assert {"default", "10"} <= set(cold["scikit_learn_tried"])
    reached = cold["scikit_learn_tried"][str(cold["scikit_learn_steps_to_equal_accuracy"])]
    assert reached["accuracy"] >= cold["accuracy"] - fitting.WITHIN
    for part in ("warm", "one_label_more"):
        assert set(found[part]["times_as_long_as_warm"]) == {"cold"}
        assert found[part]["same_label"] > 0.9
    json.dumps(found, allow_nan=False)


def test_search_measures_each_part_of_a_round() -> None:
    rows = made_rows(labels=4, each=15)
    plan = search.SearchPlan(texts=200, labels=4, a_label=5, questions=20, repeats=2)
    found = search.measure(plan, RealRows(rows, made_rows(labels=4, each=5, seed=2)))
    assert set(found["seconds"]) == {"propose", "select", "examples"}
    assert found["seconds"]["select"]["repeats"] == 2
    assert found["known_rows"] == 20


def test_a_pool_has_no_text_twice_and_keeps_labels() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    texts = {
        label: [" ".join(np.roll(words, turn)) + f" {label}{turn}" for turn in range(6)] for label in "abcd"
    }
    made = pools.make(texts, labels=3, a_label=2, size=30, seed=1)
    assert len(made.labelled) == 6
    assert len(made.pool) == 30
    assert made.made == 18
    all_texts = [text for text, _ in (*made.labelled, *made.pool)]
    assert len(set(all_texts)) == 36
    assert {label for _, label in made.pool} == {"a", "b", "c"}
    assert made == pools.make(texts, labels=3, a_label=2, size=30, seed=1)
    real = {text: label for label, own in texts.items() for text in own}
    assert all(real[text] == label for text, label in made.pool[: 30 - made.made])


def test_a_pool_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="take a smaller pool"):
        pools.make({"a": ["one", "two"]}, labels=1, a_label=1, size=50)


def test_a_pool_is_written_as_a_run_reads_it(tmp_path: Path) -> None:
    made = pools.make({"a": ["one two three four five six", "seven eight nine ten eleven"]}, 1, 1, 3)
    labelled, pool, gold = made.write(tmp_path)
    rows = [json.loads(line) for line in pool.read_text().splitlines()]
    assert all(set(row) == {"text"} for row in rows)
    assert [row["text"] for row in rows] == [
        json.loads(line)["text"] for line in gold.read_text().splitlines()
    ]
    assert json.loads(labelled.read_text())["label"] == "a"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([{"id": "0", "label": "a", "confidence": 0.5}], "expected 2 rows, found 1"),
        ([{"id": "1", "label": "a", "confidence": 0.5}] * 2, "row 0 is"),
        ([{"id": "0", "label": "", "confidence": 0.5}] * 2, "row 0 is"),
    ],
)
def test_a_wrong_output_is_seen(tmp_path: Path, lines: list[dict[str, object]], complaint: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RuntimeError, match=complaint):
        predicting.check(path, 2)


def test_the_parts_of_a_run_add_up() -> None:
    told = {"encode": 100.0, "fit": 12.0, "expert": 3.0, "total": 120.0}
    found = whole.parts(told, 126.0)
    assert sum(found[part] for part in ("encode", "fit", "expert", "rest", "around")) == found["wall"] == 126
    assert found["besides"] == found["loop"] + found["expert"] == 26
    assert whole.ratio_to_encoding(found) == {"besides": 0.26, "loop": 0.23}


def test_growth_of_a_part_too_quick_to_time_is_not_told() -> None:
    runs = [
        {"besides": 4.0, "fit": 3.0, "rest": 0.2, "around": 1.5},
        {"besides": 8.0, "fit": 12.0, "rest": 9.0, "around": 1.5},
    ]
    assert whole.exponents([10, 20], runs) == {"besides": 1.0, "fit": 2.0, "rest": None, "around": 0.0}


def test_a_peer_without_environment_says_where_it_belongs(tmp_path: Path) -> None:
    with (
        pytest.raises(PeerError, match=r"requirements/peers/torch\.txt"),
        started(PEERS[0], tmp_path, tmp_path, 1),
    ):
        pass


def test_a_peer_that_cannot_start_says_why(tmp_path: Path) -> None:
    python = tmp_path / "none" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    with (
        pytest.raises(PeerError, match="the peer ended: KeyError: 'nobody'"),
        started(PeerKind("nobody", "none"), tmp_path, tmp_path, 1),
    ):
        pass


def test_every_peer_has_requirements_and_a_loader() -> None:
    for kind in PEERS:
        assert kind.name in peer_script.PEERS
        assert (Path("requirements/peers") / f"{kind.environment}.txt").exists()


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_sizes_are_arguments() -> None:
    assert FULL.keys() == SMALL.keys()
    found = parsed(["data", "--small", "--run-texts", "30", "20", "--labels", "7"])
    assert found.run_texts == [30, 20]
    assert (found.labels, found.search_texts, found.only) == (
        7,
        None,
        ["encoding", "fitting", "search", "predict", "run"],
    )


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    session = Session(parsed(["data", "--out", str(tmp_path / "speed.jsonl")]))
    first = session.once({"part": "x"}, lambda: {"seconds": 1.0})
    assert first["commit"]
    assert session.once({"part": "x"}, lambda: pytest.fail("measured twice")) == first
    assert session.once({"part": "y"}, lambda: {"seconds": 2.0})["seconds"] == 2.0


def test_runs_of_several_sizes_give_ratio_and_growth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "made"
    folder.mkdir(parents=True)
    nouns = {"pay": ["invoice", "bill", "money", "price"], "card": ["plastic", "chip", "pin", "wallet"]}
    rows = [
        {"text": " ".join([*rng.choice(own, 3), str(number), "please"]), "label": label}
        for label, own in nouns.items()
        for number in range(40)
    ]
    for part in ("train", "test"):
        chosen = rows[::2] if part == "train" else rows[1::2]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    words = ["--set", "made", "--labels", "2", "--run-texts", "60", "--run-labels", "--run-a-label", "4"]
    arguments = parsed([str(tmp_path / "data"), *words, "--vectors", str(tmp_path / "vectors")])
    arguments.out, arguments.encoder = tmp_path / "speed.jsonl", "static"
    measure_run(Session(arguments))
    run, grown = (json.loads(line) for line in arguments.out.read_text().splitlines())
    assert run["condition"]["fresh_vectors"] is True
    assert run["figures"]["asked"] == 9
    assert run["figures"]["expert"] == "simulated expert"
    assert grown["figures"]["growth_with_texts"] == {}
    assert grown["figures"]["ratio_to_encoding"]["besides"] > 0
