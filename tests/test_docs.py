"""The pages tell the truth: their examples run, what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from vermilion import errors

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
COMMANDS_PAGE = ROOT / "docs" / "commands.md"
ERRORS_PAGE = ROOT / "docs" / "errors.md"
ENVIRONMENT_PAGE = ROOT / "docs" / "environment.md"

# A page whose Python cannot run here says why: <!-- python not run: asks a paid endpoint -->
NOT_RUN = re.compile(r"<!--\s*python not run:\s*(\S.*?)\s*-->")
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```\s*?$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`(vermilion [^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
# Options that typer adds by itself.
BUILT_IN = {"--help", "-h", "--install-completion", "--show-completion"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text, and the line of the page on which the text starts."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command line found on a page, as words, `vermilion` itself left out."""

    where: str
    words: tuple[str, ...]


def find_pages() -> list[Path]:
    """Return every Markdown page of the repository."""
    folders = ("docs", "examples", "benchmarks", "vermilion")
    return sorted(ROOT.glob("*.md")) + sorted(p for f in folders for p in (ROOT / f).rglob("*.md"))


PAGES = find_pages()
DOCS = [page for page in PAGES if (ROOT / "docs") in page.parents]


def for_each(pages: list[Path]) -> pytest.MarkDecorator:
    """Run a test once a page, named by the page's path."""
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of these languages, with what indents them taken away."""
    text = read(page)
    for match in FENCE.finditer(text):
        if match[2] in languages:
            body = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
            yield Block(page, text.count("\n", 0, match.start(3)) + 1, match[2], body)


# --- Python examples


@for_each([page for page in PAGES if any(blocks(page, "python"))])
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    # Line numbers in a traceback are those of the page.
    script = ""
    for block in blocks(page, "python"):
        script += "\n" * (block.line - 1 - script.count("\n")) + block.text
    compile(script, str(page), "exec")
    if reason := NOT_RUN.search(read(page)):
        pytest.skip(f"the page says: {reason[1]}")
    (tmp_path / page.name).with_suffix(".py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str((tmp_path / page.name).with_suffix(".py"))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (
        f"an example of {page.name} fails (lines are those of the page):\n{done.stderr}"
    )


# --- the commands


def command_lines(page: Path) -> Iterator[Command]:
    """Yield each `vermilion ...` of shell blocks (in console, after a prompt) and of code spans in prose."""
    for block in blocks(page, "console", "sh", "bash", "shell"):
        lines = block.text.replace("\\\n", " " * 2).splitlines()
        if block.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        for line in lines:
            yield from (Command(block.where, words) for words in split_commands(line))
    prose = FENCE.sub("", read(page))
    for match in CODE_SPAN.finditer(prose):
        yield from (Command(str(page.relative_to(ROOT)), words) for words in split_commands(match[1]))


def split_commands(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the words after `vermilion` of each command in a shell line, without a synopsis's brackets."""
    words = shlex.split(line, comments=True)
    starts = [i for i, word in enumerate(words) if word.rsplit("/", maxsplit=1)[-1] == "vermilion"]
    for start in starts:
        if start and not begins_command(words[start - 1]):
            continue
        rest = []
        for word in words[start + 1 :]:
            if word in {"|", "||", "&&", ";", "&", ">", "2>&1", ">>", "<"}:
                break
            rest.append(word.strip("[]").removesuffix("]..."))
        yield tuple(rest)


def begins_command(word: str) -> bool:
    """Tell whether what follows this word is a command: a shell operator, a variable set, or a wrapper."""
    return word in {"|", "||", "&&", ";", "time", "exec"} or re.fullmatch(r"\w+=.*", word) is not None


def root_command() -> Any:
    """Return the command line as typer builds it."""
    from vermilion import cli

    return typer.main.get_command(cli.app)


def all_commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (words, command) for the command itself, and for every command below it."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from all_commands(child, *path, name)


def options(command: Any) -> set[str]:
    """Return the names of all options that a command takes."""
    return {
        name
        for param in command.params
        if param.param_type_name == "option" and not param.hidden
        for name in (*param.opts, *param.secondary_opts)
    }


def fault(root: Any, words: tuple[str, ...]) -> str:
    """Return what is wrong with a command line, or nothing."""
    command, rest = root, list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"there is no command {name!r}; there are {', '.join(command.commands)}"
        command = command.commands[name]
    known = options(command) | options(root) | BUILT_IN
    given = [word.split("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    unknown = [name for name in given if name not in known]
    return f"{command.name} has no option {', '.join(unknown)}" if unknown else ""


@for_each([page for page in PAGES if any(command_lines(page))])
def test_commands_exist(page: Path) -> None:
    root = root_command()
    checked = [(command, fault(root, command.words)) for command in command_lines(page)]
    faults = [f"{c.where}: vermilion {' '.join(c.words)}: {wrong}" for c, wrong in checked if wrong]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vermilion run a.csv b.csv --out out", [("run", "a.csv", "b.csv", "--out", "out")]),
        ("OPENAI_API_KEY=x .venv/bin/vermilion demo | tee log", [("demo",)]),
        ("cd x && vermilion predict m [--out FILE]", [("predict", "m", "--out", "FILE")]),
        ("cd vermilion", []),
        ("pip install vermilion --upgrade  # vermilion run", []),
    ],
)
def test_commands_are_found_in_shell_lines(line: str, expected: list[tuple[str, ...]]) -> None:
    assert list(split_commands(line)) == expected


def test_faults_of_commands_are_seen() -> None:
    root = root_command()
    assert not fault(root, ("run", "a.csv", "b.csv", "--out=out", "--target", "-1"))
    assert "no command 'rum'" in fault(root, ("rum",))
    assert "no option --no-such" in fault(root, ("run", "--no-such", "1"))


def test_every_command_and_option_is_documented() -> None:
    written = sections(COMMANDS_PAGE)
    missing = []
    for words, command in all_commands(root_command()):
        name = " ".join(("vermilion", *words))
        missing += [f"the section '## `{name}`'"] * (name not in written)
        missing += [
            f"{name} {option}"
            for option in sorted(options(command) - BUILT_IN)
            if not re.search(rf"`{option}(?![\w-])", written.get(name, ""))
        ]
    assert not missing, f"docs/commands.md does not have {'; '.join(missing)}"


def variables_read() -> Iterator[tuple[str, str]]:
    """Yield (variable, place) for each environment variable that the package reads by name."""
    for path in sorted((ROOT / "vermilion").rglob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            match node:
                case (
                    ast.Call(
                        func=ast.Attribute(value=ast.Attribute(attr="environ")),
                        args=[ast.Constant(str(name)), *_],
                    )
                    | ast.Call(func=ast.Attribute(attr="getenv"), args=[ast.Constant(str(name)), *_])
                    | ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(str(name)))
                ):
                    yield name, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_environment_variable_is_documented() -> None:
    page = read(ENVIRONMENT_PAGE)
    missing = [f"{name} ({place})" for name, place in variables_read() if f"`{name}`" not in page]
    assert not missing, f"docs/environment.md does not tell of {', '.join(missing)}"


# --- the errors


def error_classes() -> dict[str, type[errors.VermilionError]]:
    """Return every error class by name."""
    members = inspect.getmembers(errors, inspect.isclass)
    return {name: kind for name, kind in members if issubclass(kind, errors.VermilionError)}


def sections(page: Path) -> dict[str, str]:
    """Return the text below each second-level heading, by the heading without its backticks."""
    parts = re.split(r"^## +(.+)$", read(page), flags=re.MULTILINE)
    return {name.strip("` "): text for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_error_is_documented() -> None:
    written = {name for name in sections(ERRORS_PAGE) if name.endswith("Error")}
    missing, gone = set(error_classes()) - written, written - set(error_classes())
    assert not missing, f"docs/errors.md has no section '## `NAME`' for {', '.join(sorted(missing))}"
    assert not gone, f"docs/errors.md tells of {', '.join(sorted(gone))}, which errors.py no longer has"


@pytest.mark.parametrize("name", error_classes())
def test_error_page_tells_exit_code_and_cure(name: str) -> None:
    text = sections(ERRORS_PAGE).get(name, "")
    code = error_classes()[name].exit_code
    assert f"Exit code: {code}" in text, (
        f"the section of {name} in docs/errors.md must say 'Exit code: {code}'"
    )
    for word in ("Means", "Example", "Cure"):
        assert f"**{word}**" in text, f"the section of {name} in docs/errors.md has no paragraph '**{word}**'"


# --- the file tree in README


def tree_entries(text: str) -> dict[str, str]:
    """Return path -> its line's description from an indented file tree.

    >>> tree_entries("vermilion/\\n  errors.py  every error\\n  learn/  pure\\n    heads.py  the heads\\n")
    {'vermilion/': '', 'vermilion/errors.py': 'every error', 'vermilion/learn/': 'pure',
     'vermilion/learn/heads.py': 'the heads'}
    """
    found: dict[str, str] = {}
    open_folders: list[tuple[int, str]] = []
    for line in filter(str.strip, text.splitlines()):
        indent = len(line) - len(line.lstrip())
        name, _, description = line.strip().partition(" ")
        while open_folders and open_folders[-1][0] >= indent:
            open_folders.pop()
        path = (open_folders[-1][1] if open_folders else "") + name
        found[path] = description.strip()
        if name.endswith("/"):
            open_folders.append((indent, path))
    return found


def readme_tree() -> dict[str, str]:
    """Return the entries of README's file tree, which is the fenced block that starts with `vermilion/`."""
    bodies = [
        match[3] for match in FENCE.finditer(read(README)) if match[3].lstrip().startswith("vermilion/")
    ]
    assert len(bodies) == 1, (
        "README.md needs one fenced block that starts with 'vermilion/': a line for each module"
    )
    return tree_entries(bodies[0])


def test_readme_names_every_module() -> None:
    tree = readme_tree()
    modules = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "vermilion").rglob("*.py"))]
    missing = [m for m in modules if not m.endswith("__init__.py") and not tree.get(m)]
    assert not missing, f"README.md's file tree has no line, or no words, for {', '.join(missing)}"
    gone = [path for path in tree if not (ROOT / path).exists()]
    assert not gone, f"README.md's file tree names {', '.join(gone)}, which are not there"


# --- links and docstrings


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    text = FENCE.sub("", read(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@for_each(PAGES)
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", read(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.append(f"{link} (no such file)")
        elif anchor and anchor not in anchors(target):
            broken.append(f"{link} (no such heading)")
    assert not broken, f"{page.relative_to(ROOT)} links to {'; '.join(broken)}"


@for_each([page for page in DOCS if page != INDEX])
def test_index_names_every_page(page: Path) -> None:
    link = page.relative_to(INDEX.parent).as_posix()
    assert f"]({link})" in read(INDEX), f"docs/README.md, the index, does not link to {link}"


def test_public_names_have_docstrings() -> None:
    bare = []
    for path in sorted((ROOT / "vermilion").rglob("*.py")):
        tree = ast.parse(read(path))
        bare += [str(path.relative_to(ROOT))] * (ast.get_docstring(tree) is None)
        bare += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node) is None
        ]
    assert not bare, f"no docstring: {'; '.join(bare)}"
