"""What a run is about to do and may cost at most, told before anything is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vermilion.config import Caps, RunSettings
from vermilion.types import Spend

DEFAULT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run and the most it may spend.

    Attributes
    ----------
    texts, distinct, labelled, labels : int
    budget : int
        Questions planned for.
    worst : Spend
        What one question may cost at most, with retries and a repair; its calls are 1.
    checked : int
        Questions beyond the budget, on labelled texts, where no cap holds them within it.
    """

    texts: int
    distinct: int
    labelled: int
    labels: int
    encoder: str
    head: str
    expert: str
    budget: int
    worst: Spend
    caps: Caps
    encode_seconds: float = 0.0
    checked: int = 0

    def lines(self) -> list[tuple[str, str]]:
        """Return the plan as name and value, for people."""
        speed = f", {self.distinct / self.encode_seconds:,.0f} texts/s" if self.encode_seconds > 0 else ""
        lines = [
            ("texts", f"{self.texts:,} ({self.distinct:,} distinct still open)"),
            ("labels", f"{self.labels:,}, from {self.labelled:,} labelled texts"),
            ("encoder", self.encoder + speed),
            ("head", self.head),
            ("expert", f"{self.expert}, at most {self.budget:,} questions" if self.budget else self.expert),
        ]
        if self.checked:
            lines.append(("check", f"at most {self.checked:,} more questions, on labelled texts, come first"))
        if self.most_cost > 0:
            # To whole cents upwards, or "at most" would not hold; rounded first, for 0.1 + 0.2 is 0.3.
            cents = math.ceil(round(100 * self.most_cost, 6))
            lines.append(("cost", f"at most ${cents / 100:,.2f}, if every question took the most it can"))
        return lines

    @property
    def most_cost(self) -> float:
        """US dollars that the run can cost at most."""
        cost = (self.budget + self.checked) * self.worst.cost_usd
        return cost if self.caps.max_cost is None else min(cost, self.caps.max_cost)


def question_budget(settings: RunSettings, distinct: int, typical: Spend) -> int:
    """Return how many questions a run plans for.

    A cap on calls is used as it is, a cap on tokens or dollars by what a question typically takes; without a
    cap it is a fifth of the distinct texts.

    Parameters
    ----------
    typical : Spend
        Of one question.

    Examples
    --------
    >>> question_budget(RunSettings(expert="oracle:gold.csv"), 1000, Spend(1))
    200
    >>> capped = RunSettings(expert="openai:m", caps=Caps(max_cost=1.0))
    >>> question_budget(capped, 1000, Spend(1, 500, 20, 0.01))
    100
    """
    if settings.expert == "none":
        return 0
    caps = settings.caps
    tokens = typical.prompt_tokens + typical.completion_tokens
    bounds = [
        None if caps.max_calls is None else caps.max_calls,
        None if caps.max_tokens is None or not tokens else int(caps.max_tokens / tokens),
        None if caps.max_cost is None or not typical.cost_usd else int(caps.max_cost / typical.cost_usd),
    ]
    given = [bound for bound in bounds if bound is not None]
    return min([*given, distinct]) if given else round(DEFAULT_SHARE * distinct)


def budget_spent(caps: Caps, budget: int) -> str:
    """Return why a run stops when it has asked all that it planned for.

    Examples
    --------
    >>> budget_spent(Caps(), 1000), budget_spent(Caps(max_calls=1000), 1000)
    ('rounds: the 1,000 questions planned for are asked', 'cap: the 1,000 questions it allows are asked')
    """
    planned = f"the {budget:,} questions"
    return (
        f"rounds: {planned} planned for are asked"
        if caps == Caps()
        else f"cap: {planned} it allows are asked"
    )
