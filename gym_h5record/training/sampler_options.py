"""The options of a sampler, checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.options import check_one_of
from gym_h5record.training.kept_columns import CACHES
from gym_h5record.training.transforms import Transform
from gym_h5record.training.windows import PADS, Window

__all__ = ["ORDERS", "SamplerOptions"]

ORDERS = ("uniform", "chunk")
"""Each sample is as likely as every other one at every place; or the order follows the chunks of the file."""


@dataclass(frozen=True)
class SamplerOptions:
    """The options of ``recording.sampler``, which describes them.

    Raises:
        OptionError: If one of them is wrong, or two contradict each other.
    """

    batch_size: int = 256
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    replace: bool | None = None
    window: Window | None = None
    n_step: int = 1
    gamma: float = 0.99
    pad: str = "repeat"
    columns: Sequence[str] | None = None
    weights: Any = field(default=None, compare=False)  # an array of its own: the caller may change theirs
    order: str = "uniform"
    cache: str | None = None
    memory_bytes: int | None = None
    drop_last: bool = False
    whole_episodes: bool = False
    transforms: Sequence[Transform] = ()

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("seed", 0), ("rank", 0), ("world_size", 1), ("n_step", 1)):
            object.__setattr__(self, name, _checked(name, getattr(self, name), least))
        if self.memory_bytes is not None:
            _checked("memory_bytes", self.memory_bytes, 1)
        check_one_of("pad", self.pad, PADS)
        check_one_of("order", self.order, ORDERS)
        if self.cache is not None:
            check_one_of("cache", self.cache, [each for each in CACHES if each])
        if self.rank >= self.world_size:
            raise OptionError(f"rank: expected a number less than world_size={self.world_size}, got {self.rank}")
        if not (isinstance(self.gamma, (int, float)) and 0 <= self.gamma <= 1):
            raise OptionError(f"gamma: expected a number from 0 to 1, got {self.gamma!r:.80}")
        if self.weights is not None:
            object.__setattr__(self, "weights", _numbers("weights", self.weights))
        if self.replace is not None and type(self.replace) is not bool:
            raise OptionError(f"replace: expected True, False or None, got {self.replace!r:.80}")
        if self.window is not None and not isinstance(self.window, Window):
            raise OptionError(f"window: expected a gym_h5record.training.Window, got {self.window!r:.80}")
        for name in ("drop_last", "whole_episodes"):
            if type(getattr(self, name)) is not bool:
                raise OptionError(f"{name}: expected True or False, got {getattr(self, name)!r:.80}")
        self._check_transforms()
        self._check_together()
        if self.whole_episodes:
            self._check_whole_episodes()

    def _check_transforms(self) -> None:
        if not isinstance(self.transforms, (tuple, list)) or not all(
            isinstance(each, Transform) for each in self.transforms
        ):
            raise OptionError(
                "transforms: expected a list of those of gym_h5record.training, such as [Noise(...)], got "
                f"{self.transforms!r:.80}"
            )
        object.__setattr__(self, "transforms", tuple(self.transforms))

    def _check_together(self) -> None:
        if self.n_step > 1 and self.window is not None and self.window.rewards is not None:
            raise OptionError(f"n_step={self.n_step} sums the rewards, so that they cannot have a window as well")
        if self.weights is not None and self.replace is False:
            raise OptionError(
                "weights: samples are drawn by weight with replacement, so that replace must not be False"
            )
        if self.order == "chunk" and self.is_drawn:
            raise OptionError(
                'order="chunk" has every sample once in an epoch: it takes no weights and no replace=True'
            )

    def _check_whole_episodes(self) -> None:
        why = {
            "window": self.window is not None and "a window is a part of an episode",
            "n_step": self.n_step > 1 and "an episode has the reward of each step",
            "order": self.order != "uniform" and "the steps of an episode follow each other in the file anyway",
            "pad": self.pad == "drop" and "only samples of windows can be dropped",
        }
        for name, reason in why.items():
            if reason:
                raise OptionError(f"whole_episodes=True takes no {name}={getattr(self, name)!r:.80}: {reason}")

    @property
    def is_drawn(self) -> bool:
        """Whether samples are drawn with replacement."""
        return self.weights is not None if self.replace is None else self.replace

    @property
    def most_bytes(self) -> int:
        """The memory that may be taken: half of the machine's, unless the caller says."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2

    def signature(self) -> dict[str, Any]:
        """What determines which samples a batch has, as JSON values. ``columns`` and ``transforms`` do not."""
        weights = None if self.weights is None else hashlib.sha256(self.weights.tobytes()).hexdigest()
        names = ("batch_size", "seed", "rank", "world_size", "pad", "order", "drop_last", "whole_episodes")
        return {**{name: getattr(self, name) for name in names}, "replace": self.is_drawn, "weights": weights}


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{name}: expected a list or an array of numbers, got {values!r:.80}") from error


def _checked(name: str, value: Any, least: int) -> int:
    if type(value) is bool or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(f"{name}: expected an integer from {least} on, got {value!r:.80}")
    return int(value)
