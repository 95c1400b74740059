"""The episodes of a recording, as a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from gym_h5record.display import reward_text
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin
from gym_h5record.format.snapshot_text import unpacked_states
from gym_h5record.reading.column_properties import RowColumns, RowRun
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex

__all__ = ["Episode", "EpisodeList"]


class Episode(RowColumns):
    """One recorded episode: T steps, T + 1 observations, frames and infos.

    Attributes:
        number: Its place in the recording.
        start: Its first row.
        length: T, how many steps it has.
        env: Lane of a vector recording, 0 here.
    """

    def __init__(self, decoder: Decoder, index: EpisodeIndex, number: int) -> None:
        self._decoder = decoder
        self._index = index
        self.number = number
        self.start, self.length = index.span(number)
        self.env = 0

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        end = "terminated" if self.terminated else "truncated" if self.truncated else "incomplete"
        return f"<Episode {self.number}: {self.length} steps, total reward {reward_text(self.total_reward)}, {end}>"

    @property
    def total_reward(self) -> Any:
        """Sum of the rewards, added one by one: a float, or an array of float64 if rewards are arrays."""
        total = self._index.column("returns")[self.number]
        return total.copy() if total.ndim else float(total)

    @property
    def terminated(self) -> bool:
        """Whether the last step ended the episode."""
        return bool(self._index.column("terminated")[self.number])

    @property
    def truncated(self) -> bool:
        """Whether the last step cut the episode off."""
        return bool(self._index.column("truncated")[self.number])

    @property
    def complete(self) -> bool:
        """Whether the environment ended the episode; False if it was reset, or recording stopped, before."""
        return bool(self._index.column("complete")[self.number])

    @property
    def origin(self) -> Origin:
        """What made the episode begin."""
        code = int(self._index.column("origins")[self.number])
        try:
            return Origin(code)
        except ValueError as error:
            raise CorruptRecordingError(f"episode {self.number} has the unknown origin {code}") from error

    @property
    def episode_id(self) -> int:
        """How many resets of the environment came before the reset of this episode."""
        return int(self._index.column("ids")[self.number])

    @property
    def seed(self) -> int | None:
        """The seed that was passed to ``reset``, None without one."""
        seed = int(self._index.column("seeds")[self.number])
        if seed == SEED_IN_JSON:
            kept = self._index.json(self.number)
            if "seed" not in kept:
                raise CorruptRecordingError(f"/{fmt.EPISODE_JSON} lacks the seed of episode {self.number}")
            beyond: int = kept["seed"]
            return beyond
        return None if seed == NO_SEED else seed

    @property
    def options(self) -> dict[str, Any] | None:
        """The options that were passed to ``reset``, None without any."""
        options: dict[str, Any] | None = self._index.json(self.number).get("options")
        return options

    @property
    def snapshot(self) -> dict[str, bytes]:
        """The state of generators and simulator before the reset, by snapshot provider; empty without a snapshot."""
        try:
            return unpacked_states(self._index.json(self.number).get(fmt.SNAPSHOT, {}))
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"episode {self.number}: {error}") from error

    @property
    def _run(self) -> RowRun:
        return RowRun(self._decoder, self.start, self.length + 1, self.length, has_padding=False)


class EpisodeList(Sequence[Episode]):
    """Episodes by number; slices are again lists of episodes."""

    def __init__(self, decoder: Decoder, index: EpisodeIndex, numbers: range) -> None:
        self._decoder = decoder
        self._index = index
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> EpisodeList: ...
    def __getitem__(self, index: int | slice) -> Episode | EpisodeList:
        """One episode, or a list of them."""
        if isinstance(index, slice):
            return EpisodeList(self._decoder, self._index, self._numbers[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} is out of range: there are {len(self)}")
        return Episode(self._decoder, self._index, self._numbers[index])

    def __repr__(self) -> str:
        return f"<EpisodeList of {len(self)} episodes>"
