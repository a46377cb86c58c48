"""Which requests there are and what a key needs for each: all others are refused, however they are spelt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vermilion.errors import InputError

# A name in a path stands for one of its parts. No % is in it: what is decoded later may be another path then.
_PART = r"[A-Za-z0-9._~@:-]+"
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A request that there is, and the scope that it needs; None is open to everybody."""

    method: str
    path: str
    scope: str | None


class Routes:
    """The requests of a service, found by the path as it came over the wire.

    Parameters
    ----------
    scopes : mapping of (method, path) to scope or None
        A path may have names in braces, as `/v1/models/{name}`.

    Examples
    --------
    >>> routes = Routes({("GET", "/healthz"): None, ("GET", "/v1/models/{name}"): "models"})
    >>> routes.find("GET", "/v1/models/shop@3").scope
    'models'
    >>> [routes.find(*one) for one in [("GET", "//healthz"), ("GET", "/healthz/"), ("HEAD", "/healthz")]]
    [None, None, None]
    >>> routes.methods("/healthz")
    ['GET']
    """

    def __init__(self, scopes: Mapping[tuple[str, str], str | None]) -> None:
        routes = [Route(method, path, scope) for (method, path), scope in scopes.items()]
        for route in routes:
            if not route.path.startswith("/") or "%" in route.path:
                raise InputError("a path from /, without %", repr(route.path), "the routes", "mend it")
        self._exact = {(one.method, one.path): one for one in routes if "{" not in one.path}
        self._patterns = [(_pattern(one.path), one) for one in routes if "{" in one.path]

    def find(self, method: str, path: str) -> Route | None:
        """Return the route of a request, or None."""
        exact = self._exact.get((method, path))
        if exact is not None or not self._patterns:
            return exact
        for pattern, route in self._patterns:
            if route.method == method and pattern.fullmatch(path):
                return route
        return None

    def methods(self, path: str) -> list[str]:
        """Return the methods that a path knows."""
        found = {method for method, known in self._exact if known == path}
        return sorted(found | {route.method for pattern, route in self._patterns if pattern.fullmatch(path)})


def _pattern(path: str) -> re.Pattern[str]:
    fixed = map(re.escape, _PLACEHOLDER.split(path))
    # . and .. are names of folders to some, so no part may consist of dots.
    return re.compile(rf"(?!.*/\.{{1,2}}(?:/|$)){_PART.join(fixed)}")
