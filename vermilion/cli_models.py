"""The commands on the registry: `vermilion models add`, `promote`, `rollback` and their kin, and how results look."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vermilion.cli_home import AsJson, By, DatabaseUrl, HomeFolder, Why, open_home, who
from vermilion.screen import show_pairs, show_table

if TYPE_CHECKING:
    from vermilion.world.registry import Entry, Moved, Registry, Version
    from vermilion.world.registry_diff import Diff

app = typer.Typer(no_args_is_help=True, help="Keep versions of models, and say which one answers.")
out = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model.")]
Which = Annotated[
    str, typer.Argument(metavar="VERSION", help="NAME, NAME@champion, NAME@3 or NAME@sha256:0a1b.")
]
Alias = Annotated[str, typer.Option("--alias", help="The alias to move.")]
Expect = Annotated[
    str | None, typer.Option("--expect", help="Move it only if it points to this version now: NAME@2.")
]


@app.command()
def add(
    name: Name,
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder of run or train.")],
    rules: Annotated[Path | None, typer.Option(help="rules.yaml that goes with the model.")] = None,
    parent: Annotated[str | None, typer.Option(help="The version it was made from: NAME@3.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion at once.")] = False,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take a model in as the next version of NAME; the folder you give stays as it is."""
    with _open(home, database) as registry:
        version = registry.add(name, folder, rules=rules, parent=parent, by=who(by), why=why)
        moved = registry.promote(name, str(version), by=who(by), why=why) if promote else None
    if as_json:
        _print_json(_told(version) | ({"generation": moved.generation} if moved else {}))
        return
    out.print(f"{version}  sha256:{version.digest[:16]}  {version.folder}", markup=False)
    if moved:
        _show_move(moved)
    else:
        out.print(f"Next: vermilion models promote {version}", markup=False)


@app.command("list")
def list_versions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model; else all.")] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List versions, with the aliases that point to them."""
    with _open(home, database) as registry:
        if name is not None:
            registry.known(name)
        found = registry.versions(name)
        pointing = _pointing(registry, {version.name for version in found})
    if as_json:
        _print_json([_told(version) | {"aliases": pointing.get(str(version), [])} for version in found])
        return
    columns = [
        *(("version", False), ("aliases", False), ("task", False), ("labels", True), ("encoder", False)),
        *(("accuracy", True), ("added", False), ("by", False), ("sha256", False)),
    ]
    rows = [_row(version, pointing.get(str(version), [])) for version in found]
    show_table(out, f"{len(found):,} versions", columns, rows)


def _row(version: Version, aliases: Sequence[str]) -> list[str]:
    facts = version.metadata
    accuracy = facts["metrics"].get("accuracy", facts["metrics"].get("certified_estimate"))
    return [
        str(version),
        ", ".join(aliases),
        facts["task"],
        f"{facts['labels']:,}",
        facts["encoder"]["name"],
        "" if accuracy is None else f"{accuracy:.3f}",
        version.added_at[:16].replace("T", " "),
        version.added_by,
        version.digest[:12],
    ]


@app.command()
def show(
    version: Which, home: HomeFolder = None, database: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Show what is known of a version: data, code, encoder, metrics, what it was made from, who moved what to it."""
    with _open(home, database) as registry:
        found = registry.resolve(version)
        aliases = _pointing(registry, {found.name}).get(str(found), [])
        line = registry.lineage(found)
        moves = [entry for entry in registry.log(found.name) if _concerns(entry, found)]
    if as_json:
        told = _told(found) | {"aliases": aliases, "lineage": [str(one) for one in line]}
        _print_json(told | {"log": [_told(entry) for entry in moves]})
        return
    show_pairs(out, _pairs(found, aliases, line))
    _show_entries(moves)


def _concerns(entry: Entry, version: Version) -> bool:
    told = entry.details
    return entry.subject == str(version) or version.number in (told.get("from"), told.get("to"))


def _pairs(version: Version, aliases: Sequence[str], line: Sequence[Version]) -> list[tuple[str, str]]:
    facts = version.metadata
    run = facts["parent"]["run"]
    certificate = facts["certificate"]
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in facts["metrics"].items())
    pointing = f" ({', '.join(aliases)})" if aliases else ""
    why = f": {facts['why']}" if facts["why"] else ""
    return [
        ("version", f"{version}{pointing}"),
        ("sha256", version.digest),
        ("folder", str(version.folder)),
        ("added", f"{version.added_at} by {version.added_by}{why}"),
        ("task", f"{facts['task']}, {facts['labels']:,} labels, head {facts['head']}"),
        ("encoder", f"{facts['encoder']['name']} {facts['encoder']['digest']}"),
        ("training", facts["training"] or "not told"),
        ("code", facts["code"] or "not told"),
        ("metrics", metrics or "none"),
        ("certificate", json.dumps(certificate) if certificate else "none"),
        ("rules", f"sha256 {facts['rules']}" if facts["rules"] else "none"),
        ("size", f"{facts['bytes']['all'] / 1e6:,.2f} MB"),
        ("made by run", f"{run['folder']} (summary.json {run['summary'][:16]})" if run else "not told"),
        ("made from", " <- ".join(str(one) for one in line) or "not told"),
    ]


@app.command()
def promote(
    version: Which,
    alias: Alias = "champion",
    expect: Expect = None,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias to VERSION: the champion, where no other is named; a running service follows at once."""
    with _open(home, database) as registry:
        name = version.partition("@")[0]
        moved = registry.promote(name, version, alias=alias, by=who(by), why=why, expected=expect)
    _tell_move(moved, as_json)


@app.command()
def rollback(
    name: Name,
    alias: Alias = "champion",
    expect: Expect = None,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias back to the version before; once more goes one further back."""
    with _open(home, database) as registry:
        moved = registry.rollback(name, alias=alias, by=who(by), why=why, expected=expect)
    _tell_move(moved, as_json)


@app.command()
def alias(
    name: Name,
    drop: Annotated[str | None, typer.Option("--drop", help="An alias to take away.")] = None,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the aliases of NAME, or take one away; `promote --alias` makes and moves them."""
    with _open(home, database) as registry:
        if drop is not None:
            _tell_move(registry.drop_alias(name, drop, by=who(by), why=why), as_json)
            return
        registry.known(name)
        found = registry.aliases(name)
    if as_json:
        _print_json({one: _told(version) for one, version in found.items()})
        return
    rows = [[one, str(version), version.digest[:12]] for one, version in found.items()]
    show_table(out, f"{name}", [("alias", False), ("version", False), ("sha256", False)], rows)


@app.command()
def remove(
    version: Which,
    why: Why = "",
    by: By = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
) -> None:
    """Take a version out for good, files and all; one that an alias points to stays."""
    with _open(home, database) as registry:
        gone = registry.remove(version, by=who(by), why=why)
    out.print(f"{gone} removed; its number is not given again", markup=False)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A version, as NAME@2.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another, as NAME@3.")],
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: labels, encoder, head, metrics, rules, size."""
    from vermilion.world.registry_diff import diff_versions

    with _open(home, database) as registry:
        pair = [registry.resolve(one) for one in (old, new)]
        for version in pair:
            registry.check(version)
        found = diff_versions(*pair)
    if as_json:
        _print_json(found.as_dict())
        return
    _show_diff(found)


def _show_diff(found: Diff) -> None:
    rows = [[change.what, _cell(change.old), _cell(change.new)] for change in found.changes]
    labels = found.labels
    rows += [["label added", "", name] for name in labels.added]
    rows += [["label removed", name, ""] for name in labels.removed]
    rows += [["label renamed", *names] for names in labels.renamed]
    rows += [["label's meaning or parent", name, name] for name in labels.changed]
    if not rows and not found.rules:
        out.print(f"{found.old} and {found.new}: no difference", markup=False)
        return
    show_table(out, "", [("what", False), (found.old, False), (found.new, False)], rows)
    for line in found.rules:
        out.print(line, markup=False)


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@app.command()
def log(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model; else all.")] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit log: who did what, when and why."""
    with _open(home, database) as registry:
        found = registry.log(name)
    if as_json:
        _print_json([_told(entry) for entry in found])
        return
    _show_entries(found)


def _show_entries(entries: Sequence[Entry]) -> None:
    columns = [
        *(("entry", True), ("at (UTC)", False), ("who", False), ("did", False), ("what", False)),
        *(("from", True), ("to", True), ("why", False)),
    ]
    rows = [
        [
            *(str(entry.number), entry.at[:19].replace("T", " "), entry.actor, entry.action, entry.subject),
            *(_cell(entry.details.get(name)) for name in ("from", "to", "why")),
        ]
        for entry in entries
    ]
    show_table(out, "", columns, rows)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", help="NUMBER:HASH that an earlier verify printed.")
    ] = None,
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check the audit log's chain of hashes, that aliases point where it says, and every file of every version."""
    from vermilion.world.audit_log import Head

    expected = None if head is None else Head.parse(head)
    with _open(home, database) as registry:
        end = registry.verify_log(expected)
        found = registry.versions()
        for version in found:
            registry.check(version)
    if as_json:
        _print_json({"versions": len(found), "entries": end.number, "head": str(end)})
        return
    show_pairs(
        out,
        [
            ("versions", f"{len(found):,}, every file as it was"),
            ("log", f"{end.number:,} entries, unbroken"),
            ("head", f"{end} (note it elsewhere; --head checks it later)"),
        ],
    )


@app.command()
def mirror(
    name: Name,
    mlflow: Annotated[str, typer.Option("--mlflow", help="MLflow's server, as http://127.0.0.1:5000.")],
    home: HomeFolder = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write the versions of NAME to MLflow: metrics, files, aliases; needs the extra mlflow."""
    from dataclasses import asdict

    from vermilion.world.mlflow_mirror import mirror as mirror_versions

    with _open(home, database) as registry:
        registry.known(name)
        found, aliases = registry.versions(name), registry.aliases(name)
        for version in found:
            registry.check(version)
        done = mirror_versions(name, found, aliases, mlflow)
    if as_json:
        _print_json(asdict(done))
        return
    rows = [[one, number, "added" if one in done.added else ""] for one, number in done.versions.items()]
    show_table(out, "", [("version", False), ("in MLflow", True), ("", False)], rows)


def _open(home: Path | None, database: str | None) -> Registry:
    from vermilion.world.registry import Registry

    return Registry.open(open_home(home, database))


def _pointing(registry: Registry, names: set[str]) -> dict[str, list[str]]:
    """Return the aliases that point to each version, by NAME@3."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        for one, version in registry.aliases(name).items():
            found.setdefault(str(version), []).append(one)
    return found


def _told(row: Version | Entry) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(row).items()}


def _tell_move(moved: Moved, as_json: bool) -> None:
    if not as_json:
        _show_move(moved)
        return
    ends = {"before": moved.before, "after": moved.after}
    told = {name: None if version is None else _told(version) for name, version in ends.items()}
    _print_json({"name": moved.name, "alias": moved.alias, **told, "generation": moved.generation})


def _show_move(moved: Moved) -> None:
    before, after = moved.before, moved.after
    subject = f"{moved.name}@{moved.alias}"
    if before == after:
        out.print(f"{subject} points to version {after.number} already", markup=False)  # type: ignore[union-attr]
        return
    told = [f"version {version.number}" if version else "nowhere" for version in (before, after)]
    out.print(f"{subject}: {told[0]} -> {told[1]}", markup=False)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
