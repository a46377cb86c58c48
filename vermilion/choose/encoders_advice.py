"""Which encoder to take for classification, retrieval and clustering: a sentence each, with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from vermilion.choose.encoders_record import Recommendation, Row, Tuned
from vermilion.choose.encoders_sheet import Purpose, Sheet
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Choice, Contender, choose


def recommend(rows: Sequence[Row], sheet: Sheet) -> tuple[Recommendation, ...]:
    """Return what to take for each purpose that could be measured."""
    found = []
    for name, purpose in sheet.purposes.items():
        chosen = choose([Contender(row.name, row.scores[purpose.key], row.speed) for row in rows])
        if chosen is not None:
            values = {row.name: row.figures[purpose.key].value or 0.0 for row in rows}
            speeds = {row.name: row.speed for row in rows}
            sentence = f"For {name}, take {chosen.taken}: {_reason(chosen, values, speeds, purpose)}"
            found.append(Recommendation(name, sentence, chosen))
    return tuple(found)


def _reason(chosen: Choice, values: dict[str, float], speeds: dict[str, float], purpose: Purpose) -> str:
    name, share = purpose.name, purpose.share
    own = f"its {name}, {_value(values[chosen.taken], share)},"
    if not chosen.behind:
        return f"its {name} is {_value(values[chosen.taken], share)}; it was the only candidate."
    if chosen.taken != chosen.best:
        behind = _distance(chosen.behind[chosen.taken], share)
        times = _times(speeds[chosen.taken] / speeds[chosen.best])
        return f"{own} is {behind} behind that of {chosen.best}, within the noise, and it is {times} as fast."
    others = [other for other in chosen.tied if other != chosen.best]
    if others:
        return (
            f"{own} is the highest, and of those within the noise of it ({', '.join(others)}) none is faster."
        )
    second = max(chosen.behind, key=lambda other: values[other])
    ahead = _distance(chosen.behind[second], share)
    slower = speeds[second] / speeds[chosen.taken]
    price = f"; {second} is {_times(slower)} as fast" if slower >= 1.5 else ""
    return f"{own} is {ahead} ahead of the next best, {second}{price}."


def _value(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.3f}"


def _distance(estimate: Estimate, share: bool) -> str:
    value, bounds = estimate.value or 0.0, ""
    if share:
        if estimate.lower is not None and estimate.upper is not None:
            bounds = f" ({100 * estimate.lower:.1f} to {100 * estimate.upper:.1f})"
        return f"{100 * value:.1f} points{bounds}"
    if estimate.lower is not None and estimate.upper is not None:
        bounds = f" ({estimate.lower:.3f} to {estimate.upper:.3f})"
    return f"{value:.3f}{bounds}"


def _times(ratio: float) -> str:
    """Return a ratio with no more digits than it is worth.

    Examples
    --------
    >>> _times(1.26), _times(13.4), _times(152.3)
    ('1.3 times', '13 times', '150 times')
    """
    if ratio < 10:
        return f"{ratio:.1f} times"
    return f"{round(ratio) if ratio < 100 else round(ratio, -1):.0f} times"


def judge_tuning(rows: Sequence[Row], tuned: Sequence[Tuned]) -> str:
    """Say what fine-tuning gained over the best linear probe of frozen vectors, at the most texts a label it had."""
    sentences = []
    for one in tuned:
        each = max(one.shots)
        frozen = [row for row in rows if each in row.shots]
        if not frozen:
            continue
        best = max(frozen, key=lambda row: row.shots[each].value or 0.0)
        frozen_scores = best.scores[f"shots_{each}"]
        gain, loss = one.scores[each].ahead_of(frozen_scores), frozen_scores.ahead_of(one.scores[each])
        size, word = (gain, "ahead of") if (gain.value or 0.0) >= 0 else (loss, "behind")
        clear = size.lower is not None and size.lower > 0
        noise = (
            "" if clear else ", which is within the noise: stay with frozen vectors, which cost no training"
        )
        sentences.append(
            f"With {each} texts a label, {one.name} is {_distance(size, True)} {word} a linear probe on "
            f"{best.name}, after {one.seconds[each]:,.0f} s of training a fold{noise}."
        )
    return " ".join(sentences)


def judge_learning(rows: Sequence[Row]) -> tuple[str, ...]:
    """Say of each encoder of pairs what a linear probe gained over the cosine alone; of other data nothing."""
    sentences = []
    for row in rows:
        if not {"linear_average_precision", "cosine_average_precision"} <= row.scores.keys():
            continue
        linear, cosine = (row.scores[f"{name}_average_precision"] for name in ("linear", "cosine"))
        gain, loss = linear.ahead_of(cosine), cosine.ahead_of(linear)
        size, word = (gain, "ahead of") if (gain.value or 0.0) >= 0 else (loss, "behind")
        clear = size.lower is not None and size.lower > 0
        noise = "" if clear else ", which is within the noise"
        sentences.append(
            f"With {row.name}, a linear probe is {_distance(size, False)} {word} the cosine alone by average "
            f"precision{noise}."
        )
    return tuple(sentences)
