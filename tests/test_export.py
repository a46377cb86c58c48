"""An exported model says what the model says: head by head in ONNX Runtime, and as a whole by its own script."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

from vermilion.errors import InputError, MissingExtraError, ModelError
from vermilion.export.folder import ExportSettings, export_model
from vermilion.learn.calibrators import Calibrator, IsotonicScaling, VectorScaling
from vermilion.learn.decision_rules import Argmax, Rule, Threshold, Thresholds, Tree
from vermilion.learn.heads import CentroidHead, FlatHead, OneVsRestHead, StackedHead, SubsetHead
from vermilion.learn.label_calibration import LabelScaling
from vermilion.learn.out_of_scope import fit_out_of_scope
from vermilion.types import FloatArray, Label
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel
from vermilion.world.npm_packages import ORT_WEB, NpmPackage
from vermilion.world.onnx_encoders import encoder_files
from vermilion.world.onnx_export import head_onnx
from vermilion.world.onnx_wire import check_onnx
from vermilion.world.predictor import Predictor

CLASSES, DIMENSION = 30, 48
RNG = np.random.default_rng(0)


def unit(rows: FloatArray) -> FloatArray:
    found: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


CENTRES = RNG.normal(size=(CLASSES, DIMENSION))
CODES = np.repeat(np.arange(CLASSES), 6)
X = unit(CENTRES[CODES] + 1.2 * RNG.normal(size=(len(CODES), DIMENSION)))
SEVERAL = (CODES[:, None] == np.arange(CLASSES)) | ((CODES[:, None] + 1) % CLASSES == np.arange(CLASSES))
QUERIES = unit(np.concatenate([RNG.normal(size=(200, DIMENSION)), CENTRES + 0.3]))
LABELS = tuple(Label(f"label {n}") for n in range(CLASSES))
SCALES, BIASES = tuple(RNG.normal(1, 0.3, CLASSES).tolist()), tuple(RNG.normal(0, 0.5, CLASSES).tolist())
RISING = tuple(np.sort(RNG.random(30)).tolist())
CURVE = IsotonicScaling(RISING, tuple(np.sort(RNG.random(30)).tolist()))


def saved(
    kind: str, head: Any, calibrator: Calibrator | None = None, task: str = "multi-class"
) -> SavedModel:
    return SavedModel(kind, head, LABELS, 0.7, "static", "digest", calibrator=calibrator, task=task)


HEADS: dict[str, SavedModel] = {
    "flat": saved("flat", FlatHead(C=30.0).fit(X, CODES)),
    "flat, vector": saved("flat", FlatHead(C=30.0).fit(X, CODES), VectorScaling(SCALES, BIASES)),
    "flat, isotonic": saved("flat", FlatHead(C=30.0).fit(X, CODES), CURVE),
    "flat, isotonic of one corner": saved(
        "flat", FlatHead(C=30.0).fit(X, CODES), IsotonicScaling((0.5,), (0.4,))
    ),
    "centroid": saved("centroid", CentroidHead().fit(X, CODES)),
    "subset": saved("subset", SubsetHead(7, C=30.0).fit(X, CODES)),
    "subset, centroid": saved("subset", SubsetHead(7, C=30.0, arbiter="centroid").fit(X, CODES)),
    "subset, none": saved("subset", SubsetHead(7, C=30.0, arbiter="none").fit(X, CODES)),
    "one subset": saved("subset", SubsetHead(40, C=30.0).fit(X, CODES)),
    "one-vs-rest": saved("one-vs-rest", OneVsRestHead(C=30.0).fit(X, SEVERAL), task="multi-label"),
    "one-vs-rest, label": saved(
        "one-vs-rest", OneVsRestHead(C=30.0).fit(X, SEVERAL), LabelScaling(SCALES, BIASES), "multi-label"
    ),
    "stacked": saved("stacked", StackedHead(C=30.0).fit(X, SEVERAL), task="multi-label"),
    "groups without texts": saved("flat", FlatHead(C=30.0).fit(X, CODES // 3 * 3)),
    "two labels": replace(saved("flat", FlatHead(C=30.0).fit(X, CODES % 2)), labels=LABELS[:2]),
}


def run_head(content: bytes, vectors: FloatArray) -> FloatArray:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found: FloatArray = session.run(["probabilities"], {"vectors": vectors})[0]
    return found


@pytest.mark.parametrize("name", HEADS)
def test_a_head_in_onnx_says_what_it_says(name: str) -> None:
    model = HEADS[name]
    expected = model.spread(model.predict_proba(QUERIES))
    content = head_onnx(model, DIMENSION)
    check_onnx(content)
    assert np.abs(run_head(content, QUERIES) - expected).max() < 1e-5
    if "one corner" not in name:
        assert np.ptp(expected, axis=0).max() > 0.05  # there is something to be equal to
    # The vectors' length does not matter: it is made 1 in the graph.
    assert np.abs(run_head(content, 3 * QUERIES) - expected).max() < 1e-5


@pytest.mark.parametrize("name", HEADS)
def test_int8_is_smaller_and_nearly_equal(name: str) -> None:
    model = HEADS[name]
    content = head_onnx(model, DIMENSION, int8=True)
    assert len(content) < len(head_onnx(model, DIMENSION))
    apart = np.abs(run_head(content, QUERIES) - model.spread(model.predict_proba(QUERIES)))
    assert 0 < apart.max() < 0.1


def test_a_head_that_has_no_onnx_form_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"the model: expected a head and calibration with an ONNX form, found head forest"
    ):
        head_onnx(replace(HEADS["flat"], kind="forest"), DIMENSION)


# --- whole models


def predictor(spec: str, rule: Rule | None = None, task: str = "multi-class") -> Predictor:
    texts = [
        "where is my card",
        "card not here yet",
        "I lost my card",
        "card is gone",
        "what are the fees",
        "costs",
    ]
    encoder = load_encoder(spec)
    labels: tuple[Label, ...] = (
        Label("late", "asks where a card is"),
        Label("lost", parent="cards"),
        Label("fees"),
    )
    codes = np.array([0, 0, 1, 1, 2, 2])
    head: Any = FlatHead(C=30.0).fit(encoder.encode(texts), codes)
    if task == "multi-label":
        head = OneVsRestHead(C=30.0).fit(encoder.encode(texts), codes[:, None] == np.arange(3))
    if task == "hierarchical":
        labels = (*labels, Label("cards"))
    if task == "binary":
        head, labels = FlatHead(C=30.0).fit(encoder.encode(texts), codes % 2), labels[:2]
    kind = "one-vs-rest" if task == "multi-label" else "flat"
    return Predictor(
        SavedModel(kind, head, labels, 0.5, spec, encoder.digest, task=task, rule=rule or Argmax()), encoder
    )


@pytest.mark.parametrize("spec", ["static", "minilm", "minilm+static"])
def test_a_folder_runs_alone_and_gives_the_golden_values(spec: str, tmp_path: Path) -> None:
    done = export_model(predictor(spec), ExportSettings(tmp_path / "out"))
    assert done.tokens == done.decisions == done.texts > 20
    assert done.vectors < 1e-5
    assert done.probabilities < 1e-5
    for path in (tmp_path / "out").glob("*.onnx"):
        check_onnx(path.read_bytes())
    golden = json.loads((tmp_path / "out" / "golden.json").read_text("utf-8"))["texts"]
    assert len(golden[0]["tokens"]) == spec.count("+") + 1
    width = {"static": 256, "minilm": 384, "minilm+static": 640}[spec]
    assert len(golden[0]["vector"]) == width
    assert not (tmp_path / "out" / "index.html").exists()


def run_script(folder: Path, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a folder's script where nothing of this package can be imported."""
    code = "import sys; sys.modules['vermilion'] = None; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    code = f"import sys; sys.argv = {[str(folder / 'classify.py'), *words]!r}; {code}"
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


RULES: list[tuple[str, Rule]] = [
    ("multi-class", Argmax()),
    ("binary", Threshold(1, 0.3)),
    ("multi-label", Thresholds((0.4, 0.3, 0.5))),
    ("hierarchical", Tree((-1, 3, -1, -1), 0.5)),
    ("hierarchical", Tree((3, 3, -1, -1), 0.9)),
    ("hierarchical", Tree((3, 3, -1, -1), 0.0)),
]


@pytest.mark.parametrize(("task", "rule"), RULES)
def test_the_script_decides_as_the_model_does(task: str, rule: Rule, tmp_path: Path) -> None:
    exported = export_model(predictor("static", rule, task), ExportSettings(tmp_path / "out"))
    assert exported.decisions == exported.texts


def test_the_script_reads_words_lines_and_says_what_it_can(tmp_path: Path) -> None:
    export_model(predictor("static"), ExportSettings(tmp_path / "out"))
    done = run_script(tmp_path / "out", "I lost my card", "the fees")
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["lost", "fees"], done.stderr
    done = run_script(tmp_path / "out", text="I lost my card\n\nfees\n")
    assert len(done.stdout.splitlines()) == 3
    assert "python classify.py" in run_script(tmp_path / "out", "--help").stderr


def test_a_damaged_file_is_refused_by_the_script(tmp_path: Path) -> None:
    export_model(predictor("static"), ExportSettings(tmp_path / "out"))
    path = tmp_path / "out" / "head.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = run_script(tmp_path / "out", "a text")
    assert done.returncode == 1
    assert "head.onnx: is not what its sha256 says" in done.stderr


def test_a_folder_that_differs_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vermilion.export import golden

    wrong = predictor("static")
    other = replace(wrong, model=replace(wrong.model, temperature=0.1))
    monkeypatch.setattr(
        "vermilion.export.folder.golden_rows", lambda _, tokens: golden.golden_rows(other, tokens)
    )
    with pytest.raises(
        ModelError, match=r"the exported model differs: vectors by .*, probabilities by .*allowed is"
    ):
        export_model(wrong, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_int8_says_how_far_it_is_off(tmp_path: Path) -> None:
    done = export_model(predictor("static"), ExportSettings(tmp_path / "out", int8=True))
    encoder, head = done.sizes
    assert encoder.int8 < 0.6 * encoder.whole
    assert head.int8 < head.whole
    assert (tmp_path / "out" / "encoder.onnx").stat().st_size == encoder.int8
    assert 1e-4 < done.vectors < 0.01
    assert done.tolerance == 0.1


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    whole = predictor("static")
    X, codes = whole.encoder.encode([f"text {n}" for n in range(12)]), np.repeat([0, 1, 2], 4)
    scope = replace(fit_out_of_scope((X, codes), (X, codes), "logit", 30.0), rate=0.05)
    done = export_model(
        replace(whole, model=replace(whole.model, out_of_scope=scope)), ExportSettings(tmp_path / "out")
    )
    assert "foreign" in done.left_out


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        InputError, match="a new folder, or an earlier export, found a folder of something else"
    ):
        export_model(predictor("static"), ExportSettings(tmp_path))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(InputError, match="expected a folder, found a file"):
        export_model(predictor("static"), ExportSettings(tmp_path / "thesis.txt"))


def test_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    export_model(predictor("static"), ExportSettings(tmp_path / "out"))
    (tmp_path / "out" / "left.over").write_text("old")
    export_model(predictor("static"), ExportSettings(tmp_path / "out"))
    assert not (tmp_path / "out" / "left.over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("spec", ["st:some/model", "openai:x", "pairs:static", "minilm+openai:x"])
def test_an_encoder_that_cannot_be_exported_is_one_line(spec: str) -> None:
    with pytest.raises(InputError, match=r"an encoder of minilm, static or minilm\+static, found"):
        encoder_files(spec)


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vermilion\[export\]'"):
        head_onnx(HEADS["flat"], DIMENSION)


# --- npm packages


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"cannot be read .*; in that folder, npm pack onnxruntime-web@1\.30\.0"
    ):
        ORT_WEB.read(tmp_path)
    (tmp_path / ORT_WEB.archive).write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"expected sha512-.*, found sha512-"):
        ORT_WEB.read(tmp_path)


def test_a_registry_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.world.npm_packages.REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"cannot be fetched .*; give --npm a folder with a-1\.tgz"):
        NpmPackage("a", "1", "sha512-", ()).read()
