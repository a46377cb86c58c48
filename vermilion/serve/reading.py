r"""Requests read strictly: what is wrong is told with its place, as `texts[3]: character 17 is NUL; remove it`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vermilion.world.pairs import SEPARATOR

Shape = TypeVar("Shape", bound=BaseModel)
Fault = tuple[str, str]
Place = tuple[int | str, ...]

MOST_FAULTS, MOST_PLACE = 20, 200
BODY = "the body"
SURROGATE = re.compile("[\ud800-\udfff]")
# Pydantic's names of the two forms in which a text may come.
PLAIN, OBJECT = "constrained-str", "Item"


class RequestError(Exception):
    """A request cannot be answered.

    Parameters
    ----------
    status : int
    detail : str
        One line for the client; nothing that came with the request is in it but names of fields.
    faults : iterable of (where, problem)
    headers : mapping
    """

    def __init__(
        self,
        status: int,
        detail: str,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}
        self.faults = tuple(faults)


class Reader(Generic[Shape]):
    r"""Reads requests of one shape.

    Parameters
    ----------
    shape : type of model
    pairs : bool
        Its texts are sides of pairs, which must not hold the sign that stands between two.

    Examples
    --------
    >>> from vermilion.serve.wire import TextsRequest
    >>> read = Reader(TextsRequest)
    >>> read(b'{"texts": ["hi"]}').texts
    ['hi']
    >>> read(b'{"texts": ["hi", 3]}')
    Traceback (most recent call last):
    vermilion.serve.reading.RequestError: texts[1]: expected a string or an object, found a number
    >>> read(b'{"texts": ["hi\\u0000"]}')
    Traceback (most recent call last):
    vermilion.serve.reading.RequestError: texts[0]: character 3 is NUL; remove it
    """

    def __init__(self, shape: type[Shape], *, pairs: bool = False) -> None:
        self._shape = shape
        self._odd = {"\0": "NUL"} | ({SEPARATOR: "U+001F, which separates two texts"} if pairs else {})

    def __call__(self, body: bytes) -> Shape:
        """Return the request.

        Raises
        ------
        RequestError
            400 where the body is no JSON, 422 where it is JSON of another shape.
        """
        try:
            found = self._shape.model_validate_json(body)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if errors[0]["type"] == "json_invalid":
                raise self._no_json(body, str(errors[0]["ctx"]["error"])) from None
            raise _refused([(_words(one["loc"]), _problem(one)) for one in _useful(errors)]) from None
        # JSON has both signs escaped only; so a body without such an escape, nearly every one, has none.
        if rb"\u00" in body and (faults := list(self._stray(found.model_dump(exclude_unset=True)))):
            raise _refused(faults)
        return found

    def _no_json(self, body: bytes, problem: str) -> RequestError:
        """Tell where a sign stands that JSON cannot hold; or, where it is another trouble, what the parser said."""
        try:
            loose = json.loads(body.decode("utf-8", "surrogatepass"), strict=False)
        except (ValueError, RecursionError):
            return RequestError(400, f"{BODY} is no JSON in UTF-8: {problem}")
        faults = list(self._stray(loose))
        return _refused(faults) if faults else RequestError(400, f"{BODY} is no JSON: {problem}")

    def _stray(self, value: Any, at: Place = ()) -> Iterator[Fault]:
        """Yield where signs stand that no text may hold."""
        if isinstance(value, str):
            problem = self._sign(value)
            if problem:
                yield _words(at), problem
        elif isinstance(value, dict):
            for name, one in value.items():
                if self._sign(name):
                    yield _words(at), f"in the name of a field, {self._sign(name)}"
                yield from self._stray(one, (*at, name))
        elif isinstance(value, list):
            for number, one in enumerate(value):
                yield from self._stray(one, (*at, number))

    def _sign(self, text: str) -> str:
        for sign, name in self._odd.items():
            if sign in text:
                return f"character {text.index(sign) + 1} is {name}; remove it"
        found = SURROGATE.search(text)
        if found is None:
            return ""
        return f"character {found.start() + 1} is a lone surrogate, U+{ord(found[0]):04X}; remove it"


def _refused(faults: list[Fault]) -> RequestError:
    where, problem = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return RequestError(422, f"{where}: {problem}{more}", faults[:MOST_FAULTS])


def _useful(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out what is wrong with a text as a string where it is an object, and the other way round."""
    plain = {error["loc"][:2] for error in errors if error["type"] == "model_type" and OBJECT in error["loc"]}
    for error in errors:
        form = error["loc"][2] if len(error["loc"]) > 2 else None
        if form not in (PLAIN, OBJECT) or (form == PLAIN) == (error["loc"][:2] in plain):
            yield error


def _words(place: Place) -> str:
    """Return a place as people write it, as in `texts[3].id`."""
    told = ""
    for number, part in enumerate(place):
        if isinstance(part, int):
            told += f"[{part}]"
        elif number != 2 or part not in (PLAIN, OBJECT):
            told += f".{part}" if told else part
    return (told if len(told) <= MOST_PLACE else f"{told[:MOST_PLACE]}...") or BODY


def _problem(error: ErrorDetails) -> str:
    kind, found = error["type"], error["input"]
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is unknown; leave it out, or mend its name"
    if kind in ("string_too_long", "too_long"):
        unit = "characters" if kind == "string_too_long" else "items"
        return (
            f"expected at most {error['ctx']['max_length']:,} {unit}, found {len(found):,}; send less at once"
        )
    if kind in ("string_too_short", "too_short"):
        return "is empty; give at least one" if kind == "too_short" else "is empty; leave it out"
    if kind in ("less_than_equal", "greater_than_equal"):
        bound = (
            f"at most {error['ctx']['le']:,}"
            if kind == "less_than_equal"
            else f"at least {error['ctx']['ge']:,}"
        )
        return f"expected {bound}, found " + f"{found:,}"[:30]
    if kind in EXPECTED:
        wanted = EXPECTED[kind]
        if kind == "string_type" and error["loc"][-1] == PLAIN:
            wanted = "a string or an object"
        return f"expected {wanted}, found {_kind(found)}"
    return str(error["msg"])


EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_pattern_mismatch": "an id as it came with an answer",
}


def _kind(value: Any) -> str:
    """Name what came, without a word of it."""
    if value is None:
        return "null"
    kinds = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number with a fraction",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "something else")
