"""The commands: parse, call one use case, print. Errors become one line and an exit code here and nowhere else.

What a command needs is imported in it: scikit-learn, SciPy, polars and SQLAlchemy take seconds to import, which
neither --help nor a usage error should wait for.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from vermilion import (
    __version__,
    cli_encoders,
    cli_export,
    cli_incident,
    cli_keys,
    cli_models,
    cli_rollout,
    cli_rules,
    cli_serve,
)
from vermilion.config import Caps, RunSettings, TrainSettings, Worth
from vermilion.errors import InputError, VermilionError
from vermilion.screen import Screen, show_pairs, show_plan, show_summary, show_table, show_trust

if TYPE_CHECKING:
    from vermilion.choose.evaluation import Evaluation
    from vermilion.red.plan import Plan
    from vermilion.red.request import Request
    from vermilion.red.run import Result
    from vermilion.red.several_run import SeveralResult
    from vermilion.red.trust import Trust
    from vermilion.scale import Cluster
    from vermilion.world.source import BadRows

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Classify text into 2 to 1,000+ labels from a handful of examples each.",
)
labels_app = typer.Typer(no_args_is_help=True, help="Change the labels of a finished run.")
app.add_typer(labels_app, name="labels")
app.add_typer(cli_encoders.app, name="encoders")
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_incident.app, name="incident")
app.add_typer(cli_rules.app, name="rules")
app.command()(cli_export.export)
app.add_typer(cli_rollout.app, name="rollout")
app.command()(cli_serve.serve)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Ray = Annotated[str | None, typer.Option(help="Work on Ray: local, auto or HOST:PORT; needs the extra ray.")]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out, listed beside.")]
EncoderUrl = Annotated[str | None, typer.Option(help="Endpoint of an openai: encoder.")]
OutOfScope = Annotated[
    float | None, typer.Option(help="No label for what looks foreign; share of false alarms, as 0.05.")
]
Workers = Annotated[int | None, typer.Option(help="Workers on Ray, a core each; else all cores.")]
Labelled = Annotated[
    str, typer.Argument(metavar="LABELLED", help="Labelled texts: .csv .tsv .jsonl .parquet, or - for stdin.")
]
LabelFile = Annotated[str | None, typer.Option(help="labels.yaml: names, meanings, parents.")]
Task = Annotated[str, typer.Option(help="auto, binary, multi-class, multi-label, pairs or hierarchical.")]
LabelColumn = Annotated[str, typer.Option(help="Column of the labels.")]
LabelSeparator = Annotated[str | None, typer.Option(help="Splits one cell into several labels, as ';'.")]
TextColumn = Annotated[str, typer.Option(help="Column of the texts.")]
TextA = Annotated[str, typer.Option(help="Column of the first text of each pair.")]
TextB = Annotated[str, typer.Option(help="Column of the second text of each pair.")]

ENCODER = "minilm, static, st:NAME, openai:NAME, fastembed:NAME, model2vec:NAME or two: minilm+static."
INTERRUPTED = 130
NEXT = """
Next, with your own files and an LLM:
  export OPENAI_API_KEY=...
  vermilion run labelled.csv pool.csv --out my-run --expert openai:gpt-5-mini --price 0.25,2.00 --max-cost 5
  vermilion predict {out}/model more.csv --out more.labels.csv"""


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the options that stand before a command."""


@app.command()
def run(
    labelled: Labelled,
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Texts to be labelled; the same formats.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for all results; a run is continued there.")],
    labels: LabelFile = None,
    text_column: TextColumn = "text",
    text_a_column: TextA = "text_a",
    text_b_column: TextB = "text_b",
    label_column: LabelColumn = "label",
    label_separator: LabelSeparator = None,
    task: Task = "auto",
    id_column: Annotated[str, typer.Option(help="Column of the ids; without it ids are row numbers.")] = "id",
    encoder: Annotated[str, typer.Option(help=ENCODER)] = "minilm",
    head: Annotated[
        Literal["auto", "flat", "subset", "centroid"], typer.Option(help="auto, flat, subset or centroid.")
    ] = "auto",
    subset_size: Annotated[int, typer.Option(help="Labels in a subset.")] = 10,
    umap: Annotated[bool, typer.Option("--umap", help="Find subsets on UMAP-reduced labels.")] = False,
    expert: Annotated[
        str, typer.Option(help="openai:MODEL, oracle:GOLD (a simulation), human or none.")
    ] = "none",
    expert_error: Annotated[float, typer.Option(help="Share of wrong answers of an oracle.")] = 0.0,
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible endpoint; else OPENAI_BASE_URL.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="USD per million prompt and completion tokens, as 0.25,2.00.")
    ] = None,
    trust: Annotated[
        Literal["stop", "warn", "off"],
        typer.Option(help="An expert that does worse than the head: stop, warn, or off: do not check."),
    ] = "stop",
    second_expert: Annotated[
        str | None, typer.Option(help="openai:MODEL that answers the checked texts, too.")
    ] = None,
    second_price: Annotated[str | None, typer.Option(help="USD of the second expert, as --price.")] = None,
    ask: Annotated[
        Literal["choose", "validate"],
        typer.Option(help="choose (which of these?) or validate (is this right?)."),
    ] = "choose",
    candidates: Annotated[str, typer.Option(help="Options of a question: auto or a number.")] = "auto",
    uncertainty: Annotated[
        Literal["margin", "entropy", "least-confidence", "committee"],
        typer.Option(help="margin, entropy, least-confidence or committee."),
    ] = "margin",
    names: Annotated[bool, typer.Option(help="Learn from label names, where that helps.")] = True,
    learn_pool: Annotated[
        bool, typer.Option("--pool/--no-pool", help="Learn from the pool as a whole, where that helps.")
    ] = True,
    target: Annotated[float, typer.Option(help="Agreement with the expert to certify; ends the run.")] = 0.95,
    confidence: Annotated[float, typer.Option(help="Confidence of the certificate.")] = 0.95,
    out_of_scope: OutOfScope = None,
    max_calls: Annotated[int | None, typer.Option(help="Most questions to the expert.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens, prompt and completion.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Most US dollars; needs --price.")] = None,
    worth: Annotated[
        str | None, typer.Option(help="Stop when 100 questions buy fewer points: 0.2; or a dollar: 0.5/usd.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds that the questions are spread over.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; paid answers are kept.")] = False,
    store: Annotated[
        str | None, typer.Option(help="Database URL (postgresql://...); else run.sqlite in --out.")
    ] = None,
    decisions: Annotated[str, typer.Option(help="Name of the decisions' file: .jsonl .csv .parquet.")] = (
        "decisions.jsonl"
    ),
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave bad rows out, listed in --out.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the plan and its cost at most, then stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json to stdout.")] = False,
) -> None:
    """Label POOL from the examples in LABELLED, asking an expert where it pays."""
    settings = RunSettings(
        encoder=encoder,
        head=head,
        subset_size=subset_size,
        umap=umap,
        expert=expert,
        expert_error=expert_error,
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
        ask=ask,
        candidates=_candidates(candidates),
        uncertainty=uncertainty,
        names=names,
        pool=learn_pool,
        target=target,
        confidence=confidence,
        out_of_scope=out_of_scope,
        rounds=rounds,
        seed=seed,
        trust=trust,
        second_expert=second_expert,
        worth=_worth(worth, price),
        caps=Caps(max_calls, max_tokens, max_cost),
        task=task,
    ).checked()
    prices, second_prices = _prices(price, "--price"), _prices(second_price, "--second-price")

    from vermilion.red.files import run_files
    from vermilion.red.request import Request
    from vermilion.world.source import Columns

    request = Request(
        labelled=labelled,
        pool=pool,
        out=out_dir,
        labels=labels,
        columns=Columns(
            text_column, label_column, id_column, label_separator, text_a=text_a_column, text_b=text_b_column
        ),
        decisions=decisions,
        store=store,
        fresh=fresh,
        skip_bad_rows=skip_bad_rows,
        prices=prices,
        second_prices=second_prices,
        title=Path(pool).stem,
    )
    result = run_files(request, settings, Screen(err), _approver(stop=plan, yes=yes), _truster(yes=yes))
    if result is None:
        return
    _show(result, request, as_json=as_json)
    if result.capped:
        raise typer.Exit(3)


def _candidates(given: str) -> Any:
    if given == "auto":
        return given
    if not given.isdecimal():
        raise InputError("auto or a whole number from 1", repr(given), "--candidates", "give one of them")
    return int(given)


def _worth(given: str | None, price: str | None) -> Worth | None:
    if given is None:
        return None
    number, _, unit = given.partition("/")
    try:
        points = float(number)
    except ValueError:
        points = math.nan
    if not math.isfinite(points) or given.endswith("/") or unit not in ("", "usd"):
        cure = "give percentage points of agreement for 100 questions, or for a US dollar"
        raise InputError("a number as in 0.2, or 0.5/usd", repr(given), "--worth", cure)
    if unit and price is None:
        cure = "give --price IN,OUT, or points for 100 questions as in 0.2"
        raise InputError("the model's prices for points a dollar", "none", "--price", cure)
    return Worth(points, "dollar" if unit else "100 calls")


def _prices(given: str | None, option: str) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        prompt, completion = (float(part) for part in given.split(","))
    except ValueError:
        prompt = completion = -1.0
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        raise InputError(
            "two numbers as in 0.25,2.00", repr(given), option, "give US dollars per million tokens"
        )
    return prompt, completion


def _approver(*, stop: bool, yes: bool) -> Callable[[Plan], bool]:
    """Show the plan; ask a person only where money is at stake and there is one to ask."""

    def approve(plan: Plan) -> bool:
        if stop or err.is_terminal:
            show_plan(err, plan)
        if stop:
            return False
        if yes or plan.most_cost == 0 or not (sys.stdin.isatty() and err.is_terminal):
            return True
        return typer.confirm("Go ahead?", default=True, err=True)

    return approve


def _truster(*, yes: bool) -> Callable[[Trust], bool]:
    """Show what speaks against the expert; go on only if a person says so, or nothing is proven."""

    def go_on(trust: Trust) -> bool:
        asked = sys.stdin.isatty() and err.is_terminal
        if asked or trust.judgement == "worse":
            show_trust(err, trust)
        if not asked:
            return trust.judgement != "worse"
        return yes or typer.confirm("Go on and spend on this expert?", default=False, err=True)

    return go_on


def _show(result: Result | SeveralResult, request: Request, *, as_json: bool) -> None:
    if as_json:
        from vermilion.red.outputs import summary_json

        sys.stdout.write(summary_json(result.summary))
        return
    folder = request.out
    paths = [
        ("report", folder / "report.html"),
        ("decisions", folder / request.decisions),
        ("model", folder / "model"),
    ]
    show_summary(out, result.summary, [(name, str(path)) for name, path in paths if path.exists()])


@app.command()
def train(
    labelled: Labelled,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the model; replaced where there is one.")],
    labels: LabelFile = None,
    text_column: TextColumn = "text",
    text_a_column: TextA = "text_a",
    text_b_column: TextB = "text_b",
    label_column: LabelColumn = "label",
    label_separator: LabelSeparator = None,
    encoder: Annotated[str, typer.Option(help=ENCODER)] = "minilm",
    base_url: EncoderUrl = None,
    head: Annotated[str, typer.Option(help="auto, flat, subset or centroid.")] = "auto",
    task: Task = "auto",
    imbalance: Annotated[
        str, typer.Option(help="Rare labels: auto, none, weights, oversample, undersample or smote.")
    ] = "auto",
    threshold: Annotated[
        str, typer.Option(help="auto, f1, cost:FP,FN, precision:P, recall:R or a number from 0 to 1.")
    ] = "auto",
    positive: Annotated[
        str | None, typer.Option(help="Of two labels the one that --threshold is about; else the rarer.")
    ] = None,
    vectors: Annotated[Path | None, typer.Option(help="Folder in which vectors are kept.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    skip_bad_rows: SkipBadRows = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was chosen, and why, as JSON.")] = False,
) -> None:
    """Learn a model from LABELLED alone, with no pool and no expert; print what was chosen, and why."""
    settings = TrainSettings(encoder, head, task, imbalance, threshold, positive, seed, base_url).checked()
    from vermilion.choose.train import Request, train_files
    from vermilion.world.source import Columns

    columns = Columns(
        text_column,
        label_column,
        label_separator=label_separator,
        text_a=text_a_column,
        text_b=text_b_column,
    )
    request = Request(labelled, out_dir, labels, columns, vectors, skip_bad_rows)
    trained = train_files(request, settings, Screen(err))
    _list_left_out(trained.left_out, f"{out_dir}.left_out.jsonl")
    if as_json:
        import json

        sys.stdout.write(json.dumps(trained.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    show_pairs(out, [*trained.lines, ("model", str(out_dir))])


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder of a run: OUT/model.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Texts of any number, or - for stdin.")],
    out_file: Annotated[
        str | None,
        typer.Option("--out", help="File to write: .jsonl .csv .parquet; else INPUT.labels.jsonl."),
    ] = None,
    text_column: TextColumn = "text",
    text_a_column: TextA = "text_a",
    text_b_column: TextB = "text_b",
    id_column: Annotated[str, typer.Option(help="Column of the ids.")] = "id",
    base_url: EncoderUrl = None,
    out_of_scope: OutOfScope = None,
    skip_bad_rows: SkipBadRows = False,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Label every text of INPUT with MODEL; memory stays bounded whatever INPUT's size."""
    target = out_file or ("labels.jsonl" if source == "-" else f"{Path(source).with_suffix('')}.labels.jsonl")
    cluster = _cluster(ray, workers)
    from vermilion.red.predict import predict_file
    from vermilion.scale import Input, predict_on_ray
    from vermilion.world.models import load_model
    from vermilion.world.predictor import Predictor, with_rate
    from vermilion.world.source import BadRows, Columns

    loaded = with_rate(load_model(model), out_of_scope, str(model))
    columns = Columns(text_column, id=id_column, text_a=text_a_column, text_b=text_b_column)
    screen = Screen(err)
    skipped = BadRows()
    screen.start("labelling", None)
    try:
        if cluster is None:
            predictor = Predictor.of(loaded, base_url=base_url, where=str(model))
            bad = skipped if skip_bad_rows else None
            count = predict_file(predictor, source, target, columns, screen, bad)
        else:
            texts = Input(source, columns, skip_bad_rows)
            count, skipped = predict_on_ray(loaded, texts, target, cluster, screen, base_url)
    finally:
        screen.done()
    _list_left_out(skipped, f"{target}.left_out.jsonl")
    out.print(f"{count:,} texts labelled in {target}")


@app.command()
def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model folder: OUT/model of a run, or of train.")
    ],
    test: Annotated[str, typer.Argument(metavar="TEST", help="Texts with their labels, not learned from.")],
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for evaluation.json, predictions.jsonl and evaluation.html."),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another model folder, to compare with.")] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", help="Column to compare groups of texts by; may be repeated."),
    ] = None,
    query_column: Annotated[
        str, typer.Option(help="Column of the query that a pair is a candidate for; else its first text.")
    ] = "",
    text_column: TextColumn = "text",
    text_a_column: TextA = "text_a",
    text_b_column: TextB = "text_b",
    label_column: LabelColumn = "label",
    label_separator: LabelSeparator = None,
    id_column: Annotated[str, typer.Option(help="Column of the ids.")] = "id",
    base_url: EncoderUrl = None,
    out_of_scope: OutOfScope = None,
    seed: Annotated[int, typer.Option(help="Seed of the rows drawn for intervals.")] = 0,
    skip_bad_rows: SkipBadRows = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON to stdout.")] = False,
) -> None:
    """Measure MODEL on TEST: every metric with its interval, by groups of texts, and against another model."""
    from vermilion.choose.evaluate import Request, evaluate_file, write_evaluation
    from vermilion.world.models import load_model
    from vermilion.world.predictor import Predictor, with_rate
    from vermilion.world.source import Columns

    if seed < 0:
        raise InputError("a whole number from 0", str(seed), "--seed", "give another value")
    columns = Columns(
        text_column, label_column, id_column, label_separator, text_a=text_a_column, text_b=text_b_column
    )
    request = Request(
        test, str(model), str(against or ""), tuple(slices or ()), query_column, columns, skip_bad_rows, seed
    )
    loaded = with_rate(load_model(model), out_of_scope, str(model))
    predictor = Predictor.of(loaded, base_url=base_url, where=str(model))
    other = None if against is None else Predictor.load(against, base_url)
    result = evaluate_file(request, predictor, other, Screen(err))
    _list_left_out(
        result.left_out, "left_out.jsonl" if test == "-" else f"{Path(test).with_suffix('')}.left_out.jsonl"
    )
    if out_dir is not None:
        write_evaluation(out_dir, result)
    if as_json:
        import json

        for note in result.evaluation.notes:
            err.print(note, markup=False)
        sys.stdout.write(json.dumps(result.evaluation.figures(), indent=1, ensure_ascii=False) + "\n")
        return
    _show_evaluation(result.evaluation)
    if out_dir is not None:
        show_pairs(
            out,
            [
                ("page", str(out_dir / "evaluation.html")),
                ("errors first", str(out_dir / "predictions.jsonl")),
            ],
        )


def _show_evaluation(evaluation: Evaluation) -> None:
    from vermilion.choose import evaluation_tables as tables

    show_pairs(out, tables.heading(evaluation))
    for table in tables.shown_tables(evaluation):
        out.print()
        show_table(out, table.caption, table.columns, table.rows)
    for line in tables.lines(evaluation):
        out.print(line, markup=False)


@app.command()
def encode(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Texts of any number, or - for stdin.")],
    vectors: Annotated[Path, typer.Option(help="Folder of the vectors: OUT/vectors of a run.")],
    encoder: Annotated[str, typer.Option(help=ENCODER)] = "minilm",
    text_column: TextColumn = "text",
    text_a_column: TextA = "text_a",
    text_b_column: TextB = "text_b",
    base_url: EncoderUrl = None,
    skip_bad_rows: SkipBadRows = False,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Encode the texts of INPUT ahead of a run, which then finds their vectors in its folder."""
    cluster = _cluster(ray, workers)
    from vermilion.scale import Input, encode_file, encode_on_ray
    from vermilion.world.encoders import load_encoder
    from vermilion.world.encoders_pairs import PREFIX
    from vermilion.world.source import Columns

    texts = Input(source, Columns(text_column, text_a=text_a_column, text_b=text_b_column), skip_bad_rows)
    screen = Screen(err)
    # Of pairs it is their single texts whose vectors are kept.
    loaded = load_encoder(encoder.removeprefix(PREFIX), base_url=base_url)
    screen.start("encoding", None)
    try:
        if cluster is None:
            count, skipped = encode_file(loaded, texts, vectors, screen)
        else:
            count, skipped = encode_on_ray(loaded, texts, vectors, cluster, screen, base_url)
    finally:
        screen.done()
    _list_left_out(skipped, f"{vectors}.left_out.jsonl")
    out.print(f"{count:,} texts encoded in {vectors}")


def _cluster(address: str | None, workers: int | None) -> Cluster | None:
    if address is None:
        if workers is not None:
            raise InputError("--ray with --workers", "none", "--workers", "add --ray local, or leave it out")
        return None
    from vermilion.scale import Cluster

    return Cluster(address, workers).checked()


def _list_left_out(skipped: BadRows, path: str) -> None:
    if skipped.count:
        skipped.write(path)
        err.print(f"{skipped.count} bad rows left out, listed in {path}", markup=False)


@labels_app.command("apply")
def labels_apply(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    proposals: Annotated[
        Path, typer.Argument(metavar="PROPOSALS", help="Changes: .yaml or .json; RUN/label_proposals.yaml.")
    ],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="A new folder for the changed run; else RUN itself.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Database URL, where the run has one.")] = None,
) -> None:
    """Add, rename, merge, split, relabel or remove labels of a finished run; answers that still hold are kept."""
    from vermilion.red.applying import apply_changes
    from vermilion.red.folder import Folder

    applied = apply_changes(Folder(run_dir, store), proposals, out_dir)
    done = ", ".join(f"{name} {count:,}" for name, count in applied.changes.items())
    out.print(f"{done}: {applied.labels:,} labels now, {applied.kept:,} answers kept", markup=False)
    out.print(f"labelled texts of now: {applied.labelled}", markup=False)
    out.print(
        f"Next: the command of that run once more, with the same files and --out {out_dir or run_dir}",
        markup=False,
    )


@app.command()
def audit(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    size: Annotated[int, typer.Option(help="Texts that people are to answer.")] = 200,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="New file for the sample; else RUN/audit.csv.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="The sample with people's answers: read it and certify.")
    ] = None,
    decisions: Annotated[str, typer.Option(help="Name of the run's decisions' file.")] = "decisions.jsonl",
    as_json: Annotated[bool, typer.Option("--json", help="Print what the answers prove as JSON.")] = False,
) -> None:
    """Draw a blind sample of a finished run for people, or read their answers back and certify agreement with them."""
    if size < 1:
        raise InputError("a whole number from 1", str(size), "--size", "give another value")
    if answers is None:
        from vermilion.red.people import draw_for_people

        path, count = draw_for_people(run_dir, decisions, size, out_file)
        out.print(f"{count:,} texts in {path}; fill in the column answer, then:", markup=False)
        out.print(f"  vermilion audit {run_dir} --answers {path}", markup=False)
        return
    from vermilion.red.people import read_from_people

    result = read_from_people(run_dir, decisions, answers)
    if as_json:
        import json

        sys.stdout.write(json.dumps(result.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    from vermilion.red.report.certificates import people_lines

    for line in people_lines(result.as_dict()):
        out.print(line, markup=False)


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for data and results.")] = Path("demo-run"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
) -> None:
    """Label 4,916 diagnosis texts in 283 categories, with a simulated expert that errs in 5 of 100 answers."""
    from vermilion.demo import prepare
    from vermilion.red.files import run_files

    request, settings = prepare(out_dir)
    err.print(
        "Simulation: the expert is an oracle that knows the right labels and errs in 5 % of its answers."
    )
    result = run_files(replace(request, fresh=fresh), settings, Screen(err), _approver(stop=False, yes=True))
    assert result is not None
    _show(result, request, as_json=False)
    out.print(NEXT.format(out=out_dir), markup=False)


def main() -> None:
    """Run the command; errors made on purpose become one line and their exit code."""
    try:
        app(standalone_mode=True)
    except VermilionError as error:
        err.print(f"vermilion: {error}", style="red", markup=False)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # Typer turns Ctrl-C into this code and says nothing.
        if ended.code == INTERRUPTED:
            err.print("vermilion: stopped; nothing is lost, the same command goes on", markup=False)
        raise
