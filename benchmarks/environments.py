"""Make the peers' virtual environments: build/peers/NAME from requirements/peers/NAME.txt, all versions pinned.

Each peer installs in its own, so that none decides what another, or Vermilion, runs with.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "peers"
FOLDER = ROOT / "build" / "peers"


def names() -> list[str]:
    """Return the peers that have an environment of their own.

    Examples
    --------
    >>> "small-text" in names()
    True
    """
    return sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))


def interpreter(name: str) -> Path:
    """Return where an environment's Python is, or will be."""
    return FOLDER / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_ready(name: str) -> bool:
    """Tell whether an environment is there with the versions that are wanted now."""
    held = _marker(name)
    wanted = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    return held.exists() and held.read_text(encoding="utf-8") == wanted


def make(name: str) -> Path:
    """Make an environment where it is missing or old; return its Python."""
    python = interpreter(name)
    if is_ready(name):
        return python
    print(f"installing {name} into {python.parents[1]}", flush=True)
    # Debian packs ensurepip apart from Python. Where it is missing, the pip beside this Python fills the environment.
    bundled = importlib.util.find_spec("ensurepip") is not None
    venv.EnvBuilder(clear=True, with_pip=bundled).create(python.parents[1])
    pip = [str(python), "-m", "pip"] if bundled else [sys.executable, "-m", "pip", "--python", str(python)]
    wanted = REQUIREMENTS / f"{name}.txt"
    subprocess.run([*pip, "install", "--quiet", "--requirement", str(wanted)], check=True)
    _marker(name).write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return python


def _marker(name: str) -> Path:
    return FOLDER / name / "installed.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all by default")


def main(arguments: argparse.Namespace) -> None:
    """Make the environments that are named, or all."""
    unknown = sorted(set(arguments.names) - set(names()))
    if unknown:
        sys.exit(f"expected names of {', '.join(names())}, found {', '.join(unknown)}")
    for name in arguments.names or names():
        print(make(name))
