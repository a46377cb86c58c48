"""The benchmarks by name: `python -m benchmarks NAME DATA_FOLDER ...`, from the repository root."""

from __future__ import annotations

import argparse
import importlib
import sys

# Each module has `add_arguments(parser)` and `main(arguments)`, and is imported only when it is named.
NAMES = {
    "cost": "agreement and test accuracy against questions and tokens, beside the peers",
    "ablation": "each part switched off in turn",
    "speed": "seconds and memory of each part, as ratios",
    "scale": "prediction and encoding on several workers",
    "worth": "what the next questions were expected to buy, beside what they bought",
    "worst": "the fifty worst decisions of each data set",
    "new-labels": "labels added to a finished run, beside a fresh one",
    "out-of-scope": "texts that no label fits, alone and in a run's pool",
    "pairs": "a model of pairs of texts beside the cosine of their vectors",
    "imbalance": "rare labels: what each method makes of them, and whether auto finds the best",
    "hierarchy": "labels under others: where texts are placed, and how often rightly",
    "multi-label": "several labels a text: thresholds for each, and what questions gain",
    "guarantees": "do certificates keep their promise, in simulated runs",
    "service": "requests a second and latencies of the service, beside other ways to serve",
    "rollout": "do canaries take back what is worse, and leave alone what is not, in simulated ones",
    "page": "write docs/benchmarks.md from the results",
    "environments": "make the peers' virtual environments",
}


def main(arguments: list[str]) -> None:
    """Run the benchmark that the first argument names."""
    if not arguments or arguments[0] not in NAMES:
        listed = "\n".join(f"  {name:<13} {what}" for name, what in NAMES.items())
        sys.exit(f"usage: python -m benchmarks NAME ... (--help after NAME tells more)\n{listed}")
    module = importlib.import_module(f"benchmarks.{arguments[0].replace('-', '_')}")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {arguments[0]}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    module.main(parser.parse_args(arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
