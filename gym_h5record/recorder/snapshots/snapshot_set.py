"""``SnapshotSet``: all snapshot providers together. A recorder takes with it, a rerun restores with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import gymnasium as gym

from gym_h5record.errors import OptionError, SnapshotError
from gym_h5record.recorder.snapshots.ale import AleProvider
from gym_h5record.recorder.snapshots.generators import GeneratorProvider
from gym_h5record.recorder.snapshots.mujoco import MujocoProvider
from gym_h5record.recorder.snapshots.provider import SnapshotProvider

__all__ = ["SnapshotSet", "make_snapshot_set"]

_GROUP = "gym_h5record.snapshots"
_BUILT_IN: tuple[Callable[[], SnapshotProvider], ...] = (AleProvider, MujocoProvider, GeneratorProvider)


class SnapshotSet:
    """Takes and restores the snapshots of several providers.

    Args:
        providers: In the order of restoring. Generators come last: restoring a simulator may draw from them.
    """

    def __init__(self, providers: Sequence[SnapshotProvider]) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._is_bare = True  # whether the last reset that ``take`` was called for had neither seed nor options

    def take(self, env: gym.Env[Any, Any], *, is_bare: bool = True) -> dict[str, bytes]:
        """The states that the next reset of ``env`` depends on, by the name of the provider.

        Empty if that reset changes nothing: the first reset of ``gym_h5record.replay.branching.Branch`` that is bare,
        without a seed and without options.
        """
        self._is_bare = is_bare
        if is_bare and getattr(env, "continues_episode", False):
            return {}
        taken = {name: provider.take(env) for name, provider in self._providers.items()}
        return {name: state for name, state in taken.items() if state is not None}

    def complete(self, env: gym.Env[Any, Any], taken: dict[str, bytes]) -> None:
        """After the reset, add the generators that the reset has created to the result of ``take``."""
        for name, provider in self._providers.items():
            if name in taken and isinstance(provider, GeneratorProvider):
                taken[name] = provider.complete(env, taken[name], is_bare=self._is_bare)

    def missing(self, env: gym.Env[Any, Any], taken: Mapping[str, bytes]) -> list[str]:
        """The places of recorded generators that ``env`` does not have, or not yet: ``restore`` leaves them out."""
        return [
            place
            for name, provider in self._providers.items()
            if name in taken and isinstance(provider, GeneratorProvider)
            for place in provider.missing(env, taken[name])
        ]

    def restore(self, env: gym.Env[Any, Any], taken: Mapping[str, bytes]) -> None:
        """Restore states before a reset. A missing provider or a misfitting state raises ``SnapshotError``."""
        unknown = sorted(set(taken) - set(self._providers))
        if unknown:
            raise SnapshotError(
                f"this episode has snapshots of unknown providers, {', '.join(map(repr, unknown))}: "
                "pass them with snapshots=[...]"
            )
        for name, provider in self._providers.items():
            if name in taken:
                provider.restore(env, taken[name])


def make_snapshot_set(wanted: bool | Sequence[SnapshotProvider]) -> SnapshotSet:  # noqa: FBT001  # an option of the user
    """False gives no providers, True those that are built in or installed, a list these and its own."""
    if wanted is False:
        return SnapshotSet(())
    more = () if wanted is True else tuple(wanted)
    for each in more:
        if not isinstance(each, SnapshotProvider):
            raise OptionError(f"snapshots: expected True, False or providers with name, take and restore, got {each!r}")
    return SnapshotSet((*more, *_installed(), *(make() for make in _BUILT_IN)))


@cache
def _installed() -> tuple[SnapshotProvider, ...]:
    return tuple(each.load()() for each in entry_points(group=_GROUP))
