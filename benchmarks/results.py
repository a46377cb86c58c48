"""Results as append-only JSONL: one row a run, found by its condition, so that nothing is run twice.

A row is `{"condition": {...}, "figures": {...}, "machine": {...}}`. A row is written in one piece after its run: a
kill loses that run at most. A last line that a kill cut short is taken away before the next row is added.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "onnxruntime")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """The rows of one file."""

    path: Path

    def rows(self) -> list[Row]:
        """Return all whole rows, in the order of their writing."""
        lines, _ = self._read()
        return [json.loads(line) for line in lines]

    def has(self, condition: Mapping[str, Any]) -> bool:
        """Tell whether a run under this condition is there."""
        wanted = _key(condition)
        return any(_key(row["condition"]) == wanted for row in self.rows())

    def add(self, condition: Mapping[str, Any], figures: Mapping[str, Any]) -> Row:
        """Write a row down and return it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines, torn = self._read()
        if torn:
            self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        row = {"condition": dict(condition), "figures": dict(figures), "machine": machine()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return row

    def _read(self) -> tuple[list[str], bool]:
        """Return the whole lines, and whether a torn one follows them."""
        if not self.path.exists():
            return [], False
        *lines, rest = self.path.read_text(encoding="utf-8").split("\n")
        return lines, bool(rest)


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides its condition: processor, cores, versions, commit."""
    versions = {name: importlib.metadata.version(name) for name in ("vermilion", *LIBRARIES)}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        **versions,
        "commit": commit(),
    }


def commit() -> str:
    """Return the commit checked out, with a + where tracked files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _processor() -> str:
    """Return the processor's name; `platform` alone gives no more than "x86_64" on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _key(condition: Mapping[str, Any]) -> str:
    return json.dumps(condition, sort_keys=True)
