"""What the registry notes of a model when it is added: data, code, encoder, labels, metrics, where it came from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vermilion.world.models import DESCRIPTION, TENSORS
from vermilion.world.version_contents import RULES, Contents

SUMMARY = "summary.json"


def facts(contents: Contents) -> dict[str, Any]:
    """Return what a model's files tell of it, as plain JSON.

    Parameters
    ----------
    contents : mapping of name to bytes
        The files of a model that can be loaded.
    """
    description = json.loads(contents[DESCRIPTION])
    origin = description["origin"]
    data = _mapping(origin.get("data"))
    return {
        "task": description.get("task", "multi-class"),
        "head": description["head"]["kind"],
        "labels": len(description["labels"]),
        "encoder": dict(description["encoder"]),
        "training": data.get("labelled", ""),
        "data": dict(data),
        "code": _mapping(origin.get("versions")).get("vermilion", ""),
        "metrics": metrics(origin),
        "certificate": origin.get("certificate"),
        "rules": hashlib.sha256(contents[RULES]).hexdigest() if RULES in contents else None,
        "bytes": {"head": len(contents[TENSORS]), "all": sum(map(len, contents.values()))},
    }


def metrics(origin: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that training or a run left in a model, flat and by name.

    Examples
    --------
    >>> metrics({"heads_compared": [{"accuracy": 0.9, "log_loss": 0.3, "chosen": True, "head": "flat"}]})
    {'accuracy': 0.9, 'log_loss': 0.3}
    """
    found: dict[str, float] = {}
    compared = [
        *_rows(origin.get("heads_compared")),
        *_rows(_mapping(origin.get("imbalance")).get("compared")),
    ]
    for row in compared:
        if row.get("chosen"):
            found |= {name: row[name] for name in ("accuracy", "macro_f1", "log_loss") if name in row}
    certificate = _mapping(origin.get("certificate"))
    found |= {f"certified_{name}": certificate[name] for name in ("estimate", "lower") if name in certificate}
    found |= {f"gold_{name}": value for name, value in _mapping(origin.get("gold")).items()}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def run_of(source: Path) -> dict[str, Any] | None:
    """Return the run that a model folder lies in: its folder's name and its summary's sha256, or None."""
    summary = source.absolute().parent / SUMMARY
    try:
        return {"folder": summary.parent.name, "summary": hashlib.sha256(summary.read_bytes()).hexdigest()}
    except OSError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(row) for row in value] if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
