"""The episode index while it is being written.

An episode enters the index with its first row, as an entry behind the committed
ones, and becomes one of them when its last row is known. Totals are added up
as rows come, so that an episode of any length costs nothing to extend.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.commit import check_span
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import add_up
from gym_h5record.values.tagged_json import tag

__all__ = ["IndexWriter", "begin_json", "close_open_episode", "next_start"]


_JSON_ENDS = f"{fmt.EPISODE_JSON}/{fmt.ENDS}"
_JSON_VALUES = f"{fmt.EPISODE_JSON}/{fmt.VALUES}"
_INT64_MAX = np.iinfo(np.int64).max


class IndexWriter:
    """Writes the entries of ``/episodes`` of one recording.

    Args:
        file: The recording.
    """

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        self._start = next_start(file)  # first row of the episode that is open, or comes next
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
        """Enter the episodes that end in a run of rows, and the one still open after it.

        Args:
            first_row: Number of the first row of the run.
            last: For each row, whether it is the last of its episode.
            rewards: For each row, like the two flags after it.
            terminations: See ``rewards``.
            truncations: See ``rewards``.
            begins: How the episodes with these first rows began.

        Returns:
            How many episodes have ended in the recording by now.
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
            at = end - 1 - first_row  # the step that led to the last row; ended from outside if it is long gone
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
        """Write what is known from the beginning; entries before ``first`` have it already."""
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


def begin_json(
    seed: Any,
    options: Any,
    origin: Origin,
    episode_id: int,
    on_repr: Callable[[object], None] | None = None,
    snapshot: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """How an episode began, as the drain writes it into the index.

    Args:
        seed: What ``reset`` was given, None if nothing.
        options: Likewise.
        origin: What made the episode begin.
        episode_id: How many resets there were before.
        on_repr: Told of everything in the options that has no exact form.
        snapshot: What the reset depended on, by provider.
    """
    small = isinstance(seed, (int, np.integer)) and 0 <= seed <= _INT64_MAX
    column = NO_SEED if seed is None else int(seed) if small else SEED_IN_JSON
    more: dict[str, Any] = {} if options is None else {"options": tag(options, on_repr=on_repr)}
    if column == SEED_IN_JSON:
        more["seed"] = tag(seed)
    columns = {"seeds": column, "ids": episode_id, "origins": int(origin)}
    return {"columns": columns, "json": more, "snapshot": dict(snapshot or {})}
