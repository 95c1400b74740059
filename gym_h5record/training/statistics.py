"""``Statistics``: what ``recording.stats()`` gives, a mapping from the names of leaves to their statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.display import counted, short_repr
from gym_h5record.errors import OptionError
from gym_h5record.training.array_json import ArrayReader, array_to_json
from gym_h5record.training.leaf_json import leaf_from_json, leaf_to_json, moments_from_json, moments_to_json
from gym_h5record.training.leaf_statistics import LeafStatistics, MomentStatistics, of_array

__all__ = ["EpisodeStatistics", "Statistics"]

_JSON_VERSION = 1
_MAX_BYTES = 1 << 30
"""Of the arrays of statistics in a JSON text. The text may be hostile: zlib packs a GiB of zeros into one MiB."""

_COLUMNS = {"numbers": np.int64, "returns": None, "lengths": np.int64, "complete": np.bool_, "success": np.float64}
"""The arrays of ``EpisodeStatistics``, in the order in which it takes them, and their dtypes."""


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

    def to_tree(self) -> dict[str, Any]:
        """What each episode has as JSON values."""
        leaves = {name: moments_to_json(leaf.moments) for name, leaf in self.leaves.items()}
        return {**{name: array_to_json(getattr(self, name)) for name in _COLUMNS}, "leaves": leaves}

    @classmethod
    def from_tree(cls, content: Any, arrays: ArrayReader) -> EpisodeStatistics:
        """What ``to_tree`` returned.

        Raises:
            ValueError: If it is something else; also what ``ArrayReader.read`` raises.
        """
        columns = [arrays.read(content[name], dtype) for name, dtype in _COLUMNS.items()]
        leaves = {name: moments_from_json(leaf, arrays) for name, leaf in content["leaves"].items()}
        shapes = [each.shape for each in (*columns, *(leaf.mean for leaf in leaves.values()))]
        if any(shape[:1] != shapes[0] for shape in shapes) or any(each.ndim > 1 for each in columns[2:]):
            raise ValueError(f"columns of episodes with the shapes {shapes!r:.80}")
        numbers, returns, lengths, complete, success = columns
        of_leaves = {name: MomentStatistics(leaf) for name, leaf in leaves.items()}
        return cls(numbers, returns, lengths, complete, success, of_leaves)

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

    # Text -----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The statistics as JSON text. ``from_json`` gives the same ones, every bit, quantiles and all.

        Small arrays are lists of numbers. Large ones are compressed, and written in base64.
        """
        return json.dumps(self.to_tree(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Statistics:
        """The statistics of a JSON text from ``to_json``.

        Raises:
            OptionError: If the text is not that of statistics.

        Example:
            >>> import gym_h5record as h5r
            >>> with h5r.Recording(cartpole_path) as recording:
            ...     stats = recording.stats()
            >>> Statistics.from_json(stats.to_json())["actions"].histogram == stats["actions"].histogram
            True
        """
        try:
            content = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise OptionError(f"this is no JSON text: {error!r:.200}") from error
        return cls.from_tree(content)

    def to_tree(self) -> dict[str, Any]:
        """What ``to_json`` writes, as JSON values."""
        return {
            "statistics": _JSON_VERSION,
            "num_steps": int(self.num_steps),
            "skipped": self.skipped,
            "episodes": self.episodes.to_tree(),
            "leaves": {name: leaf_to_json(leaf) for name, leaf in self.items()},
        }

    @classmethod
    def from_tree(cls, content: Any) -> Statistics:
        """The statistics of JSON values from ``to_tree``.

        Raises:
            OptionError: If they are not those of statistics.
        """
        try:
            if content["statistics"] != _JSON_VERSION:
                raise ValueError(f"it has version {content['statistics']!r:.80}, this package knows {_JSON_VERSION}")
            arrays = ArrayReader(_MAX_BYTES)
            episodes = EpisodeStatistics.from_tree(content["episodes"], arrays)
            leaves = {name: leaf_from_json(name, leaf, arrays) for name, leaf in content["leaves"].items()}
            skipped = {name: str(why) for name, why in content["skipped"].items()}
            num_steps = content["num_steps"]
            if type(num_steps) is not int or num_steps < 0:
                raise ValueError(f"num_steps is {num_steps!r:.80}")
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise OptionError(f"this is not the JSON text of Statistics: {error!r:.200}") from error
        return cls(leaves, episodes, num_steps, skipped)

    def __repr__(self) -> str:
        sizes = (counted(len(self), "leaf"), counted(self.num_episodes, "episode"), counted(self.num_steps, "step"))
        return f"<Statistics: {', '.join(sizes)}>".replace("leafs", "leaves")
