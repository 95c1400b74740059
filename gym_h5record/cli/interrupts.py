"""Ctrl-C as a request, so that a step is never cut in half.

By default SIGINT raises ``KeyboardInterrupt`` at the statement that is running, which
may be the recorder in the middle of a row. So the first signal only sets
``requested``, and the loop ends after the step. The second signal raises: it ends a
step that does not return.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """A context in which the first SIGINT or SIGTERM sets ``requested`` and the second one raises.

    Example:
        >>> with Interrupts() as interrupts:
        ...     interrupts.requested
        False
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        self._before = {each: signal.signal(each, self._note) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
