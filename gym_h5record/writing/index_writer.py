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

    Between two runs it stands at a row, the one from which the next run of rows begins. The episodes that end before
    that row never change again.

    Args:
        file: The recording.

    Attributes:
        open_start: First row of the episode that the row belongs to.
    """

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        self._no_reward = _no_reward(file)
        self._row = file.committed.tail_row
        self._number, self.open_start = _episode_at(file, self._row)  # number of the episode
        terms = _reward_terms(file, self.open_start, max(self._row, self.open_start))
        self._total = add_up(self._no_reward, terms)  # of its rewards before the row
        self._ended_by = (False, False)  # the flags of the step before the row
        if self._row > self.open_start:
            step = self._row - 1
            flags = [bool(file.read(name, step, step + 1)[0]) for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS)]
            self._ended_by = (flags[0], flags[1])

    def drop_open(self) -> None:
        """Go back to the first row of the episode."""
        self._row, self._total, self._ended_by = self.open_start, self._no_reward, (False, False)

    def write(
        self,
        first_row: int,
        last: np.ndarray,
        rewards: np.ndarray,
        terminations: np.ndarray,
        truncations: np.ndarray,
        begins: dict[int, dict[str, Any]],
        num_released: int,
    ) -> int:
        """Write the entries of the episodes that end in a run of rows, and of the one still open after it.

        Args:
            first_row: Number of the first row of the run.
            last: For each row, whether it is the last of its episode.
            rewards: What the reward of each row adds to the total.
            terminations: The flag of each row.
            truncations: The flag of each row.
            begins: How an episode began, as ``begin_json`` gives it, by the number of its first row.
            num_released: How many of the rows never change again. The next run begins behind them.

        Returns:
            The number of episodes of the recording that have ended.
        """
        table: dict[str, list[Any]] = {name: [] for name in ("starts", "lengths", "returns", "terminated", "truncated")}
        begun: list[dict[str, Any]] = []
        first_number, released = self._number, first_row + num_released
        at, start, total = self._row, self.open_start, self._total

        def enter(end: int) -> None:
            if start in begins:
                begun.append(begins[start])
            step = end - 1 - first_row
            flags = (bool(terminations[step]), bool(truncations[step])) if step >= 0 else self._ended_by
            table["starts"].append(start)
            table["lengths"].append(end - start)
            table["returns"].append(add_up(total, rewards[at - first_row : end - first_row]))
            table["terminated"].append(end > start and flags[0])
            table["truncated"].append(end > start and flags[1])

        ends = [first_row + int(row) for row in np.flatnonzero(last)]
        for end in ends:
            enter(end)
            at = start = end + 1
            total = self._no_reward
            if start <= released:
                self._number += 1
                self._row, self.open_start, self._total = start, start, total
        newest = first_row + len(last) - 1
        if start <= newest:
            enter(newest)
        if self._row < released:
            self._total = add_up(self._total, rewards[self._row - first_row : num_released])
            self._ended_by = (bool(terminations[num_released - 1]), bool(truncations[num_released - 1]))
            self._row = released
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
        texts = [
            json.dumps(begin["json"], separators=(",", ":")).encode() if begin["json"] else b"{}" for begin in begun
        ]
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
        "returns": add_up(_no_reward(file), _reward_terms(file, start, end)),
        "complete": end > start and bool(file.read(fmt.DONES, end - 1, end)[0]),
    }
    for name, value in entry.items():
        file.write(f"{fmt.EPISODES}/{name}", file.episodes, np.array([value], fmt.EPISODE_COLUMNS[name]))
    file.commit(file.committed._replace(episodes=file.episodes + 1))


def _episode_at(file: RecordingFile, row: int) -> tuple[int, int]:
    """The number and the first row of the episode that a row belongs to, or that begins there."""
    number, start = file.episodes, next_start(file)
    while start > row:  # some of the rows that the journal still holds
        number -= 1
        start = int(file.read(f"{fmt.EPISODES}/starts", number, number + 1)[0])
    return number, start


def _reward_terms(file: RecordingFile, start: int, stop: int) -> np.ndarray:
    return file.schema.reward_terms(file.read(fmt.REWARDS, start, stop), lambda: file.read(fmt.TYPES, start, stop))


def _no_reward(file: RecordingFile) -> Any:
    """The return of an episode without steps: 0.0, or an array of zeros where rewards are arrays."""
    shape = file.schema.return_shape
    return np.zeros(shape) if shape else 0.0


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
