"""Fine-tuning as one more contestant: a tiny model, really trained; skipped where the extra is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vermilion.choose.encoders_data import Wanted, lay_out_bench
from vermilion.choose.encoders_tuned import measure_tuned
from vermilion.errors import InputError, MissingExtraError
from vermilion.types import Texts
from vermilion.world.encoders_setfit import SetFitTuner
from vermilion.world.parts import Parts


def texts_of_two_labels() -> Texts:
    rows = [(f"{word} {place}", word) for word in ("apple", "river") for place in range(12)]
    names = tuple(str(place) for place in range(len(rows)))
    return Texts(names, tuple(text for text, _ in rows), tuple((label,) for _, label in rows))


class Quiet:
    """Shows nothing."""

    def start(self, what: str, total: int | None) -> None:
        pass

    def advance(self, steps: int) -> None:
        pass

    def done(self) -> None:
        pass


@pytest.mark.parametrize("spec", ["minilm", "st:", "static", "st:a+minilm"])
def test_only_a_sentence_transformers_model_can_be_tuned(spec: str) -> None:
    with pytest.raises(InputError, match="--setfit: expected a sentence-transformers model"):
        SetFitTuner(spec)


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setfit", None)
    with pytest.raises(MissingExtraError) as caught:
        SetFitTuner("st:any")
    assert str(caught.value) == "setfit is not installed; pip install 'vermilion[setfit]'"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Save a small BERT with random weights as sentence-transformers does."""
    pytest.importorskip("setfit", reason="the extra `setfit` is not installed")
    import sentence_transformers as library
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

    set_seed(0)
    bert = tmp_path / "bert"
    bert.mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789"]
    (bert / "vocab.txt").write_text("\n".join([*pieces, *(f"##{piece}" for piece in pieces[5:])]))
    BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    size: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(
        BertConfig(vocab_size=77, max_position_embeddings=32, intermediate_size=32, **size)
    ).save_pretrained(bert)
    transformer: Any = modules.Transformer(str(bert), max_seq_length=32)
    library.SentenceTransformer(modules=[transformer, modules.Pooling(16)]).save(str(tmp_path / "st"))
    return tmp_path / "st"


def test_a_tuned_model_is_judged_on_folds_and_not_trained_twice(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    bench, parts = lay_out_bench(texts_of_two_labels(), Wanted()), Parts(tmp_path / "parts")
    tuned = measure_tuned(f"st:{tiny}", bench, parts, Quiet(), shots=(2, 4))
    assert capfd.readouterr() == ("", "")
    assert list(tuned.shots) == [2, 4]
    assert np.isfinite(tuned.scores[4].values).sum() == 3
    assert tuned.shots[4].value is not None
    assert tuned.shots[4].value >= 0.9
    assert all(seconds > 0 for seconds in tuned.seconds.values())

    def never(*given: Any) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(SetFitTuner, "fit", never)
    again = measure_tuned(f"st:{tiny}", bench, parts, Quiet(), shots=(2, 4))
    assert again.shots == tuned.shots
