"""Fine-tuning as one more contestant on the few-shot curve: SetFit on the same few texts, judged on the same folds."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from vermilion.choose.encoders_data import Bench
from vermilion.choose.encoders_record import Tuned
from vermilion.choose.encoders_suites import VERSION
from vermilion.choose.progress import Progress
from vermilion.learn.encoder_choice import Scores
from vermilion.world.encoders_setfit import SetFitTuner
from vermilion.world.parts import Parts
from vermilion.world.weights import digest_of

# Texts a label to learn from, and folds: each of them is a training of minutes.
SHOTS, MOST_FOLDS = (2, 5, 10), 3


def measure_tuned(
    model: str, bench: Bench, parts: Parts, progress: Progress, shots: tuple[int, ...] = SHOTS
) -> Tuned:
    """Fine-tune a sentence-transformers model on few texts a label, fold by fold, and judge it on those held out.

    Raises
    ------
    InputError, MissingExtraError, ModelError
        The name is not `st:NAME`; SetFit is not installed; the model cannot be loaded.
    """
    tuner = SetFitTuner(model, seed=bench.splits.seed)
    folds = bench.splits.numbers[:MOST_FOLDS]
    wanted = [each for each in shots if bench.splits.enough_for(each)]
    progress.start(f"{tuner.name}: fine-tuning", len(wanted) * len(folds))
    found: dict[int, list[dict[str, Any]]] = {each: [] for each in wanted}
    for each in wanted:
        for fold in folds:
            key = digest_of(VERSION, "tuned", tuner.digest, bench.key, each, fold)
            part = parts.get(key)
            if part is None:
                part = _tune(tuner, bench, each, fold)
                parts.put(key, part)
            found[each].append(part)
            progress.advance(1)
    progress.done()
    scores = {each: Scores(_by_fold(bench, own), "folds") for each, own in found.items()}
    seconds = {each: float(np.mean([part["seconds"] for part in own])) for each, own in found.items()}
    return Tuned(tuner.name, {each: one.estimate() for each, one in scores.items()}, scores, seconds)


def _by_fold(bench: Bench, parts: list[dict[str, Any]]) -> Any:
    """Return the accuracy in each fold; nan in those that were not tried."""
    values = np.full(len(bench.splits.numbers), np.nan)
    values[: len(parts)] = [part["accuracy"] for part in parts]
    return values


def _tune(tuner: SetFitTuner, bench: Bench, each: int, fold: int) -> dict[str, Any]:
    few, held = bench.splits.shots(fold, each), bench.splits.held(fold)
    began = perf_counter()
    predict = tuner.fit(
        [bench.texts[row] for row in few], bench.codes[few], LogisticRegression(max_iter=1000)
    )
    seconds = perf_counter() - began
    right = predict([bench.texts[row] for row in held]) == bench.codes[held]
    return {"accuracy": float(right.mean()), "seconds": seconds}
