"""Holding back Python's signal handlers while something must not be cut short by their exceptions.

``KeyboardInterrupt`` may come between any two lines. Out of the Python file that
HDF5 writes through it would leave HDF5 in pieces; out of the start of a process,
a process that nobody knows of.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["signals_held"]


@contextmanager
def signals_held() -> Iterator[None]:
    """Run the block; whatever signals come meanwhile reach their handlers, in their order, at its end.

    In threads other than the main one nothing needs to be done: Python runs no handler there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {}
    held: dict[int, None] = {}
    is_over = False

    def hold(number: int, frame: Any) -> None:
        if is_over:  # one that could not be put back
            handlers[number](number, frame)
        else:
            held[number] = None

    try:
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if callable(handler):  # not the system's own ways, which raise nothing
                handlers[number] = handler
                signal.signal(number, hold)
        yield
    finally:
        is_over = True
        with ExitStack() as ending:  # runs all of it, even if a handler raises
            for each in held:
                ending.callback(signal.raise_signal, each)
            for each, handler in handlers.items():
                ending.callback(signal.signal, each, handler)
