"""LitServe's side of serve.py, a module of its own because its workers import the class by name.

python serve_litserve.py LABELLED.jsonl PORT
"""

import os
import sys
from typing import Any

import litserve as ls  # type: ignore[import-not-found,unused-ignore]
from serve import Classifier  # type: ignore[import-not-found,unused-ignore]

# As many texts at once, at most so long after the first, as LitServe's guide suggests for CPUs of this size.
BATCH, BATCH_SECONDS = 32, 0.005


class Api(ls.LitAPI):  # type: ignore[misc,unused-ignore]
    """A batch of requests with a text each."""

    def setup(self, device: str) -> None:
        """Load once in each worker."""
        self.classifier = Classifier(sys.argv[1])

    def decode_request(self, request: dict[str, Any]) -> str:
        """Return a request's text."""
        return str(request["texts"][0])

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify a batch."""
        return list(self.classifier.classify(list(texts)))

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return a response."""
        return {"results": [output]}


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    api = Api(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS)
    server = ls.LitServer(api, accelerator="cpu", track_requests=False)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
