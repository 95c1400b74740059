"""Hints for attributes that do not exist: the names of other libraries for what recordings and episodes offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from gym_h5record.reading.column_properties import COLUMNS

__all__ = ["EPISODE_HINTS", "RECORDING_HINTS", "Hinting"]

EPISODE_HINTS = {
    "action": "episode.actions",
    "compute_return": "episode.total_reward",
    "done": "episode.dones, episode.terminated or episode.truncated",
    "frame": "episode.frames",
    "id": "episode.number is its place in the recording, episode.episode_id counts the resets before it",
    "info": "episode.infos",
    "next_obs": "episode.next_observations",
    "obs": "episode.observations",
    "observation": "episode.observations",
    "returns": "episode.total_reward",
    "reward": "episode.rewards",
    "states": "episode.observations",
    "steps": "episode.length is their number, episode.to_dict() has their values",
    "total_return": "episode.total_reward",
    "total_steps": "episode.length",
}
"""What Minari, robomimic and d3rlpy call it, and the words for one step."""

RECORDING_HINTS = {
    name: f"recording.steps.{name} has a value for each step, recording.rows.{name} one for each row"
    for name in COLUMNS
} | {
    "filter": "recording.select(...) gives some of the episodes",
    "filter_episodes": "recording.select(...) gives some of the episodes",
    "iterate_episodes": "for episode in recording",
    "recover_environment": "recording.make_env() makes the environment",
    "sample": "next(iter(recording.sampler(batch_size=256))) is a batch of random steps",
    "sample_episodes": "recording.sampler(whole_episodes=True) gives batches of random episodes",
    "spec": "recording.env_spec",
    "split_dataset": "recording.split({...}) gives some of the episodes by name",
    "total_episodes": "recording.num_episodes",
    "total_steps": "recording.num_steps",
}
"""What Minari's dataset and replay buffers call it, and the columns, which are by step and by row."""


class Hinting:
    """A class whose ``AttributeError`` says what to write instead, if the name is one of ``_hints``.

    Attributes:
        _hints: What to write instead, by the name that does not exist.
    """

    _hints: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # a checker knows that there is no such attribute

        def __getattr__(self, name: str) -> Any:
            try:
                # Python calls this method for an AttributeError within a property too: that error must be seen.
                return object.__getattribute__(self, name)
            except AttributeError as error:
                hint = self._hints.get(name)
                if hint is None:
                    raise
                raise AttributeError(f"{error}; {hint}", name=name, obj=self) from None
