"""Small real models for tests of the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vermilion.learn.flat import FlatHead
from vermilion.types import Label
from vermilion.world.models import SavedModel, save_model

RULES = "before:\n- name: {name}\n  reason: the law\n  keywords: [stolen]\n  then: review\n"


def make_model(folder: Path, seed: int = 0, labels: tuple[Label, ...] | None = None) -> Path:
    """Write a model folder whose content depends on the seed alone; return the folder."""
    known = labels or (Label("refund", "money back"), Label("fee"), Label("loss"))
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4 * len(known), 8)).astype(np.float32)
    head = FlatHead(C=1.0).fit(X, np.arange(len(X)) % len(known))
    origin = {
        "data": {"labelled": f"{seed:064x}"},
        "versions": {"vermilion": "0.1.0"},
        "heads_compared": [{"head": "flat", "accuracy": 0.5 + seed / 100, "chosen": True}],
    }
    save_model(folder, SavedModel("flat", head, known, 1.0, "static", "0" * 32, origin), f"# Model {seed}\n")
    return folder
