"""Stops recording in forked children: a child shares the open files of its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["abandon_in_children"]


class _Abandonable(Protocol):
    def abandon(self) -> None: ...


_recorders: weakref.WeakSet[_Abandonable] = weakref.WeakSet()


def abandon_in_children(recorder: _Abandonable) -> None:
    """Call ``recorder.abandon()`` in every child that is forked while the recorder exists."""
    _recorders.add(recorder)


def _abandon_all() -> None:
    for recorder in list(_recorders):
        recorder.abandon()


os.register_at_fork(after_in_child=_abandon_all)
