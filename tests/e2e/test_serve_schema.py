"""What the service says of itself in OpenAPI is true: Schemathesis asks it all that the document allows, and more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from serving import Running, make_key, make_model

from vermilion.world.home import Home

# Schemathesis does not count 413 among the ways to refuse a body of five megabytes.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 429, 431]
"""


@pytest.mark.parametrize("options", [{}, {"encoder": "pairs:static"}, {"task": "multi-label"}])
def test_every_answer_is_as_the_document_says(tmp_path: Path, options: dict[str, str]) -> None:
    home = Home.open(tmp_path / "home", environment={})
    key, model = make_key(home), make_model(tmp_path / "model", **options)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    with Running(home, str(model), ("--workers", "1")) as running:
        argv = [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file",
            str(config),
            "--no-color",
        ]
        argv += ["run", f"{running.url}/openapi.json", "-H", f"Authorization: Bearer {key}"]
        argv += ["--max-examples", "25", "--seed", "1", "--checks", "all"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert running.process.poll() is None
        assert "Traceback" not in running.log.read_text()
    failures = done.stdout.partition("FAILURES")[2].splitlines()
    assert done.returncode == 0, "\n".join(line[:500] for line in failures) or done.stderr
