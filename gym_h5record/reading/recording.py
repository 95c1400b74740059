"""``Recording``: a recorded file, opened for reading."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.display import counted
from gym_h5record.errors import OptionError
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import EpisodeList
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.recording_rows import RecordingRows
from gym_h5record.reading.selection import EpisodeSet
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.reading.steps import Steps
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.paths import given_path
from gym_h5record.storage.state import State

__all__ = ["Recording"]


class Recording(EpisodeSet):
    """A recorded file, read lazily: a sequence of its episodes.

    ``recording[0]`` is an episode; ``recording[-3:]`` and ``recording.select("complete")`` are some of them, with the
    same interface. ``steps`` has the steps of all episodes as aligned columns, ``rows`` the rows as they are stored.

    Opening reads a few hundred bytes, whatever the size of the file. A recording
    can be pickled and survives ``fork``: every process opens the file for itself.
    The file may be hostile: nothing outside it is read, and a damaged part raises
    an error when it is read.

    Args:
        path: The file.
        live: Whether a recorder may still write the file. The recording shows what
            was committed when it was opened or refreshed last.

    Raises:
        RecordingNotFoundError: If there is no file.
        NotARecordingError: If the file is not HDF5, not written by this package, or of a newer format.
        CorruptRecordingError: If the file contradicts the format.
        RecordingInUseError: If a recorder writes the file, and not ``live``.
        InterruptedRecordingError: If its recorder died; ``gym_h5record.repair(path)`` completes it.

    Example:
        >>> with Recording(cartpole_path) as recording:
        ...     episode = recording[0]
        ...     len(episode.observations) - len(episode.actions)
        1
    """

    def __init__(self, path: str | os.PathLike[str], *, live: bool = False) -> None:
        self._live = live
        self._handle = Handle(given_path(path), Access.LIVE if live else Access.CLOSED)
        self._is_live = self._handle.state is State.LIVE
        try:
            storage = ColumnReader(self._handle)
            self._committed = EpisodeIndex.committed(storage)
        except BaseException:
            self._handle.close()
            raise
        self._recorded = RecordedFile(self._handle, storage)

    @property
    def num_rows(self) -> int:
        """Rows: one per observation, final observations included."""
        return self._committed.num_rows

    @property
    def num_episodes(self) -> int:
        """Episodes, incomplete ones included. One that is still running is none of them."""
        return self._committed.num_episodes

    @property
    def num_steps(self) -> int:
        """Steps: one fewer than rows in every episode, also in the running one."""
        return self.num_rows - self.num_episodes - (self._committed.num_running if self._is_live else 0)

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of the episodes, ``(num_episodes,)`` int64: 0, 1, 2, ..."""
        return np.arange(self.num_episodes)

    def __len__(self) -> int:
        return self.num_episodes

    @cached_property
    def episodes(self) -> EpisodeList:
        """The episodes, in the order they were recorded."""
        return EpisodeList(self._recorded.decoder, self._committed, self.numbers)

    @cached_property
    def steps(self) -> Steps:
        """All steps as aligned columns, without the rows from which no step was taken.

        Steps of the running episode of a live recording are among them.
        """
        return Steps(self._recorded.decoder, self._committed, self._spans)

    @cached_property
    def rows(self) -> RecordingRows:
        """All rows as they are stored: one per observation, padding included.

        Raises:
            OptionError: If it is a vector recording, where each lane has rows of its own.
        """
        if self._handle.num_envs is not None:
            raise OptionError(
                f"{self.path} has {counted(self.num_envs, 'lane')}, each with rows of its own: take recording.steps, "
                "or the episodes of a lane, as in recording.lane(0)[0].observations"
            )
        return RecordingRows(self._recorded.decoder, self._committed, is_open=self._is_open)

    @property
    def is_live(self) -> bool:
        """Whether a recorder still wrote the file when it was opened or refreshed last."""
        return self._is_live

    def refresh(self) -> bool:
        """Show the rows that have been committed since.

        Episodes, selections, steps and columns taken from the recording before stay as they were, but for the newest
        episode: where it has been discarded since, its rows may become those of the next one.

        Returns:
            Whether a recorder still writes the file. If not, all its rows are in the file.

        Raises:
            InterruptedRecordingError: If the recorder and its writer died.
            RecordingNotFoundError: If the file has been removed, or replaced by another recording.
        """
        if self.is_live:
            self._handle.renew()
            is_live = self._handle.state is State.LIVE  # asked before /commit is read: the recorder may end in between
            self._committed = self._committed.later()
            self._is_live = is_live
            self._recorded.renew()
            for name in ("episodes", "steps", "rows"):
                self.__dict__.pop(name, None)
        return self.is_live

    def __repr__(self) -> str:
        size = f"{counted(self.num_episodes, 'episode')}, {counted(self.num_steps, 'step')}"
        return f"<Recording {str(self.path)!r}: {size}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Recording, live=self._live), (str(self.path),)

    @property
    def _file(self) -> RecordedFile:
        return self._recorded

    @property
    def _index(self) -> EpisodeIndex:
        return self._committed

    @property
    def _spans(self) -> StepSpans:
        starts, lengths = self._committed.spans
        if self._is_live:
            more_starts, more_lengths = self._committed.open_spans
            starts, lengths = np.append(starts, more_starts), np.append(lengths, more_lengths)
        return StepSpans(np.arange(len(starts)), starts, lengths)

    @property
    def _is_open(self) -> bool:
        """Whether an episode is running, so that the step from the last row is not committed yet."""
        return self._is_live and self._committed.num_running > 0
