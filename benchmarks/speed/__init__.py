"""Seconds and memory of each part of Vermilion, as ratios of contestants that took turns in one run.

    python -m benchmarks speed DATA_FOLDER [--only encoding fitting search predict run] [--small]

Contestants alternate, several rounds of it; least, median and largest seconds are kept. What is there under the
same condition is not measured again. Everything that asked questions asked a simulated expert.
"""

from benchmarks.speed.command import add_arguments, main

__all__ = ["add_arguments", "main"]
