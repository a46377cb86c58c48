"""Peers that encode: each a process of its own virtual environment that keeps its model loaded."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.types import FloatArray
from vermilion.world.encoders import MINILM_MODEL, MINILM_TOKENIZER

SCRIPT = Path(__file__).parents[1] / "peers" / "encode.py"
PACKAGED = "packaged"


@dataclass(frozen=True, slots=True)
class PeerKind:
    """A peer: the folder of its environment below the environments' folder, and where its model is."""

    name: str
    environment: str


PEERS = (PeerKind("sentence-transformers", "torch"), PeerKind("fastembed", "fastembed"))


class PeerError(RuntimeError):
    """A peer cannot be measured; the message says why in one line."""


class Peer:
    """A peer's process, ready to encode.

    Raises
    ------
    PeerError
        It has no environment, or ended.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions: dict[str, str] = self._answer()["versions"]
        self.first: FloatArray = np.zeros(0, dtype=np.float32)

    def encode(self, texts: Sequence[str]) -> float:
        """Return the seconds that the peer took for these texts; sets `first`, the first text's vector."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(list(texts)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: its last words are the answer
        answer = self._answer()
        self.first = np.array(answer["first"], dtype=np.float32)
        return float(answer["seconds"])

    def _answer(self) -> dict[str, Any]:
        """Return the next line that is JSON; libraries may print other things."""
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
            said = line.strip() or said
        raise PeerError(f"the peer ended: {said or 'it said nothing'}")


@contextmanager
def started(kind: PeerKind, environments: Path, folder: Path, threads: int) -> Iterator[Peer]:
    """Start a peer and wait until its model is loaded; `folder` holds the ONNX model for who wants one."""
    python = environments / kind.environment / "bin" / "python"
    if not python.exists():
        raise PeerError(
            f"no environment {python.parent.parent}; see requirements/peers/{kind.environment}.txt"
        )
    model = str(folder) if kind.name == "fastembed" else PACKAGED
    command = [str(python), str(SCRIPT), kind.name, model, str(threads)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"},
    )
    with process:
        try:
            yield Peer(process)
        finally:
            process.terminate()


def write_model_folder(folder: Path) -> None:
    """Write our ONNX file and tokenizer as the folder that fastembed expects of a hub's repository."""
    (folder / "model.onnx").write_bytes(MINILM_MODEL.read(None))
    (folder / "tokenizer.json").write_bytes(MINILM_TOKENIZER.read(None))
    small = {
        "config.json": {"pad_token_id": 0, "model_type": "bert"},
        "tokenizer_config.json": {"model_max_length": 256, "pad_token": "[PAD]"},
        "special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": "[UNK]"},
    }
    for name, content in small.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
