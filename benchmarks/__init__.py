"""Figures that anyone can make again: `python -m benchmarks NAME --help`, from the repository root."""
