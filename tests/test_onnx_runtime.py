"""ONNX Runtime keeps to itself: nothing is written down for anybody, unless that is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What ONNX Runtime itself takes for a reason to keep quiet, and would hide ours.
QUIET = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "BUILD_ID", "ORT_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST"}
ENCODE = "from vermilion.world.encoders import load_encoder; load_encoder('minilm').encode(['hello'])"


def written_by(code: str, home: Path, **more: str) -> set[str]:
    """Run code in a process with an empty home; return the files that it leaves there."""
    kept = {name: value for name, value in os.environ.items() if name not in QUIET}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home)}
    subprocess.run([sys.executable, "-c", code], env=kept | places | more, check=True, timeout=120)
    return {path.name for path in home.rglob("*") if path.is_file()}


def test_nothing_is_kept_of_what_is_run(tmp_path: Path) -> None:
    assert written_by(ENCODE, tmp_path) == set()


def test_who_wants_it_can_have_it(tmp_path: Path) -> None:
    found = written_by(ENCODE, tmp_path, ORT_DISABLE_TELEMETRY="0")
    if not found:
        pytest.skip("this build of ONNX Runtime has no telemetry")
    assert "deviceid" in found
