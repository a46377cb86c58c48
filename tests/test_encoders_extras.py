"""Encoders behind extras, each on a small model that is made here; skipped where the extra is not installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import check_encoder

from vermilion.errors import MissingExtraError, ModelError
from vermilion.world.encoders import MINILM_MODEL, MINILM_TOKENIZER, MiniLMEncoder, load_encoder

SENTENCES = ["I lost my bank card yesterday", "what will the weather be like in Paris tomorrow?", ""]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize("library", ["fastembed", "model2vec"])
def test_a_missing_library_is_told_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError) as caught:
        load_encoder(f"{library}:some/model")
    assert str(caught.value) == f"{library} is not installed; pip install 'vermilion[{library}]'"


# model2vec


def static_folder(folder: Path, seed: int = 0) -> Path:
    library: Any = pytest.importorskip("model2vec", reason="the extra `model2vec` is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [
        "[UNK]",
        "[PAD]",
        "i",
        "lost",
        "my",
        "bank",
        "card",
        "weather",
        "in",
        "paris",
        "x",
        "a",
        "where",
        "is",
    ]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(seed).normal(size=(len(words), 12)).astype(np.float32)
    library.StaticModel(vectors, tokenizer).save_pretrained(folder)
    return folder


def test_a_model2vec_folder_keeps_the_contract(tmp_path: Path) -> None:
    encoder = load_encoder(f"model2vec:{static_folder(tmp_path / 'a')}")
    check_encoder(encoder)
    assert encoder.dimension == 12
    assert load_encoder(f"model2vec:{tmp_path / 'a'}+static").dimension == 12 + 256


def test_other_vectors_of_model2vec_are_another_encoder(tmp_path: Path) -> None:
    folder = static_folder(tmp_path / "a")
    first = load_encoder(f"model2vec:{folder}").digest
    assert load_encoder(f"model2vec:{folder}").digest == first
    static_folder(folder, seed=1)
    assert load_encoder(f"model2vec:{folder}").digest != first


def test_a_damaged_model2vec_folder_is_told_in_one_line(tmp_path: Path) -> None:
    folder = static_folder(tmp_path / "a")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_encoder(f"model2vec:{folder}")
    assert str(caught.value).startswith(f"model2vec:{folder}: ")
    assert "\n" not in str(caught.value)


# fastembed


def cached_minilm(cache: Path) -> None:
    """Lay out a cache as the hub's library leaves it, with the files that the default encoder has anyway."""
    repository = cache / "models--Qdrant--all-MiniLM-L6-v2-onnx"
    files = repository / "snapshots" / ("1" * 40)
    for folder in (files, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("1" * 40)
    (files / "model.onnx").write_bytes(MINILM_MODEL.read())
    (files / "tokenizer.json").write_bytes(MINILM_TOKENIZER.read())
    (files / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (files / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 256, "pad_token": "[PAD]"}))
    (files / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]", "unk_token": "[UNK]"}))


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("fastembed", reason="the extra `fastembed` is not installed")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def test_a_model_of_fastembed_keeps_the_contract_and_agrees_with_minilm(offline_cache: Path) -> None:
    cached_minilm(offline_cache)
    encoder = load_encoder(f"fastembed:{MINILM}", threads=1)
    check_encoder(encoder)
    own = MiniLMEncoder(threads=1).encode(SENTENCES)
    np.testing.assert_allclose(encoder.encode(SENTENCES), own, atol=1e-4)


def test_a_name_that_fastembed_does_not_know_is_answered_with_a_near_one(offline_cache: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_encoder("fastembed:all-MiniLM-L6-v2")
    assert f"did you mean fastembed:{MINILM}?" in str(caught.value)


def test_a_model_of_fastembed_that_is_not_there_is_told_in_one_line(
    offline_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_encoder(f"fastembed:{MINILM}")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
