"""The labels of a run examined at its end, and what is proposed about them for people to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vermilion.learn import label_health
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.model_choice import OutOfFold
from vermilion.red.health import Health, MergePair, SplitLabel, StarvingLabel, SuspectText
from vermilion.red.problem import Problem
from vermilion.red.record import Decision
from vermilion.red.state import State
from vermilion.red.training import Choice, out_of_fold
from vermilion.types import FloatArray, IntArray, Texts
from vermilion.world.label_changes import Proposal, read_additions, write_proposals

PROPOSALS, ADDITIONS = "label_proposals.yaml", "proposed_labels.json"
EXAMPLES, LONGEST = 3, 160
# Nobody reads more proposals about single texts; the surest come first.
MOST_RELABELLED = 1000
Ids = dict[str, dict[str, str]]
HEADER = """\
What {run} found about its labels, for a person to decide. Nothing here is done by itself.
Write accept: yes where you agree, change what you like, and then:
vermilion labels apply {run} {run}/{file}
Under `labelled` stands the id of a labelled text, under `pool` that of one of the pool."""


def examine(
    problem: Problem, choice: Choice, state: State, decisions: Sequence[Decision], seed: int = 0
) -> Health:
    """Judge each text whose label is known by a head that has not learned from it, and gather what stands out."""
    said, places = out_of_fold(problem, choice, state.answers)
    if not len(said.rows):
        return Health(len(problem.y_given))
    proba = apply_temperature(said.proba, said.temperature)
    X = np.concatenate([problem.X_given, problem.X_open[state.answers >= 0]])[said.rows]
    rng = np.random.default_rng([seed, 7])
    wrong, precision = _suspects(problem, said, proba, places)
    return Health(
        len(problem.y_given) + int((state.answers >= 0).sum()),
        _starving(problem, state, said, decisions),
        wrong,
        precision,
        tuple(
            _merge(problem, state, pair, said, places) for pair in label_health.merges(proba, said.codes, X)
        ),
        tuple(
            _split(problem, one, places)
            for one in label_health.splits(X, said.codes, len(problem.labels), rng)
        ),
    )


def _starving(
    problem: Problem, state: State, said: OutOfFold, decisions: Sequence[Decision]
) -> tuple[StarvingLabel, ...]:
    names = [label.name for label in problem.labels]
    k = len(names)
    counts = Counter(decision.label for decision in decisions)
    decided = np.array([counts[name] for name in names])
    answered = state.answers[state.answers >= 0]
    known = np.bincount(problem.y_given, minlength=k) + np.bincount(answered, minlength=k)
    held = np.bincount(said.codes, minlength=k)
    right = np.bincount(said.codes[said.proba.argmax(axis=1) == said.codes], minlength=k)
    recall = np.divide(right, held, out=np.full(k, np.nan), where=held > 0)
    return tuple(
        StarvingLabel(names[one.label], one.known, one.decided, one.recall, one.why)
        for one in label_health.starving(known, decided, recall, held)
    )


def _suspects(
    problem: Problem, said: OutOfFold, proba: FloatArray, places: IntArray
) -> tuple[tuple[SuspectText, ...], float | None]:
    found = label_health.suspects(proba, said.codes)
    names = [label.name for label in problem.labels]
    texts = tuple(
        SuspectText(
            int(places[row]),
            problem.text(int(places[row])),
            names[said.codes[row]],
            names[suggested],
            round(float(margin), 4),
            round(float(wrong), 4),
        )
        for row, suggested, margin, wrong in zip(
            found.rows.tolist(), found.suggested.tolist(), found.margin, found.wrong, strict=True
        )
    )
    return texts, round(found.expected_precision, 4) if texts else None


def _merge(
    problem: Problem, state: State, pair: label_health.Merge, said: OutOfFold, places: IntArray
) -> MergePair:
    one, other = pair.labels
    asked = (state.answers >= 0) & (state.proposed >= 0)
    both = np.isin(state.answers, pair.labels) & np.isin(state.proposed, pair.labels)
    confused = [
        int(places[np.flatnonzero((said.codes == a) & (said.proba[:, b] >= said.proba[:, a]))[0]])
        for a, b in ((one, other), (other, one))
    ]
    return MergePair(
        (problem.labels[one].name, problem.labels[other].name),
        round(pair.told_apart, 4),
        pair.texts,
        int((asked & both & (state.answers != state.proposed)).sum()),
        round(pair.cosine, 4),
        tuple(problem.text(place) for place in confused),
    )


def _split(problem: Problem, one: label_health.Split, places: IntArray) -> SplitLabel:
    larger, smaller = (tuple(problem.text(place) for place in places[half].tolist()) for half in one.halves)
    return SplitLabel(
        problem.labels[one.label].name,
        (larger, smaller),
        round(one.separation, 4),
        round(one.usual, 4),
    )


def propose_changes(folder: Path, health: Health, labelled: Texts, decisions: Sequence[Decision]) -> None:
    """Write label_proposals.yaml: what was found, and the labels that were proposed for texts that fit none."""
    ids = _ids(labelled, decisions)
    sections: dict[str, list[Proposal]] = {
        "add": [(_addition(name, examples), ()) for name, examples in read_additions(folder / ADDITIONS)],
        "merge": [_merge_entry(pair) for pair in health.merge],
        "split": [_split_entry(one, ids) for one in health.split],
        "relabel": [_relabel_entry(one, ids) for one in health.suspects[:MOST_RELABELLED]],
    }
    header = HEADER.format(run=folder, file=PROPOSALS)
    if health.expected_precision is not None:
        count, share = len(health.suspects), round(100 * health.expected_precision)
        header += (
            f"\nTexts under relabel: {count:,}, of which about {share} % are expected to be labelled wrongly."
        )
        if count > MOST_RELABELLED:
            header += f"\nOnly the {MOST_RELABELLED:,} surest of these are listed."
    lines = [
        f"- {one.label}: {one.why}; {one.known:,} known texts, {one.decided:,} decided"
        for one in health.starving
    ]
    if lines:
        header += "\nLabels that starve, and need examples or a merge:\n" + "\n".join(lines)
    write_proposals(folder / PROPOSALS, header, sections)


def _ids(labelled: Texts, decisions: Sequence[Decision]) -> Ids:
    """Return what each text is called: by its id among the labelled texts, else by that in the pool."""
    pool = {decision.text: {"pool": decision.id} for decision in decisions}
    return pool | {text: {"labelled": id_} for id_, text in zip(labelled.ids, labelled.texts, strict=True)}


def _addition(name: str, examples: Sequence[str]) -> dict[str, object]:
    return {"name": name, "reason": "texts that fit no label lie close together", "examples": list(examples)}


def _merge_entry(pair: MergePair) -> Proposal:
    reason = f"of {pair.texts:,} texts only {100 * pair.told_apart:.0f} % are told apart"
    comments = [
        f"cosine of centroids {pair.cosine:.2f}; the expert corrected one to the other {pair.corrected:,} times"
    ]
    comments += [f"{name}: {_short(text)}" for name, text in zip(pair.labels, pair.examples, strict=True)]
    return {"labels": list(pair.labels), "into": pair.labels[0], "reason": reason}, comments


def _split_entry(one: SplitLabel, ids: Ids) -> Proposal:
    reason = f"two clouds, silhouette {one.separation:.2f}; that of neighbouring labels is {one.usual:.2f}"
    into = [
        {"name": f"{one.label} {number}", "examples": [ids[text] for text in half]}
        for number, half in enumerate(one.halves, start=1)
    ]
    comments = [
        f"{number}: {_short(text)}"
        for number, half in enumerate(one.halves, start=1)
        for text in half[:EXAMPLES]
    ]
    return {"label": one.label, "reason": reason, "into": into}, comments


def _relabel_entry(one: SuspectText, ids: Ids) -> Proposal:
    reason = f"labelled {one.label}; wrong with probability {one.wrong:.2f}, margin {one.margin:.2f}"
    return {**ids[one.text], "to": one.suggested, "reason": reason}, [_short(one.text)]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
