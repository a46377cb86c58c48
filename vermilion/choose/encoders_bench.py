"""Encoders compared on the user's own labelled texts: the same splits for all, each part computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.choose.encoders_advice import judge_tuning, recommend
from vermilion.choose.encoders_data import Bench, lay_out_bench
from vermilion.choose.encoders_measures import MEASURES, VERSION
from vermilion.choose.encoders_record import Comparison, Row
from vermilion.choose.encoders_speed import Speed, cost_per_million, measure_speed
from vermilion.choose.encoders_tuned import measure_tuned
from vermilion.choose.progress import Progress
from vermilion.errors import InputError
from vermilion.learn.bootstrap import CORRELATION, Estimate, draw
from vermilion.learn.encoder_choice import Scores
from vermilion.learn.metrics_labels import LabelFigures
from vermilion.types import Encoder, FloatArray, IntArray, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_joined import JoinedEncoder, split_spec
from vermilion.world.footprint import peak_memory
from vermilion.world.parts import Parts
from vermilion.world.vectors import VectorCache
from vermilion.world.weights import digest_of

DEFAULTS = ("minilm", "static", "minilm+static")
MOST_TEXTS = 5000
MEMORY_TEXTS = 64
LIBRARIES = (
    "vermilion",
    "numpy",
    "scikit-learn",
    "onnxruntime",
    "sentence-transformers",
    "torch",
    "fastembed",
    "model2vec",
)


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """What steers a comparison besides its data.

    Attributes
    ----------
    out : Path
        Where finished parts are kept, and vectors unless `vectors` names another folder.
    seed : int
    most_texts : int
        More texts than these are sampled.
    base_url : str or None
        Of `openai:` encoders.
    token_prices : dict of str to float
        US dollars per million tokens, by the encoder's name.
    hourly_price : float or None
        US dollars per hour of this machine.
    tune : tuple of str
        Models `st:NAME` to fine-tune with SetFit as well.
    """

    out: Path
    seed: int = 0
    most_texts: int = MOST_TEXTS
    vectors: Path | None = None
    base_url: str | None = None
    token_prices: Mapping[str, float] = field(default_factory=dict)
    hourly_price: float | None = None
    tune: tuple[str, ...] = ()


class Kept:
    """An encoder whose vectors are kept in a folder."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.name, self.digest, self.dimension = encoder.name, encoder.digest, encoder.dimension
        self._cache = VectorCache(folder, encoder)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension); only what is missing is encoded."""
        return self._cache.encode(texts)


def compare(
    labelled: Texts, candidates: Sequence[str], settings: CompareSettings, progress: Progress
) -> Comparison:
    """Measure every candidate on the same splits of labelled texts, and recommend.

    Parameters
    ----------
    labelled : Texts
        With one label each.
    candidates : sequence of str
        Names as `load_encoder` takes them; each is loaded before the first is measured.
    settings : CompareSettings
    progress : Progress

    Raises
    ------
    InputError
        The texts or the names cannot be used.
    MissingExtraError, ModelError, StoreError
        An encoder cannot be loaded or fails; results cannot be kept. What was finished is not repeated.
    """
    bench = lay_out_bench(labelled, settings.most_texts, settings.seed)
    _check_unlike(candidates)
    encoders = [load_encoder(name, base_url=settings.base_url) for name in candidates]
    parts = Parts(settings.out / "parts")
    rows = tuple(_Candidate(encoder, bench, parts, settings, progress).row() for encoder in encoders)
    tuned = tuple(measure_tuned(name, bench, parts, progress) for name in settings.tune)
    splits = bench.splits
    return Comparison(
        bench.source,
        bench.given,
        bench.distinct,
        len(bench.texts),
        len(bench.labels),
        len(splits.numbers),
        splits.seed,
        rows,
        tuned,
        recommend(rows),
        judge_tuning(rows, tuned),
        _versions(),
    )


def _check_unlike(candidates: Sequence[str]) -> None:
    for name in candidates:
        if list(candidates).count(name) > 1:
            raise InputError("encoders that differ", f"{name!r} twice", "--encoder", "name each once")


def _versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One encoder at work."""

    encoder: Encoder
    bench: Bench
    parts: Parts
    settings: CompareSettings
    progress: Progress

    def row(self) -> Row:
        """Return all that is known of the encoder, after computing what is missing."""
        speed = self._speed()
        memory = self._part("memory", self._memory, texts=False)["bytes"]
        found = self._measured()
        scores, figures = _figures(self.bench, found)
        shots = {int(each): Scores(np.array(values), "folds") for each, values in found["few_shot"].items()}
        return Row(
            self.encoder.name,
            self.encoder.dimension,
            figures,
            scores | {f"shots_{each}": one for each, one in shots.items()},
            {each: _bounded(one.estimate()) for each, one in shots.items()},
            speed.rate,
            min(speed.rates),
            max(speed.rates),
            memory,
            cost_per_million(
                speed, self.settings.token_prices.get(self.encoder.name), self.settings.hourly_price
            ),
            speed.cores,
        )

    def _part(self, name: str, make: Callable[[], dict[str, Any]], *, texts: bool = True) -> dict[str, Any]:
        """Return a part, from the folder where it is there."""
        key = digest_of(VERSION, name, self.encoder.digest, self.bench.key if texts else "")
        found = self.parts.get(key)
        if found is None:
            found = make()
            self.parts.put(key, found)
        return found

    def _speed(self) -> Speed:
        found = self._part("timing", self._timed)
        return Speed(tuple(found["rates"]), found["texts"], found["tokens"], found["cores"])

    def _timed(self) -> dict[str, Any]:
        self.progress.start(f"{self.encoder.name}: speed", None)
        texts: Sequence[str] = self.bench.texts
        if isinstance(self.encoder, JoinedEncoder):
            return asdict(measure_speed(self.encoder, texts, lambda texts, vectors: None))
        cache = VectorCache(self._vectors, self.encoder)
        missing = cache.missing(texts)
        # Vectors that are missing have to be computed anyway. Of rows in the order of hashes, any are a random sample.
        some = [texts[row] for row in missing] if len(missing) >= len(texts) // 2 else texts
        new = {texts[row] for row in missing}

        def keep(texts: Sequence[str], vectors: FloatArray) -> None:
            rows = [row for row, text in enumerate(texts) if text in new]
            if rows:
                cache.add([texts[row] for row in rows], vectors[rows])

        return asdict(measure_speed(self.encoder, some, keep))

    def _memory(self) -> dict[str, Any]:
        if any(part.startswith("openai:") for part in split_spec(self.encoder.name)):
            return {"bytes": None}
        self.progress.start(f"{self.encoder.name}: memory", None)
        return {"bytes": peak_memory(self.encoder.name, self.bench.texts[:MEMORY_TEXTS])}

    def _measured(self) -> dict[str, dict[str, Any]]:
        """Return every measure's part; vectors are wanted only where one is missing."""
        vectors: list[FloatArray] = []
        found: dict[str, dict[str, Any]] = {}
        for name, measure in MEASURES.items():

            def make() -> dict[str, Any]:
                if not vectors:
                    vectors.append(self._encode())
                    self.progress.start(f"{self.encoder.name}: measures", len(MEASURES))
                    self.progress.advance(len(found))
                return measure(vectors[0], self.bench, found)  # noqa: B023  called at once

            found[name] = self._part(name, make)
            if vectors:
                self.progress.advance(1)
        self.progress.done()
        return found

    @property
    def _vectors(self) -> Path:
        return self.settings.vectors or self.settings.out / "vectors"

    def _encode(self) -> FloatArray:
        texts = self.bench.texts
        self.progress.start(f"{self.encoder.name}: encoding", len(texts))
        if isinstance(self.encoder, JoinedEncoder):
            first, second = (Kept(part, self._vectors) for part in self.encoder.parts)
            return JoinedEncoder(first, second).encode(texts)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            self.progress.advance(count - done)
            done = count

        return VectorCache(self._vectors, self.encoder).encode(texts, progress=tell)


def _figures(bench: Bench, found: Mapping[str, Any]) -> tuple[dict[str, Scores], dict[str, Estimate]]:
    """Return what figures are the means of, and all figures with their intervals."""
    held = np.flatnonzero(bench.splits.folds >= 0)
    true = bench.codes[held]
    predicted = {
        name: np.array(found[name]["predicted"])[held] for name in ("linear", "centroid", "neighbours")
    }
    scores = {
        **{f"{name}_accuracy": Scores((labels == true) * 1.0, "texts") for name, labels in predicted.items()},
        "silhouette": Scores(np.array(found["silhouette"]["values"], dtype=float), "texts", CORRELATION),
        "v_measure": _clustered(found["clustering"]),
        "ndcg_at_10": Scores(np.array(found["retrieval"]["ndcg"], dtype=float), "texts"),
        "mrr": Scores(np.array(found["retrieval"]["reciprocal_rank"], dtype=float), "texts"),
        "left_out_auroc": Scores(np.array(found["left_out"]["auroc"], dtype=float), "folds"),
    }
    figures = {
        name: _bounded(one.estimate(), -1.0 if name == "silhouette" else 0.0) for name, one in scores.items()
    }
    figures["linear_f1_macro"] = _macro_f1(true, predicted["linear"], len(bench.labels))
    return scores, figures


def _clustered(part: Mapping[str, Any]) -> Scores:
    """Return the V-measure: texts spread it, and so do the starts of k-means, whose mean it is."""
    starts = np.array(part["starts"])
    return Scores(np.array(part["groups"]), "folds", noise=float(starts.var(ddof=1)) / len(starts))


def _macro_f1(true: IntArray, predicted: IntArray, labels: int) -> Estimate:
    draws = draw([LabelFigures.of_numbers(true, predicted, labels)], len(true), np.random.default_rng(0), 300)
    return draws.among(["f1_macro"]).estimates({})["f1_macro"]


def _bounded(estimate: Estimate, least: float = 0.0) -> Estimate:
    """Return an estimate whose bounds stay where the figure can be."""
    if estimate.lower is None or estimate.upper is None:
        return estimate
    return Estimate(estimate.value, max(estimate.lower, least), min(estimate.upper, 1.0), estimate.reason)
