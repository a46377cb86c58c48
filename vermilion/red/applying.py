"""Changes of labels carried out on the folder of a finished run: wholly, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vermilion.errors import InputError
from vermilion.red.carried import known_of
from vermilion.red.folder import STORE, VECTORS, Folder
from vermilion.red.preparing import PREPARED
from vermilion.red.relabelling import Ended, Pool, Relabelled, relabel
from vermilion.red.run import ACCEPTED, IDENTITY, Job, Result
from vermilion.types import Spend
from vermilion.world.data import read_texts, write_decisions
from vermilion.world.label_changes import Changes, read_changes
from vermilion.world.source import BadRows
from vermilion.world.store import Store

ENDED, RELABELLED = "ended", "relabelled"
LABELLED = "labelled.jsonl"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was carried out.

    Attributes
    ----------
    changes : dict of str to int
        How many there were of each kind.
    labels : int
        That there are now.
    kept : int
        Answers that are carried over as such.
    labelled : Path
        The labelled texts of now.
    """

    changes: dict[str, int]
    labels: int
    kept: int
    labelled: Path


def note_end(store: Store, job: Job, result: Result, decisions: str) -> None:
    """Write down what a run has come to know, in a form that outlives its labels."""
    ran = result.ran
    known = known_of(ran.problem, ran.outcome.state)
    store.put(ENDED, Ended(ran.problem.labels, job.labelled, known, decisions).as_json())


def with_changes(job: Job, store: Store) -> Job:
    """Return the job as the changes of labels have made it, where there were any."""
    recorded = store.get(RELABELLED)
    return job if recorded is None else relabelled_job(job, Relabelled.from_json(recorded))


def relabelled_job(job: Job, changed: Relabelled) -> Job:
    """Return a job with other labels; gold labels are renamed alike."""
    gold = job.gold and {text: changed.names.get(label, label) for text, label in job.gold.items()}
    return replace(job, labelled=changed.labelled, labels=changed.labels, gold=gold, carried=changed.carried)


def apply_changes(run: Folder, proposals: Path, out: Path | None = None) -> Applied:
    """Carry out the changes of a file on a finished run; the next run in that folder goes on from there.

    Nothing of the run is touched before all is known to be possible. Then its store is changed in one step; a new
    folder appears whole. Answers that were paid for stay in the store.

    Parameters
    ----------
    run : Folder
    proposals : Path
    out : Path, optional
        A new folder for the run with changed labels; by default it is the run's own.

    Raises
    ------
    InputError
        The folder holds no finished run, the file cannot be used, or the new folder is not empty.
    """
    changes = read_changes(proposals)
    if not run.path.is_dir() or (run.store is None and not (run.path / STORE).exists()):
        raise InputError("the folder of a run", "none", str(run.path), "name the --out of a run")
    with run.locked(), run.open() as store:
        ended = _ended(store, run.path)
        changed = relabel(ended, changes, _pool(run.path / ended.decisions))
        if out is None or out.resolve() == run.path.resolve():
            return _commit(store, run.path, changed, changes)
        with _new_folder(out, run) as made, Folder(made, run.store, named=out).open() as copy:
            copy.take_over(store)
            for name in (IDENTITY, PREPARED, ACCEPTED):
                copy.put(name, store.get(name))  # None, where it was not there, is as good as not there
            applied = _commit(copy, made, changed, changes)
    return replace(applied, labelled=out / LABELLED)


def _ended(store: Store, path: Path) -> Ended:
    recorded = store.get(ENDED)
    if (store.get(IDENTITY) or {}).get("task") == "multi-label":
        found, cure = (
            "one with several",
            "change them in its labelled file and labels.yaml, and give its command with --fresh: what is asked in the"
            " same words is not paid for again",
        )
        raise InputError("a run with one label a text", found, str(path), cure)
    if recorded is None:
        cure = "give the command of its run until it ends, then change its labels"
        raise InputError("a finished run", "none, or one whose labels were changed since", str(path), cure)
    return Ended.from_json(recorded)


def _pool(decisions: Path) -> Pool:
    if not decisions.exists():
        cure = "give the command of its run again, which writes it"
        raise InputError("the run's decisions", "no such file", str(decisions), cure)
    texts = read_texts(decisions, labelled=False)
    open_ = BadRows()  # rows without a label
    decided = read_texts(decisions, labelled=True, skipped=open_)
    return Pool(
        dict(zip(texts.ids, texts.texts, strict=True)),
        {text: row[0] for text, row in zip(decided.texts, decided.labels or (), strict=True)},
    )


def _commit(store: Store, path: Path, changed: Relabelled, changes: Changes) -> Applied:
    """Write the labelled texts for people, then change the store, which is what counts."""
    labelled = changed.labelled
    rows = zip(labelled.ids, labelled.texts, labelled.labels or (), strict=True)
    write_decisions(path / LABELLED, ({"id": i, "text": text, "label": row[0]} for i, text, row in rows))
    values: dict[str, Any] = {RELABELLED: changed.as_json(), IDENTITY: store.get(IDENTITY)}
    if prepared := store.get(PREPARED):
        # The expert was checked, and is the same; what that took is counted in the run before.
        values[PREPARED] = {**prepared, "spent": asdict(Spend())}
    if store.get(ACCEPTED):
        values[ACCEPTED] = True
    store.begin_anew(values, "labels changed", changes.counts())
    kept = sum(known.answer is not None for known in changed.carried.known)
    return Applied(changes.counts(), len(changed.labels), kept, path / LABELLED)


@contextmanager
def _new_folder(out: Path, run: Folder) -> Iterator[Path]:
    """Give a folder beside `out` with the run's vectors; on success it takes the place of `out`."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("a new or empty folder", "one that is not empty", str(out), "name another --out")
    made = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        made.mkdir(parents=True)
        if run.vectors.is_dir():
            shutil.copytree(run.vectors, made / VECTORS, copy_function=_link)
        yield made
        os.replace(made, out)
    except OSError as error:
        found = error.strerror or "an error"
        raise InputError("a folder to write to", found, str(out), "name another --out") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _link(source: str, target: str) -> None:
    """Link a file where the disk can: segments of vectors are never changed once they are written."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
