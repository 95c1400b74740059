"""``Window``: which steps around a sampled step belong to a sample, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gym_h5record.errors import OptionError

__all__ = ["PADS", "Window"]

PADS = ("repeat", "zero", "drop")
"""What stands for the steps of a window that its episode does not have."""

_FAR = 1 << 31


@dataclass(frozen=True)
class Window:
    """Offsets of the steps of a sample, half-open, by column: ``observations=(-3, 1)`` is t-3, t-2, t-1 and t.

    Of a column that is named here, a batch has one more axis, behind that of the samples: ``observations=(-3, 1)``
    gives ``(batch_size, 4, *shape)``, and ``actions=(0, 1)`` gives ``(batch_size, 1, *shape)``. Columns that are not
    named have no such axis. ``next_observations`` has the window of ``observations``, one step later, or ``n_step``.

    Attributes:
        observations: Offsets of the observations. An episode of T steps has T + 1 of them.
        actions: Offsets of the actions. An episode of T steps has T of them, and so of all columns of steps.
        rewards: Offsets of the rewards.
        terminations: Offsets of ``terminated``.
        truncations: Offsets of ``truncated``.
        dones: Offsets of ``terminated or truncated``.
        frames: Offsets of the frames, which are as many as the observations.
        infos: Offsets of the keys of infos, which are as many as the observations.
        extras: Offsets of the keys of extras, which are as many as the actions.

    Raises:
        OptionError: If offsets are not two integers, the first one less than the second.

    Example:
        >>> Window(observations=(-3, 1), actions=(0, 8)).length("actions")
        8
    """

    observations: tuple[int, int] | None = None
    actions: tuple[int, int] | None = None
    rewards: tuple[int, int] | None = None
    terminations: tuple[int, int] | None = None
    truncations: tuple[int, int] | None = None
    dones: tuple[int, int] | None = None
    frames: tuple[int, int] | None = None
    infos: tuple[int, int] | None = None
    extras: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in [*self.columns()]:
            object.__setattr__(self, name, _checked(name, self.offsets(name)))

    def columns(self) -> Iterator[str]:
        """The names of the columns with a window."""
        return (field.name for field in fields(self) if self.offsets(field.name) is not None)

    def offsets(self, column: str) -> tuple[int, int] | None:
        """The offsets of a column, None if it has no window."""
        found: tuple[int, int] | None = getattr(self, column, None)
        return found

    def length(self, column: str) -> int:
        """Steps in the window of a column; 1 if it has none."""
        offsets = self.offsets(column)
        return 1 if offsets is None else offsets[1] - offsets[0]


def _checked(name: str, offsets: Any) -> tuple[int, int]:
    pair = tuple(offsets) if isinstance(offsets, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(each, (int, np.integer)) and type(each) is not bool for each in pair):
        raise OptionError(f"Window: {name} expects two integers such as (-3, 1), got {offsets!r:.80}")
    low, high = (int(each) for each in pair)
    if not -_FAR < low < high < _FAR:
        raise OptionError(f"Window: the first offset of {name} must be less than the second one, got {offsets!r:.80}")
    return low, high
