"""``TransitionSource``: every transition of a recording by its number, as NumPy arrays."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import RecordingClosedError
from gym_h5record.reading.recording import Recording
from gym_h5record.reading.row_batches import map_leaves
from gym_h5record.reading.selection import EpisodeSet
from gym_h5record.training.windows import Window

__all__ = ["TransitionSource"]


class TransitionSource:
    """Every transition of a recording, in its order: a random-access source, as that of a loader such as ``grain``.

    ``len(source)`` is the number of transitions. ``source[i]`` is one of them: a dict of NumPy arrays by the names of a
    sampler's batch, ``observations``, ``actions``, ``rewards``, ``next_observations``, ``terminations``,
    ``truncations``, ``dones``, ``episodes`` and ``steps``, and for Dict and Tuple spaces dicts and tuples of arrays.
    ``batch`` reads several in one go.

    The source can be pickled, and works in processes that were forked or spawned: every process opens the file for
    itself.

    Args:
        path: The file, or a recording or selection that is open.
        columns: The columns of a transition, as those of ``recording.sampler``; None for those above.
        window: More steps than one, by column, as that of ``recording.sampler``.
        n_step: Steps of which ``rewards`` is the discounted sum. If it is more than 1, there are ``"discounts"``.
        gamma: Discount of a step.
        pad: Steps of a window that the episode does not have: ``"repeat"``, ``"zero"``, or ``"drop"`` the transitions
            that have such steps.
        cache: What is decoded first, and kept in memory: as that of ``recording.sampler``. Forked processes share it,
            and every spawned one decodes it for itself.

    Raises:
        OptionError: If an option is wrong or does not fit the recording.
        UnsupportedSpaceError: If the values of a column vary in size.
        RecordingError: If the file cannot be opened, as of ``Recording``.

    Example:
        >>> source = TransitionSource(cartpole_path, columns=["observations", "rewards"])
        >>> len(source), source[-1]["observations"].shape, source.batch([0, 7, 2])["rewards"].tolist()
        (44, (4,), [1.0, 1.0, 1.0])
        >>> source.close()
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | EpisodeSet,
        *,
        columns: Sequence[str] | None = None,
        window: Window | None = None,
        n_step: int = 1,
        gamma: float = 0.99,
        pad: str = "repeat",
        cache: str | None = None,
    ) -> None:
        episodes = path if isinstance(path, EpisodeSet) else Recording(path)
        self._own = None if episodes is path else episodes
        self._path = str(episodes.path)
        self._is_closed = False
        try:
            self._sampler = episodes.sampler(
                1, replace=True, window=window, n_step=n_step, gamma=gamma, pad=pad, columns=columns, cache=cache
            )
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._sampler.num_samples

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One transition. Negative indices count from the end.

        Raises:
            IndexError: If there is no such transition.
        """
        sample: dict[str, Any] = _at(self.batch([index]), 0)
        return sample

    def __getitems__(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Several transitions, read in one go."""
        numbers = list(indices)
        batch = self.batch(numbers)
        return [_at(batch, place) for place in range(len(numbers))]

    _getitems = __getitems__  # the name that grain asks for

    def batch(self, indices: Iterable[int]) -> dict[str, Any]:
        """Several transitions as a batch, in the order of ``indices``.

        Raises:
            IndexError: If one of them does not exist.
            RecordingClosedError: After ``close``, also where the values are in memory.
        """
        if self._is_closed:
            raise RecordingClosedError(f"{self._path} has been closed.")
        size = len(self)
        numbers = np.fromiter((operator.index(each) for each in indices), np.int64)
        wrong = (numbers < -size) | (numbers >= size)
        if wrong.any():
            raise IndexError(f"there is no transition {numbers[wrong][0]}: the recording has {size}")
        return self._sampler.stream.numbered(np.where(numbers < 0, numbers + size, numbers))

    def close(self) -> None:
        """Close the file, unless it was given open. Copies in other processes stay as they are."""
        if self._own is not None:
            self._is_closed = True
            self._own.close()

    def __repr__(self) -> str:
        return f"<TransitionSource of {self._path!r}: {counted(len(self), 'transition')}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_own": None, "_is_closed": False}  # the sampler opens the file


def _at(batch: Any, place: int) -> Any:
    """One transition of a batch. It is a copy: a view would keep the whole batch in memory."""
    return map_leaves(batch, lambda leaf: leaf[place].copy())
