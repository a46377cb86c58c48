"""The files that a comparison of encoders leaves: comparison.json and comparison.html."""

from __future__ import annotations

import json
from pathlib import Path

from vermilion.choose.encoders_page import render_comparison
from vermilion.choose.encoders_record import Comparison
from vermilion.errors import StoreError


def write_comparison(found: Comparison, folder: Path) -> tuple[Path, Path]:
    """Write both files and return their paths.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    contents = {
        "comparison.json": json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n",
        "comparison.html": render_comparison(found),
    }
    for name, content in contents.items():
        temporary = folder / f"{name}.tmp"
        try:
            temporary.write_text(content, encoding="utf-8")
            temporary.replace(folder / name)
        except OSError as error:
            raise StoreError(
                f"{folder / name}: cannot be written ({error.strerror}); free space or give another --out"
            ) from error
    return folder / "comparison.json", folder / "comparison.html"
