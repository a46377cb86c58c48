"""A run from files to files, one at a time in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from vermilion.config import RunSettings
from vermilion.errors import InputError
from vermilion.red.applying import note_end, with_changes
from vermilion.red.examining import propose_changes
from vermilion.red.folder import Folder
from vermilion.red.hiring import expert_setup, hire
from vermilion.red.outputs import write_outputs, write_text
from vermilion.red.plan import Plan
from vermilion.red.problem import Problem
from vermilion.red.progress import Progress
from vermilion.red.request import Request
from vermilion.red.run import Job, Result, Tools, claim, run
from vermilion.red.several_files import run_several_files
from vermilion.red.several_run import TASK, SeveralResult
from vermilion.red.trust import Trust, tolerable
from vermilion.types import Expert, Label, Texts
from vermilion.world.data import read_texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import spec_for
from vermilion.world.experts import Setup, load_expert, parse_spec, read_gold
from vermilion.world.labels import merge_labels, read_labels
from vermilion.world.pairs import refuse_mixed
from vermilion.world.source import BadRows, shown
from vermilion.world.tasks import infer_task

TRUST = "trust.json"
DECISIONS = ("jsonl", "csv", "parquet")


def run_files(
    request: Request,
    settings: RunSettings,
    progress: Progress,
    approve: Callable[[Plan], bool],
    go_on: Callable[[Trust], bool] = tolerable,
) -> Result | SeveralResult | None:
    """Read, run, write. Nothing is written before all that was given is known to be usable.

    Parameters
    ----------
    approve, go_on : callable
        See the plan, and what is known of an expert that does not beat the head; False ends the run there.

    Raises
    ------
    InputError
        Something given cannot be used; names file, row, column and cure.
    """
    _check_decisions(request.decisions)
    skipped = BadRows() if request.skip_bad_rows else None
    labelled, labels = _read_labelled(request, settings, skipped)
    if infer_task(labelled, labels, settings.task) == TASK:
        watching = (progress, approve, partial(_decide, request.out, progress, go_on))
        return run_several_files(request, settings, watching, (labelled, labels, skipped))
    job = _read(request, settings, (labelled, labels, skipped))
    settings = replace(settings, encoder=spec_for(settings.encoder, job.labelled))
    setup = _setup(request, settings, job)
    load_expert(settings.expert, setup)  # What it lacks is told before any work is done.
    _refuse_second(settings, setup, request)
    encoder = load_encoder(settings.encoder, base_url=settings.base_url)
    folder = Folder(request.out, request.store)
    with folder.at_work(progress, skipped, fresh=request.fresh) as store:
        claim(store, job, settings, str(request.out))
        job = with_changes(job, store)
        setup = _setup(request, settings, job)
        tools = Tools(
            encoder,
            partial(hire, settings.expert, setup),
            store,
            folder.vectors,
            progress,
            approve,
            _second(request, settings, job),
            oracle_knows_labelled=True,
            go_on=partial(_decide, request.out, progress, go_on),
        )
        result = run(job, settings, tools)
        if result is not None:
            write_outputs(result, encoder, request.out, request.decisions, request.title)
            if result.ran.health:
                propose_changes(request.out, result.ran.health, job.labelled, result.ran.decisions)
            note_end(store, job, result, request.decisions)
        return result


def _read_labelled(
    request: Request, settings: RunSettings, skipped: BadRows | None
) -> tuple[Texts, tuple[Label, ...]]:
    """Read the labelled texts and the labels."""
    _refuse_shared_input(request.labelled, request.pool, parse_spec(settings.expert)[1])
    labelled = read_texts(request.labelled, request.columns, labelled=True, skipped=skipped)
    labels = merge_labels(read_labels(request.labels) if request.labels else None, labelled)
    _refuse_one_label(labels, labelled)
    return labelled, labels


def _read(
    request: Request, settings: RunSettings, known: tuple[Texts, tuple[Label, ...], BadRows | None]
) -> Job:
    """Read the other files that were given."""
    kind, path = parse_spec(settings.expert)
    labelled, labels, skipped = known
    pool = read_texts(request.pool, request.columns, labelled=False, skipped=skipped)
    refuse_mixed(labelled, pool)
    gold = read_gold(path, pool, request.columns) if kind == "oracle" else None
    return Job(labelled, pool, labels, gold)


def _setup(request: Request, settings: RunSettings, job: Job) -> Setup:
    return expert_setup(request, settings, job.labels, _right_answers(job))


def _right_answers(job: Job) -> dict[str, str]:
    """Return what an oracle knows: gold labels of the pool, and the given ones, on which it is checked."""
    if job.gold is None:
        return {}
    given = {text: row[0] for text, row in zip(job.labelled.texts, job.labelled.labels or (), strict=True)}
    return {**given, **job.gold}


def _second(request: Request, settings: RunSettings, job: Job) -> Callable[[Problem], Expert] | None:
    if settings.second_expert is None or settings.trust == "off":
        return None
    setup = replace(_setup(request, settings, job), prices=request.second_prices)
    return partial(hire, settings.second_expert, setup)


def _refuse_second(settings: RunSettings, setup: Setup, request: Request) -> None:
    """Refuse a second expert that could not be told from the first, or whose answers cannot be had at once."""
    if settings.second_expert is None:
        return
    models = {spec for spec in (settings.expert, settings.second_expert) if parse_spec(spec)[0] == "openai"}
    if len(models) < 2:
        raise InputError(
            "two different models, openai:MODEL each",
            f"{settings.expert} and {settings.second_expert}",
            "--expert and --second-expert",
            "name another model, or leave --second-expert out",
        )
    if settings.caps.max_cost is not None and request.second_prices is None:
        raise InputError(
            "the second model's prices for --max-cost",
            "none",
            "--second-price",
            "give --second-price IN,OUT in US dollars per million tokens",
        )


def _decide(out: Path, progress: Progress, go_on: Callable[[Trust], bool], trust: Trust) -> bool:
    """Let somebody decide whether to go on; where not, leave what is known of the expert."""
    decided = go_on(trust)
    if not decided:
        write_text(out / TRUST, json.dumps(trust.as_json(), indent=1, ensure_ascii=False) + "\n")
        progress.note(f"what is known of the expert lies in {out / TRUST}")
    return decided


def _check_decisions(name: str) -> None:
    if Path(name).name != name or Path(name).suffix.lstrip(".") not in DECISIONS:
        raise InputError(
            "a file name that ends in .jsonl, .csv or .parquet",
            repr(name),
            "--decisions",
            "give another name",
        )


def _refuse_shared_input(*paths: str) -> None:
    if paths.count("-") > 1:
        raise InputError(
            "standard input for one file", "- for several", "LABELLED, POOL or GOLD", "name the others"
        )


def _refuse_one_label(labels: tuple[Label, ...], labelled: Texts) -> None:
    if len(labels) < 2:
        raise InputError(
            "two labels or more",
            f"one: {shown(labels[0].name)}",
            labelled.source,
            "add examples of another label; there is nothing to decide between",
        )
