"""Rows of one label each, which may stand under others."""

from __future__ import annotations

from dataclasses import dataclass

from vermilion.learn.bootstrap import Statistic
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.metrics_tree import ancestors, level_accuracy, tree_figures


@dataclass(frozen=True)
class OnePath(OneLabel):
    """Rows of one label each, with all that stands above it.

    Attributes
    ----------
    parents : tuple of int
        The parent of each label, -1 at the top.
    """

    parents: tuple[int, ...] = ()

    def statistics(self) -> list[Statistic]:
        """Return all that is to be measured on the rows."""
        found = tree_figures(self.true, self.predicted, ancestors(self.parents))
        return [
            *OneLabel.statistics(self), found, level_accuracy(self.true, self.predicted, self.parents)
        ]  # fmt: skip
