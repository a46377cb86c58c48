"""The page of an exported model, in a real browser: the same tokens, vectors and probabilities as in Python."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium, browser, chromium_path
from test_export import predictor

from vermilion.export.browser import PACKAGES
from vermilion.export.folder import ExportSettings, export_model

REPORT = """document.documentElement.dataset.check ||
  (document.getElementById("status")?.textContent ?? "").match(/^The model cannot.*/)?.[0]"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the npm packages, as npm itself packs them; it keeps a cache of its own."""
    npm = shutil.which("npm") or pytest.skip("no npm here to get onnxruntime-web by")
    chromium_path()
    folder = tmp_path_factory.mktemp("npm")
    wanted = [f"{package.name}@{package.version}" for package in PACKAGES]
    done = subprocess.run(
        [npm, "pack", "--prefer-offline", "--silent", *wanted],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot get {' and '.join(wanted)}")
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Chromium]:
    with browser(tmp_path / "profile") as found:
        yield found


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("spec", ["static", "minilm+static"])
def test_the_browser_gives_the_golden_values(
    spec: str, archives: Path, page: Chromium, tmp_path: Path
) -> None:
    export_model(predictor(spec), ExportSettings(tmp_path / "out", browser=True, npm=archives))
    with served(tmp_path / "out") as address:
        page.open(address + "?check")
        found = json.loads(page.wait(REPORT))
    assert found["passed"]
    assert found["tokens"] == found["decisions"] == found["texts"] > 20
    assert found["probabilities"] < 1e-4
    assert page.problems == []


def test_the_page_is_used_by_keyboard_and_shows_no_markup(
    archives: Path, page: Chromium, tmp_path: Path
) -> None:
    export_model(predictor("static"), ExportSettings(tmp_path / "out", browser=True, npm=archives))
    with served(tmp_path / "out") as address:
        page.open(address)
        page.send(
            "Emulation.setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=1, mobile=True
        )
        assert page.wait("document.getElementById('status')?.textContent === 'Ready.'")
        assert page.evaluate("document.activeElement.id") == "text"
        page.send("Input.insertText", text="<img src=x onerror=document.title='owned'> I lost my card")
        page.press("Enter", "\r")
        assert page.wait("document.getElementById('label').textContent").startswith("lost, ")
        assert page.evaluate("document.title").startswith("Text classifier")
        assert page.evaluate("document.querySelectorAll('#candidates tr').length") == 3
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.evaluate("document.getElementById('theme').click()")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        page.evaluate("document.getElementById('text').value = '  '")
        page.evaluate("document.getElementById('form').requestSubmit()")
        assert page.wait("document.getElementById('status').textContent === 'Write a text first.'")
        # Nothing may be asked of another machine, and no script of the page's own making runs.
        refused = "fetch('https://example.org/').then(() => 'sent', () => 'refused')"
        assert page.evaluate(refused) == "refused"
        assert any("Content Security Policy" in problem for problem in page.problems)


def test_a_damaged_file_is_told_by_the_page(archives: Path, page: Chromium, tmp_path: Path) -> None:
    export_model(predictor("static"), ExportSettings(tmp_path / "out", browser=True, npm=archives))
    path = tmp_path / "out" / "tokenizer.json"
    path.write_bytes(path.read_bytes() + b" ")
    with served(tmp_path / "out") as address:
        page.open(address + "?check")
        told = page.wait(REPORT)
    assert told == (
        "The model cannot be loaded: tokenizer.json: is not what its sha256 says; export the model again"
    )
