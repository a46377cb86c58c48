"""The service under load, beside the plain way, MLflow's server and LitServe: one run, one machine, one task.

Every server classifies the same texts with all-MiniLM-L6-v2 and a linear head, one text a request, on all cores.
`wrk` finds what each can take at most; then requests arrive at random times whether or not earlier ones are answered
(open loop), and a latency counts from when a request was due, so that a server that stalls cannot hide it.
"""

from __future__ import annotations

from benchmarks.service.command import add_arguments, main

__all__ = ["add_arguments", "main"]
