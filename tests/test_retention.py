"""Days of decisions that are too old go, and nothing else does."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vermilion.serve.retention import Retention


def day(folder: Path, age: int) -> Path:
    made = folder / (datetime.now(UTC).date() - timedelta(days=age)).isoformat()
    made.mkdir(parents=True)
    (made / "w1.jsonl").write_text('{"id": "a"}\n')
    return made


def test_old_days_go_at_once_and_the_others_stay(tmp_path: Path) -> None:
    old, edge, today = day(tmp_path, 8), day(tmp_path, 7), day(tmp_path, 0)
    (tmp_path / "notes").mkdir()
    retention = Retention(tmp_path, 7)
    retention.start()
    retention.stop()  # after the first look
    assert not old.exists()
    assert edge.exists()
    assert today.exists()
    assert (tmp_path / "notes").exists()


def test_it_looks_again(tmp_path: Path) -> None:
    day(tmp_path, 0)
    retention = Retention(tmp_path, 1)
    retention.look()
    old = day(tmp_path, 3)
    retention.look()
    assert not old.exists()


def test_what_cannot_be_removed_is_told_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    day(tmp_path, 3)

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with caplog.at_level(logging.ERROR, logger="vermilion.serve"):
        logging.getLogger("vermilion").propagate = True
        Retention(tmp_path, 1).look()
    assert "old days cannot be removed (Permission denied)" in caplog.text
