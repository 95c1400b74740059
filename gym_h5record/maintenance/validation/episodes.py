"""Compare the episode index with the rows of the episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import SEED_IN_JSON, Origin
from gym_h5record.maintenance.validation.problems import quote
from gym_h5record.maintenance.validation.ragged_ends import RaggedChecks
from gym_h5record.maintenance.validation.row_blocks import RowBlock, TargetColumns
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
        columns: Of the recording under validation; their findings get what is wrong.
        ragged: Checks the ends of the JSON of episodes before the JSON is read.
    """

    def __init__(self, columns: TargetColumns, ragged: RaggedChecks) -> None:
        self._target = columns.target
        self._columns = columns
        self._ragged = ragged
        self._findings = columns.findings
        self._decoder = Decoder(columns.target.storage, columns.target.schema)
        self._entries = _Entries(0, {name: np.empty(0, np.int64) for name in ("starts", "lengths")})
        shape = columns.target.schema.return_shape
        self._no_reward: Any = np.zeros(shape) if shape else 0.0
        self._total: Any = self._no_reward  # so far of the episode that the next row continues; None if unreadable
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
            read = {name: self._columns.read(f"{fmt.EPISODES}/{name}", low, high) for name in _COLUMNS}
            self._entries = _Entries(low, {name: items for name, items in read.items() if items is not None})

    def _note(
        self, code: str, entries: _Entries, name: str, is_wrong: Callable[[np.ndarray], np.ndarray], detail: str
    ) -> None:
        """Note which items of a column are wrong, unless the column cannot be read."""
        items = entries.columns.get(name)
        if items is not None:
            place, wrong = f"{fmt.EPISODES}/{name}", is_wrong(items)
            self._findings.add_where(code, place, wrong, entries.first, lambda at: f"it is {items[at]}, {detail}")

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
            early = before & ~last & ~np.concatenate([[self._was_last], last[:-1]])
            detail = "the step ends the episode, but the episode goes on"
            self._findings.add_where("done-early", fmt.DONES, early, rows.start - 1, lambda at: detail)

    def _check_flags(self, entries: _Entries, rows: RowBlock) -> None:
        expected = {}
        for name, column in (("terminated", fmt.TERMINATIONS), ("truncated", fmt.TRUNCATIONS)):
            flags = rows.shifted(column)
            if flags is not None:  # of the step that led to the last row; an episode of length 0 has no step
                expected[name] = flags[entries.ends - rows.start] & (entries.columns["lengths"] > 0)
        if len(expected) == 2:
            expected["complete"] = expected["terminated"] | expected["truncated"]
        for name, flags in expected.items():
            detail = "the last step of the episode says otherwise"
            self._note("episode-flags", entries, name, partial(np.not_equal, flags), detail)

    def _check_returns(self, ended: list[_Entries], rows: RowBlock) -> None:
        terms = self._reward_terms(rows)
        at = rows.start
        for entries in ended:
            found = entries.columns.get("returns")
            for number, end in enumerate(entries.ends.tolist()):
                self._add_up(terms, at - rows.start, end - rows.start)
                if self._total is not None and found is not None and not _same(self._total, found[number]):
                    detail = f"it is {_quote(found[number])}, the rewards add up to {_quote(self._total)}"
                    self._findings.add("episode-return", f"{fmt.EPISODES}/returns", entries.first + number, detail)
                self._total, at = self._no_reward, end + 1
        self._add_up(terms, at - rows.start, len(rows))

    def _reward_terms(self, rows: RowBlock) -> np.ndarray | None:
        rewards = rows.items(fmt.REWARDS)
        if rewards is None or rewards.dtype.kind == "f":
            return rewards
        codes = rows.items(fmt.TYPES)
        return None if codes is None else self._target.schema.reward_terms(rewards, lambda: codes)

    def _add_up(self, terms: np.ndarray | None, start: int, stop: int) -> None:
        if self._total is not None and start < stop:
            self._total = None if terms is None else add_up(self._total, terms[start:stop])

    # How episodes began -------------------------------------------------------------------------------

    def _check_beginnings(self, entries: _Entries) -> None:
        self._note("episode-seed", entries, "seeds", lambda seeds: seeds < SEED_IN_JSON, "expected -2 or more")
        self._note("episode-id", entries, "ids", lambda ids: ids < 0, "expected 0 or more")
        known = [*Origin]
        self._note("episode-origin", entries, "origins", lambda each: ~np.isin(each, known), "expected 0, 1, 2 or 3")
        origins = entries.columns.get("origins", np.empty(0))
        for number in np.flatnonzero(origins == Origin.AFTER_DONE).tolist():
            self._check_repeat(entries.first + number, int(entries.columns["starts"][number]))

    def _check_repeat(self, number: int, start: int) -> None:
        """Check that the episode begins with the last row of the one before it."""
        detail = "it goes on after the end of an episode, but there is none before it"
        if start:
            try:
                if all(map(identical, self._row(start - 1), self._row(start))):
                    return
            except Exception:  # noqa: BLE001  # decoding can raise anything, and ``values`` reports it
                return
            detail = "its first row should repeat the last row of the episode before it, but does not"
        self._findings.add("episode-origin", f"{fmt.EPISODES}/origins", number, detail)

    def _row(self, row: int) -> Iterator[Any]:
        """Observation, frame and info of a row."""
        schema = self._target.schema
        yield self._decoder.value(schema.observation, row)
        yield None if schema.frame is None else self._decoder.value(schema.frame, row)
        yield None if schema.infos is None else self._decoder.keyed(fmt.INFOS, row)

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
                self._findings.add("episode-json", fmt.EPISODE_JSON, entries.first + at, problem)

    def _texts(self, entries: _Entries) -> Iterator[bytes]:
        """Read the JSON of some episodes. Up to 1 MiB of short texts are read together, or one long one."""
        text, first = nodes.Text(fmt.EPISODE_JSON), entries.first
        sizes = self._ragged.sizes(text, first, first + len(entries))
        before = self._columns.read(text.characters.ends, first - 1, first) if first else np.zeros(1, np.int64)
        if sizes is None or before is None:
            return
        low, start, ends = 0, int(before[0]), before + np.cumsum(sizes)
        while low < len(ends):
            high = max(low + 1, int(np.searchsorted(ends, start + _MAX_TEXT_BYTES, "right")))
            items = self._columns.read(text.characters.item.name, start, int(ends[high - 1]))
            if items is None:
                return
            data, offset = items.tobytes(), start
            for end in ends[low:high].tolist():
                yield data[start - offset : end - offset]
                start = end
            low = high


def _same(first: Any, second: Any) -> bool:
    """Whether two sums, or two arrays of sums, are equal bit by bit but for NaN, which has many forms."""
    one, other = (np.where(np.isnan(each), np.nan, each) for each in (first, second))
    return one.tobytes() == other.tobytes()


def _quote(total: Any) -> str:
    return quote(np.asarray(total).tolist())
