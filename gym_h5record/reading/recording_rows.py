"""The rows of a recording as they are stored: one per observation, padding included."""

from __future__ import annotations

from gym_h5record.reading.column_properties import RowColumns, RowRun
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex

__all__ = ["RecordingRows"]


class RecordingRows(RowColumns):
    """All rows of a recording, as its datasets hold them: one per observation, one episode behind the other.

    No step was taken from the last row of an episode. There, and in the newest row of a recording whose episode still
    runs, ``actions``, ``rewards`` and the flags are None, and zero in slices. ``recording.steps`` has no such rows.

    Args:
        decoder: Reads values.
        index: The episodes of the recording.
        is_open: Whether an episode is running, so that the step from the last row is not committed yet.
    """

    def __init__(self, decoder: Decoder, index: EpisodeIndex, *, is_open: bool) -> None:
        self._decoder = decoder
        self._index = index
        self._is_open = is_open

    def __len__(self) -> int:
        return self._index.num_rows

    def __repr__(self) -> str:
        return f"<RecordingRows: {len(self)}>"

    @property
    def _run(self) -> RowRun:
        count = self._index.num_rows
        return RowRun(self._decoder, self._index.storage, 0, count, count, has_padding=True, is_open=self._is_open)
