"""Encoders compared on the user's own labelled texts: the same splits for all, each part computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.choose.encoders_advice import judge_learning, judge_tuning, recommend
from vermilion.choose.encoders_data import Bench, Wanted, lay_out_bench
from vermilion.choose.encoders_record import Comparison, Row
from vermilion.choose.encoders_speed import Speed, cost_per_million, measure_speed
from vermilion.choose.encoders_suites import SUITES, VERSION, Suite
from vermilion.choose.encoders_tuned import measure_tuned
from vermilion.choose.progress import Progress
from vermilion.errors import InputError
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Scores
from vermilion.types import Encoder, FloatArray, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_joined import JoinedEncoder, split_spec
from vermilion.world.encoders_pairs import PREFIX, spec_for
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
        Models `st:NAME` to fine-tune with SetFit as well; for texts with one label each.
    task : str
        One of TASK_CHOICES.
    positive : str or None
        Of two labels of pairs the one that says right; None: the rarer.
    """

    out: Path
    seed: int = 0
    most_texts: int = MOST_TEXTS
    vectors: Path | None = None
    base_url: str | None = None
    token_prices: Mapping[str, float] = field(default_factory=dict)
    hourly_price: float | None = None
    tune: tuple[str, ...] = ()
    task: str = "auto"
    positive: str | None = None

    @property
    def wanted(self) -> Wanted:
        """How texts are laid out."""
        return Wanted(self.most_texts, self.seed, self.task, self.positive)


class Kept:
    """An encoder whose vectors are kept in a folder; `tell` is told how many texts are done."""

    def __init__(self, encoder: Encoder, folder: Path, tell: Callable[[int], None] | None = None) -> None:
        self._tell = tell
        self.name, self.digest, self.dimension = encoder.name, encoder.digest, encoder.dimension
        self._cache = VectorCache(folder, encoder)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension); only what is missing is encoded."""
        return self._cache.encode(texts, progress=self._tell)


def compare(
    labelled: Texts, candidates: Sequence[str], settings: CompareSettings, progress: Progress
) -> Comparison:
    """Measure every candidate on the same splits of labelled texts, and recommend.

    Parameters
    ----------
    labelled : Texts
        With one label each or several; single texts or pairs.
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
    bench = lay_out_bench(labelled, settings.wanted)
    suite = SUITES[type(bench)]
    _check_tuning(bench, settings.tune)
    names = [spec_for(name, labelled).removeprefix(PREFIX) for name in candidates]
    _check_unlike(names)
    encoders = [load_encoder(name, base_url=settings.base_url) for name in names]
    parts = Parts(settings.out / "parts")
    rows = tuple(_Candidate(encoder, bench, suite, parts, settings, progress).row() for encoder in encoders)
    tuned = tuple(measure_tuned(name, bench, parts, progress) for name in settings.tune)
    splits = bench.splits
    return Comparison(
        suite.sheet,
        bench.source,
        bench.given,
        bench.distinct,
        len(bench.texts),
        len(bench.labels),
        len(splits.numbers),
        splits.seed,
        rows,
        tuned,
        recommend(rows, suite.sheet),
        judge_tuning(rows, tuned),
        _versions(),
        judge_learning(rows),
    )


def _check_tuning(bench: Bench, tune: Sequence[str]) -> None:
    """SetFit is fitted here with one label a text, and on single texts."""
    if tune and type(bench) is not Bench:
        raise InputError(
            "single texts with one label each", "other data", "--setfit", "leave it out for such data"
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
    suite: Suite
    parts: Parts
    settings: CompareSettings
    progress: Progress

    def row(self) -> Row:
        """Return all that is known of the encoder, after computing what is missing."""
        speed = self._speed()
        memory = self._part("memory", self._memory, texts=False)["bytes"]
        found = self._measured()
        scores, others = self.suite.figures(self.bench, found)
        figures = {name: _bounded(one.estimate(), one.scale.low) for name, one in scores.items()} | others
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
        texts: Sequence[str] = self.bench.single_texts
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
        return {"bytes": peak_memory(self.encoder.name, self.bench.single_texts[:MEMORY_TEXTS])}

    def _measured(self) -> dict[str, dict[str, Any]]:
        """Return every measure's part; vectors are wanted only where one is missing."""
        vectors: list[FloatArray] = []
        found: dict[str, dict[str, Any]] = {}
        measures = self.suite.measures
        for name, measure in measures.items():

            def make() -> dict[str, Any]:
                if not vectors:
                    vectors.append(self._encode())
                    self.progress.start(f"{self.encoder.name}: measures", len(measures))
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
        texts = self.bench.single_texts
        self.progress.start(f"{self.encoder.name}: encoding", len(texts))
        if isinstance(self.encoder, JoinedEncoder):
            first, second = (Kept(part, self._vectors) for part in self.encoder.parts)
            return self.bench.vectors(JoinedEncoder(first, second))
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            self.progress.advance(count - done)
            done = count

        return self.bench.vectors(Kept(self.encoder, self._vectors, tell))


def _bounded(estimate: Estimate, least: float = 0.0) -> Estimate:
    """Return an estimate whose bounds stay where the figure can be."""
    if estimate.lower is None or estimate.upper is None:
        return estimate
    return Estimate(estimate.value, max(estimate.lower, least), min(estimate.upper, 1.0), estimate.reason)
