"""The benchmark of rare labels, on a small set of its own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks import imbalance
from benchmarks.imbalance import Setting, load
from benchmarks.results import Results

WORDS = {"card": "card chip pin plastic", "money": "cash refund fee price", "trip": "hotel flight train sea"}


def make_set(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    (folder / "tiny").mkdir()
    for part, count in (("train", 15), ("test", 5)):
        rows = [
            {
                "text": f"{rng.choice(words.split())} {rng.choice(words.split())} {part} {place}",
                "label": label,
            }
            for label, words in WORDS.items()
            for place in range(count)
        ]
        (folder / "tiny" / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def arguments(data: Path, folder: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    imbalance.add_arguments(parser)
    given = ["--sets", "tiny", "--few", "3", "--encoder", "static", "--seeds", "0"]
    where = ["--vectors", str(folder / "vectors"), "--results", str(folder / "results.jsonl")]
    return parser.parse_args([str(data), *given, *where])


def test_half_of_the_labels_are_cut(tmp_path: Path) -> None:
    cut = load(Setting("tiny", 3, "static"), make_set(tmp_path), tmp_path / "vectors")
    assert sorted(np.bincount(cut.y).tolist()) == [3, 15, 15]
    assert np.bincount(cut.y)[cut.few].tolist() == [3]
    assert np.bincount(cut.y_test).tolist() == [5, 5, 5]


def test_every_method_is_measured_once(tmp_path: Path) -> None:
    given = arguments(make_set(tmp_path), tmp_path)
    imbalance.main(given)
    imbalance.main(given)
    (row,) = Results(given.results).rows()
    told = row["figures"]
    assert {"none", "weights", "oversample", "undersample"} <= set(told["methods"])
    assert told["auto_less_best"] == told["methods"][told["auto"]]["macro_f1"] - max(
        one["macro_f1"] for one in told["methods"].values()
    )
