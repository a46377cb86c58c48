"""What the service tells about itself in OpenAPI: each request with every answer that can come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vermilion.serve.wire import Problem

# What can go wrong, whoever asks for what: the guard refuses before the app is asked.
GUARD = {
    400: "The request is malformed, or a key stands in the URL.",
    401: "No key, or one that opens nothing.",
    403: "The key's scopes do not include this.",
    429: "More requests than the key's rate allows; wait as long as Retry-After says.",
    431: "Too many headers, or too long ones.",
    500: "Something went wrong here; request_id finds it in the server's log.",
    503: "Not now; wait as long as Retry-After says.",
}
OPEN = {status: GUARD[status] for status in (400, 431, 500)}
BODY = {
    408: "The body did not come in time.",
    413: "The body is larger than the service takes.",
    415: "The body is not application/json.",
    422: "The body is JSON of another shape, or holds what no text may hold; errors names each place.",
}
LATE = {504: "The request waited for longer than its deadline."}
UNKNOWN = {404: "No decision of this service has that id."}
SCHEMAS = "#/components/schemas/{model}"
RETRY = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}


def problems(*kinds: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the answers of an operation that are problems."""
    told = {status: text for kind in kinds for status, text in kind.items()}
    return {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            **({"headers": {"Retry-After": RETRY}} if status in (429, 503) else {}),
        }
        for status, text in sorted(told.items())
    }


def request_body(shape: type[BaseModel]) -> dict[str, Any]:
    """Return what an operation says of its body."""
    reference = {"$ref": SCHEMAS.format(model=shape.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def completed(
    document: dict[str, Any], shapes: Sequence[type[BaseModel]], open_paths: Collection[str]
) -> dict[str, Any]:
    """Return the document with the shapes that are only referred to, and with what a key is.

    Parameters
    ----------
    shapes : sequence of type of model
    open_paths : collection of str
        Those that need no key.
    """
    mode: Literal["validation"] = "validation"
    wanted: list[type[BaseModel]] = [*shapes, Problem]
    _, found = models_json_schema([(shape, mode) for shape in wanted], ref_template=SCHEMAS)
    parts = document.setdefault("components", {})
    parts["schemas"] = dict(sorted((parts.get("schemas", {}) | found["$defs"]).items()))
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key from vermilion keys create."}
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in open_paths else [{"key": []}]
    return document
