"""``diff``: the first place where two recordings differ.

Values are compared, not their storage: compression, chunks and the order of dict keys are no differences. Nor are the
times at which rows came. Rows whose stored bytes are equal are not decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from gym_h5record.display import counted, printable
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.maintenance.comparing_metadata import metadata_differences
from gym_h5record.options import check_atol
from gym_h5record.reading.columns import Column
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.keyed_rows import KeyedRows
from gym_h5record.reading.recording import Recording
from gym_h5record.values.differences import Difference, first_difference

__all__ = ["DiffReport", "diff"]

_WINDOW_BYTES = 1 << 20  # a larger window falls out of the processor's cache, which costs more than many small ones
_MAX_WINDOW_ROWS = 4096

_BEGINNING = ("seed", "options", "origin")
_NUM_ENVS = "num_envs"
_END = ("terminated", "truncated", "complete")
_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_COLUMNS = (fmt.OBSERVATIONS, fmt.ACTIONS, fmt.EXTRAS, *_OUTCOME, fmt.FRAMES, fmt.INFOS)
"""The order in which they are compared within a step."""


@dataclass(frozen=True)
class DiffReport:
    """The first difference of two recordings, if there is one.

    Attributes:
        ok: Whether they hold the same episodes, bit for bit or within the tolerance.
        episode: Number of the episode that differs, in the first recording if that has it; None if nothing differs, if
            only one recording has a column, or if they have different numbers of lanes.
        step: Row of the episode: ``observations[step]`` and ``actions[step]`` belong to this step. None if the
            difference is of the whole episode.
        leaf: The place, such as ``"observations/position[2]"``, ``"seed"`` or ``"length"``; None if nothing differs.
        a: The value in the first recording.
        b: The value in the second recording.
        largest: The largest absolute difference of the two arrays or numbers; None for other values.
        message: All of this in words.
        num_episodes: Episodes before the first difference.
        num_steps: Steps before the first difference.
        metadata: Sentences about metadata that differs. They do not make ``ok`` False.
    """

    ok: bool
    episode: int | None = None
    step: int | None = None
    leaf: str | None = None
    a: Any = None
    b: Any = None
    largest: float | None = None
    message: str = ""
    num_episodes: int = 0
    num_steps: int = 0
    metadata: tuple[str, ...] = ()


def diff(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    atol: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> DiffReport:
    """Find the first difference of two recordings, by episode, step and leaf.

    Types and all bits are compared, NaN payloads and signs of zero included. In each episode the seed, options and
    origin come first, then the steps, then the length and the end. Last come episodes and columns that only one of the
    recordings has.

    Of vector recordings, each lane is compared with the same lane: the k-th episode of one with the k-th of the other,
    in the order of the first recording. The order in which episodes of different lanes ended is no difference.

    Args:
        a: The first recording.
        b: The second recording.
        atol: The largest difference of floating-point numbers that does not count. Two machines may round differently.
        on_progress: Called again and again with the number of compared rows and the number of all rows.

    Raises:
        OptionError: If ``atol`` is negative or not a number.
        RecordingNotFoundError: If one of the files does not exist.
        CorruptRecordingError: If one of the files is damaged.
        RecordingInUseError: If one of them is being recorded right now.
        InterruptedRecordingError: If the recorder of one of them died.

    Example:
        >>> diff(cartpole_path, cartpole_path).ok
        True
    """
    atol = check_atol(atol)
    where = _where(a, b)
    with Recording(a) as first, Recording(b) as second:
        report = _Comparison(first, second, where, atol, on_progress).report()
        return replace(report, metadata=tuple(metadata_differences(first, second, where)))


def _where(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> tuple[str, str]:
    names = Path(a).name, Path(b).name
    if names[0] == names[1]:
        names = os.fspath(Path(a)), os.fspath(Path(b))
    return f"in {printable(names[0])}", f"in {printable(names[1])}"


class _Pair(NamedTuple):
    """A column of an episode in both recordings; ``length`` rows are in both."""

    name: str
    first: Column | KeyedRows
    second: Column | KeyedRows
    length: int


class _Comparison:
    """Compares two open recordings, episode by episode."""

    def __init__(
        self,
        first: Recording,
        second: Recording,
        where: tuple[str, str],
        atol: float,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._first, self._second = first, second
        self._where = where
        self._atol = atol
        self._on_progress = on_progress
        self._num_rows = min(first.num_rows, second.num_rows)
        self._rows_before = 0
        row_bytes = sum(field.item_bytes for field in first.schema.ring_fields)
        self._window = max(min(_WINDOW_BYTES // max(row_bytes, 1), _MAX_WINDOW_ROWS), 1)

    def report(self) -> DiffReport:
        """Compare everything but the metadata."""
        lanes = self._compared(_NUM_ENVS, self._first.num_envs, self._second.num_envs)
        if lanes is not None:
            return DiffReport(ok=False, leaf=_NUM_ENVS, a=lanes.recorded, b=lanes.found, message=lanes.message)
        count = steps = 0
        for first, second in self._episode_pairs():
            for step, difference in self._compared_episode(first, second):
                if difference is not None:
                    return self._different(difference, (first, second), step, count, steps)
            count, steps = count + 1, steps + first.length
            self._rows_before += first.length + 1
            if self._rows_before > self._num_rows:  # episodes share rows: a small file could claim any number of steps
                raise CorruptRecordingError(f"the episodes of {self._first.path} and {self._second.path} overlap")
        return (
            self._unpaired_episodes(count, steps)
            or self._unpaired_columns(count, steps)
            or DiffReport(
                ok=True,
                message=f"the same in both: {counted(count, 'episode')}, {counted(steps, 'step')}",
                num_episodes=count,
                num_steps=steps,
            )
        )

    def _episode_pairs(self) -> Iterator[tuple[Episode, Episode]]:
        """The episodes that both have: those at the same place of the same lane."""
        others = [iter(self._second.lane(lane)) for lane in range(self._second.num_envs)]
        for first in self._first:
            second = next(others[first.env], None)
            if second is not None:
                yield first, second

    def _unpaired_episodes(self, num_episodes: int, num_steps: int) -> DiffReport | None:
        """The difference in the number of episodes."""
        for lane in range(self._first.num_envs):
            numbers = [each.lane(lane).numbers for each in (self._first, self._second)]
            difference = self._compared(fmt.EPISODES, *map(len, numbers))
            if difference is not None:
                fewer = min(map(len, numbers))
                message = difference.message if self._first.num_envs == 1 else f"lane {lane}, {difference.message}"
                return DiffReport(
                    ok=False,
                    episode=int(max(numbers, key=len)[fewer]),
                    leaf=difference.leaf,
                    a=difference.recorded,
                    b=difference.found,
                    largest=difference.largest,
                    message=message,
                    num_episodes=num_episodes,
                    num_steps=num_steps,
                )
        return None

    def _unpaired_columns(self, num_episodes: int, num_steps: int) -> DiffReport | None:
        """The column that only one of the recordings has."""
        for name in (fmt.FRAMES, fmt.INFOS, fmt.EXTRAS):
            columns = [getattr(each.steps, name) for each in (self._first, self._second)]
            a, b = (each is not None for each in columns)
            if a != b and (name != fmt.EXTRAS or any(columns[b])):  # empty extras are as good as none
                message = f"{name}: only {self._where[b]}"
                return DiffReport(
                    ok=False, leaf=name, a=a, b=b, message=message, num_episodes=num_episodes, num_steps=num_steps
                )
        return None

    def _compared_episode(self, first: Episode, second: Episode) -> Iterator[tuple[int | None, Difference | None]]:
        """Compare two episodes part by part; yield the step of each part and its difference."""
        for name in _BEGINNING:
            yield None, self._compared(name, *(_fact(each, name) for each in (first, second)))
        yield from self._compared_rows(first, second)
        yield min(first.length, second.length), self._compared("length", first.length, second.length)
        for name in _END:
            yield None, self._compared(name, *(_fact(each, name) for each in (first, second)))

    def _compared_rows(self, first: Episode, second: Episode) -> Iterator[tuple[int, Difference | None]]:
        pairs = list(self._pairs(first, second))
        rows = min(first.length, second.length) + 1
        for low in range(0, rows, self._window):
            high = min(low + self._window, rows)
            doubtful = [
                each
                for each in pairs
                if not each.first.surely_same(each.second, min(low, each.length), min(high, each.length))
            ]
            for step in range(low, high) if doubtful else ():
                for each in doubtful:
                    if step < each.length:
                        yield step, self._compared(each.name, each.first[step], each.second[step])
            if self._on_progress is not None:
                self._on_progress(self._rows_before + high, self._num_rows)

    def _pairs(self, first: Episode, second: Episode) -> Iterator[_Pair]:
        both_linked = self._first.schema.linked_frames and self._second.schema.linked_frames
        for name in _COLUMNS:
            one, other = getattr(first, name), getattr(second, name)
            if one is not None and other is not None and not (name == fmt.FRAMES and both_linked):
                yield _Pair(name, one, other, min(len(one), len(other)))

    def _compared(self, leaf: str, one: Any, other: Any) -> Difference | None:
        return first_difference(leaf, one, other, atol=self._atol, where=self._where)

    def _different(
        self, difference: Difference, pair: tuple[Episode, Episode], step: int | None, num_episodes: int, num_steps: int
    ) -> DiffReport:
        first, second = pair
        place = f"episode {first.number}"
        if second.number != first.number:
            place += f" ({second.number} {self._where[1]})"
        place += "" if step is None else f", step {step}"
        return DiffReport(
            ok=False,
            episode=first.number,
            step=step,
            leaf=difference.leaf,
            a=difference.recorded,
            b=difference.found,
            largest=difference.largest,
            message=f"{place}, {difference.message}",
            num_episodes=num_episodes,
            num_steps=num_steps + (step or 0),
        )


def _fact(episode: Episode, name: str) -> Any:
    return episode.origin.name.lower().replace("_", " ") if name == "origin" else getattr(episode, name)
