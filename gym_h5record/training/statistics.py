"""``Statistics``: what ``recording.stats()`` gives, a mapping from the names of leaves to their statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.display import counted, short_repr
from gym_h5record.errors import OptionError
from gym_h5record.training.leaf_statistics import LeafStatistics, MomentStatistics, of_array

__all__ = ["EpisodeStatistics", "Statistics"]


@dataclass(frozen=True, eq=False)
class EpisodeStatistics:
    """What each episode has, unfinished ones included.

    Attributes:
        numbers: The number of each episode in its recording, ``(episodes,)`` int64.
        returns: The total reward, ``(episodes,)`` float64; ``(episodes, *shape)`` if rewards are arrays.
        lengths: The steps, ``(episodes,)`` int64.
        complete: Whether the environment ended the episode, ``(episodes,)`` bool.
        success: 1 if it was a success, 0 if not, NaN if unknown, ``(episodes,)`` float64. The info that the last step
            returned says it, under the key ``"is_success"`` or ``"success"``. It is unknown of unfinished episodes.
        leaves: The statistics of the leaves of at most 64 elements, by name: arrays ``(episodes, *shape)``.
    """

    numbers: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    complete: np.ndarray
    success: np.ndarray
    leaves: Mapping[str, MomentStatistics] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def merge(self, other: EpisodeStatistics) -> EpisodeStatistics:
        """The episodes of both, one after the other. Of the leaves, those that both have.

        Raises:
            OptionError: If the returns are arrays of different shapes.
        """
        if self.returns.shape[1:] != other.returns.shape[1:]:
            shapes = f"{self.returns.shape[1:]} and {other.returns.shape[1:]}"
            raise OptionError(f"returns of shapes {shapes} are not merged")

        def both(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
            return np.concatenate([mine, others])

        return EpisodeStatistics(
            both(self.numbers, other.numbers),
            both(self.returns, other.returns),
            both(self.lengths, other.lengths),
            both(self.complete, other.complete),
            both(self.success, other.success),
            {name: leaf.followed_by(other.leaves[name]) for name, leaf in self.leaves.items() if name in other.leaves},
        )

    def __repr__(self) -> str:
        return f"<EpisodeStatistics of {counted(len(self), 'episode')}>"


class Statistics(Mapping[str, LeafStatistics]):
    """The statistics of some steps: a mapping by the names of leaves, such as ``"observations/arm/pos"``.

    Args:
        leaves: The statistics of each leaf.
        episodes: What each episode has.
        num_steps: How many steps there are, those of a running episode included.
        skipped: The names of what is not in the statistics, or not all of it, each with the reason.

    Attributes:
        episodes: What each episode has.
        num_steps: How many steps there are.
        skipped: The names of what is not in the statistics, or not all of it, each with the reason.
    """

    def __init__(
        self,
        leaves: Mapping[str, LeafStatistics],
        episodes: EpisodeStatistics,
        num_steps: int,
        skipped: Mapping[str, str],
    ) -> None:
        self._leaves = dict(leaves)
        self.episodes = episodes
        self.num_steps = num_steps
        self.skipped = dict(skipped)

    def __getitem__(self, name: str) -> LeafStatistics:
        """The statistics of a leaf.

        Raises:
            KeyError: If there is no such leaf; the message has the reason, or the names of the others.
        """
        if name in self._leaves:
            return self._leaves[name]
        why = self.skipped.get(name) or f"there are {', '.join(self._leaves)}"
        raise KeyError(f"no statistics of {short_repr(name)}: {why}")

    def __contains__(self, name: object) -> bool:
        return name in self._leaves

    def __iter__(self) -> Iterator[str]:
        return iter(self._leaves)

    def __len__(self) -> int:
        return len(self._leaves)

    # Episodes -------------------------------------------------------------------------------------

    @property
    def num_episodes(self) -> int:
        """Episodes, unfinished ones included."""
        return len(self.episodes)

    @property
    def num_incomplete(self) -> int:
        """Episodes whose recording stopped before the environment ended them."""
        return int((~self.episodes.complete).sum())

    @cached_property
    def returns(self) -> LeafStatistics:
        """The statistics of the returns of complete episodes. ``episodes.returns`` has those of all episodes."""
        return of_array("returns", self.episodes.returns[self.episodes.complete])

    @cached_property
    def lengths(self) -> LeafStatistics:
        """The statistics of the lengths of complete episodes. ``episodes.lengths`` has those of all episodes."""
        return of_array("lengths", self.episodes.lengths[self.episodes.complete])

    @property
    def success_rate(self) -> float | None:
        """The fraction of successes among the episodes of which it is known; None if it is known of none."""
        known = self.episodes.success[~np.isnan(self.episodes.success)]
        return float(known.mean()) if len(known) else None

    # Several files --------------------------------------------------------------------------------

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of the steps and episodes of both, which are taken for different ones.

        A leaf that only one of them has is missing in the steps of the other.

        Raises:
            OptionError: If a leaf has another shape in the other statistics.
        """
        leaves: dict[str, LeafStatistics] = {}
        for name in dict.fromkeys([*self, *other]):
            if name in self and name in other:
                leaves[name] = self[name].merge(other[name])
            else:
                leaf, absent = (self[name], other) if name in self else (other[name], self)
                leaves[name] = leaf.without_values(absent.num_steps)
        skipped = {**other.skipped, **self.skipped}
        episodes = self.episodes.merge(other.episodes)
        return Statistics(leaves, episodes, self.num_steps + other.num_steps, skipped)

    @classmethod
    def merged(cls, statistics: Iterable[Statistics]) -> Statistics:
        """The statistics of several recordings together.

        Raises:
            OptionError: If there are none, or a leaf has different shapes.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     parts = [recording[[0, 1]].stats(), recording[[2]].stats()]
            ...     Statistics.merged(parts)["rewards"].count == recording.stats()["rewards"].count
            True
        """
        parts = list(statistics)
        if not parts:
            raise OptionError("statistics of no recording cannot be merged")
        return reduce(cls.merge, parts)

    def __repr__(self) -> str:
        sizes = (counted(len(self), "leaf"), counted(self.num_episodes, "episode"), counted(self.num_steps, "step"))
        return f"<Statistics: {', '.join(sizes)}>".replace("leafs", "leaves")
