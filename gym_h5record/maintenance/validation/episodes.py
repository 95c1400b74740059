"""Compare the episode index with the rows of the episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin
from gym_h5record.maintenance.validation.problems import Findings, quote
from gym_h5record.maintenance.validation.ragged_ends import RaggedChecks
from gym_h5record.maintenance.validation.row_blocks import RowBlock, TargetColumns
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.reading.decoder import Decoder
from gym_h5record.values.exact import add_up, identical
from gym_h5record.values.tagged_json import loads

__all__ = ["EpisodeChecks"]


_BLOCK_EPISODES = 1 << 12
_MAX_TEXT_BYTES = 1 << 20
_COLUMNS = ("starts", "lengths", "returns", "seeds", "ids", "terminated", "truncated", "complete", "origins")


@dataclass(frozen=True)
class _Entries:
    """Entries of the index that follow each other.

    Attributes:
        first: Number of the first episode.
        columns: Columns by name, ``(n,)``; those that cannot be read are missing.
    """

    first: int
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["starts"])

    @property
    def ends(self) -> np.ndarray:
        """The last row of each episode, ``(n,)`` int64."""
        ends: np.ndarray = self.columns["starts"] + self.columns["lengths"]
        return ends

    def split(self, count: int) -> tuple[_Entries, _Entries]:
        """Split into the first ``count`` entries and the others."""
        head = {name: items[:count] for name, items in self.columns.items()}
        tail = {name: items[count:] for name, items in self.columns.items()}
        return _Entries(self.first, head), _Entries(self.first + count, tail)


class EpisodeChecks:
    """Checks each episode when the block with its last row comes. The starts and lengths must be sound.

    Args:
        target: The recording.
        columns: Reads the index.
        ragged: Checks the ends of its JSON before the JSON is read.
        findings: Collects what is wrong.
    """

    def __init__(self, target: Target, columns: TargetColumns, ragged: RaggedChecks, findings: Findings) -> None:
        self._target = target
        self._columns = columns
        self._ragged = ragged
        self._findings = findings
        self._decoder = Decoder(target.storage, target.schema)
        self._entries = _Entries(0, {name: np.empty(0, np.int64) for name in ("starts", "lengths")})
        self._total: float | None = 0.0  # rewards so far of the episode that the next row continues; None if unreadable
        self._was_last = True  # whether the row before the next one is the last of its episode

    def check(self, rows: RowBlock) -> np.ndarray:
        """Check the episodes that end in a block of rows. Call it with one block after the other.

        Returns:
            Which rows are the last of their episode, ``(rows,)`` bool.
        """
        last = np.zeros(len(rows), np.bool_)
        ended = list(self._ending_before(rows.stop))
        for entries in ended:
            last[entries.ends - rows.start] = True
        self._check_dones(rows, last)
        for entries in ended:
            self._check_flags(entries, rows)
            self._check_beginnings(entries)
            self._check_json(entries)
        self._check_returns(ended, rows)
        self._was_last = bool(last[-1])
        return last

    def _ending_before(self, row: int) -> Iterator[_Entries]:
        """Take the entries, not taken yet, of the episodes whose last row is before this one."""
        while True:
            ended, self._entries = self._entries.split(int(np.searchsorted(self._entries.ends, row)))
            if len(ended):
                yield ended
            low = self._entries.first
            if len(self._entries) or low == self._target.num_episodes:
                return
            high = min(low + _BLOCK_EPISODES, self._target.num_episodes)
            read = {name: self._columns.read(f"{fmt.EPISODES}/{name}", low, high, unit="episode") for name in _COLUMNS}
            self._entries = _Entries(low, {name: items for name, items in read.items() if items is not None})

    # Flags and returns --------------------------------------------------------------------------------

    def _check_dones(self, rows: RowBlock, last: np.ndarray) -> None:
        flags, dones = [rows.items(name) for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS)], rows.items(fmt.DONES)
        if dones is None:
            return
        if flags[0] is not None and flags[1] is not None:
            self._findings.add_where(
                "dones",
                fmt.DONES,
                dones != (flags[0] | flags[1]),
                rows.start,
                lambda at: f"it is {dones[at]}, but terminated or truncated is {not dones[at]}",
            )
        before = rows.shifted(fmt.DONES)
        if before is not None:
            follows_last = np.concatenate([[self._was_last], last[:-1]])
            early = before & ~last & ~follows_last
            self._findings.add_where(
                "done-early",
                fmt.DONES,
                early,
                rows.start - 1,
                lambda at: "the step ends the episode, but the episode goes on",
            )

    def _check_flags(self, entries: _Entries, rows: RowBlock) -> None:
        expected = {}
        for name, column in (("terminated", fmt.TERMINATIONS), ("truncated", fmt.TRUNCATIONS)):
            flags = rows.shifted(column)
            if flags is not None:  # of the step that led to the last row; an episode of length 0 has no step
                expected[name] = flags[entries.ends - rows.start] & (entries.columns["lengths"] > 0)
        if len(expected) == 2:
            expected["complete"] = expected["terminated"] | expected["truncated"]
        for name, flags in expected.items():
            self._compare_flags(entries, name, flags)

    def _compare_flags(self, entries: _Entries, name: str, expected: np.ndarray) -> None:
        found = entries.columns.get(name)
        if found is not None:
            self._findings.add_where(
                "episode-flags",
                f"{fmt.EPISODES}/{name}",
                found != expected,
                entries.first,
                lambda at: f"it is {found[at]}, the last step of the episode says {expected[at]}",
                unit="episode",
            )

    def _check_returns(self, ended: list[_Entries], rows: RowBlock) -> None:
        rewards = rows.items(fmt.REWARDS)
        at = rows.start
        for entries in ended:
            found = entries.columns.get("returns")
            for number, end in enumerate(entries.ends.tolist()):
                self._add_up(rewards, at - rows.start, end - rows.start)
                if self._total is not None and found is not None and not _same(self._total, found[number]):
                    detail = f"it is {found[number]!s}, the rewards add up to {self._total}"
                    name = f"{fmt.EPISODES}/returns"
                    self._findings.add("episode-return", name, entries.first + number, detail, unit="episode")
                self._total, at = 0.0, end + 1
        self._add_up(rewards, at - rows.start, len(rows))

    def _add_up(self, rewards: np.ndarray | None, start: int, stop: int) -> None:
        if self._total is not None and start < stop:
            self._total = None if rewards is None else add_up(self._total, rewards[start:stop])

    # How episodes began -------------------------------------------------------------------------------

    def _check_beginnings(self, entries: _Entries) -> None:
        def check(code: str, name: str, is_wrong: Any, expected: str) -> None:
            items = entries.columns.get(name)
            if items is not None:
                self._findings.add_where(
                    code,
                    f"{fmt.EPISODES}/{name}",
                    is_wrong(items),
                    entries.first,
                    lambda at: f"it is {items[at]}, expected {expected}",
                    unit="episode",
                )

        check("episode-seed", "seeds", lambda seeds: seeds < min(NO_SEED, SEED_IN_JSON), "-2 or more")
        check("episode-id", "ids", lambda ids: ids < 0, "0 or more")
        check("episode-origin", "origins", lambda origins: ~np.isin(origins, [*Origin]), "0, 1 or 2")
        origins = entries.columns.get("origins", np.empty(0))
        for number in np.flatnonzero(origins == Origin.AFTER_DONE).tolist():
            self._check_repeat(entries.first + number, int(entries.columns["starts"][number]))

    def _check_repeat(self, number: int, start: int) -> None:
        """Check that the episode begins with the last row of the one before it."""
        detail = "" if start else "it goes on after the end of an episode, but there is none before it"
        if start:
            try:
                if not all(map(identical, self._row(start - 1), self._row(start))):
                    detail = "its first row should repeat the last row of the episode before it, but does not"
            except Exception:  # noqa: BLE001  # decoding can raise anything, and ``values`` reports it
                return
        if detail:
            self._findings.add("episode-origin", f"{fmt.EPISODES}/origins", number, detail, unit="episode")

    def _row(self, row: int) -> Iterator[Any]:
        """Observation, frame and info of a row."""
        schema = self._target.schema
        yield self._decoder.value(schema.observation, row)
        yield None if schema.frame is None else self._decoder.value(schema.frame, row)
        yield None if schema.infos is None else self._decoder.info(row)

    def _check_json(self, entries: _Entries) -> None:
        seeds = entries.columns.get("seeds")
        for at, text in enumerate(self._texts(entries)):
            problem = ""
            try:
                content = loads(text) if text else {}
            except ValueError as error:
                problem = f"{quote(text.decode('latin-1'))} is not tagged JSON: {error}"
            else:
                if type(content) is not dict:
                    problem = f"{quote(content)} is not an object"
                elif seeds is not None and seeds[at] == SEED_IN_JSON and type(content.get("seed")) is not int:
                    problem = "the index says that the seed is in this JSON, but it is not"
            if problem:
                self._findings.add("episode-json", fmt.EPISODE_JSON, entries.first + at, problem, unit="episode")

    def _texts(self, entries: _Entries) -> Iterator[bytes]:
        """Read the JSON of some episodes, a block at a time."""
        node = nodes.Text(fmt.EPISODE_JSON).characters
        first, stop = entries.first, entries.first + len(entries)
        if self._ragged.sizes(nodes.Text(fmt.EPISODE_JSON), first, stop, unit="episode") is None:
            return
        ends = self._columns.read(node.ends, first, stop, unit="episode")
        before = self._columns.read(node.ends, first - 1, first, unit="episode") if first else np.zeros(1, np.int64)
        if ends is None or before is None:
            return
        start = int(before[0])
        for low, high in _groups(ends, start):
            text = self._columns.read(node.item.name, start, int(ends[high - 1]), unit="item")
            if text is None:
                return
            data, offset = text.tobytes(), start
            for end in ends[low:high].tolist():
                yield data[start - offset : end - offset]
                start = end


def _groups(ends: np.ndarray, start: int) -> Iterator[tuple[int, int]]:
    """Group texts that are read together: up to 1 MiB of short ones, or one long one."""
    low = 0
    while low < len(ends):
        high = max(low + 1, int(np.searchsorted(ends, start + _MAX_TEXT_BYTES, "right")))
        yield low, high
        low, start = high, int(ends[high - 1])


def _same(first: float, second: float) -> bool:
    """Whether two sums are equal bit by bit, or both NaN."""
    return np.float64(first).tobytes() == np.float64(second).tobytes() or (first != first and second != second)
