"""Defer signal handlers while an exception from one of them would do harm.

Python may raise ``KeyboardInterrupt`` between any two lines. Raised in the file object that HDF5 writes through, it
leaves HDF5's objects in memory half changed. Raised while a process is started, it leaves a process that no variable
refers to.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["signals_held"]

_SIGNALS = tuple(map(int, signal.valid_signals()))  # Python takes 0.1 ms to name all of them


@contextmanager
def signals_held() -> Iterator[None]:
    """Run the block. Signals that arrive meanwhile reach their handlers at its end, each number once.

    In other threads than the main one this does nothing: Python runs handlers in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {}
    held: dict[int, None] = {}
    is_over = False

    def hold(number: int, frame: Any) -> None:
        if is_over:  # the block has ended, but ``signal.signal`` could not restore the handler
            handlers[number](number, frame)
        else:
            held[number] = None

    try:
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):  # SIG_DFL and SIG_IGN run no Python code
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
