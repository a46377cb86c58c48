"""A mirror of the registry in MLflow: versions, metrics, files and aliases, for those who look there.

It goes one way. What answers is decided here, and a version is known there by the tag that holds its digest, so that
mirroring again adds only what is new.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vermilion.errors import MissingExtraError, StoreError
from vermilion.world.registry_rows import Version

DIGEST, NUMBER = "vermilion.sha256", "vermilion.version"
FOLDER = "model"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror did.

    Attributes
    ----------
    versions : mapping of str to str
        NAME@3 to MLflow's own number of it.
    added : tuple of str
        Those that were not there before.
    aliases : mapping of str to str
        Each alias to NAME@3.
    """

    versions: Mapping[str, str]
    added: tuple[str, ...]
    aliases: Mapping[str, str]


def mirror(name: str, versions: Sequence[Version], aliases: Mapping[str, Version], uri: str) -> Mirrored:
    """Write what is missing of a name's versions to MLflow, and point its aliases as they are here.

    Parameters
    ----------
    versions : sequence of Version
        Whole: each was checked.
    aliases : mapping of str to Version
    uri : str
        Of MLflow's tracking server, as http://127.0.0.1:5000; it may hold a password, which is not shown.

    Raises
    ------
    MissingExtraError
        MLflow is not installed.
    StoreError
        The server cannot be reached, or refuses.
    """
    client, failure = _client(uri)
    try:
        there = _there(client, name)
        added = [version for version in versions if version.digest not in there]
        for version in added:
            there[version.digest] = _add(client, version)
        _point(client, name, {alias: there[version.digest] for alias, version in aliases.items()})
    except (failure, OSError) as error:
        problem = (str(error).splitlines() or ["an error"])[0][:200]
        # Not chained: the library's message may hold the address with its password.
        raise StoreError(f"{_where(uri)}: MLflow refuses: {problem.replace(uri, '')}; mirror again") from None
    return Mirrored(
        {str(version): there[version.digest] for version in versions},
        tuple(str(version) for version in added),
        {alias: str(version) for alias, version in aliases.items()},
    )


def _client(uri: str) -> tuple[Any, type[Exception]]:
    """Return a client, and what it raises."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it is on by default, and reports at import
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # seven, with pauses, take minutes
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError:
        raise MissingExtraError("mlflow", "mlflow") from None
    return MlflowClient(tracking_uri=uri, registry_uri=uri), MlflowException


def _there(client: Any, name: str) -> dict[str, str]:
    """Return MLflow's number of each version that is there, by digest; make the name where there is none."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    found: dict[str, str] = {}
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found |= {one.tags[DIGEST]: str(one.version) for one in page if DIGEST in one.tags}
        token = page.token
        if not token:
            return found


def _add(client: Any, version: Version) -> str:
    """Write a version as a run with its metrics and files, and register it; return MLflow's number of it."""
    experiment = client.get_experiment_by_name(f"vermilion/{version.name}")
    number = experiment.experiment_id if experiment else client.create_experiment(f"vermilion/{version.name}")
    tags = {DIGEST: version.digest, NUMBER: str(version)}
    run = client.create_run(number, run_name=str(version), tags=tags).info.run_id
    for what, value in _params(version).items():
        client.log_param(run, what, value)
    for what, value in version.metadata["metrics"].items():
        client.log_metric(run, what, value)
    client.log_artifacts(run, str(version.folder), FOLDER)
    client.set_terminated(run)
    source = f"{client.get_run(run).info.artifact_uri}/{FOLDER}"
    why = version.metadata["why"] or None
    made = client.create_model_version(version.name, source, run_id=run, tags=tags, description=why)
    return str(made.version)


def _params(version: Version) -> dict[str, str]:
    facts = version.metadata
    above = facts["parent"]["version"]
    told = {
        "task": facts["task"],
        "head": facts["head"],
        "labels": facts["labels"],
        "encoder": facts["encoder"]["name"],
        "encoder_digest": facts["encoder"]["digest"],
        "training": facts["training"],
        "code": facts["code"],
        "parent": f"{above['name']}@{above['number']}" if above else "",
        "added_by": version.added_by,
    }
    return {what: str(value) for what, value in told.items() if value != ""}


def _point(client: Any, name: str, wanted: Mapping[str, str]) -> None:
    """Have MLflow's aliases of a name be these and no others."""
    found = client.get_registered_model(name).aliases
    for alias in sorted(found.keys() - wanted.keys()):
        client.delete_registered_model_alias(name, alias)
    for alias, number in sorted(wanted.items()):
        if str(found.get(alias)) != number:
            client.set_registered_model_alias(name, alias, number)


def _where(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme else uri
