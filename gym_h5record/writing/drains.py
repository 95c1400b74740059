"""The drain of a recording: that of a single environment, or that of lanes."""

from __future__ import annotations

from gym_h5record.format.claims import LaneCommit
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.index_writer import close_open_episode, next_start
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.lane_commit import LaneDrain
from gym_h5record.writing.lane_index import close_open_episodes, next_starts

__all__ = ["AnyDrain", "close_running", "ends_with_episodes", "make_drain"]

AnyDrain = Drain | LaneDrain


def make_drain(journal: Journal, file: RecordingFile) -> AnyDrain:
    """The drain that moves rows from a journal into a recording that has been started."""
    return Drain(journal, file) if file.schema.num_envs is None else LaneDrain(journal, file)


def close_running(file: RecordingFile) -> None:
    """Turn the committed rows behind the last episode, of each lane if there are any, into incomplete episodes."""
    if file.schema.num_envs is None:
        close_open_episode(file)
    else:
        close_open_episodes(file)


def ends_with_episodes(file: RecordingFile) -> bool:
    """Whether no row lies behind the last episode, of any lane: a closed recording has none."""
    if isinstance(file.committed, LaneCommit):
        return bool((next_starts(file) == file.committed.lane_rows).all())
    return next_start(file) == file.rows
