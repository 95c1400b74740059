"""Write the entries of ``/episodes``.

An episode gets an entry behind the committed ones with its first row. The entry is committed when its last row is
known. Rewards are added to the total as rows come, so a commit of a long episode costs no more than of a short one.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.claims import check_span
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import add_up

__all__ = ["IndexWriter", "close_open_episode", "next_start"]

_JSON_ENDS = f"{fmt.EPISODE_JSON}/{fmt.ENDS}"
_JSON_VALUES = f"{fmt.EPISODE_JSON}/{fmt.VALUES}"


class IndexWriter:
    """Writes the entries of ``/episodes`` of one recording.

    Args:
        file: The recording.
    """

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        self._start = next_start(file)  # first row of the open episode, or of the next one
        self._total = 0.0
        self._totalled_to = self._start  # rewards of rows before this one are in the total
        if file.rows - 1 > self._start:
            self._total = add_up(0.0, file.read(fmt.REWARDS, self._start, file.rows - 1))
            self._totalled_to = file.rows - 1

    def write(
        self,
        first_row: int,
        last: np.ndarray,
        rewards: np.ndarray,
        terminations: np.ndarray,
        truncations: np.ndarray,
        begins: dict[int, dict[str, Any]],
    ) -> int:
        """Write the entries of the episodes that end in a run of rows, and of the one still open after it.

        Args:
            first_row: Number of the first row of the run.
            last: For each row, whether it is the last of its episode.
            rewards: The reward of each row.
            terminations: The flag of each row.
            truncations: The flag of each row.
            begins: How an episode began, as ``begin_json`` gives it, by the number of its first row.

        Returns:
            The number of episodes of the recording that have ended.
        """
        first_number = self._file.episodes
        ends = [first_row + int(row) for row in np.flatnonzero(last)]
        ends = [end for end in ends if end >= self._start]  # the others are in the index already
        table: dict[str, list[Any]] = {name: [] for name in ("starts", "lengths", "returns", "terminated", "truncated")}
        begun: list[dict[str, Any]] = []
        newest = first_row + len(last) - 1

        def enter(end: int) -> None:
            if self._start in begins:
                begun.append(begins[self._start])
            terms = rewards[max(self._totalled_to - first_row, 0) : end - first_row]
            self._total, self._totalled_to = add_up(self._total, terms), max(self._totalled_to, end)
            at = end - 1 - first_row  # the last step; if it is before this run, ``end_episode`` came after it
            has_step = end > self._start and at >= 0
            table["starts"].append(self._start)
            table["lengths"].append(end - self._start)
            table["returns"].append(self._total)
            table["terminated"].append(has_step and bool(terminations[at]))
            table["truncated"].append(has_step and bool(truncations[at]))

        for end in ends:
            enter(end)
            self._start = self._totalled_to = end + 1
            self._total = 0.0
        if self._start <= newest:
            enter(newest)
        self._write_table(first_number, table)
        self._write_begins(first_number + len(table["starts"]) - len(begun), begun)
        return first_number + len(ends)

    def _write_table(self, first: int, table: dict[str, list[Any]]) -> None:
        table["complete"] = [any(flags) for flags in zip(table["terminated"], table["truncated"], strict=True)]
        for name, column in table.items():
            self._file.write(f"{fmt.EPISODES}/{name}", first, np.array(column, fmt.EPISODE_COLUMNS[name]))

    def _write_begins(self, first: int, begun: list[dict[str, Any]]) -> None:
        """Write how the new episodes began. Entries before ``first`` have that already."""
        for name in ("seeds", "ids", "origins"):
            column = np.array([begin["columns"][name] for begin in begun], fmt.EPISODE_COLUMNS[name])
            self._file.write(f"{fmt.EPISODES}/{name}", first, column)
        texts = [json.dumps(begin["json"], separators=(",", ":")).encode() for begin in begun]
        start = int(self._file.read(_JSON_ENDS, first - 1, first)[0]) if first else 0
        ends = start + np.cumsum([len(text) for text in texts], dtype=np.int64)
        self._file.write(_JSON_ENDS, first, ends)
        self._file.write(_JSON_VALUES, start, np.frombuffer(b"".join(texts), np.uint8))


def close_open_episode(file: RecordingFile) -> None:
    """Turn the committed rows behind the last episode into an incomplete episode."""
    start, end = next_start(file), file.rows - 1
    if end < start:
        return
    entry = {
        "starts": start,
        "lengths": end - start,
        "returns": add_up(0.0, file.read(fmt.REWARDS, start, end)),
        "complete": end > start and bool(file.read(fmt.DONES, end - 1, end)[0]),
    }
    for name, value in entry.items():
        file.write(f"{fmt.EPISODES}/{name}", file.episodes, np.array([value], fmt.EPISODE_COLUMNS[name]))
    file.commit(file.rows, file.episodes + 1)


def next_start(file: RecordingFile) -> int:
    """First row behind the committed episodes.

    Raises:
        CorruptRecordingError: If the last of them ends outside the recording.
    """
    if not file.episodes:
        return 0
    last = file.episodes - 1
    start, length = (int(file.read(f"{fmt.EPISODES}/{name}", last, last + 1)[0]) for name in ("starts", "lengths"))
    check_span(last, start, length, file.rows)
    return start + length + 1
