"""Numbers and sentences for people: what the report and the model card say about a run."""

from __future__ import annotations

import math

from vermilion.learn.worth import Gain
from vermilion.red.record import Certificate, Summary

SPACE = "\N{NO-BREAK SPACE}"

# What stands before the colon of a reason to stop -> what it means to a reader.
STOP_MEANINGS = {
    "target": "The audit's lower bound reached the target.",
    "nothing confirmed": "The last round's questions brought no label at all.",
    "no gain": "The model was right on nearly all of the hardest texts, two rounds running.",
    "inflection": "The count of uncertain texts no longer fell by more than the texts that were asked.",
    "kappa": "Successive models gave the same labels, three rounds running.",
    "worth": "More questions were not expected to buy what they should.",
    "no questions": "Nothing was asked; the labels are the model's own.",
    "all asked": "No text was left to ask about.",
    "rounds": "The rounds that the settings allow are done.",
    "cap": "A cap ended the run; the same command with a higher cap goes on from here.",
}


# What a certificate measures -> how that is said.
MEASURES = {
    "agreement": "Agreement with {expert}",
    "micro-F1": "Micro-F1 of the labels, by the answers of {expert},",
}


def count(number: float) -> str:
    """Return a whole number with commas.

    Examples
    --------
    >>> count(14250)
    '14,250'
    """
    return f"{round(number):,}"


def counted(number: float, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "label"), counted(970, "label")
    ('1 label', '970 labels')
    """
    return f"{count(number)} {noun}{'' if round(number) == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share as a percentage; only a whole is 100 %, and only nothing is 0 %.

    Examples
    --------
    >>> [percent(share).replace(SPACE, " ") for share in (0.961, 0.9999, 1, 0.0001, 0)]
    ['96.1 %', '>99.9 %', '100 %', '<0.1 %', '0 %']
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", f"{SPACE}%")
    if not 0.0005 <= share < 0.9995 and 0 < share < 1:
        return f"{'<0.1' if share < 0.5 else '>99.9'}{SPACE}%"
    return f"{share * 100:.1f}{SPACE}%"


def percent_at_least(share: float) -> str:
    """Return a lower bound as a percentage, rounded down: a bound must not promise more than it holds.

    Examples
    --------
    >>> percent_at_least(0.94296).replace(SPACE, " "), percent_at_least(0.95).replace(SPACE, " ")
    ('94.2 %', '95.0 %')
    """
    return f"{math.floor(round(share * 1000, 6)) / 10:.1f}{SPACE}%"


def percent_at_most(share: float) -> str:
    """Return an upper bound as a percentage, rounded up.

    Examples
    --------
    >>> percent_at_most(0.96011).replace(SPACE, " ")
    '96.1 %'
    """
    return f"{math.ceil(round(share * 1000, 6)) / 10:.1f}{SPACE}%"


def level(confidence: float) -> str:
    """Return a confidence level as it is spoken.

    Examples
    --------
    >>> level(0.95).replace(SPACE, " "), level(0.999).replace(SPACE, " ")
    ('95 %', '99.9 %')
    """
    return f"{confidence * 100:g}{SPACE}%"


def money(dollars: float) -> str:
    """Return US dollars; small sums keep two telling digits.

    Examples
    --------
    >>> money(1234.5), money(0.004213), money(0)
    ('$1,234.50', '$0.0042', '$0.00')
    """
    if 0 < dollars < 0.1:
        return f"${dollars:.{1 - math.floor(math.log10(dollars))}f}"
    return f"${dollars:,.2f}"


def duration(seconds: float) -> str:
    """Return a duration in the units that a person would use.

    Examples
    --------
    >>> [duration(s).replace(SPACE, " ") for s in (0.04, 7.25, 72, 3600, 7530)]
    ['0.04 s', '7.2 s', '1 min 12 s', '1 h', '2 h 6 min']
    """
    if seconds < 59.95:
        return f"{seconds:.2g}{SPACE}s" if seconds < 1 else f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _joined((minutes, "min"), (rest, "s"))
    return _joined(*zip(divmod(round(seconds / 60), 60), ("h", "min"), strict=True))


def _joined(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number}{SPACE}{unit}" for number, unit in parts if number)


def certificate_line(certificate: Certificate, simulated: bool) -> str:
    """Return the certificate as one line.

    Examples
    --------
    >>> certificate = Certificate(0.98, 0.9429, 1, 0.95, "Clopper-Pearson", 120)
    >>> certificate_line(certificate, simulated=False).replace(SPACE, " ")
    'Agreement with the expert is at least 94.2 % (95 % confidence, n = 120, Clopper-Pearson).'
    """
    measured = MEASURES[certificate.measure].format(expert="the expert" + " (simulation)" * simulated)
    return (
        f"{measured} is at least {percent_at_least(certificate.lower)} "
        f"({level(certificate.confidence)} confidence, n{SPACE}={SPACE}{count(certificate.n)}, "
        f"{certificate.method})."
    )


def gold_line(summary: Summary) -> str:
    """Return the agreement with gold labels as one line, or nothing where there is no gold.

    Texts whose label was given are not counted: they agree by definition.
    """
    if not summary.gold or "agreement" not in summary.gold:
        return ""
    decided = summary.texts - summary.decisions.get("given", 0)
    if "f1_micro" in summary.gold:
        f1 = f"micro-F1 {percent(summary.gold['f1_micro'])}, macro-F1 {percent(summary.gold['f1_macro'])}"
        whole = f"{percent(summary.gold['agreement'])} of {counted(decided, 'text')} have all labels right"
        return f"By the gold labels (simulation): {f1}; {whole} and none wrong."
    return (
        f"{percent(summary.gold['agreement'])} of {counted(decided, 'text')} agree with the gold labels "
        "(simulation)."
    )


def headlines(summary: Summary) -> list[str]:
    """Return what a reader must know first, the most telling line first; never empty."""
    lines = [gold_line(summary)]
    if summary.certificate:
        lines.append(certificate_line(summary.certificate, summary.simulated))
    else:
        lines.append(
            "There is no certificate: no complete audit measured how often the labels agree with the expert."
        )
    return [line for line in lines if line]


def stop_reasons(stopped: str) -> list[tuple[str, str]]:
    """Return each reason why a run stopped, as the run recorded it, and what it means ("" where unknown).

    Examples
    --------
    >>> [reason for reason, _ in stop_reasons("inflection; kappa")]
    ['inflection', 'kappa']
    """
    # A cap's own words may hold a semicolon; only rules are joined by it.
    parts = [stopped] if ":" in stopped else stopped.split(";")
    reasons = [part.strip() for part in parts if part.strip()]
    return [(reason, STOP_MEANINGS.get(reason.partition(":")[0], "")) for reason in reasons]


def flat(settings: dict[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as rows of a dotted name and a value; what is not set is left out.

    Examples
    --------
    >>> flat({"seed": 0, "caps": {"max_calls": 100, "max_cost": None}})
    [('seed', '0'), ('caps.max_calls', '100')]
    """
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            rows.extend(flat(value, f"{prefix}{name}."))
        elif value is not None:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def gain_words(gain: Gain) -> str:
    """Return an expected gain, already in points, with its bounds.

    Examples
    --------
    >>> gain_words(Gain(0.123, 0.04, 0.2))
    '+0.12 points (0.04 to 0.20)'
    """
    return f"{gain.estimate:+.2f} points ({gain.lower:.2f} to {gain.upper:.2f})"


def points(gain: float) -> str:
    """Return a difference of shares in percentage points, always with its sign.

    Examples
    --------
    >>> points(0.104), points(-0.02)
    ('+10.4 points', '-2.0 points')
    """
    return f"{100 * gain:+.1f} points"
