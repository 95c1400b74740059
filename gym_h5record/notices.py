"""Warnings to the user, which point at the user's own line."""

from __future__ import annotations

import sys
import warnings

from gym_h5record.errors import RecordingWarning

__all__ = ["OnceWarner", "warn"]

_NOT_THE_USERS = ("gym_h5record", "gymnasium", "contextlib")  # the latter runs our own context managers


def warn(message: str) -> None:
    """Warn with a ``RecordingWarning`` at the nearest line outside this package and Gymnasium.

    Only that line tells the user which environment or call is meant. Python also shows a warning once per line.
    """
    frame, level = sys._getframe(1), 2  # noqa: SLF001  # the only way to a caller's module
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, RecordingWarning, stacklevel=level)


class OnceWarner:
    """Warns of each thing once, however often it happens."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def warn(self, message: str, about: str = "") -> None:
        """Warn, unless this message has been given before, or another one ``about`` the same."""
        if (about or message) not in self._known:
            self._known.add(about or message)
            warn(message)
