"""Ctrl-C as a wish, so that a step is never cut in half.

A signal that raises wherever the program happens to be may hit the recorder in
the middle of a row. The first one is therefore only noted, for a loop to look
at; the second one raises, for whoever waits in vain.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context in which SIGINT and SIGTERM are noted.

    Attributes:
        requested: Whether one has come.

    Example:
        >>> with Interrupts() as interrupts:
        ...     interrupts.requested
        False
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
