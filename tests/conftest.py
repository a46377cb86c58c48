"""What holds for every test: no key, no other machine, one thread, the same examples every time."""

from __future__ import annotations

import os

# Read by numpy's and scikit-learn's libraries when they load; pytest's workers share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import settings
from postgres import place, postgres

__all__ = ["place", "postgres"]

settings.register_profile("vermilion", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("vermilion")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs everything."""
    parser.addoption("--thorough", action="store_true", help="run what takes long, too: make test-all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what only a thorough run needs, since a quicker test looks at the same."""
    if not config.getoption("--thorough"):
        for item in items:
            if "thorough" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes long: make test-all runs it"))


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Tell whether time does not matter."""
    return bool(pytestconfig.getoption("--thorough"))


class OutsideWorldError(AssertionError):
    """A test reached for another machine."""


def is_here(address: Any) -> bool:
    """Tell whether a socket address is this machine: a loopback address, or a path of a Unix socket."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_outside_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines and take away the keys that would pay for them."""
    for name in [
        n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL")) or n.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if not is_here(address):
            raise OutsideWorldError(f"a test connects to {address}; serve it on 127.0.0.1 instead")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
