"""Threads that share blocks of rows, instead of those within linear algebra.

Those of BLAS wait for each other by spinning. On a machine that has other work, a fit of 385 rows and 77 labels took
3.5 s with two of them and 0.3 s with one. And they leave the exponentials and sums between two products to one core:
a pass over 29,073 rows and 970 labels took 0.47 s with two threads within, 0.36 s with two over blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

# Multiplications of a step that is long enough to share.
SHARED_STEP = 1_000_000_000


@contextmanager
def block_threads(multiplications: int) -> Iterator[int]:
    """Keep BLAS to one thread; tell how many threads may share the blocks of a step.

    As many as BLAS was allowed, which heeds the process's cores and `OMP_NUM_THREADS`; one where the step has few
    multiplications.
    """
    libraries = _linear_algebra()
    allowed = max((library["num_threads"] for library in libraries.info()), default=1)
    with libraries.limit(limits=1):
        yield allowed if multiplications >= SHARED_STEP else 1


@cache
def _linear_algebra() -> ThreadpoolController:
    """Return the libraries behind NumPy and SciPy; to look for them takes as long as a small fit."""
    return ThreadpoolController().select(user_api="blas")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the function's result for each item, in their order, whatever the number of threads.

    Examples
    --------
    >>> list(in_order(abs, [-2, 1, -3], threads=2))
    [2, 1, 3]
    """
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)
