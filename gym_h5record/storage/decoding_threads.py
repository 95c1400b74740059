"""Decodes many chunks in a few threads. Decompression lets go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["run_in_parts"]

T = TypeVar("T")

_MAX_THREADS = 4
"""The copies into the result keep the memory busy: more threads were not measured to be faster."""


class _Pool:
    executor: ThreadPoolExecutor | None = None


def run_in_parts(work: Callable[[Sequence[T]], None], parts: Sequence[T]) -> None:
    """Call ``work`` with all ``parts``, some of them in this thread and the others in threads of a pool.

    Raises:
        Exception: What ``work`` raised for the first of the parts.
    """
    threads = min(num_threads(), len(parts))
    if threads < 2:
        work(parts)
        return
    size = -(-len(parts) // threads)
    try:
        executor = _executor()
        futures = [executor.submit(work, parts[at : at + size]) for at in range(size, len(parts), size)]
    except RuntimeError:  # the program is ending: no thread begins any more
        work(parts)
        return
    try:
        work(parts[:size])
    finally:
        errors = [future.exception() for future in futures]  # waits: they write into the array of the caller
    for error in errors:
        if error is not None:
            raise error


def _executor() -> ThreadPoolExecutor:
    if _Pool.executor is None:
        # Not at the top: while a program ends, when a recording may still be completed, this import is an error.
        from concurrent.futures import ThreadPoolExecutor

        _Pool.executor = ThreadPoolExecutor(_MAX_THREADS - 1, "gym_h5record-decoder")
    return _Pool.executor


def num_threads() -> int:
    """How many threads decode, the caller's included."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _MAX_THREADS)


def _forget_after_fork() -> None:
    _Pool.executor = None  # its threads are the parent's


os.register_at_fork(after_in_child=_forget_after_fork)
