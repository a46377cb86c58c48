"""The mirror in MLflow, over HTTP to its own server with a SQLite database behind it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_models import make_model

from vermilion.errors import MissingExtraError, StoreError
from vermilion.world.home import Home
from vermilion.world.mlflow_mirror import mirror
from vermilion.world.registry import Registry

NAME = "intent"
installed = importlib.util.find_spec("mlflow") is not None and importlib.util.find_spec("flask") is not None
needs_mlflow = pytest.mark.skipif(not installed, reason="MLflow is not installed: pip install 'mlflow>=3'")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server of MLflow; give its address."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ | quiet) as it,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", it, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            it.terminate()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"MLflow's server ended: {log.read_text()[-2000:]}")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(Home.open(tmp_path / "home", environment={})) as opened:
        for seed in (1, 2):
            folder = make_model(tmp_path / f"model{seed}", seed)
            opened.add(NAME, folder, by="ann", why=f"seed {seed}")
        opened.promote(NAME, f"{NAME}@2", by="ann", why="")
        yield opened


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_versions_metrics_files_and_aliases_are_there(
    registry: Registry, server: str, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    done = mirror(NAME, registry.versions(NAME), registry.aliases(NAME), server)
    assert done.added == ("intent@1", "intent@2")
    client = MlflowClient(server, server)
    found = client.get_model_version_by_alias(NAME, "champion")
    second = registry.resolve(f"{NAME}@2")
    assert found.tags["vermilion.sha256"] == second.digest
    assert found.description == "seed 2"
    run = client.get_run(found.run_id)
    assert run.data.metrics == {"accuracy": 0.52}
    assert (run.data.params["encoder"], run.data.params["labels"]) == ("static", "3")
    fetched = Path(client.download_artifacts(found.run_id, "model", str(tmp_path)))
    assert {path.name: _hash(path) for path in fetched.iterdir()} == {
        path.name: _hash(path) for path in second.folder.iterdir()
    }

    registry.promote(NAME, f"{NAME}@1", by="ann", why="")
    registry.promote(NAME, f"{NAME}@2", alias="blue", by="ann", why="")
    again = mirror(NAME, registry.versions(NAME), registry.aliases(NAME), server)
    assert (again.added, again.versions) == ((), done.versions)
    registry.drop_alias(NAME, "blue", by="ann", why="")
    mirror(NAME, registry.versions(NAME), registry.aliases(NAME), server)
    aliases = client.get_registered_model(NAME).aliases
    assert {alias: str(number) for alias, number in aliases.items()} == {
        "champion": done.versions["intent@1"]
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_not_there_is_one_line_without_the_password(registry: Registry) -> None:
    uri = "http://ann:secret@127.0.0.1:9"
    with pytest.raises(StoreError, match=r"^http://127\.0\.0\.1: MLflow refuses: ") as told:
        mirror(NAME, registry.versions(NAME), registry.aliases(NAME), uri)
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.skipif(installed, reason="MLflow is installed")
def test_without_mlflow_the_extra_is_named(registry: Registry) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'vermilion\[mlflow\]'"):
        mirror(NAME, registry.versions(NAME), registry.aliases(NAME), "http://127.0.0.1:9")
