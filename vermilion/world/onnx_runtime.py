"""ONNX Runtime, told to keep to itself.

From 1.29 on its packages write down what is run, on which machine, under an id of the machine, and send it to
Microsoft (onnxruntime's docs/Privacy.md). Who brings texts that may not leave a machine does not expect that.
"""

from __future__ import annotations

import os
from typing import Any

# Read once, when the library is set up: then nothing is made, kept or sent.
OPT_OUT = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> Any:
    """Return the module `onnxruntime`, imported with its telemetry off, unless the environment says otherwise."""
    os.environ.setdefault(OPT_OUT, "1")
    import onnxruntime

    if os.environ[OPT_OUT] == "1":  # for whoever had it imported before
        onnxruntime.disable_telemetry_events()
    return onnxruntime
