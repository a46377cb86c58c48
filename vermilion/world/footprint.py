"""How much memory an encoder needs: a process of its own loads it, encodes some texts and tells its peak.

    python -m vermilion.world.footprint ENCODER < texts.json

Within a process that has loaded others before, nobody could tell whose memory it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vermilion.errors import ModelError
from vermilion.world.encoders import load_encoder

MOST_SECONDS = 600


def peak_memory(spec: str, texts: Sequence[str]) -> int:
    """Return the most bytes of memory that a fresh process held while it loaded an encoder and encoded the texts.

    Python and the libraries count, as they do for whoever serves the encoder.

    Raises
    ------
    ModelError
        The process failed or took more than ten minutes.
    """
    command = [sys.executable, "-m", "vermilion.world.footprint", spec]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(list(texts)),
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=True,
        )
        return int(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise ModelError(
            f"{spec}: its memory cannot be measured ({type(error).__name__}); try again"
        ) from error


def peak_of_this_process() -> int:
    """Return the most bytes that this process has held so far."""
    status = Path("/proc/self/status")
    if (
        status.exists()
    ):  # Linux: unlike `getrusage`, it starts anew where a program does, not with what its parent held
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    """Load the encoder named on the command line, encode the texts of standard input, print the peak in bytes."""
    load_encoder(sys.argv[1]).encode(json.load(sys.stdin))
    sys.stdout.write(f"{peak_of_this_process()}\n")


if __name__ == "__main__":
    main()
