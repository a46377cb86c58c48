"""The files of vermilion audit: what a finished run left, and what people's answers prove."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vermilion.errors import InputError
from vermilion.world.data_writer import replacing

SHEET, AUDIT, PEOPLE, SUMMARY, LABELS = (
    "audit.csv",
    "audit.jsonl",
    "people.json",
    "summary.json",
    "labels.yaml",
)


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the files.

    Raises
    ------
    InputError
        It is not there, as no run has finished, or is not JSON.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "the folder of a finished run", "no summary.json", str(path.parent), "name the --out of a run"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError("JSON", str(error), str(path), "run the same command again") from None
    return dict(found)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write one of the files, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def keep_proof(folder: Path, summary: dict[str, Any], told: dict[str, Any]) -> None:
    """Write what people's answers prove to people.json and to the summary."""
    write_json(folder / PEOPLE, told)
    write_json(folder / SUMMARY, {**summary, "people": told})


def refuse_other_draw(folder: Path, path: Path, draw: str) -> None:
    """Refuse answers to another draw than one of this run as it is now."""
    raise InputError(
        f"answers to a draw of {folder} as it is now",
        f"those of another run, or of this one before it went on ({draw or 'no draw'})",
        str(path),
        "draw again with vermilion audit, or name the run that the answers are for",
    )


def note_on(summary: dict[str, Any]) -> str:
    """Return whose answers the run's own certificate speaks of."""
    expert = summary["expert"]
    if summary.get("simulated"):
        return f"Simulation: the expert, {expert}, answered from gold labels"
    if sum(summary["tokens"].values()):
        return f"The run's certificate is agreement with {expert}, a model that answered its own audit"
    return f"The run's certificate is agreement with {expert}"
