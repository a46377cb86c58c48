"""Write docs/benchmarks.md and its plots from the results, or check that they are what the results give.

    python -m benchmarks page [--check]

Nothing is measured here. A section whose results are not there says so, with the command that makes them.
"""

from benchmarks.page.command import add_arguments, main

__all__ = ["add_arguments", "main"]
