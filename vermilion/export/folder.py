"""A model's folder of files that run anywhere ONNX Runtime does, proved equal by its own script before it is there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from vermilion import __version__
from vermilion.errors import InputError, ModelError
from vermilion.export.browser import browser_files
from vermilion.export.golden import INT8_TOLERANCE, TOLERANCE, golden_rows, golden_texts
from vermilion.world.onnx_encoders import EncoderFiles, encoder_files, tokens_of
from vermilion.world.onnx_export import head_onnx
from vermilion.world.predictor import Predictor

PIPELINE, LABELS, GOLDEN, SCRIPT, README = (
    "pipeline.json",
    "labels.json",
    "golden.json",
    "classify.py",
    "README.md",
)
# A model runs in milliseconds; loading it on a busy machine may take longer.
CHECK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How a model is exported.

    Attributes
    ----------
    out : Path
    int8 : bool
        The head's weights, and the table of `static`, as int8.
    browser : bool
        With a page that classifies in the browser.
    npm : Path or None
        Folder with the archives of the npm packages; None: fetched.
    """

    out: Path
    int8: bool = False
    browser: bool = False
    npm: Path | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """How large a part is.

    Attributes
    ----------
    name : str
    whole, int8 : int
        Bytes, as it is learned or packaged and with int8 weights.
    """

    name: str
    whole: int
    int8: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported and how equal it is.

    Attributes
    ----------
    folder : Path
    files : tuple of str
    sizes : tuple of Size
    texts : int
        Golden texts; `tokens` of them have the same tokens, `decisions` the same decision.
    vectors, probabilities : float
        The largest difference.
    tolerance : float
        What was allowed.
    left_out : str
        What of the model is not in the export; empty where all is.
    """

    folder: Path
    files: tuple[str, ...]
    sizes: tuple[Size, ...]
    texts: int
    tokens: int
    decisions: int
    vectors: float
    probabilities: float
    tolerance: float
    left_out: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"folder": str(self.folder)}


def export_model(predictor: Predictor, settings: ExportSettings) -> Exported:
    """Write a model as ONNX files that run without Vermilion, and prove them by the script that comes with them.

    The folder appears whole or not at all.

    Raises
    ------
    InputError
        The folder exists and holds something else, or the model has no ONNX form.
    MissingExtraError
        onnx is not installed.
    ModelError
        The exported model does not say what the model says, or a file cannot be written or fetched.
    """
    _check_place(settings.out)
    encoders = encoder_files(predictor.model.encoder, int8=settings.int8)
    heads = {
        int8: head_onnx(predictor.model, predictor.encoder.dimension, int8=int8) for int8 in (False, True)
    }
    contents = _contents(predictor, encoders, heads[settings.int8], settings)
    fresh = settings.out.with_name(f".{settings.out.name}.{os.getpid()}")
    try:
        _write(fresh, contents)
        found = _proved(fresh)
        _swap(fresh, settings.out)
    except OSError as error:
        raise ModelError(
            f"{settings.out}: cannot be written ({error.strerror}); make room, or name another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    sizes = (*_encoder_sizes(predictor.model.encoder, encoders, settings), _head_size(heads))
    told = {
        name: found[name]
        for name in ("texts", "tokens", "decisions", "vectors", "probabilities", "tolerance")
    }
    return Exported(settings.out, tuple(sorted(contents)), sizes, left_out=_left_out(predictor), **told)


def _check_place(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / PIPELINE).is_file():
        raise InputError(
            "a new folder, or an earlier export", "a folder of something else", str(out), "name another"
        )
    if out.exists() and not out.is_dir():
        raise InputError("a folder", "a file", str(out), "name another")


def _left_out(predictor: Predictor) -> str:
    scope = predictor.model.out_of_scope
    if scope is None or scope.rate is None:
        return ""
    return (
        "what looks foreign to all labels gets one all the same: the score of --out-of-scope is not exported"
    )


def _contents(
    predictor: Predictor, encoders: tuple[EncoderFiles, ...], head: bytes, settings: ExportSettings
) -> dict[str, bytes]:
    """Return all files by name."""
    model = predictor.model
    told: list[dict[str, Any]] = []
    contents: dict[str, bytes] = {"head.onnx": head}
    for number, encoder in enumerate(encoders, start=1):
        suffix = "" if number == 1 else str(number)
        names = {"file": f"encoder{suffix}.onnx", "tokenizer": f"tokenizer{suffix}.json"}
        contents |= {names["file"]: encoder.onnx, names["tokenizer"]: encoder.tokenizer}
        told.append(names | encoder.limits())
    tokens = [
        list(row) for row in zip(*(tokens_of(one, golden_texts(predictor)) for one in encoders), strict=True)
    ]
    tolerance = INT8_TOLERANCE if settings.int8 else TOLERANCE
    golden = {"tolerance": tolerance, "texts": golden_rows(predictor, tokens)}
    contents[LABELS] = _json([asdict(label) for label in model.labels])
    contents[GOLDEN] = _json(golden)
    if settings.browser:
        contents |= browser_files(model, settings.npm)
    contents[SCRIPT] = _template("classify.py.j2")
    contents[README] = _template("README.md.j2")
    pipeline = {
        "format": 1,
        "vermilion": __version__,
        "task": model.task,
        "encoder": {"name": model.encoder, "digest": model.encoder_digest},
        "int8": settings.int8,
        "encoders": told,
        "head": "head.onnx",
        "decision": model.rule.to_json(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
    }
    return contents | {PIPELINE: _json(pipeline)}


def _template(name: str) -> bytes:
    return files("vermilion.export").joinpath("templates", name).read_bytes()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _proved(folder: Path) -> dict[str, Any]:
    """Run the folder's own script on the golden texts, without this package; return what it found."""
    # -I: neither the environment nor the current folder can lend it modules.
    command = [sys.executable, "-I", str(folder / SCRIPT), "--check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{SCRIPT} --check: not done after {CHECK_SECONDS} s; try again on a machine with less to do"
        ) from None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelError(f"{SCRIPT} --check: the exported model does not run ({reason})") from None
    if not found["passed"]:
        raise ModelError(
            f"{SCRIPT} --check: the exported model differs: vectors by {found['vectors']:.2g}, probabilities by "
            f"{found['probabilities']:.2g}, allowed is {found['tolerance']:g}; {found['tokens']} of "
            f"{found['texts']} texts have the same tokens; nothing was written"
        )
    return found


def _encoder_sizes(
    spec: str, encoders: tuple[EncoderFiles, ...], settings: ExportSettings
) -> tuple[Size, ...]:
    other = encoder_files(spec, int8=not settings.int8)
    whole, small = (other, encoders) if settings.int8 else (encoders, other)
    return tuple(
        Size(f"encoder {one.name}", len(one.onnx), len(less.onnx))
        for one, less in zip(whole, small, strict=True)
    )


def _head_size(heads: Mapping[bool, bytes]) -> Size:
    return Size("head", len(heads[False]), len(heads[True]))
