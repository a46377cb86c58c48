"""What a run says of itself at its end: the summary, and what the report shows beyond it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from vermilion.config import RunSettings
from vermilion.red import decisions as made
from vermilion.red import out_of_scope
from vermilion.red.health import Health
from vermilion.red.loop import Outcome
from vermilion.red.problem import Problem
from vermilion.red.record import CalibrationRecord, Decision, ProposedLabel, ReportData, Summary
from vermilion.red.training import Choice
from vermilion.red.trust import Trust
from vermilion.types import Spend

LIBRARIES = ("numpy", "scipy", "scikit-learn", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True)
class Account:
    """What a run took.

    Attributes
    ----------
    calls : int
        Questions answered, those of the check included.
    spent : Spend
        Tokens and dollars, of failed calls too.
    seconds : dict
        By part: encode, fit, expert, total.
    """

    calls: int
    spent: Spend
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Ran:
    """All that a run has found out."""

    problem: Problem
    choice: Choice
    outcome: Outcome
    decisions: list[Decision]
    calibration: CalibrationRecord | None = None
    health: Health | None = None
    proposed: tuple[ProposedLabel, ...] = ()


def summarise(
    ran: Ran,
    settings: RunSettings,
    account: Account,
    hashes: Mapping[str, str],
    expert: tuple[str, bool, Trust | None],
) -> Summary:
    """Make out the summary.

    Parameters
    ----------
    hashes : mapping
        Of the data.
    expert : tuple of (name, simulated, what is known of it)
    """
    problem, outcome = ran.problem, ran.outcome
    name, simulated, trust = expert
    return Summary(
        texts=len(problem.owner),
        labels=len(problem.labels),
        encoder=settings.encoder,
        head=ran.choice.kind,
        rounds=outcome.rounds,
        calls=account.calls,
        tokens={"prompt": account.spent.prompt_tokens, "completion": account.spent.completion_tokens},
        cost_usd=account.spent.cost_usd,
        seconds={part: round(value, 3) for part, value in account.seconds.items()},
        decisions=made.count_sources(ran.decisions),
        certificate=outcome.certificate,
        groups=outcome.audit.groups if outcome.audit else (),
        acceptance=outcome.audit.acceptance if outcome.audit else None,
        stopped=outcome.stopped,
        expert=name,
        simulated=simulated,
        unique_texts=len(problem.open_texts),
        labelled=len(problem.given_texts),
        gold=made.gold_scores(problem, outcome),
        trust=trust,
        heads_compared=ran.choice.trials,
        calibration=ran.calibration,
        health=ran.health.short() if ran.health else None,
        out_of_scope=_out_of_scope(ran, settings),
        settings=shown_settings(settings),
        versions=versions(),
        data=dict(hashes),
    )


def _out_of_scope(ran: Ran, settings: RunSettings) -> dict[str, Any] | None:
    outcome = ran.outcome
    if outcome.foreign is None:
        return None
    found = out_of_scope.told(ran.problem, settings, outcome.foreign, outcome.state, outcome.drawn)
    return found | {"proposed_labels": [{"name": one.name, "size": one.size} for one in ran.proposed]}


def shown_settings(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as plain JSON, without a password that a URL may carry."""
    shown = asdict(settings)
    if settings.base_url:
        parts = urlsplit(settings.base_url)
        shown["base_url"] = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return shown


def versions() -> dict[str, str]:
    """Return the versions that a repeated run needs."""
    from vermilion import __version__

    found = {"vermilion": __version__, "python": platform.python_version()}
    return found | {library: version(library) for library in LIBRARIES}


def report_data(title: str, ran: Ran, summary: Summary) -> ReportData:
    """Gather what the report shows."""
    return ReportData(
        title,
        summary,
        made.confidence_counts(ran.decisions),
        made.hardest_pairs(ran.problem, ran.outcome),
        made.label_counts(ran.problem, ran.decisions),
        made.least_certain(ran.decisions),
        ran.proposed,
    )
