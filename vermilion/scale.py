"""Labelling and encoding on Ray Data: the same bytes as on one core, in blocks of bounded memory.

One task reads the file on this machine, actors work on blocks wherever Ray puts them, and this process writes what
comes back, in order. A block is cut by row number, as it is without Ray, and is one row of Ray's dataset: Ray can
neither split nor join it, so the same code sees the same texts together. docs/scale.md has the guarantees.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from vermilion import __version__
from vermilion.errors import ClusterError, InputError, MissingExtraError, VermilionError
from vermilion.red import predict
from vermilion.red.progress import Progress
from vermilion.types import Encoder, Texts
from vermilion.world.data import iter_texts
from vermilion.world.data_writer import RowWriter, json_lines, replacing
from vermilion.world.encoders import available_cores, load_encoder
from vermilion.world.models import SavedModel
from vermilion.world.pairs import sides
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRow, BadRows, Columns
from vermilion.world.vectors import VectorCache

LOCAL = "local"
LINES = frozenset({".jsonl", ".ndjson"})
OBJECT_STORE = 1 << 30  # bytes; what does not fit goes to the disk
PATIENCE = 10  # seconds
# What the user has set in the environment stays as it is. Usage reports leave the machine; and a Ray of our own
# is for this process alone, so it listens on the loopback address only (the variable's name tells half of what it
# does) and asks for a password that nobody else has.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_LOG_LEVEL": "ERROR", "RAY_BACKEND_LOG_LEVEL": "fatal"}
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


class Block(TypedDict):
    """One row of the dataset: `size` texts as JSON in `body`, then what came of them.

    `left_out` is the bad rows met since the block before, `error` what ended the work, both as JSON.
    """

    size: int
    body: bytes
    left_out: bytes
    error: bytes


Work = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the work is done.

    Attributes
    ----------
    address : str
        "local" starts a Ray of one's own on this machine and ends it afterwards; "auto" or HOST:PORT joins the
        cluster that this machine is part of.
    workers : int or None
        How many at once, one core each; None takes every core there is.
    """

    address: str = LOCAL
    workers: int | None = None

    def checked(self) -> Cluster:
        """Return self.

        Raises
        ------
        InputError
            No workers, or an address from which this machine's files cannot be read.

        Examples
        --------
        >>> Cluster(workers=0).checked()
        Traceback (most recent call last):
        vermilion.errors.InputError: --workers: expected a number from 1, found 0; give another, or leave it out
        """
        if self.workers is not None and self.workers < 1:
            raise InputError(
                "a number from 1", str(self.workers), "--workers", "give another, or leave it out"
            )
        if "://" in self.address or not self.address:
            cure = "start the command on a machine of the cluster"
            raise InputError("local, auto or HOST:PORT", repr(self.address), "--ray", cure)
        return self


@dataclass(frozen=True, slots=True)
class Input:
    """A file of texts, and whether its bad rows are left out."""

    path: str
    columns: Columns
    skip: bool = False

    def checked(self) -> Input:
        """Return self. Raises InputError for standard input: another process reads the file."""
        if self.path == "-":
            raise InputError("a file with --ray", "standard input", "INPUT", "write it to a file first")
        return self


def predict_on_ray(
    model: SavedModel,
    source: Input,
    target: str,
    cluster: Cluster,
    progress: Progress,
    base_url: str | None = None,
) -> tuple[int, BadRows]:
    """Label a file with a model on Ray; `target` is what `predict_file` would write, whole or not at all.

    The model travels to the workers; an encoder's own files must be installed there.

    Returns
    -------
    int
        The number of texts.
    BadRows
        Those left out, in the order of the file.

    Raises
    ------
    InputError
        As `predict_file`.
    ClusterError
        Ray cannot be reached, or a worker failed otherwise than by dying.
    MissingExtraError
        Ray is not installed.
    """
    count, skipped = 0, BadRows()
    read = partial(_read, source.checked(), predict.BATCH, os.getcwd())
    load = partial(_labelling, model, base_url)
    with _sink(target) as write, _joined(cluster.checked()) as workers:
        for block in _worked(read, load, workers, skipped):
            write(block["body"])
            count += block["size"]
            progress.advance(block["size"])
    return count, skipped


def encode_on_ray(
    encoder: Encoder,
    source: Input,
    folder: Path,
    cluster: Cluster,
    progress: Progress,
    base_url: str | None = None,
) -> tuple[int, BadRows]:
    """Fill a folder of vectors with those of a file's texts that it lacks, computed on Ray.

    Each block is kept as it comes: what a stop leaves is used by the same call, or by a run without Ray. A text
    that repeats within the blocks under way may be encoded twice.

    Returns
    -------
    int
        The number of texts that were encoded.
    BadRows
        Those left out, in the order of the file.

    Raises
    ------
    InputError, ClusterError, MissingExtraError
        As `predict_on_ray`.
    StoreError
        The folder cannot be written.
    """
    count, skipped = 0, BadRows()
    cache = VectorCache(folder, encoder)
    read = partial(
        _read, source.checked(), cache.chunk, os.getcwd(), (encoder.name, folder.resolve(), base_url)
    )
    load = partial(_encoding, encoder.name, encoder.digest, base_url)
    with _joined(cluster.checked()) as workers:
        for block in _worked(read, load, workers, skipped):
            texts, _, vectors = block["body"].partition(b"\n")
            rows = np.frombuffer(vectors, dtype=np.float32).reshape(-1, encoder.dimension)
            cache.add(json.loads(texts)["texts"], rows)
            count += block["size"]
            progress.advance(block["size"])
    return count, skipped


def encode_file(encoder: Encoder, source: Input, folder: Path, progress: Progress) -> tuple[int, BadRows]:
    """Do what `encode_on_ray` does, on this machine without Ray."""
    skipped = BadRows()
    cache = VectorCache(folder, encoder)
    bad = skipped if source.skip else None
    for texts in iter_texts(source.path, source.columns, batch_size=cache.chunk, skipped=bad):
        cache.encode(sides(texts.texts))
        progress.advance(len(texts))
    return cache.misses, skipped


# --- on this machine, in a process of its own


def _read(
    source: Input, size: int, cwd: str, known: tuple[str, Path, str | None] | None = None
) -> Iterator[Block]:
    """Yield the file's blocks; with `known` only the texts whose vectors that folder lacks."""
    skipped = BadRows()
    bad = skipped if source.skip else None
    try:
        with chdir(cwd):
            keep = _unknown(*known) if known else None
            for texts in iter_texts(source.path, source.columns, batch_size=size, skipped=bad):
                yield _block(texts if keep is None else keep(texts), skipped)
        yield _block(Texts((), ()), skipped)
    except VermilionError as error:
        yield _failed(error)


def _unknown(encoder: str, folder: Path, base_url: str | None) -> Callable[[Texts], Texts]:
    cache = VectorCache(folder, load_encoder(encoder, base_url=base_url))

    def keep(texts: Texts) -> Texts:
        single = sides(texts.texts)
        rows = cache.missing(single)
        return Texts(tuple(map(str, rows)), tuple(single[row] for row in rows))

    return keep


def _block(texts: Texts, skipped: BadRows) -> Block:
    body = json.dumps({"ids": texts.ids, "texts": texts.texts}, ensure_ascii=False).encode()
    left_out = json.dumps([asdict(row) for row in skipped.rows]).encode()
    skipped.rows.clear()
    return Block(size=len(texts), body=body, left_out=left_out, error=b"")


def _failed(error: VermilionError) -> Block:
    """Send an error as data: Ray would wrap it in its own, with a traceback of another machine."""
    said = (
        [error.expected, error.found, error.where, error.cure]
        if isinstance(error, InputError)
        else [str(error)]
    )
    return Block(size=0, body=b"", left_out=b"[]", error=json.dumps(said).encode())


# --- on the workers


class Worker:
    """What an actor of Ray runs: loads once, then turns each block's body into its result."""

    def __init__(self, version: str, load: Callable[[], Work]) -> None:
        self._work: Work | None = None
        try:
            if version != __version__:
                raise ClusterError(
                    f"expected vermilion {version}, found {__version__}; install the same version"
                )
            self._work = load()
        except VermilionError as error:
            self._failure = self._here(error)

    def __call__(self, block: Block) -> Block:
        """Return the block with its result; an error is a result, too."""
        if block["error"] or not block["size"]:
            return block
        if self._work is None:
            return self._failure
        try:
            return {**block, "body": self._work(block["body"])}
        except VermilionError as error:
            return self._here(error)

    def _here(self, error: VermilionError) -> Block:
        return _failed(ClusterError(f"worker on {socket.gethostname()}: {error}"))


def _labelling(model: SavedModel, base_url: str | None) -> Work:
    predictor = Predictor.of(model, base_url=base_url, threads=1)

    def work(body: bytes) -> bytes:
        block = json.loads(body)
        texts = Texts(ids=tuple(block["ids"]), texts=tuple(block["texts"]))
        return "".join(json_lines(predictor.rows(texts))).encode()

    return work


def _encoding(name: str, digest: str, base_url: str | None) -> Work:
    encoder = load_encoder(name, base_url=base_url, threads=1)
    if encoder.digest != digest:
        raise ClusterError(
            f"expected encoder {name} {digest}, found {encoder.digest}; install the same versions"
        )

    def work(body: bytes) -> bytes:
        return body + b"\n" + encoder.encode(json.loads(body)["texts"]).tobytes()

    return work


# --- in this process


def _worked(
    read: Callable[[], Iterator[Block]], load: Callable[[], Work], workers: int, skipped: BadRows
) -> Iterator[Block]:
    """Yield the blocks that hold texts, done and in the file's order; put bad rows into `skipped`."""
    for block in _told(_pipeline(read, load, workers)):
        skipped.rows.extend(BadRow(**row) for row in json.loads(block["left_out"]))
        if block["error"]:
            said = json.loads(block["error"])
            raise InputError(*said) if len(said) > 1 else ClusterError(*said)
        if block["size"]:
            yield block


def _pipeline(read: Callable[[], Iterator[Block]], load: Callable[[], Work], workers: int) -> Iterator[Block]:
    """Let Ray Data stream blocks from one reader through the workers."""
    from ray import get_runtime_context
    from ray.data import ActorPoolStrategy, DataContext, from_items

    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.target_max_block_size = (
        1  # Bytes: no two rows share a block of Ray's, so each is a task of its own.
    )
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    here = {"ray.io/node-id": get_runtime_context().get_node_id()}
    # Ray warns of its own settings, and of files too small for all workers.
    with warnings.catch_warnings(action="ignore"), DataContext.current(context):
        # No core for the reader: it waits most of the time, and the workers have taken them all.
        blocks = from_items([{"start": 0}]).flat_map(lambda _: read(), num_cpus=0, label_selector=here)
        done = blocks.map(
            Worker,
            fn_constructor_args=(__version__, load),
            compute=ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        yield from done.iter_rows()


def _told(blocks: Iterator[Block]) -> Iterator[Block]:
    """Turn what Ray raises into one line. It raises anything: its own errors, and those of what it uses."""
    while True:
        try:
            block = next(blocks, None)
        except Exception as error:
            raise ClusterError(f"Ray gave up ({_first_line(error)}); its logs are in /tmp/ray") from error
        if block is None:
            return
        yield block


@contextmanager
def _joined(cluster: Cluster) -> Iterator[int]:
    """Join the cluster or start one, and leave it; yield the number of workers. One that is joined stays joined."""
    ray = _import_ray(own=cluster.address == LOCAL)
    if ray.is_initialized():
        yield _workers(ray, cluster)
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if cluster.address == LOCAL:
        cores = cluster.workers or available_cores()
        options |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        _knock(cluster.address)
        with _hushed():
            ray.init(address=cluster.address, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"--ray {cluster.address}: Ray cannot be reached ({_first_line(error)}); start it with ray"
            " start, set RAY_AUTH_MODE=token where it asks for a token, or give --ray local"
        ) from error
    try:
        yield _workers(ray, cluster)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Find out soon whether anybody listens there; Ray itself tries for minutes. Raises OSError or ValueError."""
    if address not in (LOCAL, "auto"):
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep a line off stderr in which Ray's core, which does not write through Python, tells its own log level."""
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _import_ray(*, own: bool) -> Any:
    settings = QUIET | (PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if own else {})
    os.environ.update({**settings, **os.environ})
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    return ray


def _workers(ray: Any, cluster: Cluster) -> int:
    cores = int(ray.cluster_resources().get("CPU", 0))
    wanted = cluster.workers or cores
    if not 1 <= wanted <= cores:
        raise InputError(
            f"at most the cluster's {cores} cores", str(wanted), "--workers", "give fewer, or add machines"
        )
    return wanted


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@contextmanager
def _sink(target: str) -> Iterator[Callable[[bytes], Any]]:
    """Write JSON lines as they come, and other formats by the writer that is used without Ray."""
    if Path(target).suffix.lower() in LINES:
        with replacing(target) as temporary, temporary.open("wb") as file:
            yield file.write
        return
    with RowWriter(target) as writer:
        yield lambda lines: writer.write([json.loads(line) for line in lines.splitlines()])
