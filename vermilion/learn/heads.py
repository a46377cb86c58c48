"""The heads by name, the one place to import them from: vector to label."""

from __future__ import annotations

from collections.abc import Callable

from vermilion.learn.centroid import CentroidHead
from vermilion.learn.flat import FlatHead
from vermilion.learn.subset_head import SubsetHead
from vermilion.types import Head

__all__ = ["HEADS", "CentroidHead", "FlatHead", "SubsetHead"]

HEADS: dict[str, Callable[..., Head]] = {"flat": FlatHead, "subset": SubsetHead, "centroid": CentroidHead}
