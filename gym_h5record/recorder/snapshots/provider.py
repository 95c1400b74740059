"""The contract of whoever knows where a simulator keeps what a reset depends on."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import gymnasium as gym

__all__ = ["SnapshotProvider"]


@runtime_checkable
class SnapshotProvider(Protocol):
    """Takes what the next reset of a simulator depends on, and puts it back.

    Pass one to ``RecordToHDF5(snapshots=[...])`` and to ``verify``, ``branch`` and their like, or
    name its class in the entry point group ``gym_h5record.snapshots``.

    Attributes:
        name: Under which its snapshots are stored in a recording; unique.

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
        """The state before a reset, or None if the environment is not of our kind.

        Nothing may change in the environment, and no random number be drawn.
        """

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """Put a state back, into an environment made in the same way.

        Raises:
            SnapshotError: If it does not fit.
        """
