"""The commands on rules: `vermilion rules test` and `vermilion rules show`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, DatabaseUrl, HomeFolder, load_predictor
from vermilion.errors import InputError
from vermilion.screen import show_table

if TYPE_CHECKING:
    from vermilion.serve.rules import Decided
    from vermilion.serve.rules_trial import Model, Trial
    from vermilion.types import Label
    from vermilion.world.predictor import Predictor
    from vermilion.world.rule_book import WrittenRule

app = typer.Typer(no_args_is_help=True, help="Rules before and after the model.")
out = Console(highlight=False, soft_wrap=True)
SHOWN = 60

RulesFile = Annotated[Path, typer.Argument(metavar="RULES", help="rules.yaml")]
ModelFolder = Annotated[
    str | None, typer.Option("--model", help="A model's folder, or NAME, NAME@3, ... of the registry.")
]
LabelFile = Annotated[str | None, typer.Option("--labels", help="labels.yaml, in place of a model.")]


@app.command("test")
def run_tests(
    rules: RulesFile,
    model: ModelFolder = None,
    labels: LabelFile = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Run the tests in a file of rules; exit code 1 where one of them fails."""
    from vermilion.serve.rules import load_rules
    from vermilion.serve.rules_trial import try_rules

    predictor = None if model is None else load_predictor(model, home, database)
    loaded = load_rules(rules, _labels(predictor, labels))
    trials = try_rules(loaded, None if predictor is None else _model(predictor))
    if as_json:
        _print_json([trial.as_dict() for trial in trials])
    else:
        show_trials(out, trials)
    untested = [rule.name for rule in loaded.book.rules if rule.enabled and not rule.tests]
    if untested and not as_json:
        out.print(f"without a test: {', '.join(untested)}", markup=False)
    if any(trial.fault for trial in trials):
        raise typer.Exit(1)


@app.command("show")
def show_rules(
    rules: RulesFile,
    model: ModelFolder = None,
    labels: LabelFile = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what a file of rules decides, in the order in which its rules are asked."""
    from vermilion.serve.rules import load_rules
    from vermilion.world.rules_file import read_rules

    known = _labels(None if model is None else load_predictor(model, home, database), labels)
    book = read_rules(rules) if known is None else load_rules(rules, known).book
    stages = [("before", rule) for rule in book.before] + [("after", rule) for rule in book.after]
    if as_json:
        _print_json([_rule_row(stage, rule) for stage, rule in stages])
        return
    columns = [
        ("stage", False),
        ("rule", False),
        ("where", False),
        ("then", False),
        ("tests", True),
        ("reason", False),
    ]
    rows = [
        [
            stage,
            rule.name,
            "; ".join(_conditions(rule)) or "always",
            str(rule.then),
            str(len(rule.tests)),
            rule.reason,
        ]
        for stage, rule in stages
        if rule.enabled
    ]
    show_table(out, f"{rules}: {len(rows)} rules, the first that applies decides", columns, rows)
    if off := [rule.name for _, rule in stages if not rule.enabled]:
        out.print(f"off: {', '.join(off)}", markup=False)


def show_trials(console: Console, trials: Sequence[Trial]) -> None:
    """Print a row for each test, and how many passed."""
    with_model = any(trial.said is not None and trial.test.text for trial in trials)
    columns = [
        ("", False),
        ("rule", False),
        ("line", True),
        ("text", False),
        ("decided", False),
        ("by", False),
    ]
    columns += [("the model says", False)] if with_model else []
    rows = []
    for trial in trials:
        row = [
            "failed" if trial.fault else "passed",
            trial.rule.name,
            str(trial.test.line),
            _short(trial.test.text),
        ]
        row += [_decided(trial), "" if trial.ruling is None else trial.ruling.rule]
        rows.append([*row, _said(trial)] if with_model else row)
    if rows:
        show_table(console, "", columns, rows)
    failed = sum(bool(trial.fault) for trial in trials)
    overridden = sum(trial.overrides for trial in trials)
    line = f"{len(trials)} tests, {len(trials) - failed} passed, {failed} failed"
    console.print(f"{line}, {overridden} decided other than the model" if with_model else line)


def _decided(trial: Trial) -> str:
    from vermilion.serve.rules_trial import told

    if trial.missing:
        return f"{trial.fault} (--model)"
    return f"{told(trial.outcome)} ({trial.fault})" if trial.fault else told(trial.outcome)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 4]} ..."


def _said(trial: Trial) -> str:
    if trial.said is None:
        return ""
    label = ", ".join(trial.said.labels) or trial.said.label or "no label"
    return f"{label} {trial.said.confidence:.2f}"


def _print_json(rows: Sequence[dict[str, Any]]) -> None:
    sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def _conditions(rule: WrittenRule) -> Iterator[str]:
    """Yield the conditions of a rule in words; long lists are cut."""
    for name in rule.when.given():
        value = getattr(rule.when, name)
        if isinstance(value, tuple):
            more = f" and {len(value) - 5} more" if len(value) > 5 else ""
            value = ", ".join(value[:5]) + more
        yield f"{name.replace('_', ' ')} {value}"


def _rule_row(stage: str, rule: WrittenRule) -> dict[str, Any]:
    return {
        "stage": stage,
        "name": rule.name,
        "enabled": rule.enabled,
        "when": {name: getattr(rule.when, name) for name in rule.when.given()},
        "then": rule.then.action if rule.then.label is None else {"label": rule.then.label},
        "reason": rule.reason,
        "tests": len(rule.tests),
        "line": rule.line,
    }


def _labels(predictor: Predictor | None, labels: str | None) -> Sequence[Label] | None:
    from vermilion.world.labels import read_labels

    if predictor is not None and labels is not None:
        raise InputError("--model or --labels", "both", "--labels", "leave one out")
    if predictor is not None:
        return predictor.model.labels
    return None if labels is None else read_labels(labels)


def _model(predictor: Predictor) -> Model:
    """Return a model as the tests see it: texts in, what it says of each out."""
    from vermilion.serve.rules import Decided
    from vermilion.types import Texts

    def says(texts: Sequence[str]) -> list[Decided]:
        numbered = Texts(tuple(map(str, range(len(texts)))), tuple(texts), source="rules")
        return [Decided.of_row(row) for row in predictor.rows(numbered)]

    return says
