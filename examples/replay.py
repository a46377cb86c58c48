"""Send labelled texts to a service, as its users would, and tell it afterwards which label was right.

    VERMILION_KEY=... python examples/replay.py gold.csv [http://127.0.0.1:8000]

Needs nothing but Python. Prints how often each version was right. A key's usual rate is 100 requests a second, and each
text takes two: so it waits where it is told to.
"""

from __future__ import annotations

import csv
import http.client
import json
import os
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

USUAL = "http://127.0.0.1:8000"


class Client:
    """One connection to the service, opened again whenever it was closed."""

    def __init__(self, url: str, key: str) -> None:
        self._place = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(self._place, timeout=30)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; wait and ask again while the service says so."""
        while True:
            self._connection.request("POST", path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            content = json.loads(answer.read())
            if answer.status in (429, 503):
                time.sleep(float(answer.headers.get("Retry-After", "1")))
            elif answer.status >= 400:
                sys.exit(f"{path}: {answer.status}: {content.get('detail', content)}")
            else:
                return dict(content)


def main(gold: str, url: str = USUAL) -> dict[int, tuple[int, int]]:
    """Send every text and then its right label; return for each version how many it answered, and how many rightly."""
    client = Client(url, os.environ["VERMILION_KEY"])
    answered, right = Counter[int](), Counter[int]()
    with open(gold, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said = client.post("/v1/classify", {"texts": [row["text"]]})
            (result,), version = said["results"], said["model"]["version"]
            answered[version] += 1
            right[version] += result["label"] == row["label"]
            client.post("/v1/feedback", {"decision": result["id"], "label": row["label"]})
    return {version: (answered[version], right[version]) for version in sorted(answered)}


if __name__ == "__main__":
    if len(sys.argv) < 2 or "VERMILION_KEY" not in os.environ:
        sys.exit(__doc__)
    for version, (answered, right) in main(*sys.argv[1:]).items():
        print(f"version {version}: {answered:,} texts, {right / answered:.1%} right")
