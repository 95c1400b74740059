"""What a condition may ask of episodes: one value per episode, all at once from the columns of ``/episodes``."""

from __future__ import annotations

import math

import numpy as np

from gym_h5record.errors import SelectionError
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON
from gym_h5record.reading.episode_index import EpisodeIndex

__all__ = ["episode_fact"]

_COLUMNS = {
    "total_reward": "returns",
    "length": "lengths",
    "terminated": "terminated",
    "truncated": "truncated",
    "complete": "complete",
    "episode_id": "ids",
}


def episode_fact(index: EpisodeIndex, name: str, numbers: np.ndarray) -> np.ndarray:
    """The values of a name of ``gym_h5record.reading.expression.NAMES``.

    Args:
        index: The episodes of a recording.
        name: The name.
        numbers: Which episodes, ``(n,)`` int64.

    Returns:
        The values, ``(n,)``. Seeds are objects if not all of them fit int64: integers, and NaN for an episode
        without one.

    Raises:
        SelectionError: If the name is ``total_reward``, and rewards are arrays.
    """
    if name == "number":
        return numbers
    if name == "env":
        lanes: np.ndarray = index.lanes[numbers]
        return lanes
    if name == "seed":
        return _seeds(index, numbers)
    values: np.ndarray = index.column(_COLUMNS[name])[numbers]
    if values.ndim > 1:
        shape = values.shape[1:]
        raise SelectionError(
            f"{name} is an array {shape} in this recording: select by a function, "
            "such as select(lambda episode: episode.total_reward[0] > 100)"
        )
    return values


def _seeds(index: EpisodeIndex, numbers: np.ndarray) -> np.ndarray:
    seeds: np.ndarray = index.column("seeds")[numbers]
    missing, beyond = seeds == NO_SEED, seeds == SEED_IN_JSON
    if not (missing | beyond).any():
        return seeds
    found = seeds.astype(object)
    found[missing] = math.nan
    for position in np.flatnonzero(beyond).tolist():
        found[position] = index.seed_in_json(int(numbers[position]))
    return found
