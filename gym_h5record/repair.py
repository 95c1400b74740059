"""Bring what a dead recorder left into the file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gym_h5record.reader import Recording
from gym_h5record.writer import recover

__all__ = ["RepairReport", "repair"]


@dataclass(frozen=True)
class RepairReport:
    """What a recording holds after it has been repaired.

    Attributes:
        num_steps: Steps in the file.
        num_episodes: Episodes in the file; the last one may be incomplete.
    """

    num_steps: int
    num_episodes: int


def repair(path: str | os.PathLike[str]) -> RepairReport:
    """Complete a recording whose recorder, writer, or both were killed.

    Every step that had returned is in the file afterwards, and the episode that
    was running is closed as incomplete. A recording that was closed is left as
    it is. Safe to interrupt, and to run again.

    Raises:
        RecordingInUseError: If its recorder is still alive.
        RecordingNotFoundError: If there is neither a file nor a journal.
    """
    recover(Path(path))
    with Recording(path) as recording:
        return RepairReport(recording.num_steps, recording.num_episodes)
