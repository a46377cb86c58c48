"""The goals: each with its figure from the results, and whether it is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import isinf

from benchmarks.figures import ENCODER, LEVELS
from benchmarks.page import service
from benchmarks.page.measured import FEW, OURS, USUAL_ERROR, Contest, Measured, contests, is_peer
from benchmarks.results import Row

HALF, TWENTIETH, QUARTER, TENFOLD = 0.5, 1 / 20, 1 / 4, 10.0
SETS_OF_HALF = ("banking77", "clinc150")
TEST_ACCURACY = {"banking77": 0.90, "clinc150": 0.95}
RUN_TEXTS, RUN_LABELS, RUN_MIB = 100_000, 970, 2048
PREDICT_ROWS, PREDICT_MIB = 1_000_000, 1536
# An exponent up to here counts as linear: the clock of a shared machine does not know the second digit.
LINEAR = 1.1
SMALL_MINUTES = 10
THREEFOLD, P95_MS, OVERHEAD = 3.0, 100.0, 0.2
EVERY = ("every text", "every text, no examples")


class State(StrEnum):
    """Whether a goal is reached."""

    REACHED = "reached"
    MISSED = "not reached"
    UNKNOWN = "not measured yet"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and what was found.

    Attributes
    ----------
    text : str
        What was wished for.
    figure : str
        What was found, in words; empty where nothing was measured.
    """

    text: str
    figure: str
    state: State


def goals(measured: Measured) -> list[Goal]:
    """Return every goal, in the order of the page."""
    own = [contest for contest in contests(measured.cost) if OURS in contest.runs]
    found = [contest for contest in own if contest.condition.get("encoder", ENCODER) == ENCODER]
    sets = sorted({contest.condition["set"] for contest in found}) or ["each set"]
    of = {name: [contest for contest in found if contest.condition["set"] == name] for name in sets}
    return [
        *(_fewest(name, of[name] if found else [], level) for name in sets for level in LEVELS),
        *(_half(name, of.get(name, [])) for name in SETS_OF_HALF),
        *(_twentieth(name, of[name] if found else [], every) for name in sets for every in EVERY),
        *(_test_accuracy(name, of.get(name, [])) for name in TEST_ACCURACY),
        _quarter(measured),
        _warm(measured),
        *_memory(measured),
        *_linear(measured),
        _small(measured),
        *_service(measured),
    ]


def _judged(text: str, parts: Iterable[tuple[str, bool]]) -> Goal:
    """Return a goal that is reached when each of its parts is."""
    found = list(parts)
    if not found:
        return Goal(text, "", State.UNKNOWN)
    reached = all(part[1] for part in found)
    return Goal(text, "; ".join(part[0] for part in found), State.REACHED if reached else State.MISSED)


def _number(value: float) -> str:
    return "not in every run" if isinf(value) else f"{value:,.0f}"


def _fewest(name: str, found: list[Contest], level: float) -> Goal:
    """Compare us with everybody; a condition in which nobody reaches the level decides nothing."""
    text = f"{name}: no contestant reaches {level:.2f} with fewer questions"
    best, nobody = [], 0
    for contest in found:
        # The first of the others, ours, and which other it is.
        rivals = [(other, own, one) for one, own, other in _rivals(contest, level, lambda rival: True)]
        if not rivals:
            continue
        if all(isinf(other) and isinf(own) for other, own, _ in rivals):
            nobody += 1
            continue
        # Each was run with the seeds of its own: the one furthest ahead of us counts.
        other, own, one = min(rivals, key=lambda each: _ahead(*each[:2]))
        best.append(
            (_ahead(other, own), f"{_number(own)} against {_number(other)} of {one} ({contest.place})")
        )
    if not best:
        figure = f"simulated expert: nobody reached it in {_conditions(nobody)}" if nobody else ""
        return Goal(text, figure, State.MISSED if nobody else State.UNKNOWN)
    won = sum(ahead >= 0 for ahead, _ in best)
    figure = f"simulated expert: fewest in {won} of {_conditions(len(best))}"
    figure += f" (nobody reached it in {nobody} more)" if nobody else ""
    if won < len(best):
        figure += f"; furthest behind: {min(best)[1]}"
    return Goal(text, figure, State.REACHED if won == len(best) else State.MISSED)


def _ahead(other: float, own: float) -> float:
    """Return how many questions fewer than the other we need; below 0, the other needs fewer."""
    return 0.0 if isinf(other) and isinf(own) else other - own


def _conditions(count: int) -> str:
    return f"{count} condition" + ("s" if count != 1 else "")


def _rivals(
    contest: Contest, level: float, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, float, float]]:
    """Yield each other contestant with our questions to a level and its own, over the seeds that both ran with."""
    for name in contest.runs:
        seeds = contest.common(OURS, name)
        if name != OURS and wanted(name) and seeds:
            yield name, contest.calls(OURS, level, seeds), contest.calls(name, level, seeds)


def _half(name: str, found: list[Contest]) -> Goal:
    level = max(LEVELS)
    text = f"{name}: at most half of the best peer's questions to {level:.2f}"
    usual, ratios = [], []
    for contest in found:
        rivals = [(other, own, peer) for peer, own, other in _rivals(contest, level, is_peer)]
        if not rivals:
            continue
        other, own, peer = min(rivals)
        if (isinf(own) and isinf(other)) or other == 0:
            continue
        ratio = own / (_asked(contest, peer) if isinf(other) else other)
        ratios.append(ratio)
        if contest.is_usual:
            usual.append(f"{_number(own)} against {_number(other)} of {peer} ({contest.place})")
    if not ratios:
        where = f"in {_conditions(len(found))}"
        nobody = f"simulated expert: neither we nor a peer reached it by asking, {where}" if found else ""
        return Goal(text, nobody, State.MISSED if found else State.UNKNOWN)
    share = f"half or less in {sum(ratio <= HALF for ratio in ratios)} of {_conditions(len(ratios))}"
    figure = "; ".join([f"simulated expert: {share}", *usual])
    return Goal(text, figure, State.REACHED if max(ratios) <= HALF else State.MISSED)


def _asked(contest: Contest, peer: str) -> float:
    """Return how many questions a peer had asked at its end: a level it never reached takes it more than that.

    Of a run that did not come to its end only one question is sure.
    """
    return contest.last(peer, "asked", contest.common(OURS, peer)) or 1.0


def _twentieth(name: str, found: list[Contest], every: str) -> Goal:
    text = f'{name}: at most 1/20 of the tokens of "{every}"'
    shares = []
    for contest in found:
        seeds = contest.common(OURS, every)
        if not seeds:
            continue
        own, other = (contest.last(one, "tokens", seeds) for one in (OURS, every))
        if own is not None and other is not None:
            shares.append(own / other)
    if not shares:
        return Goal(text, "", State.UNKNOWN)
    span = " to ".join(f"1/{1 / share:.0f}" for share in sorted({min(shares), max(shares)}))
    figure = f"simulated expert: the whole run takes {span} of them, in {_conditions(len(shares))}"
    return Goal(text, figure, State.REACHED if max(shares) <= TWENTIETH else State.MISSED)


def _test_accuracy(name: str, found: list[Contest]) -> Goal:
    level = TEST_ACCURACY[name]
    text = f"{name}: test accuracy at least {level:.2f} after asking 15 %, from {FEW} a label"
    known = {}
    for contest in found:
        value = contest.last(OURS, "test_accuracy", contest.runs[OURS])
        if contest.condition["a_label"] == FEW and value is not None:
            known[contest.condition["error"]] = value
    if USUAL_ERROR not in known:
        return Goal(text, "", State.UNKNOWN)
    figure = ", ".join(f"{value:.3f} ({100 * error:.0f} % wrong)" for error, value in sorted(known.items()))
    judged = f"; judged at {100 * USUAL_ERROR:.0f} %" if len(known) > 1 else ""
    state = State.REACHED if known[USUAL_ERROR] >= level else State.MISSED
    return Goal(text, f"simulated expert: {figure}{judged}", state)


def _whole_run(measured: Measured) -> list[Row]:
    """Return the run that encoded all its texts itself, at the size of the goal."""
    wanted = {"texts": RUN_TEXTS, "labels": RUN_LABELS, "encoder": "minilm", "fresh_vectors": True}
    return [row for row in measured.part("run") if wanted.items() <= row["condition"].items()]


def _quarter(measured: Measured) -> Goal:
    text = "all but encoding and waiting for the expert: at most 1/4 of the encoding time, `minilm`"
    spent = [row["figures"]["seconds"] for row in _whole_run(measured)]
    return _judged(
        text,
        (
            (
                f"simulated expert: {each['loop']:,.0f} s, {each['loop'] / each['encode']:.2f} of"
                f" {each['encode']:,.0f} s",
                each["loop"] <= QUARTER * each["encode"],
            )
            for each in spent
        ),
    )


def _warm(measured: Measured) -> Goal:
    text = "a warm refit at least 10 times as fast as a cold one, after 500 new rows"
    parts = []
    for row in measured.part("fitting"):
        known, warm = row["condition"], row["figures"]["warm"]
        times = warm["times_as_long_as_warm"]["cold"]["median"]
        parts.append((f"{times:.1f} times ({known['labels']} x {known['a_label']} rows)", times >= TENFOLD))
    return _judged(text, parts)


def _memory(measured: Measured) -> list[Goal]:
    run = f"peak memory at most 2 GiB for the run of {RUN_TEXTS:,} texts and {RUN_LABELS} labels"
    predict = f"peak memory at most 1.5 GiB for predicting {PREDICT_ROWS:,} rows"
    rows = [row for row in measured.part("predict") if row["condition"]["rows"] == PREDICT_ROWS]
    runs = [row["figures"]["peak_mib"] for row in _whole_run(measured)]
    return [
        _judged(run, ((f"simulated expert: {peak:,} MiB", peak <= RUN_MIB) for peak in runs)),
        _judged(
            predict,
            (
                (
                    f"{row['figures']['peak_mib']:,} MiB ({row['condition']['encoder']})",
                    row["figures"]["peak_mib"] <= PREDICT_MIB,
                )
                for row in rows
            ),
        ),
    ]


def _linear(measured: Measured) -> Iterator[Goal]:
    """Yield the growth with texts and with labels, of all that is not encoding."""
    for what in ("texts", "labels"):
        text = f"cost besides encoding grows no faster than the number of {what}"
        parts = []
        for row in measured.part("growth"):
            exponent = row["figures"][f"growth_with_{what}"].get("besides")
            if exponent is not None:
                sizes = " to ".join(f"{row['condition'][what][end]:,}" for end in (0, -1))
                parts.append((f"simulated expert: exponent {exponent:.2f} ({sizes})", exponent <= LINEAR))
        yield _judged(f"{text} (exponent at most {LINEAR})", parts)


def _small(measured: Measured) -> Goal:
    text = f"`make bench-small` under {SMALL_MINUTES} minutes on two cores"
    if not measured.small:
        return Goal(text, "", State.UNKNOWN)
    minutes = sum(row["figures"]["seconds"] for row in measured.small) / 60
    figure = f"simulated expert: its runs took {minutes:.1f} minutes, encoding and installing not counted"
    return Goal(text, figure, State.REACHED if minutes < SMALL_MINUTES else State.MISSED)


def _service(measured: Measured) -> Iterator[Goal]:
    """Yield what the service under load was to reach."""
    found = service.latest(measured.service)
    own, plain = (found.get(name, {}) for name in (service.OURS, service.PLAIN))
    times, latency, overhead = [], [], []
    if "saturation" in own:
        p95 = service.at_half(own)["p95_ms"]
        latency = [(f"{p95} ms", p95 is not None and p95 < P95_MS)]
    if "saturation" in own and plain.get("rate_within_p95"):
        ratio = own["rate_within_p95"] / plain["rate_within_p95"]
        times = [(f"{ratio:.1f} times", ratio >= THREEFOLD)]
    if (share := service.overhead(found)) is not None:
        overhead = [(f"{share:.0%}", share <= OVERHEAD)]
    yield _judged("service: at least 3 times the plain way's requests a second at equal P95", times)
    yield _judged("service: P95 under 100 ms at half of what it takes at most", latency)
    yield _judged(
        "service: at most 20 % more processor time a text than the bare encoder in batches", overhead
    )
