"""Where snapshots come from: a model folder, or a name in the registry with its rollout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vermilion.serve.live import Address, Served, Shelf, Snapshot
from vermilion.serve.settings import ServeSettings
from vermilion.world.models import SavedModel, load_model
from vermilion.world.registry import Registry, Version
from vermilion.world.registry_names import Reference
from vermilion.world.rollouts import Rollouts
from vermilion.world.version_contents import RULES, digest_of, gather, manifest


class OneFolder:
    """A model folder without a registry; what it holds at the start is served to the end."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self._folder, self._shelf = folder, shelf

    def generation(self) -> object:
        """Return what never changes."""
        return 0

    def load(self) -> Snapshot:
        """Return the folder's model. ModelError where it is damaged."""
        model = load_model(self._folder)
        rules = self._folder / RULES
        address = _folder_address(self._folder, model)
        return Snapshot(self._shelf.take(address, lambda: model, rules if rules.exists() else None))

    def close(self) -> None:
        """Close nothing."""


class RegistryName:
    """What a reference means now, and the rollout of its name while one runs."""

    def __init__(self, settings: ServeSettings, shelf: Shelf) -> None:
        self._reference = settings.model
        self._name = Reference.parse(settings.model).name
        self._shelf = shelf
        self._registry = Registry.open(settings.home)
        self._rollouts = Rollouts.open(settings.home)

    def generation(self) -> object:
        """Return the name's and its rollouts' generation: two small queries."""
        return self._registry.generation(self._name), self._rollouts.generation(self._name)

    def load(self) -> Snapshot:
        """Return champion and challenger, each checked against its hashes before it is loaded.

        Raises
        ------
        VermilionError
            The database cannot be asked, or a version is damaged.
        """
        champion = self._registry.resolve(self._reference)
        rollout = self._rollouts.current(self._name)
        if rollout is None or rollout.champion != champion.number:
            return Snapshot(self._take(champion))
        challenger = self._registry.resolve(rollout.references["challenger"])
        return Snapshot(self._take(champion), self._take(challenger), rollout)

    def close(self) -> None:
        """Close the database."""
        self._rollouts.close()
        self._registry.close()

    def _take(self, version: Version) -> Served:
        rules = version.folder / RULES
        found = rules if rules.exists() else None
        return self._shelf.take(_address(version), partial(self._registry.load, version), found)


def check_model(settings: ServeSettings) -> Address:
    """Return what would be served, without loading its encoder: what is wrong is told before workers are started.

    Raises
    ------
    VermilionError
        There is no such model, or it is damaged.
    """
    if settings.folder is not None:
        return _folder_address(settings.folder, load_model(settings.folder))
    with Registry.open(settings.home) as registry:
        version = registry.resolve(settings.model)
        registry.check(version)
        return _address(version)


def source_of(settings: ServeSettings, shelf: Shelf) -> OneFolder | RegistryName:
    """Return the source that settings name. VermilionError where there is none such."""
    folder = settings.folder
    return RegistryName(settings, shelf) if folder is None else OneFolder(folder, shelf)


def _folder_address(folder: Path, model: SavedModel) -> Address:
    name = folder.absolute().name or "model"
    return Address(name, None, digest_of(manifest(gather(folder))), _training(model))


def _address(version: Version) -> Address:
    training = str(version.metadata.get("training") or "") or None
    return Address(version.name, version.number, version.digest, training)


def _training(model: SavedModel) -> str | None:
    data = model.origin.get("data")
    labelled = data.get("labelled") if isinstance(data, dict) else None
    return labelled if isinstance(labelled, str) else None
