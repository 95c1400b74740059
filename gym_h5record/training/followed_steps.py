"""The steps of a recording by their numbers, also while it is being made."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.reading.recording import Recording
from gym_h5record.training.sampler import Sampler

__all__ = ["FollowedSteps", "in_order"]

_NEXT = "next_observations"
_COLUMNS = (fmt.OBSERVATIONS, _NEXT, fmt.ACTIONS, fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)

_LEAST_NEW = 1 / 8
"""New steps before a new sampler is made, as a fraction of those of the old one. Making one reads all type codes."""

_SAMPLER_BYTES = 1 << 30
"""What a sampler may take. It uses an eighth of it to keep small values."""


class FollowedSteps:
    """The steps of a recording by their numbers: 0 is the first one. Those of a running episode are among them.

    Most are read by a sampler, which takes half of the time of the columns. It knows no running episode.

    Args:
        path: The file.

    Attributes:
        recording: The recording. It shows what was committed when ``refresh`` was called last.

    Raises:
        RecordingError: If the file cannot be opened, as of ``Recording``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.recording = Recording(path, live=True)
        self._sampler: Sampler | None = None

    @property
    def num_steps(self) -> int:
        """How many steps there are."""
        return self.recording.num_steps

    @property
    def identity(self) -> list[Any]:
        """What tells the recording from others. It never changes, and its values can be pickled."""
        return [self.recording.metadata.get(name) for name in ("run_id", "created_at")]

    def refresh(self) -> None:
        """Show the steps that have been committed since: see ``Recording.refresh``."""
        self.recording.refresh()

    def take(self, numbers: np.ndarray) -> dict[str, Any]:
        """The steps of these numbers as a batch, in this order.

        It has observations, next observations, actions, rewards, terminations and truncations, as that of a sampler.

        Args:
            numbers: From 0 to ``num_steps``, ``(n,)`` int64.

        Raises:
            CorruptRecordingError: If a value cannot be read.
            UnsupportedSpaceError: If values of a column vary in size, or do not fit it.
        """
        sampler = self._newest_sampler()
        is_sampled = numbers < (sampler.num_samples if sampler else 0)
        if sampler is None or not is_sampled.any():
            return self._from_columns(numbers)
        found: dict[str, Any] = sampler.stream.numbered(numbers[is_sampled])
        if not is_sampled.all():
            found = in_order(found, self._from_columns(numbers[~is_sampled]), is_sampled)
        return found

    def close(self) -> None:
        """Close the file."""
        self.recording.close()

    def _newest_sampler(self) -> Sampler | None:
        """A sampler of most steps; None if no episode has ended."""
        known = self._sampler.num_samples if self._sampler else 0
        if self.num_steps - known > known * _LEAST_NEW:
            num_ended = int(self.recording.lengths.sum())
            if num_ended - known > known * _LEAST_NEW:
                self._sampler = self.recording.sampler(1, replace=True, columns=_COLUMNS, memory_bytes=_SAMPLER_BYTES)
        return self._sampler

    def _from_columns(self, numbers: np.ndarray) -> dict[str, Any]:
        steps = self.recording.steps
        return {name: getattr(steps, name)[numbers] for name in _COLUMNS}


def in_order(first: Any, second: Any, is_first: np.ndarray) -> Any:
    """Two batches as one.

    Args:
        first: A batch: an array, or a dict of batches.
        second: Another one, of the same form.
        is_first: Which entries come from the first one, in its order, ``(n,)`` bool.
    """
    if isinstance(first, dict):
        return {key: in_order(each, second[key], is_first) for key, each in first.items()}
    found = np.empty((len(is_first), *first.shape[1:]), first.dtype)
    found[is_first], found[~is_first] = first, second
    return found
