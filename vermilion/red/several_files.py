"""A run with several labels a text, from files to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from vermilion.config import RunSettings
from vermilion.errors import InputError
from vermilion.red.card import render_model_card
from vermilion.red.folder import Folder
from vermilion.red.hiring import expert_setup, hire
from vermilion.red.outputs import LABELS, MODEL, REPORT, SUMMARY, summary_json, write_text
from vermilion.red.plan import Plan
from vermilion.red.progress import Progress
from vermilion.red.report.several import render_several_report
from vermilion.red.request import Request
from vermilion.red.run import Tools, claim
from vermilion.red.several_audit import audit_rows
from vermilion.red.several_people import known_people
from vermilion.red.several_report import label_figures, several_report_data
from vermilion.red.several_run import TASK, SeveralJob, SeveralResult, run_several
from vermilion.red.trust import Trust
from vermilion.types import Encoder, Label, Texts
from vermilion.world.data import read_texts
from vermilion.world.data_writer import write_decisions
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import spec_for
from vermilion.world.experts import load_expert, parse_spec, read_gold_labels
from vermilion.world.labels import write_labels
from vermilion.world.models import save_model
from vermilion.world.pairs import refuse_mixed
from vermilion.world.source import BadRows

AUDIT = "audit.jsonl"


def run_several_files(
    request: Request,
    settings: RunSettings,
    watching: tuple[Progress, Callable[[Plan], bool], Callable[[Trust], bool]],
    known: tuple[Texts, tuple[Label, ...], BadRows | None],
) -> SeveralResult | None:
    """Read the pool, run, write; nothing is written before all that was given is known to be usable.

    Parameters
    ----------
    watching : tuple of (progress, callable that approves the plan, callable that lets an expert pass)
    known : tuple of (labelled texts, labels, bad rows left out)

    Raises
    ------
    InputError
        Something given cannot be used.
    """
    progress, approve, go_on = watching
    labelled, labels, skipped = known
    refuse_settings(settings)
    kind, path = parse_spec(settings.expert)
    pool = read_texts(request.pool, request.columns, labelled=False, skipped=skipped)
    refuse_mixed(labelled, pool)
    gold = read_gold_labels(path, pool, request.columns) if kind == "oracle" else None
    job = SeveralJob(labelled, pool, labels, gold)
    settings = replace(settings, encoder=spec_for(settings.encoder, labelled), task=TASK)
    setup = expert_setup(request, settings, labels, several=_right_answers(job))
    load_expert(settings.expert, setup)  # What it lacks is told before any work is done.
    encoder = load_encoder(settings.encoder, base_url=settings.base_url)
    folder = Folder(request.out, request.store)
    with folder.at_work(progress, skipped, fresh=request.fresh) as store:
        claim(store, job.as_job(), settings, str(request.out))
        expert = partial(hire, settings.expert, setup)
        tools = Tools(
            encoder, expert, store, folder.vectors, progress, approve, oracle_knows_labelled=True, go_on=go_on
        )
        result = run_several(job, settings, tools)
        if result is not None:
            write_several(result, encoder, request)
    return result


def _right_answers(job: SeveralJob) -> dict[str, frozenset[str]] | None:
    """Return what an oracle knows: gold labels of the pool, and the given ones, on which it is checked."""
    if job.gold is None:
        return None
    given = zip(job.labelled.texts, job.labelled.labels or (), strict=True)
    return {text: frozenset(row) for text, row in given} | dict(job.gold)


def refuse_settings(settings: RunSettings) -> None:
    """Refuse what a run between labels that exclude each other has, and this one has not."""
    default = RunSettings()
    only = {
        "--head": settings.head != default.head,
        "--uncertainty": settings.uncertainty != default.uncertainty,
        "--candidates": settings.candidates != default.candidates,
        "--out-of-scope": settings.out_of_scope is not None,
        "--worth": settings.worth is not None,
        "--second-expert": settings.second_expert is not None,
    }
    for option, given in only.items():
        if given:
            cure = "leave it out, or give each text one label"
            raise InputError("labels that exclude each other", "several labels a text", option, cure)


def write_several(result: SeveralResult, encoder: Encoder, request: Request) -> None:
    """Write decisions, the audit, labels, model, report, and last the summary, which says that all is there."""
    out, problem, outcome, summary = request.out, result.problem, result.outcome, result.summary
    write_decisions(out / request.decisions, result.decisions)
    summary = replace(summary, people=known_people(out, request.decisions))
    write_decisions(out / AUDIT, audit_rows(problem, outcome.steps, outcome.state))
    write_labels(out / LABELS, problem.labels)
    card = render_model_card(summary, problem.labels, encoder.digest)
    save_model(out / MODEL, result.model(encoder), card)
    shown = several_report_data(request.title, problem, outcome, result.decisions, summary)
    write_text(out / REPORT, render_several_report(shown, label_figures(problem, outcome)))
    write_text(out / SUMMARY, summary_json(summary))
