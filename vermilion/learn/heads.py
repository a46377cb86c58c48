"""The heads by name, the one place to import them from: vector to label."""

from __future__ import annotations

from collections.abc import Callable

from vermilion.learn.centroid import CentroidHead
from vermilion.learn.flat import FlatHead
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.learn.stacked_labels import StackedHead
from vermilion.learn.subset_head import SubsetHead
from vermilion.types import Head

__all__ = ["HEADS", "SEVERAL", "CentroidHead", "FlatHead", "OneVsRestHead", "StackedHead", "SubsetHead"]

HEADS: dict[str, Callable[..., Head]] = {"flat": FlatHead, "subset": SubsetHead, "centroid": CentroidHead}
# Of texts that may have several labels; the simpler first.
SEVERAL: dict[str, Callable[..., Head]] = {"one-vs-rest": OneVsRestHead, "stacked": StackedHead}
