"""What an episode rests on that no snapshot has: another recording, or what outlives a reset."""

from __future__ import annotations

from gym_h5record.format import Origin
from gym_h5record.recording import Recording

__all__ = ["branches_off", "survivor"]

_SURVIVORS = {
    "NormalizeObservation": "the running statistics of NormalizeObservation",
    "NormalizeReward": "the running statistics of NormalizeReward",
    "BipedalWalker": "the world of BipedalWalker",
}


def branches_off(recording: Recording, number: int) -> bool:
    """Whether an episode goes on where another recording stood.

    That is what a first reset of a ``Branch`` does if it is a bare one, and no step was taken before it.
    """
    if number or "recording_parent" not in recording.metadata:
        return False
    first = recording.episodes[0]
    is_bare = first.seed is None and first.options is None and not first.snapshot
    return is_bare and first.origin is Origin.RESET and first.episode_id == 0


def survivor(recording: Recording) -> str:
    """What is known to outlive the resets of the recorded environment; "" if nothing is."""
    names = f"{recording.metadata.get('env_wrappers', '')} {recording.metadata.get('env_class', '')}"
    return next((what for name, what in _SURVIVORS.items() if name in names), "")
