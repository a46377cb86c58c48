"""What report and screen say of an audit: certificates of groups, what may be accepted, agreement with people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vermilion.page.figures import Table
from vermilion.red import wording
from vermilion.red.record import GroupCertificate, Summary
from vermilion.red.report.tables import or_dash

if TYPE_CHECKING:  # the terminal says these lines, and must not wait for SciPy
    from vermilion.learn.acceptance import Acceptance

CAPTIONS = {
    "source": "Agreement with the expert, by how the decision came about",
    "labels": "Agreement with the expert, by label",
    "pairs": "Agreement with the expert, by pairs of a text and a label",
}
COUNTED = {"source": "Texts", "labels": "Texts", "pairs": "Pairs"}


@dataclass(frozen=True, slots=True)
class CertificateSection:
    """The report's section on what the audit proves: lines, and a table a kind of group."""

    lines: tuple[str, ...]
    tables: tuple[Table, ...]
    people: tuple[str, ...]


def certificate_section(summary: Summary) -> CertificateSection | None:
    """Return the section's content, or None where there was no audit."""
    if not summary.groups and not summary.acceptance and not summary.people:
        return None
    lines = [acceptance_line(summary.acceptance, summary)] if summary.acceptance else []
    tables = [_table(kind, summary.groups, simulated=summary.simulated) for kind in CAPTIONS]
    people = people_lines(summary.people) if summary.people else ()
    return CertificateSection(tuple(lines), tuple(table for table in tables if table.rows), tuple(people))


def _table(kind: str, groups: Sequence[GroupCertificate], *, simulated: bool) -> Table:
    rows = [
        (
            group.name,
            wording.count(group.rows),
            wording.count(group.n) if group.n or group.lower < 1 else "by definition",
            "–" if group.estimate is None else wording.percent(group.estimate),
            wording.percent_at_least(group.lower),
            wording.percent_at_most(group.upper),
        )
        for group in groups
        if group.kind == kind
    ]
    audited = [group for group in groups if group.kind == kind and group.n]
    told = f"{CAPTIONS[kind]}{' (simulation)' * simulated}"
    if len(audited) > 1:
        told += f"; {'both' if len(audited) == 2 else f'all {len(audited)}'} bounds hold at once (Bonferroni)"
    columns = ("Decisions", COUNTED[kind], "Audit answers", "Estimate", "At least", "At most")
    return Table.of(told, columns, rows)


def acceptance_line(found: Acceptance, summary: Summary) -> str:
    """Return in a sentence what may be accepted without a look.

    Examples
    --------
    >>> from vermilion.learn.acceptance import Acceptance
    >>> summary = Summary(9, 2, "static", "flat", (), 0, {}, 0.0, {}, {"auto": 9}, None, "kappa")
    >>> acceptance_line(Acceptance(0.05, 0.05, None, 0, 0, 0, 120), summary).replace(wording.SPACE, " ")
    'Accepting decisions at 95.0 % agreement with the expert cannot be certified yet: about 120 more audit answers.'
    """
    target = wording.percent_at_least(1 - found.alpha)
    expert = "the expert" + " (simulation)" * summary.simulated
    if found.threshold is None and found.needed is None:
        return (
            f"No decisions can be accepted at {target} agreement with {expert}: the model errs too often even where it"
            " is surest, or there are too few texts."
        )
    if found.threshold is None:
        return (
            f"Accepting decisions at {target} agreement with {expert} cannot be certified yet:"
            f" about {wording.count(found.needed or 0)} more audit answers."
        )
    certified = summary.certificate is not None and summary.certificate.lower >= 1 - found.alpha
    rest = "all decisions together reach that, too" if certified else "the others are left for review"
    return (
        f"{wording.counted(found.accepted, 'decision')} of the model, those of confidence {or_dash(found.threshold)} or"
        f" more before the audit, agree with {expert} in at least {target} of the cases"
        f" ({wording.level(1 - found.delta)} confidence, {wording.counted(found.n, 'audit answer')},"
        f" {found.errors} of them against); {rest}."
    )


def people_lines(found: Mapping[str, Any]) -> list[str]:
    """Return what people's answers prove, a sentence each, the most telling first."""
    level = wording.level(found["confidence"])
    if found.get("measure") == "micro-F1":
        return [
            f"Micro-F1 of the labels, by people's answers, is at least {_bounds(found['agreement'], level)}.",
            f"Of the labels given, people find right at least {_bounds(found['given'], level)}.",
            f"Of the labels not given, people find none missing in at least {_bounds(found['left'], level)}.",
            f"{found['note']}.",
        ]
    lines = [
        f"Agreement with people is at least {_bounds(found['agreement'], level)}, by people's answers alone.",
    ]
    if found["corrected"]:
        lines.append(
            "The audit by the expert, corrected for the expert's own errors, says at least"
            f" {_bounds(found['corrected'], level)}: {found['formula']}."
        )
    else:
        lines.append(
            "The expert's audit cannot be corrected for the expert's own errors: too few texts were answered by both."
        )
    for name, words in (
        ("expert_random", "random texts of the run's audit"),
        ("expert_chosen", "texts that the run asked because they are hard"),
    ):
        if found[name]:
            lines.append(
                f"On {words} the expert agrees with people in at least {_bounds(found[name], level)}."
            )
    return [*lines, f"{found['note']}."]


def _bounds(part: Mapping[str, Any], level: str) -> str:
    return (
        f"{wording.percent_at_least(part['lower'])} (estimate {wording.percent(part['estimate'])}, at most"
        f" {wording.percent_at_most(part['upper'])}, {level} confidence, n{wording.SPACE}={wording.SPACE}"
        f"{wording.count(part['n'])})"
    )
