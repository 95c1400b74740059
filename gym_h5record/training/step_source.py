"""The steps that samples are taken from: which rows they have, and which of them have a whole window."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import SelectionError
from gym_h5record.format.schema import Schema
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.recorded_file import RecordedFile

__all__ = ["StepSource", "Transitions"]

_IDENTITY = ("run_id", "created_at")
"""Metadata that tells recordings apart. It never changes."""

_MANY_SAMPLES = 4096
"""For fewer, a search is as fast."""

_MOST_STEPS = 8
"""From the episode of a mark to that of a sample. With episodes of very different lengths, it may be further."""


class StepSource:
    """The episodes to sample from, and the file they are in.

    It can be pickled: the process that unpickles it opens the file, and compares its episodes with those here.

    Args:
        file: The recording.
        index: All episodes of the recording.
        numbers: Which of them to sample from, ``(n,)`` int64.

    Attributes:
        path: The file.
        numbers: The numbers of the episodes, ``(n,)`` int64.
        starts: Their first rows, ``(n,)`` int64.
        lengths: Their steps, ``(n,)`` int64.
        storage: Reads items.
    """

    def __init__(self, file: RecordedFile, index: EpisodeIndex, numbers: np.ndarray) -> None:
        self._file = file
        self.path = file.path
        self.storage = index.storage
        self.numbers = numbers
        starts, lengths = index.spans
        self.starts, self.lengths = starts[numbers], lengths[numbers]
        self._identity = self._found_identity()

    @property
    def schema(self) -> Schema:
        """The columns of the recording."""
        return self._file.schema

    @property
    def num_steps(self) -> int:
        """Steps of all these episodes."""
        return int(self.lengths.sum())

    def digest(self) -> str:
        """Text that tells these episodes, in this order, from others: made of their numbers and lengths."""
        return blake2b(self.numbers.tobytes() + self.lengths.tobytes(), digest_size=8).hexdigest()

    def check_unchanged(self) -> None:
        """Make sure that the file still has these episodes.

        Raises:
            SelectionError: If one of them has been discarded, or the file is another one.
        """
        index = EpisodeIndex.committed(self.storage)
        known = self.numbers < index.num_episodes
        if self._found_identity() == self._identity and known.all():
            starts, lengths = (each[self.numbers] for each in index.spans)
            if (starts == self.starts).all() and (lengths == self.lengths).all():
                return
        raise SelectionError(f"{self.path} has changed since the sampler was made: make a new one")

    def _found_identity(self) -> tuple[Any, ...]:
        return tuple(self._file.metadata.get(name) for name in _IDENTITY)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.check_unchanged()


class Transitions:
    """The steps that can be sampled, numbered from 0 through all episodes.

    Args:
        lengths: Steps of each episode, ``(n,)`` int64.
        before: First steps of every episode that cannot be sampled.
        behind: Last steps of every episode that cannot be sampled.

    Attributes:
        counts: Steps of each episode that can be sampled, ``(n,)`` int64.
        size: All of them.
    """

    def __init__(self, lengths: np.ndarray, before: int = 0, behind: int = 0) -> None:
        self.counts = np.maximum(lengths - before - behind, 0)
        self._ends = np.cumsum(self.counts)
        self._firsts = self._ends - self.counts
        self._before = before
        self.size = int(self.counts.sum())

    def places(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position of the episode of each sample, and its step in the episode, two arrays ``(n,)`` int64."""
        episodes = self._near(samples) if len(samples) >= _MANY_SAMPLES else None
        if episodes is None:
            episodes = np.searchsorted(self._firsts, samples, "right") - 1
        return episodes, samples - self._firsts[episodes] + self._before

    def _near(self, samples: np.ndarray) -> np.ndarray | None:
        """The episodes of samples, from those of every ``2**shift``-th sample; None if they are too far from these."""
        shift, starts = self._marks
        episodes: np.ndarray = starts[samples >> shift]
        for _ in range(_MOST_STEPS):
            is_later = self._ends[episodes] <= samples
            if not is_later.any():
                return episodes
            episodes += is_later
        return None

    @cached_property
    def _marks(self) -> tuple[int, np.ndarray]:
        """The episode of every ``2**shift``-th sample, about as many as there are episodes.

        A search in 100,000 episodes took a third of the time of a batch of small items, as it is all over the memory.
        """
        shift = max(self.size // len(self.counts), 1).bit_length() - 1
        return shift, np.searchsorted(self._firsts, np.arange(0, self.size, 1 << shift), "right") - 1
