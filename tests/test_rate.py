"""Rates, with real processes and threads: what is allowed together is never more than the pace says."""

from __future__ import annotations

import math
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.errors import InputError
from vermilion.serve.rate import GROUP, GROUPS, KINDS, Buckets, Pace

SIZE = len(KINDS) * GROUPS * GROUP * 16


class Clock:
    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_at_once_and_then_the_rate(tmp_path: Path, clock: Clock) -> None:
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        pace = Pace(rate=10, burst=5)
        assert [buckets.take("key", "a", pace) for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])
        clock.at += 0.1
        assert buckets.take("key", "a", pace) == 0
        assert buckets.take("key", "a", pace) == pytest.approx(0.1)
        assert buckets.take("key", "b", pace) == 0
        assert buckets.take("client", "a", pace) == 0  # of another kind, so another bucket
        clock.at += 100
        assert [buckets.take("key", "a", pace) == 0 for _ in range(6)] == [True] * 5 + [False]


def test_who_is_refused_pays_nothing(tmp_path: Path, clock: Clock) -> None:
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        pace = Pace(rate=1, burst=1)
        buckets.take("key", "a", pace)
        waits = [buckets.take("key", "a", pace) for _ in range(100)]
        assert waits == pytest.approx([1.0] * 100)
        clock.at += 1
        assert buckets.take("key", "a", pace) == 0


@given(
    steps=st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 3)), max_size=30),
    rate=st.floats(0.1, 50),
    burst=st.floats(3, 20),
)
def test_no_window_lets_more_through_than_burst_and_rate(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float]], rate: float, burst: float
) -> None:
    clock = Clock()
    with Buckets(tmp_path_factory.mktemp("rates") / "rates", clock=clock) as buckets:
        allowed = []
        for wait, cost in steps:
            clock.at += wait
            if not buckets.take("key", "a", Pace(rate, burst), cost):
                allowed.append((clock.at, cost))
    for i in range(len(allowed)):
        for j in range(i, len(allowed)):
            span = allowed[j][0] - allowed[i][0]
            assert sum(cost for _, cost in allowed[i : j + 1]) <= burst + rate * span + 1e-6


@pytest.mark.parametrize("stored", [math.nan, math.inf, 1e18, -1e18])
def test_what_a_reboot_or_a_fault_leaves_blocks_nobody_for_long(
    tmp_path: Path, clock: Clock, stored: float
) -> None:
    pace = Pace(rate=1, burst=5)
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        buckets.take("key", "a", pace)
    content = bytearray((tmp_path / "rates").read_bytes())
    (at,) = (i for i in range(0, SIZE, 16) if any(content[i : i + 8]))
    struct.pack_into("<d", content, at + 8, stored)
    (tmp_path / "rates").write_bytes(content)
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        assert buckets.take("key", "a", pace) <= 1.0 + 1e-9
        clock.at += 5
        assert buckets.take("key", "a", pace) == 0


def test_strangers_do_not_push_keys_out(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vermilion.serve.rate.GROUPS", 4)
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        pace = Pace(rate=0.001, burst=1)
        assert buckets.take("key", "shop", pace) == 0
        for i in range(500):
            clock.at += 0.001
            buckets.take("client", f"10.{i}", pace)
        assert buckets.take("key", "shop", pace) > 0


def test_of_a_full_group_the_one_goes_that_was_paid_off_first(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vermilion.serve.rate.GROUPS", 4)
    with Buckets(tmp_path / "rates", clock=clock) as buckets:
        pace = Pace(rate=0.01, burst=1)
        for i in range(2 * 4 * GROUP):  # more names than places
            clock.at += 0.0001
            assert buckets.take("client", f"{i}", pace) == 0
        assert buckets.take("client", f"{i}", pace) > 0  # the latest is known


CHILD = """
import sys, time
from pathlib import Path
from vermilion.serve.rate import Buckets, Pace
buckets = Buckets(Path(sys.argv[1]), clock=lambda: 1000.0)
print("ready", flush=True)
sys.stdin.readline()
print(sum(buckets.take("key", "shop", Pace(1.0, 500.0)) == 0 for _ in range(300)), flush=True)
"""


def test_processes_and_threads_share_one_bucket(tmp_path: Path) -> None:
    path = tmp_path / "rates"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    counts: list[int] = []
    with Buckets(path, clock=lambda: 1000.0) as buckets:

        def work() -> None:
            counts.append(sum(buckets.take("key", "shop", Pace(1.0, 500.0)) == 0 for _ in range(300)))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for one in threads:
            one.start()
        allowed = [int(child.communicate("go\n", timeout=60)[0]) for child in children]
        for one in threads:
            one.join()
    assert sum(allowed) + sum(counts) == 500


def test_a_worker_killed_in_the_middle_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "rates"
    code = CHILD.replace("sys.stdin.readline()", "").replace("range(300)", "iter(int, 1)")
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGKILL)
    with Buckets(path, clock=lambda: 1000.0) as buckets:
        assert buckets.take("key", "shop", Pace(1.0, 500.0)) <= 1.0


def test_the_file_is_private_whole_and_mended(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "runtime" / "rates"
    with Buckets(path, clock=clock) as buckets:
        buckets.take("key", "a", Pace(1, 1))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_blocks * 512 >= SIZE  # no holes: a full disk must not kill who writes to the map
    with path.open("r+b") as stream:
        stream.truncate(100)
    with Buckets(path, clock=clock) as buckets:
        assert [buckets.take("key", "b", Pace(1, 1)) for _ in range(2)] == [0, 1]


def test_what_cannot_be_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        Buckets(tmp_path)


@pytest.mark.parametrize(
    ("rate", "burst"), [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, 0.5), (1, math.inf)]
)
def test_a_pace_that_is_none_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(InputError, match="a rate above 0 and a burst from 1"):
        Pace(rate, burst)
