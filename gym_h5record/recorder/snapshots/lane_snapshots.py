"""Snapshots of the environments of a vector environment, where they are in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym

from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set

__all__ = ["LaneSnapshots"]


class LaneSnapshots:
    """Takes the state that the resets of lanes depend on.

    Args:
        wanted: The option of the recorder.
        envs: The environment of each lane; empty if they cannot be reached, and then every snapshot is empty.

    Attributes:
        are_kept: Whether there are snapshots.
    """

    def __init__(self, wanted: bool | Sequence[SnapshotProvider], envs: Sequence[gym.Env[Any, Any]]) -> None:  # noqa: FBT001  # an option of the user
        self.are_kept = wanted is not False and bool(envs)
        self._envs = envs
        self._sets = [make_snapshot_set(wanted) for _ in envs] if self.are_kept else []

    def take(self, lane: int, *, is_bare: bool = True) -> dict[str, bytes]:
        """See ``SnapshotSet.take``."""
        return self._sets[lane].take(self._envs[lane], is_bare=is_bare) if self.are_kept else {}

    def complete(self, taken: Mapping[int, dict[str, bytes]]) -> None:
        """After their resets, see ``SnapshotSet.complete``: the snapshots by lane."""
        for lane, snapshot in taken.items() if self.are_kept else ():
            self._sets[lane].complete(self._envs[lane], snapshot)
