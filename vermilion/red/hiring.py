"""The expert of a run: what it is made from, and made once it is known which labels are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vermilion.config import RunSettings
from vermilion.red.problem import Problem
from vermilion.red.request import Request
from vermilion.types import Expert, Label
from vermilion.world.experts import Setup, load_expert


def expert_setup(
    request: Request,
    settings: RunSettings,
    labels: tuple[Label, ...],
    gold: Mapping[str, str] | None = None,
    several: Mapping[str, frozenset[str]] | None = None,
) -> Setup:
    """Return what the expert is made from; `gold`, or `several` labels a text, is what an oracle knows."""
    return Setup(
        labels=labels,
        gold=gold or {},
        several=several,
        error=settings.expert_error,
        seed=settings.seed,
        folder=request.out,
        base_url=settings.base_url,
        prices=request.prices,
        caps=settings.caps,
    )


def hire(spec: str, setup: Setup, problem: Problem) -> Expert:
    """Make the expert that is named, now that it is known which labels are alike."""
    rivals = problem.rivals() if setup.gold else {}
    return load_expert(spec, replace(setup, labels=problem.labels, rivals=rivals))
