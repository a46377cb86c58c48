"""What a version may be made of, and that nothing in its folder can change unseen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from registry_models import make_model

from vermilion.errors import ModelError
from vermilion.world.encoders import MINILM_MODEL
from vermilion.world.onnx_wire import check_onnx
from vermilion.world.version_contents import gather, manifest
from vermilion.world.version_folder import VersionFolders, check_version


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


@pytest.fixture
def folders(tmp_path: Path) -> VersionFolders:
    made = VersionFolders(tmp_path / "models")
    made.belong_to("me")
    return made


@pytest.fixture
def version(folders: VersionFolders, source: Path) -> Path:
    with folders.locked(lambda digest: True):
        return folders.path(folders.put(gather(source), source))


def test_the_digest_is_that_of_the_manifest_and_of_nothing_else(
    version: Path, source: Path, tmp_path: Path
) -> None:
    again = make_model(tmp_path / "another name")
    assert manifest(gather(again)) == (version / "manifest.json").read_bytes() == manifest(gather(version))
    (again / "MODEL_CARD.md").write_text("# Another card\n")
    assert manifest(gather(again)) != manifest(gather(source))


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "MODEL_CARD.md", "manifest.json"])
def test_one_flipped_bit_anywhere_is_found(version: Path, name: str) -> None:
    path = version / name
    path.chmod(0o600)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 20).tolist():
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        with pytest.raises(ModelError, match=f"{name}: expected sha256") as told:
            check_version(version, version.name)
        assert "\n" not in str(told.value)
    path.write_bytes(whole)
    check_version(version, version.name)


def _more(folder: Path) -> None:
    (folder / "notes.md").write_text("more")


def _less(folder: Path) -> None:
    (folder / "MODEL_CARD.md").unlink()


def _link(folder: Path) -> None:
    (folder / "MODEL_CARD.md").rename(folder.parent / "card.md")
    (folder / "MODEL_CARD.md").symlink_to(folder.parent / "card.md")


def _folder(folder: Path) -> None:
    (folder / "more").mkdir()


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")


def _pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_more, r"notes\.md: expected only files of the version, found one more"),
        (_less, r"MODEL_CARD\.md: expected a file, found none; add the model once more"),
        (_link, r"MODEL_CARD\.md: expected plain files of .*, found a link"),
        (_folder, r"more: expected plain files of .*, found a folder"),
        (_pipe, r"pipe\.json: expected a plain file, found none"),
        (_pickle, r"model\.pkl: expected plain files of .*, found another kind; take it out"),
    ],
)
def test_a_changed_folder_is_refused(version: Path, change: Callable[[Path], None], problem: str) -> None:
    change(version)
    with pytest.raises(ModelError, match=problem):
        check_version(version, version.name)


def test_a_manifest_that_fits_other_files_is_refused(version: Path) -> None:
    """Whoever changes a file and the manifest with it has another digest."""
    for name in ("MODEL_CARD.md", "manifest.json"):
        (version / name).chmod(0o600)
    (version / "MODEL_CARD.md").write_text("# Mine\n")
    (version / "manifest.json").write_bytes(manifest({**gather_unchecked(version)}))
    with pytest.raises(ModelError, match=r"manifest\.json: expected sha256"):
        check_version(version, version.name)


def gather_unchecked(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize(
    "name", ["model.pkl", "pytorch_model.bin", "model.pt", "head.joblib", "run.py", "x", ".x"]
)
def test_a_file_that_may_run_code_does_not_get_in(source: Path, name: str) -> None:
    (source / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match=f"{name}: expected plain files of .safetensors, .json, .yaml"):
        gather(source)


@pytest.mark.parametrize("name", ["more.safetensors", "more.json", "more.yaml", "more.md", "more.onnx"])
def test_a_file_that_only_has_the_name_does_not_get_in(source: Path, name: str) -> None:
    (source / name).write_bytes(b"\x80\x04\x95\xff.")
    with pytest.raises(ModelError, match=f"{name}: is not what .* promises"):
        gather(source)


def test_a_folder_that_is_no_model(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ModelError, match="expected a model folder, found none"):
        gather(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="expected a model folder, found a file"):
        gather(source / "model.json")
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"expected a model folder with model\.safetensors, found none"):
        gather(source)


def test_a_model_that_cannot_be_loaded_leaves_nothing(
    folders: VersionFolders, source: Path, tmp_path: Path
) -> None:
    description = json.loads((source / "model.json").read_text())
    description["temperature"] = 2.0
    (source / "model.json").write_text(json.dumps(description))
    with (
        pytest.raises(ModelError, match=f"^{source}/model.json: is not what its sha256 says"),
        folders.locked(lambda digest: False),
    ):
        folders.put(gather(source), source)
    assert {path.name for path in (tmp_path / "models").iterdir()} == {".lock", ".registry"}


def test_a_copied_version_is_checked_by_its_manifest(version: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in version.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    assert manifest(gather(copied)) == (version / "manifest.json").read_bytes()
    (copied / "MODEL_CARD.md").write_text("other")
    with pytest.raises(ModelError, match=r"MODEL_CARD\.md: expected sha256"):
        gather(copied)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 1, "files": 3}', b"\xff"])
def test_a_manifest_that_is_none(source: Path, content: bytes) -> None:
    (source / "manifest.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"manifest\.json: damaged, it lists no files"):
        gather(source)


def test_a_manifest_of_a_newer_format(source: Path) -> None:
    (source / "manifest.json").write_text('{"format": 2, "files": {}}')
    with pytest.raises(ModelError, match="expected format 1, found 2; update vermilion"):
        gather(source)


# --- ONNX


def test_a_real_onnx_file_gets_in(source: Path) -> None:
    content = MINILM_MODEL.read()
    (source / "encoder.onnx").write_bytes(content)
    assert gather(source)["encoder.onnx"] == content
    with pytest.raises(ValueError, match="cut off"):
        check_onnx(content[: len(content) // 2])


def test_onnx_with_weights_in_another_file_does_not_get_in(source: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    numbers = onnx.numpy_helper.from_array(np.arange(4096, dtype=np.float32), "w")
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [4096]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], [numbers])
    model = onnx.helper.make_model(graph)
    onnx.save(model, source / "head.onnx")
    assert "head.onnx" in gather(source)
    outside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(model, source / "head.onnx", **outside)
    (source / "weights.bin").unlink()
    with pytest.raises(
        ModelError, match=r"head\.onnx: is not what \.onnx promises \(a tensor lies in another file"
    ):
        gather(source)


def _message(number: int, content: bytes) -> bytes:
    """Return one field of a protobuf message that is a message."""
    assert len(content) < 128
    return bytes([*_key(number), len(content)]) + content


def _key(number: int) -> bytes:
    key = number << 3 | 2
    return bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])


EXTERNAL = _message(13, _message(1, b"location") + _message(2, b"x"))
LOCATED, INSIDE = bytes([14 << 3, 1]), bytes([14 << 3, 0])


@pytest.mark.parametrize("tensor", [EXTERNAL, LOCATED])
@pytest.mark.parametrize(
    "path",
    [
        (7, 5),  # a graph's tensor
        (7, 15, 1),  # sparse
        (7, 1, 5, 5),  # a node's attribute
        (7, 1, 5, 6, 5),  # a graph within a node
        (7, 1, 5, 11, 1, 5, 10),  # two deep
        (25, 7, 5, 5),  # a function
        (25, 11, 22, 2),
        (20, 1, 5),  # training
    ],
)
def test_a_tensor_outside_is_found_wherever_it_hides(path: tuple[int, ...], tensor: bytes) -> None:
    head = _message(7, b"")
    with pytest.raises(ValueError, match="another file"):
        check_onnx(head + _nested(path, tensor))
    check_onnx(head + _nested(path, INSIDE))


def _nested(path: tuple[int, ...], content: bytes) -> bytes:
    for number in reversed(path):
        content = _message(number, content)
    return content


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 20, b"\x3a", b"\x3a\x05a", b"\x38\x01", b"\x3b"])
def test_bytes_that_are_no_onnx(content: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX model"):
        check_onnx(content)
