"""The machine: how fast it multiplies, how much memory a piece of work takes, which commit is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.results import commit

SIDE = 2048
MIB = 1024.0

# Linux counts the memory of the process that starts a command as the command's own, until it has loaded its program.
# So it is started by a process of 10 MiB, which tells its largest child's memory in KiB as its last line.
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command took.

    Attributes
    ----------
    seconds : float
        From its start to its end, imports included.
    peak_mib : float
        Largest resident memory of the process.
    output : str
        Standard output and error.
    """

    seconds: float
    peak_mib: float
    output: str


def run_command(command: Sequence[str], accept: tuple[int, ...] = (0,)) -> Ran:
    """Run a command to its end and measure it; of several processes, the largest one's memory counts.

    Raises
    ------
    RuntimeError
        It ended with a code that is not in `accept`; the message holds what it said.
    """
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    output, _, peak = ended.stdout.rstrip("\n").rpartition("\n")
    if ended.returncode not in accept:
        raise RuntimeError(f"{' '.join(command[:6])} ... ended with {ended.returncode}: {output[-2000:]}")
    return Ran(seconds, int(peak) / MIB, output)


def multiply(threads: int) -> float:
    """Return the seconds of one float32 product of two matrices of SIDE x SIDE."""
    left, right = np.full((2, SIDE, SIDE), 0.5, dtype=np.float32)
    with threadpool_limits(limits=threads, user_api="blas"):
        start = time.perf_counter()
        left @ right
        return time.perf_counter() - start


def flops_of_multiply() -> float:
    """Return the floating-point operations of `multiply`."""
    return 2.0 * SIDE**3


class PeakMemory:
    """The largest resident memory of this process while a block runs, in MiB; None where Linux is not there.

    Examples
    --------
    >>> with PeakMemory() as memory:
    ...     block = np.ones(15_000_000)
    >>> memory.grown is None or memory.grown > 100
    True
    """

    def __enter__(self) -> PeakMemory:
        self.peak: float | None = None
        self.grown: float | None = None
        try:
            Path("/proc/self/clear_refs").write_text("5")  # lets the high-water mark start anew
            self._start: float | None = _status("VmRSS")
        except OSError:
            self._start = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._start is not None:
            self.peak = _status("VmHWM")
            self.grown = self.peak - self._start

    def figures(self) -> dict[str, float | None]:
        """Return what is written down, in MiB."""
        return {
            "peak": None if self.peak is None else round(self.peak),
            "grown": None if self.grown is None else round(self.grown),
        }


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / MIB
    raise OSError(f"/proc/self/status has no {field}")


def facts() -> dict[str, Any]:
    """Return what the results' own facts of the machine leave out: its memory and the commit measured."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {"memory_gib": round(pages * size / 2**30, 1), "commit": commit()}
