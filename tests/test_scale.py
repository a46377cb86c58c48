"""Ray: the same bytes as without it, a killed worker included; what has to be refused before Ray starts."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vermilion import __version__, cli, scale
from vermilion.errors import ClusterError, InputError, MissingExtraError, ModelError
from vermilion.learn.heads import FlatHead
from vermilion.red.predict import predict_file
from vermilion.red.progress import Silent
from vermilion.scale import Cluster, Input, encode_file, encode_on_ray, predict_on_ray
from vermilion.types import Encoder, Label, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.models import SavedModel
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRows, Columns
from vermilion.world.vectors import VectorCache

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install -e '.[ray]'"
)
# Ray's own, not ours: it sets its deprecated settings itself, and leaves files of its processes open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORKERS = 2
BLOCK = 48
TOPICS = ("card", "transfer", "refund", "exchange rate", "top-up", "passcode")
ASKED = (
    "where is my {}?",
    "the {} failed again",
    "how long does a {} take?",
    "please cancel the {} – désolé 🙂",
)


def texts_of(count: int) -> list[str]:
    """Return texts of many lengths, so that a batch sorted by length differs from the file's order."""
    return [
        ASKED[row % 4].format(TOPICS[row % 6]) + f" number {row}" + " and so on" * (row % 23)
        for row in range(count)
    ]


def learn(encoder: Encoder) -> SavedModel:
    """Fit a small model on vectors of this encoder."""
    texts = texts_of(60)
    head = FlatHead(C=10.0).fit(encoder.encode(texts), np.arange(60) % 6)
    return SavedModel("flat", head, tuple(map(Label, TOPICS)), 1.3, encoder.name, encoder.digest)


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def predict_here(model: SavedModel, source: Path, target: Path, skipped: BadRows | None = None) -> bytes:
    predict_file(Predictor.of(model), str(source), str(target), Columns(), Silent(), skipped)
    return target.read_bytes()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vermilion.red.predict.BATCH", BLOCK)
    monkeypatch.setattr(VectorCache, "chunk", BLOCK)


@pytest.fixture(scope="module")
def static() -> SavedModel:
    return learn(load_encoder("static"))


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """One Ray for all tests: `_joined` takes one that runs in this process as it is."""
    with scale._joined(Cluster(workers=WORKERS)):
        yield


# --- with Ray


def workers_now() -> set[int]:
    """Return the processes of Ray's actors that descend from this one."""
    parents, named = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, line = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        if line.startswith(b"ray::MapWorker"):
            named.add(int(folder.name))
    return {pid for pid in named if descends(pid, parents)}


def descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


class Killer(Silent):
    """Kills a worker when the first block is done, and notes which workers there are after each."""

    def __init__(self) -> None:
        self.killed: int | None = None
        self.done_by_then = self.done_in_all = 0
        self.seen: set[int] = set()

    def advance(self, steps: int, spend: object = None) -> None:
        self.done_in_all += steps
        self.seen |= workers_now()
        if self.killed is None:
            self.killed, self.done_by_then = min(self.seen), steps
            os.kill(self.killed, signal.SIGKILL)


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_changes_nothing(ray_here: None, tmp_path: Path) -> None:
    model = learn(load_encoder("minilm"))
    source = write(tmp_path / "texts.jsonl", texts_of(16 * BLOCK + 7))
    expected = predict_here(model, source, tmp_path / "here.jsonl")
    killer = Killer()
    count, skipped = predict_on_ray(
        model, Input(str(source), Columns()), str(tmp_path / "ray.jsonl"), Cluster(), killer
    )
    assert (tmp_path / "ray.jsonl").read_bytes() == expected
    assert count == killer.done_in_all == 16 * BLOCK + 7
    assert not skipped.count
    assert killer.done_by_then == BLOCK
    assert len(killer.seen) > WORKERS, "the killed worker was not replaced: it died too late to matter"


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_same_bytes_in_every_format(ray_here: None, static: SavedModel, suffix: str, tmp_path: Path) -> None:
    source = write(tmp_path / "texts.jsonl", texts_of(5 * BLOCK + 1))
    expected = predict_here(static, source, tmp_path / f"here{suffix}")
    predict_on_ray(static, Input(str(source), Columns()), str(tmp_path / f"ray{suffix}"), Cluster(), Silent())
    assert (tmp_path / f"ray{suffix}").read_bytes() == expected


@needs_ray
@pytest.mark.slow
def test_bad_rows_are_the_same(ray_here: None, static: SavedModel, tmp_path: Path) -> None:
    texts = texts_of(3 * BLOCK)
    texts[2] = texts[70] = texts[-1] = " "
    source = write(tmp_path / "texts.jsonl", texts)
    here = BadRows()
    expected = predict_here(static, source, tmp_path / "here.jsonl", here)
    given = Input(str(source), Columns(), skip=True)
    count, skipped = predict_on_ray(static, given, str(tmp_path / "ray.jsonl"), Cluster(), Silent())
    assert (count, skipped.rows) == (3 * BLOCK - 3, here.rows)
    assert (tmp_path / "ray.jsonl").read_bytes() == expected
    with pytest.raises(InputError) as local:
        predict_here(static, source, tmp_path / "no.jsonl")
    with pytest.raises(InputError) as remote:
        predict_on_ray(static, Input(str(source), Columns()), str(tmp_path / "no.jsonl"), Cluster(), Silent())
    assert str(remote.value) == str(local.value)
    assert not (tmp_path / "no.jsonl").exists()


@needs_ray
@pytest.mark.slow
def test_vectors_are_the_same_and_none_is_computed_twice(ray_here: None, tmp_path: Path) -> None:
    encoder = load_encoder("minilm")
    texts = texts_of(3 * BLOCK)
    source = Input(str(write(tmp_path / "texts.jsonl", texts)), Columns())
    assert encode_file(encoder, source, tmp_path / "here", Silent())[0] == len(texts)
    VectorCache(tmp_path / "ray", encoder).encode(texts[10:20])
    assert encode_on_ray(encoder, source, tmp_path / "ray", Cluster(), Silent())[0] == len(texts) - 10
    assert encode_on_ray(encoder, source, tmp_path / "ray", Cluster(), Silent())[0] == 0
    kept = VectorCache(tmp_path / "ray", encoder)
    vectors = kept.encode(texts)
    assert kept.misses == 0
    np.testing.assert_array_equal(vectors, VectorCache(tmp_path / "here", encoder).encode(texts))


@needs_ray
@pytest.mark.slow
def test_what_a_worker_refuses_is_one_line(ray_here: None, static: SavedModel, tmp_path: Path) -> None:
    other = SavedModel("flat", static.head, static.labels, 1.0, "static", "0" * 32)
    source = Input(str(write(tmp_path / "texts.jsonl", texts_of(9))), Columns())
    with pytest.raises(ClusterError, match=r"worker on .*expected encoder static 0000") as raised:
        predict_on_ray(other, source, str(tmp_path / "no.jsonl"), Cluster(), Silent())
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "no.jsonl").exists()


@needs_ray
@pytest.mark.slow
def test_more_workers_than_cores_are_refused(ray_here: None, static: SavedModel, tmp_path: Path) -> None:
    source = Input(str(write(tmp_path / "texts.jsonl", texts_of(9))), Columns())
    with pytest.raises(InputError, match="at most the cluster's 2 cores, found 3"):
        predict_on_ray(static, source, str(tmp_path / "no.jsonl"), Cluster(workers=3), Silent())


# --- without Ray: the parts that run in its processes are plain functions


def blocks_of(path: Path, *, skip: bool = False) -> list[scale.Block]:
    return list(scale._read(Input(str(path), Columns(), skip), BLOCK, os.getcwd()))


def test_blocks_are_cut_by_row_number(tmp_path: Path) -> None:
    blocks = blocks_of(write(tmp_path / "texts.jsonl", texts_of(2 * BLOCK + 5)))
    assert [block["size"] for block in blocks] == [BLOCK, BLOCK, 5, 0]
    told = [text for block in blocks for text in json.loads(block["body"])["texts"]]
    assert told == texts_of(2 * BLOCK + 5)


def test_an_error_of_the_file_travels_as_data(tmp_path: Path) -> None:
    path = write(tmp_path / "texts.jsonl", [*texts_of(BLOCK), " "])
    *_, last = blocks_of(path)
    with pytest.raises(InputError, match=r"texts.jsonl, row 49, column text: expected a text, found white"):
        raise InputError(*json.loads(last["error"]))


def test_a_worker_gives_what_is_written_without_ray(static: SavedModel, tmp_path: Path) -> None:
    path = write(tmp_path / "texts.jsonl", texts_of(BLOCK + 3))
    worker = scale.Worker(__version__, lambda: scale._labelling(static, None))
    lines = b"".join(worker(block)["body"] for block in blocks_of(path) if block["size"])
    assert lines == predict_here(static, path, tmp_path / "here.jsonl")


def test_a_worker_of_another_version_says_so(static: SavedModel, tmp_path: Path) -> None:
    worker = scale.Worker("0.0.1", lambda: scale._labelling(static, None))
    (block, _) = blocks_of(write(tmp_path / "texts.jsonl", texts_of(2)))
    assert b"expected vermilion 0.0.1, found" in worker(block)["error"]


def test_probabilities_do_not_depend_on_the_number_of_threads(static: SavedModel) -> None:
    """Of 970 labels a third of the last bits would change from one thread to three."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    head = FlatHead()
    tensors = {"coef": rng.normal(size=(970, 256)), "intercept": rng.normal(size=970), "C": np.array([1.0])}
    wide = head.from_tensors({k: v.astype(np.float32) for k, v in tensors.items()}, np.arange(970))
    labels = tuple(Label(f"label {number}") for number in range(970))
    model = SavedModel("flat", wide, labels, 1.0, static.encoder, static.encoder_digest)
    predictor, texts = Predictor.of(model), texts_of(600)
    given = Texts(tuple(map(str, range(600))), tuple(texts))
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            found.append(list(predictor.rows(given)))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--workers", "2"], "--workers: expected --ray with --workers"),
        (["--ray", "local", "--workers", "0"], "--workers: expected a number from 1, found 0"),
        (["--ray", "ray://there:10001"], "--ray: expected local, auto or HOST:PORT"),
    ],
)
def test_options_are_checked_before_anything_is_loaded(given: list[str], expected: str) -> None:
    ended = CliRunner().invoke(cli.app, ["predict", "no-model", "no.csv", *given])
    assert isinstance(ended.exception, InputError)
    assert expected in str(ended.exception)


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1", "127.0.0.1:port"])
def test_a_cluster_that_is_not_there_is_one_line(
    address: str, static: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    source = Input(str(write(tmp_path / "texts.jsonl", texts_of(2))), Columns())
    with pytest.raises(ClusterError, match=f"--ray {address}: Ray cannot be reached"):
        predict_on_ray(static, source, str(tmp_path / "no.jsonl"), Cluster(address), Silent())
    assert not (tmp_path / "no.jsonl").exists()


def test_standard_input_is_refused() -> None:
    with pytest.raises(InputError, match="expected a file with --ray, found standard input"):
        Input("-", Columns()).checked()


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_a_missing_ray_is_one_line(static: SavedModel, tmp_path: Path) -> None:
    source = Input(str(write(tmp_path / "texts.jsonl", texts_of(2))), Columns())
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'vermilion[ray]'")):
        predict_on_ray(static, source, str(tmp_path / "no.jsonl"), Cluster(), Silent())
    assert os.listdir(tmp_path) == ["texts.jsonl"]


def test_vectors_from_elsewhere_are_checked(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, load_encoder("static"))
    with pytest.raises(ModelError, match="expected finite unit rows"):
        cache.add(["a", "b"], np.zeros((2, 256), dtype=np.float32))
    assert cache.missing(["a", "b", "a"]) == [0, 1]


def test_encode_fills_the_folder_of_a_run(tmp_path: Path) -> None:
    source = write(tmp_path / "texts.jsonl", texts_of(30))
    command = ["encode", str(source), "--vectors", str(tmp_path / "vectors"), "--encoder", "static"]
    ended = CliRunner().invoke(cli.app, command)
    assert "30 texts encoded" in ended.stdout
    kept = VectorCache(tmp_path / "vectors", load_encoder("static"))
    kept.encode(texts_of(30))
    assert kept.misses == 0
