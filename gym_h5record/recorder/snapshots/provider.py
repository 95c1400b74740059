"""``SnapshotProvider``: how the state of one simulator is taken and restored."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import gymnasium as gym

__all__ = ["SnapshotProvider"]


@runtime_checkable
class SnapshotProvider(Protocol):
    """Takes the state that the next reset of a simulator depends on, and restores it.

    Pass one to ``RecordToHDF5(snapshots=[...])`` and to ``verify``, ``branch`` and ``evaluate``; or
    name its class in the entry point group ``gym_h5record.snapshots``, then it is always asked.

    Attributes:
        name: The key of its snapshots in a recording; unique.

    Example:
        >>> class DiceProvider:
        ...     name = "dice"
        ...     def take(self, env):
        ...         return str(env.unwrapped.dice).encode() if hasattr(env.unwrapped, "dice") else None
        ...     def restore(self, env, state):
        ...         env.unwrapped.dice = int(state)
        >>> isinstance(DiceProvider(), SnapshotProvider)
        True
    """

    name: str

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """The state before a reset, None if the environment does not use this simulator.

        Must not change the environment or draw a random number.
        """

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """Put a state back into an environment that was made in the same way.

        Raises:
            SnapshotError: If the state does not fit the environment.
        """
