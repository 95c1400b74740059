"""``transforms=``: random changes of the values of samples, which depend on the seed, the epoch and the sample only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.reading.row_batches import map_leaves
from gym_h5record.training.counter_random import key_of, words
from gym_h5record.training.orders import TRANSFORMS

__all__ = ["LeafForm", "SampleRandom", "Transform", "Transforms", "as_names", "known_names"]


@dataclass(frozen=True)
class LeafForm:
    """What the values of a leaf of a batch are like.

    Attributes:
        dtype: Their dtype.
        shape: The shape of a value of one step.
        of_sample: What a sample has: ``"value"``, one value; ``"window"``, those of a window, along an axis of steps
            behind that of the samples; or ``"episode"``, those of a whole episode, along such an axis.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    of_sample: Literal["value", "window", "episode"]


class SampleRandom:
    """Random numbers for the samples of a batch. Those of a sample do not depend on the other samples.

    Args:
        keys: What determines the numbers of each sample, ``(n,)`` uint64.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self._keys = keys

    def stream(self, number: int) -> SampleRandom:
        """Other random numbers for the same samples, such as those for another leaf."""
        return SampleRandom(words(key_of(number), self._keys))

    def uniforms(self, count: int) -> np.ndarray:
        """Numbers from 0 to 1, without 1, ``(n, count)`` float64. They begin those for a larger count."""
        found: np.ndarray = (words(self._keys[:, None], np.arange(count)) >> np.uint64(11)) * 2.0**-53
        return found

    def normals(self, count: int) -> np.ndarray:
        """Numbers of the standard normal distribution, ``(n, count)`` float64; else like ``uniforms``."""
        drawn = self.uniforms(2 * count)  # G. E. P. Box and M. E. Muller, 1958
        found: np.ndarray = np.sqrt(-2 * np.log1p(-drawn[:, ::2])) * np.cos(2 * np.pi * drawn[:, 1::2])
        return found

    def integers(self, stop: int, count: int) -> np.ndarray:
        """Integers from 0 on, less than ``stop``, ``(n, count)`` int64."""
        return (self.uniforms(count) * stop).astype(np.int64)


class Transform(ABC):
    """A random change of the values of samples. A class of your own needs these two methods.

    It must be possible to pickle a transform: the sampler goes to other processes with it.
    """

    @abstractmethod
    def fit(self, forms: Mapping[str, LeafForm]) -> Mapping[str, LeafForm]:
        """Check that the leaves of a batch are such that this transform can change them.

        Args:
            forms: The leaves, by name: ``"observations"``, ``"observations/arm/pos"``, ``"rewards"``.

        Returns:
            What the leaves are like when they have been changed.

        Raises:
            OptionError: If they do not fit.
        """

    @abstractmethod
    def apply(self, leaves: dict[str, np.ndarray], random: SampleRandom) -> None:
        """Change the samples of a batch.

        Args:
            leaves: The arrays of the batch, ``(n, *shape)`` or ``(n, steps, *shape)``, by the names of the leaves, and
                the masks of windows as ``"mask/observations"``. They may be changed or exchanged for others.
            random: Random numbers.
        """


@dataclass(frozen=True)
class Transforms:
    """The transforms of a sampler, one after the other.

    Attributes:
        transforms: The transforms.
        names: The names of the leaves of each column of a batch, in their order.
        seed: The seed of the sampler.
    """

    transforms: Sequence[Transform]
    names: Mapping[str, Sequence[str]]
    seed: int

    def applied(self, batch: Mapping[str, Any], epoch: int, samples: np.ndarray) -> dict[str, Any]:
        """A batch with its values changed.

        Args:
            batch: The batch, whose arrays may be changed.
            epoch: The epoch.
            samples: Numbers that tell the samples of an epoch apart, ``(n,)`` int64.
        """
        leaves: dict[str, np.ndarray] = {}
        for column, names in self.names.items():
            if column in batch:
                arrays: list[np.ndarray] = []
                map_leaves(batch[column], arrays.append)
                leaves.update(zip(names, arrays, strict=True))
        for number, transform in enumerate(self.transforms):
            random = SampleRandom(words(key_of(TRANSFORMS, self.seed, epoch, number), samples))
            transform.apply(leaves, random)
        changed = dict(batch)
        for column in self.names.keys() & batch.keys():
            changed[column] = _exchanged(batch[column], iter([leaves[name] for name in self.names[column]]))
        return changed


def as_names(what: str, names: Any) -> tuple[str, ...]:
    """The names that a transform was given, each once.

    Args:
        what: The name of the transform, for errors.
        names: One name or several.

    Raises:
        OptionError: If they are something else.
    """
    found = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(each, str) for each in found):
        raise OptionError(f"{what}: expected the name of a leaf or a list of names, got {names!r:.80}")
    return tuple(dict.fromkeys(found))


def known_names(what: str, names: Iterable[str], forms: Mapping[str, LeafForm]) -> Iterable[str]:
    """These names, if all of them are leaves of a batch.

    Args:
        what: The name of the transform, for errors.
        names: The names.
        forms: The leaves that there are.

    Raises:
        OptionError: If there is no such leaf.
    """
    for name in names:
        if name not in forms:
            raise OptionError(
                f"{what}: there is no leaf {name!r:.80} in a batch. Its leaves are {', '.join(forms):.1000}"
            )
    return names


def _exchanged(tree: Any, leaves: Iterator[np.ndarray]) -> Any:
    return map_leaves(tree, lambda _: next(leaves))
