"""What each request does: read it strictly, have it done, answer in bytes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from vermilion.errors import InputError, JournalError, UnknownDecisionError, VermilionError
from vermilion.serve.batching import ClosingError, FullError, GoneError, Job, LateError
from vermilion.serve.failure import trace
from vermilion.serve.live import Live, Snapshot, facts
from vermilion.serve.reading import Reader, RequestError
from vermilion.serve.service_metrics import CONTENT_TYPE, Metrics
from vermilion.serve.wire import Asked, LabelFeedback, LabelsFeedback, PairsRequest, TextsRequest
from vermilion.serve.worker import Worker
from vermilion.world.feedback import Feedback
from vermilion.world.pairs import join_pair

logger = logging.getLogger("vermilion.serve")

JSON, PROBLEM = "application/json", "application/problem+json"
Handler = Callable[[Request], Awaitable[Response]]
# A look that all works is good for so long: anybody may ask for it.
READY_SECONDS, PROBE_SECONDS = 1.0, 5.0
AGAIN_SECONDS = 5
# Most requests are answered before this, and need nobody to look whether their client is still there.
WATCH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Service:
    """A worker's parts, as the endpoints need them.

    Attributes
    ----------
    live : Live
    worker : Worker
    feedback : Feedback
    metrics : Metrics
    recordable : callable
        Raises JournalError where answers could not be recorded.
    deadline : float
        Seconds.
    """

    live: Live
    worker: Worker
    feedback: Feedback
    metrics: Metrics
    recordable: Callable[[], None]
    deadline: float


class Endpoints:
    """The requests of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        champion = service.live.snapshot.champion
        self.asks: type[TextsRequest | PairsRequest] = PairsRequest if champion.pairs else TextsRequest
        self.tells: type[LabelFeedback | LabelsFeedback] = (
            LabelsFeedback if champion.model.task == "multi-label" else LabelFeedback
        )
        self._read = Reader[Any](self.asks, pairs=champion.pairs)
        self._read_feedback = Reader[Any](self.tells)
        self._probed_at, self._reasons = -READY_SECONDS, ["not tried yet"]
        self._probing = asyncio.Lock()

    async def classify(self, request: Request) -> Response:
        """Classify texts."""
        asked: Asked = self._read(await _body(request)).asked()
        state, loop = request.scope["state"], asyncio.get_running_loop()
        job = Job(
            texts=asked.texts,
            shown=asked.top_k,
            routing=asked.routing_key or state["request_id"],
            done=loop.create_future(),
            deadline=time.monotonic() + self._service.deadline,
            key=state["key"].id,
            request=state["request_id"],
        )
        watch = loop.call_later(WATCH_SECONDS, _watch, request, job)
        try:
            await self._answered(job)
        finally:
            watch.cancel()
        assert job.served is not None
        results = [
            decision.answer(item, asked.top_k)
            for decision, item in zip(job.decisions, asked.items, strict=True)
        ]
        address = job.served.address
        model = {
            "name": address.name,
            "version": address.number,
            "digest": address.digest,
            "training": address.training,
        }
        return _json({"model": model, "arm": job.arm, "results": results})

    async def _answered(self, job: Job) -> None:
        """Have a job done, or say why not."""
        try:
            await self._service.worker.answer(job)
        except FullError as error:
            raise _later("too many texts are waiting", error.seconds) from None
        except ClosingError:
            raise _later("the service is being shut down", 1) from None
        except LateError:
            raise RequestError(
                504, "the request waited for longer than its deadline; send fewer texts"
            ) from None
        except JournalError:
            raise _later("answers cannot be recorded, so none is given", AGAIN_SECONDS) from None

    async def feedback(self, request: Request) -> Response:
        """Take the right label of a decision; it is on the disk before this answers."""
        told: LabelFeedback | LabelsFeedback = self._read_feedback(await _body(request))
        key = request.scope["state"]["key"].id
        add = self._service.feedback.add
        try:
            kept = await asyncio.to_thread(add, told.decision, told.right, key=key)
        except UnknownDecisionError as error:
            raise RequestError(404, str(error)) from None
        except InputError as error:
            raise RequestError(422, str(error)) from None
        except VermilionError as error:
            logger.error("%s", error)
            raise _later("feedback cannot be recorded", AGAIN_SECONDS) from None
        self._service.metrics.told()
        return _json({"decision": kept.decision, "number": kept.number}, 202)

    async def models(self, request: Request) -> Response:
        """Tell what is served now."""
        return _json(_served(self._service.live.snapshot))

    async def healthz(self, request: Request) -> Response:
        """Tell that the process lives."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Tell whether a prediction just went through the queue, and answers can be recorded."""
        async with self._probing:
            if time.monotonic() - self._probed_at >= READY_SECONDS:
                self._reasons = await self._probe()
                self._probed_at = time.monotonic()
        ready = not self._reasons
        return _json({"ready": ready, "reasons": self._reasons}, 200 if ready else 503)

    async def _probe(self) -> list[str]:
        """Return what stands in the way of answering."""
        service, reasons = self._service, []
        pairs = service.live.snapshot.champion.pairs
        now = time.monotonic()
        job = Job(
            texts=(join_pair("ready", "ready") if pairs else "ready",),
            shown=1,
            routing="ready",
            done=asyncio.get_running_loop().create_future(),
            deadline=now + PROBE_SECONDS,
            probe=True,
        )
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await service.worker.answer(job)
        except (TimeoutError, LateError):
            reasons.append(f"a prediction takes longer than {PROBE_SECONDS:g} s")
        except ClosingError:
            reasons.append("the service is being shut down")
        except Exception as error:
            logger.error("the prediction of /readyz failed: %s", trace(error))
            reasons.append("a prediction failed; see the server's log")
        try:
            await asyncio.to_thread(service.recordable)
        except JournalError as error:
            logger.error("%s", error)
            reasons.append("answers cannot be recorded; see the server's log")
        return reasons

    async def prometheus(self, request: Request) -> Response:
        """Tell what was counted, by all workers."""
        body = await asyncio.to_thread(self._service.metrics.text)
        return Response(body, headers={"content-type": CONTENT_TYPE})


def told(handler: Handler, path: str, metrics: Metrics) -> Handler:
    """Return a handler whose errors are problems, with its answers counted. What is unforeseen stays in the log."""

    async def handle(request: Request) -> Response:
        request_id = str(request.scope.get("state", {}).get("request_id", "-"))
        try:
            response = await handler(request)
        except RequestError as error:
            response = problem(error, request_id)
        except GoneError:
            response = Response(status_code=499)  # which nobody reads
        except Exception as error:
            logger.error("request %s failed: %s", request_id, trace(error))
            response = problem(
                RequestError(500, "something went wrong; the log knows the request's id"), request_id
            )
        metrics.request(path, response.status_code)
        return response

    return handle


def problem(error: RequestError, request_id: str) -> Response:
    """Return an error as RFC 9457 has it."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
        "errors": [{"where": where, "problem": what} for where, what in error.faults],
    }
    return Response(_bytes(body), error.status, dict(error.headers), PROBLEM)


def _later(detail: str, seconds: int) -> RequestError:
    return RequestError(503, f"{detail}; come again in {seconds} s", headers={"retry-after": str(seconds)})


def _served(snapshot: Snapshot) -> dict[str, Any]:
    models = [{**facts(snapshot.champion), "arm": "champion"}]
    rollout = None
    if snapshot.rollout is not None and snapshot.challenger is not None:
        models.append({**facts(snapshot.challenger), "arm": "challenger"})
        running = snapshot.rollout
        rollout = {
            "id": running.id,
            "kind": running.kind,
            "share": running.share,
            "started_at": running.started_at,
        }
    return {"models": models, "rollout": rollout}


async def _body(request: Request) -> bytes:
    """Return the body, which the guard gives as one piece; Starlette's way to it costs as much as reading the JSON."""
    message = await request.receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await request.receive()
        body += message.get("body", b"")
    return body


def _watch(request: Request, job: Job) -> None:
    """Learn when the client of a job hangs up."""
    watch = asyncio.ensure_future(request.receive())
    job.watch = watch  # the loop itself holds tasks weakly
    watch.add_done_callback(lambda _: _gone(job))


def _gone(job: Job) -> None:
    """Give a job up whose client has hung up; of one that is done, nothing is left to give up."""
    if not job.done.done():
        job.dropped = GoneError()
        job.done.set_exception(job.dropped)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(_bytes(body), status, media_type=JSON)


def _bytes(body: dict[str, Any]) -> bytes:
    return to_json(body)
