"""A forked child shares its parent's files: it must let go of what the parent is recording."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["abandon_in_children"]


class _Abandonable(Protocol):
    def abandon(self) -> None: ...


_recorders: weakref.WeakSet[_Abandonable] = weakref.WeakSet()


def abandon_in_children(recorder: _Abandonable) -> None:
    """Call ``recorder.abandon()`` in every child that is forked as long as it lives."""
    _recorders.add(recorder)


def _abandon_all() -> None:
    for recorder in list(_recorders):
        recorder.abandon()


os.register_at_fork(after_in_child=_abandon_all)
