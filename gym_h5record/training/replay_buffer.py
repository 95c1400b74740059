"""``ReplayBuffer``: random samples of a recording in one line."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.reading.recording import Recording
from gym_h5record.reading.selection import EpisodeSet

__all__ = ["ReplayBuffer"]

_FAR = 1 << 62


class ReplayBuffer:
    """Random samples of a recording, as a replay buffer gives them.

    Args:
        path: The file, or a recording or selection that is open.
        **options: Options of ``recording.sampler``, all but ``batch_size``, ``drop_last`` and ``whole_episodes``.
            ``replace`` is True
            unless it is given, and False for ``order="chunk"``; with False, every sample comes once before the first
            one comes again.

    Raises:
        OptionError: If an option is wrong or does not fit the recording.
        RecordingError: If the file cannot be opened, as of ``Recording``.

    Example:
        >>> buffer = ReplayBuffer(cartpole_path, seed=0)
        >>> buffer.sample(256)["observations"].shape
        (256, 4)
        >>> buffer.close()
    """

    def __init__(self, path: str | os.PathLike[str] | EpisodeSet, **options: Any) -> None:
        for name in ("batch_size", "drop_last"):
            if name in options:
                raise OptionError(f"{name} is no option of ReplayBuffer: sample(n) says how many samples there are")
        if "whole_episodes" in options:
            raise OptionError("whole_episodes is no option of ReplayBuffer, which has steps: use recording.sampler")
        self._is_own = not isinstance(path, EpisodeSet)
        self._episodes = path if isinstance(path, EpisodeSet) else Recording(path)
        if options.get("replace") is None:
            options["replace"] = options.get("order") != "chunk"
        try:
            self._sampler = self._episodes.sampler(batch_size=1, **options)
        except BaseException:
            self.close()
            raise
        self._drawn = 0

    def __len__(self) -> int:
        """Steps that can be sampled."""
        return self._sampler.num_samples

    def sample(self, n: int) -> dict[str, Any]:
        """The next ``n`` samples as a batch, as those of ``recording.sampler``.

        The same options give the same samples, and it does not matter how many of them are asked for at a time.

        Raises:
            OptionError: If ``n`` is not a positive integer, or more than there is without replacement.
        """
        if type(n) is bool or not isinstance(n, (int, np.integer)) or n < 1:
            raise OptionError(f"a batch has a positive number of samples, not {n!r:.80}")
        start, self._drawn = self._drawn, self._drawn + int(n)
        stream, size = self._sampler.stream, len(self._sampler)
        if self._sampler.options.is_drawn:
            return stream.batch(0, start, start + int(n), None if self._sampler.has_new_priorities else _FAR)
        if n > size:
            self._drawn = start
            raise OptionError(f"a batch of {n} is more than there is to sample, {size}: draw with replace=True")
        epoch, at = divmod(start, size)
        stop = at + int(n)
        batch = stream.batch(epoch, at, min(stop, size), size)
        return batch if stop <= size else _joined(batch, stream.batch(epoch + 1, 0, stop - size, size))

    def update_priorities(self, indices: np.ndarray, priorities: np.ndarray) -> None:
        """Set the weights of some steps: see ``Sampler.update_priorities``.

        Args:
            indices: Which steps: those in ``batch["indices"]``, ``(n,)``.
            priorities: Their weights, ``(n,)``, from 0 on.

        Raises:
            OptionError: If the buffer was made without a weight for each step, or one of the arrays is wrong.
        """
        self._sampler.update_priorities(indices, priorities)

    def close(self) -> None:
        """Close the file, unless it was given open."""
        if self._is_own:
            self._episodes.close()

    def __enter__(self) -> ReplayBuffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ReplayBuffer of {str(self._episodes.path)!r}: {len(self):,} steps>"


def _joined(first: Any, second: Any) -> Any:
    """Two batches one behind the other."""
    if isinstance(first, dict):
        return {key: _joined(each, second[key]) for key, each in first.items()}
    if isinstance(first, tuple):
        return tuple(_joined(*each) for each in zip(first, second, strict=True))
    return np.concatenate([first, second])
