"""What is loaded now: versions with their encoders and rules, and the snapshot that answers; replaced while it runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vermilion.errors import ModelError, VermilionError
from vermilion.serve.rules import Rules, load_rules
from vermilion.types import Encoder
from vermilion.world.encoders_pairs import PairEncoder
from vermilion.world.models import SavedModel
from vermilion.world.predictor import Predictor, decisions
from vermilion.world.rollout import Arm, Rollout

LOOKS_PER_SECOND = 10
# So long a version that was refused is left alone, unless the name moves again.
RETRY_SECONDS = 5.0
KEPT_VERSIONS = 4
WARMING = ("where is my card? it has not come yet", "hello")


@dataclass(frozen=True, slots=True)
class Address:
    """Which version of what.

    Attributes
    ----------
    name : str
        Of a folder without a registry, the folder's.
    number : int or None
        None where there is no registry.
    digest : str
        64 hex digits.
    training : str or None
        The hash of what it was learned from.
    """

    name: str
    number: int | None
    digest: str
    training: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.number}" if self.number else f"{self.name} ({self.digest[:12]})"


@dataclass(frozen=True, eq=False, slots=True)
class Served:
    """One version, ready to answer."""

    address: Address
    model: SavedModel
    encoder: Encoder
    rules: Rules = field(default_factory=Rules)

    @property
    def pairs(self) -> bool:
        """Whether it is asked about pairs of texts."""
        return isinstance(self.encoder, PairEncoder)


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """What answers at one moment. Never changed: another one takes its place.

    Attributes
    ----------
    champion : Served
    challenger : Served or None
        Only while a rollout runs.
    rollout : Rollout or None
    """

    champion: Served
    challenger: Served | None = None
    rollout: Rollout | None = None

    def route(self, key: str) -> tuple[Arm, Served, Served | None]:
        """Return who answers a request with this key, and who is asked, too, to compare the answers."""
        if self.rollout is None or self.challenger is None:
            return "champion", self.champion, None
        arm = self.rollout.arm(key)
        pair = (self.champion, self.challenger) if arm == "champion" else (self.challenger, self.champion)
        return arm, pair[0], pair[1] if self.rollout.asks_both(key) else None


class Source(Protocol):
    """Where snapshots come from."""

    def generation(self) -> object:
        """Return what changes whenever `load` would give something else; cheap."""
        ...

    def load(self) -> Snapshot:
        """Return what is to answer. VermilionError where it cannot."""
        ...


class Shelf:
    """Versions that are loaded, the latest used ones kept, and encoders shared by name."""

    def __init__(self, base_url: str | None = None, threads: int = 1) -> None:
        self._base_url, self._threads = base_url, threads
        self._versions: OrderedDict[str, Served] = OrderedDict()
        self._encoders: dict[str, Encoder] = {}

    def take(self, address: Address, load: Callable[[], SavedModel], rules: Path | None = None) -> Served:
        """Return a version, loaded and tried out unless it is here.

        Raises
        ------
        VermilionError
            It is damaged, its encoder is not to be had, or its rules are wrong.
        """
        key = f"{address}/{address.digest}"
        if key not in self._versions:
            self._versions[key] = self._load(address, load(), rules)
        self._versions.move_to_end(key)
        while len(self._versions) > KEPT_VERSIONS:
            self._versions.popitem(last=False)
        return self._versions[key]

    def _load(self, address: Address, model: SavedModel, rules: Path | None) -> Served:
        encoder = self._encoders.get(model.encoder)
        if encoder is None or encoder.digest != model.encoder_digest:
            encoder = Predictor.of(
                model, base_url=self._base_url, threads=self._threads, where=str(address)
            ).encoder
            self._encoders[model.encoder] = encoder
        ready = Rules() if rules is None else load_rules(rules, model.labels)
        served = Served(address, model, encoder, ready)
        warm(served)
        return served


def warm(served: Served) -> None:
    """Make a real prediction, so that the first request does not wait for what is set up at first use.

    Raises
    ------
    ModelError
        The version cannot predict.
    """
    from vermilion.world.pairs import join_pair

    texts = [join_pair(*WARMING)] if served.pairs else list(WARMING)
    try:
        said = list(decisions(served.model, served.encoder.encode(texts)))
        served.rules.before(texts)
    except VermilionError:
        raise
    except Exception as error:
        raise ModelError(f"{served.address}: cannot predict ({type(error).__name__}: {error})") from error
    if len(said) != len(texts):
        raise ModelError(f"{served.address}: expected {len(texts)} decisions, found {len(said)}")


class Live:
    """The snapshot of now, with a thread that looks whether another one is due.

    Parameters
    ----------
    source : Source
    told : callable
        Told (event, line): "swapped", "refused" or "unreachable", and what happened.
    """

    def __init__(self, source: Source, told: Callable[[str, str], None]) -> None:
        self._source, self._told = source, told
        self._generation = source.generation()
        self.snapshot = source.load()
        self._problem = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look ten times a second from now on."""
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> bool:
        """Take another snapshot if there is one; tell whether all is well. What runs keeps the one it began with."""
        try:
            generation = self._source.generation()
        except VermilionError as error:
            self._tell("unreachable", f"the registry cannot be asked, {self._now()} stays: {error}")
            return False
        if generation == self._generation:
            return True
        try:
            fresh = self._source.load()
            _refuse_another_kind(self.snapshot.champion, fresh)
        except VermilionError as error:
            self._tell("refused", f"refused, {self._now()} stays: {error}")
            return False
        before, self.snapshot, self._generation = self._now(), fresh, generation
        self._problem = ""
        self._told("swapped", f"{before} -> {self._now()}")
        return True

    def _run(self) -> None:
        wait = 1 / LOOKS_PER_SECOND
        while not self._stopped.wait(wait):
            wait = 1 / LOOKS_PER_SECOND if self.look() else RETRY_SECONDS

    def _tell(self, event: str, line: str) -> None:
        if line != self._problem:  # the same line ten times a second helps nobody
            self._problem = line
            self._told(event, line)

    def _now(self) -> str:
        snapshot = self.snapshot
        other = f" beside {snapshot.challenger.address}" if snapshot.challenger else ""
        return f"{snapshot.champion.address}{other}"


def _refuse_another_kind(now: Served, fresh: Snapshot) -> None:
    """Refuse what the clients of now would not understand, or could not ask."""
    for one in (fresh.champion, fresh.challenger):
        if one is not None and _kind(one) != _kind(now):
            raise ModelError(
                f"{one.address}: expected a model of {_kind(now)}, as {now.address} is, found one of {_kind(one)};"
                " serve it under a name of its own"
            )


def _kind(served: Served) -> str:
    several = served.model.task == "multi-label"
    texts = "pairs of texts" if served.pairs else "single texts"
    return f"{texts} with {'several labels' if several else 'one label'} each"


def facts(served: Served) -> dict[str, Any]:
    """Return what clients may know of a version."""
    model = served.model
    return {
        "name": served.address.name,
        "version": served.address.number,
        "digest": served.address.digest,
        "training": served.address.training,
        "task": model.task,
        "pairs": served.pairs,
        "encoder": model.encoder,
        "labels": [model.labels[number].name for number in model.head.classes_.tolist()],
        "rules": list(served.rules.names),
    }
