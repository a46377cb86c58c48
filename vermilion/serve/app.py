"""The app as a value: endpoints and their documentation, within the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from vermilion import __version__
from vermilion.serve.endpoints import Endpoints, Handler, Service, told
from vermilion.serve.openapi import BODY, GUARD, LATE, OPEN, UNKNOWN, completed, problems, request_body
from vermilion.serve.service_metrics import Metrics
from vermilion.serve.wire import Acknowledged, Answer, Health, Models, Readiness

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLASSIFY = "/v1/classify"
# Which requests there are, and what a key needs for each; None is open to everybody.
ROUTES: dict[tuple[str, str], str | None] = {
    ("POST", CLASSIFY): "classify",
    ("POST", "/v1/feedback"): "feedback",
    ("GET", "/v1/models"): "models",
    ("GET", "/metrics"): "metrics",
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): None,
}


class LeanRoute(APIRoute):
    """A route that hands the request to its endpoint as it is: the endpoints read bodies themselves."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint."""
        return self.endpoint


def make_app(service: Service, ended: Callable[[], None] = lambda: None) -> App:
    """Return the ASGI app of a worker, without its guard.

    Parameters
    ----------
    service : Service
    ended : callable
        Called when the last request has been answered.
    """
    endpoints = Endpoints(service)
    fast = told(endpoints.classify, CLASSIFY, service.metrics)
    documented = _documented(endpoints, service.metrics, fast, ended)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # FastAPI's way to a handler costs more than all the rest of an answer.
        if scope["type"] == "http" and scope["path"] == CLASSIFY and scope["method"] == "POST":
            request = Request(scope, receive, send)
            response = await fast(request)
            await response(scope, receive, send)
        else:
            await documented(scope, receive, send)

    return app


def _documented(endpoints: Endpoints, metrics: Metrics, classify: Handler, ended: Callable[[], None]) -> App:
    """Return FastAPI's app of all requests, with the document that describes them."""
    docs = FastAPI(
        title="Vermilion",
        version=__version__,
        description="Classifies texts. Errors are problems as RFC 9457 has them.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan(ended),
    )
    docs.router.route_class = LeanRoute

    def add(path: str, method: str, handler: Handler, answer: type[BaseModel] | None, **more: Any) -> None:
        lean = handler if handler is classify else told(handler, path, metrics)
        docs.add_api_route(path, lean, methods=[method], response_model=answer, **more)

    add(
        CLASSIFY,
        "POST",
        classify,
        Answer,
        operation_id="classify",
        summary="Classify texts.",
        responses=problems(GUARD, BODY, LATE),
        openapi_extra=request_body(endpoints.asks),
    )
    add(
        "/v1/feedback",
        "POST",
        endpoints.feedback,
        Acknowledged,
        operation_id="feedback",
        summary="Tell the right label of a decision.",
        status_code=202,
        responses=problems(GUARD, BODY, UNKNOWN),
        openapi_extra=request_body(endpoints.tells),
    )
    add(
        "/v1/models",
        "GET",
        endpoints.models,
        Models,
        operation_id="models",
        summary="What is served now.",
        responses=problems(GUARD),
    )
    _add_operations(add, endpoints)

    def document() -> dict[str, Any]:
        if docs.openapi_schema is None:
            found = get_openapi(
                title=docs.title, version=docs.version, description=docs.description, routes=docs.routes
            )
            shapes = (endpoints.asks, endpoints.tells)
            docs.openapi_schema = completed(
                found, shapes, {path for (_, path), scope in ROUTES.items() if scope is None}
            )
        return docs.openapi_schema

    docs.openapi = document  # type: ignore[method-assign]

    async def openapi(request: Request) -> Response:
        return Response(to_json(document()), media_type="application/json")

    docs.add_route("/openapi.json", told(openapi, "/openapi.json", metrics), methods=["GET"])
    return docs


def _add_operations(add: Callable[..., None], endpoints: Endpoints) -> None:
    """Add the requests of those who look after the service."""
    add(
        "/healthz",
        "GET",
        endpoints.healthz,
        Health,
        operation_id="healthz",
        summary="The process lives.",
        responses=problems(OPEN),
    )
    add(
        "/readyz",
        "GET",
        endpoints.readyz,
        Readiness,
        operation_id="readyz",
        summary="A prediction just went through the queue, and answers can be recorded.",
        responses=problems(OPEN)
        | {503: {"model": Readiness, "description": "It cannot answer; reasons says why."}},
    )
    add(
        "/metrics",
        "GET",
        endpoints.prometheus,
        None,
        operation_id="metrics",
        summary="What was counted by all workers, for Prometheus.",
        response_class=PlainTextResponse,
        responses=problems(GUARD),
    )


def _lifespan(ended: Callable[[], None]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        ended()

    return lifespan
