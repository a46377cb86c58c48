"""The app of a worker over real HTTP, with a real model, queue and journal: what it answers, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from serving import LABELS, Reply, call, journalled, make_key, make_model

from vermilion.serve.opening import open_worker
from vermilion.serve.process import listen
from vermilion.serve.settings import ServeSettings
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home


class Place:
    """A worker's app behind uvicorn, in a thread of this process."""

    def __init__(self, folder: Path, model: Path, **settings: Any) -> None:
        self.home = Home.open(folder, environment={})
        self.key = make_key(self.home)
        app = open_worker(ServeSettings(str(model), self.home, **settings).checked())
        self._socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app, http="httptools", lifespan="on", log_config=None, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def post(self, path: str, body: Any) -> Reply:
        return call(self.url + path, body, self.key)

    def get(self, path: str) -> Reply:
        return call(self.url + path, None, self.key)

    def classify(self, *texts: Any, **more: Any) -> Reply:
        return self.post("/v1/classify", {"texts": list(texts), **more})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("app")
    opened = Place(folder / "home", make_model(folder / "intents"))
    yield opened
    opened.close()


def opened(tmp_path: Path, **model: Any) -> Place:
    return Place(tmp_path / "home", make_model(tmp_path / "model", **model))


def test_a_text_gets_its_label_and_is_recorded_before_it_is_answered(place: Place) -> None:
    reply = place.classify("where is my card?", {"text": "refund my money", "id": "b7"}, top_k=2.0)
    assert reply.status == 200
    assert [row["label"] for row in reply.body["results"]] == ["card", "refund"]
    first, second = reply.body["results"]
    assert (second["item"], "item" in first) == ("b7", False)
    assert [one["label"] for one in first["candidates"]][:1] == ["card"]
    assert len(first["candidates"]) == 2
    assert first["confidence"] == first["candidates"][0]["probability"]
    model = reply.body["model"]
    assert (model["name"], model["version"], len(model["digest"])) == ("intents", None, 64)
    kept = journalled(place.home)[first["id"]]
    assert kept["label"] == "card"
    assert kept["digest"] == model["digest"]
    assert kept["request"] == reply.headers["x-request-id"]
    assert "text" not in kept


def test_a_thousand_texts_are_answered_in_their_order(place: Place) -> None:
    asked = [("where is my card?", "please refund my payment")[number % 3 == 0] for number in range(1000)]
    rows = place.classify(*asked).body["results"]
    assert [row["label"] for row in rows] == [("card", "refund")[number % 3 == 0] for number in range(1000)]
    assert len({row["id"] for row in rows}) == 1000


BAD: list[tuple[Any, int, str]] = [
    (b"{", 400, "the body is no JSON"),
    (b"\xff\xfe", 400, "the body is no JSON"),
    (b"[" * 10_000, 400, "the body is no JSON"),
    ([], 422, "the body: expected an object, found a list"),
    ({}, 422, "texts: is missing; add it"),
    ({"texts": []}, 422, "texts: is empty; give at least one"),
    ({"texts": "hi"}, 422, "texts: expected a list, found a string"),
    ({"texts": ["hi", ""]}, 422, "texts[1]: is empty; leave it out"),
    ({"texts": ["hi", 3]}, 422, "texts[1]: expected a string or an object, found a number"),
    ({"texts": ["hi", None]}, 422, "texts[1]: expected a string or an object, found null"),
    ({"texts": [{"text": True}]}, 422, "texts[0].text: expected a string, found true or false"),
    ({"texts": [{"text": "hi", "x": 1}]}, 422, "texts[0].x: is unknown; leave it out, or mend its name"),
    ({"texts": ["hi"], "k": 1}, 422, "k: is unknown; leave it out, or mend its name"),
    ({"texts": ["hi"], "top_k": 2.5}, 422, "top_k: expected a whole number, found a number with a fraction"),
    ({"texts": ["hi"], "top_k": "2"}, 422, "top_k: expected a whole number, found a string"),
    ({"texts": ["hi"], "top_k": True}, 422, "top_k: expected a whole number, found true or false"),
    ({"texts": ["hi"], "top_k": 0}, 422, "top_k: expected at least 1, found 0"),
    ({"texts": ["hi"], "top_k": 1001}, 422, "top_k: expected at most 1,000, found 1,001"),
    ({"texts": ["hi"] * 1001}, 422, "texts: expected at most 1,000 items, found 1,001; send less at once"),
    ({"texts": ["x" * 20_001]}, 422, "texts[0]: expected at most 20,000 characters, found 20,001; send less"),
    ({"texts": ["a"] * 3 + ["0123456789abcdef\0"]}, 422, "texts[3]: character 17 is NUL; remove it"),
    (b'{"texts": ["0123\x00"]}', 422, "texts[0]: character 5 is NUL; remove it"),
    (
        b'{"texts": ["a", {"text": "b\\ud800"}]}',
        422,
        "texts[1].text: character 2 is a lone surrogate, U+D800",
    ),
    (b'{"texts": ["b\xed\xa0\x80"]}', 422, "texts[0]: character 2 is a lone surrogate, U+D800; remove it"),
    ({"texts": ["hi"], "routing_key": "a\0"}, 422, "routing_key: character 2 is NUL; remove it"),
    ({"pairs": [{"text_a": "a", "text_b": "b"}]}, 422, "texts: is missing; add it"),
]


@pytest.mark.parametrize(("body", "status", "detail"), BAD)
def test_what_is_refused_is_named_with_its_place(place: Place, body: Any, status: int, detail: str) -> None:
    reply = place.post("/v1/classify", body)
    assert (reply.status, reply.body["detail"][: len(detail)]) == (status, detail)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.body["request_id"] == reply.headers["x-request-id"]
    assert reply.body["status"] == status


def test_every_fault_is_listed(place: Place) -> None:
    reply = place.post("/v1/classify", {"texts": ["", 4], "x": 1})
    assert [one["where"] for one in reply.body["errors"]] == ["texts[0]", "texts[1]", "x"]
    assert reply.body["detail"].endswith("(and 2 more)")


def test_feedback_is_on_the_disk_before_it_is_acknowledged(place: Place) -> None:
    decision = place.classify("where is my card?").body["results"][0]["id"]
    reply = place.post("/v1/feedback", {"decision": decision, "label": "a label of tomorrow"})
    assert reply.status == 202
    with Feedback.open(place.home) as feedback:
        (kept,) = feedback.of(decision)
    assert (kept.labels, kept.number) == (("a label of tomorrow",), reply.body["number"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"decision": "d" + "a" * 32, "label": "card"}, 404),
        ({"decision": "nothing", "label": "card"}, 422),
        ({"decision": "d" + "a" * 32}, 422),
        ({"decision": "d" + "a" * 32, "label": ["card"]}, 422),
        ({"decision": "d" + "a" * 32, "labels": ["card"]}, 422),
    ],
)
def test_feedback_of_no_decision_is_refused(place: Place, body: Any, status: int) -> None:
    assert place.post("/v1/feedback", body).status == status


def test_models_tell_what_is_served(place: Place) -> None:
    (model,) = place.get("/v1/models").body["models"]
    assert (model["name"], model["task"], model["labels"]) == ("intents", "multi-class", list(LABELS))
    assert (model["arm"], model["pairs"], model["encoder"]) == ("champion", False, "static")


def test_health_and_readiness_need_no_key(place: Place) -> None:
    assert call(f"{place.url}/healthz").body == {"status": "ok"}
    assert call(f"{place.url}/readyz").body == {"ready": True, "reasons": []}
    before = len(journalled(place.home))
    assert call(f"{place.url}/readyz").status == 200
    assert len(journalled(place.home)) == before


def test_metrics_count_texts_and_hold_none(place: Place) -> None:
    place.classify("a very private text about my card")
    told = place.get("/metrics").body
    assert 'vermilion_texts_total{arm="champion",outcome="labelled"}' in told
    assert 'vermilion_requests_total{path="/v1/classify",status="200"}' in told
    assert "private" not in told


def test_the_document_has_every_answer_that_came(place: Place) -> None:
    document = call(f"{place.url}/openapi.json").body
    classify = document["paths"]["/v1/classify"]["post"]
    statuses = {*classify["responses"]}
    assert {"200", "400", "401", "403", "413", "415", "422", "429", "500", "503", "504"} <= statuses
    text = document["components"]["schemas"]["TextsRequest"]["properties"]["texts"]["items"]["anyOf"][0]
    assert text == {"type": "string", "minLength": 1, "maxLength": 20_000, "pattern": "^[^\\u0000]*$"}
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert classify["security"] == [{"key": []}]


def test_a_full_disk_is_told_and_survived(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("vermilion.serve.journal.os.pwrite", full)
        reply = place.classify("where is my card?")
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert place.classify("where is my card?").status == 200


def test_what_is_unforeseen_is_told_by_its_number_only(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("something secret")

    with monkeypatch.context() as patch:
        patch.setattr("vermilion.serve.engine.decisions", broken)
        reply = place.classify("a private text")
    assert reply.status == 500
    assert "secret" not in json.dumps(reply.body)
    assert reply.body["request_id"] in caplog.text
    assert "private" not in caplog.text
    assert place.classify("where is my card?").status == 200


def test_a_model_of_pairs_is_asked_about_pairs(tmp_path: Path) -> None:
    place = opened(tmp_path, encoder="pairs:static")
    try:
        one = {"text_a": "where is my card?", "text_b": "my new card still has not come", "id": "1"}
        reply = place.post("/v1/classify", {"pairs": [one]})
        assert (reply.status, reply.body["results"][0]["item"]) == (200, "1")
        assert call(f"{place.url}/readyz").status == 200
        odd = place.post("/v1/classify", {"pairs": [{"text_a": "a", "text_b": "b\x1fc"}]})
        assert (odd.status, odd.body["errors"][0]["where"]) == (422, "pairs[0].text_b")
        assert place.classify("a").status == 422
    finally:
        place.close()


def test_several_labels_a_text(tmp_path: Path) -> None:
    place = opened(tmp_path, task="multi-label")
    try:
        (row,) = place.classify("refund my money for the card", top_k=1).body["results"]
        assert "label" not in row
        assert {*row["labels"]} <= {one["label"] for one in row["candidates"]}
        told = place.post("/v1/feedback", {"decision": row["id"], "labels": ["card", "refund"]})
        assert told.status == 202
    finally:
        place.close()
