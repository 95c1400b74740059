"""An episode in one line: chosen by its number, its length, its return and how it ended."""

from __future__ import annotations

from gym_h5record.display import counted, reward_text
from gym_h5record.errors import SelectionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = ["choose_episode", "describe_end", "headline"]


def choose_episode(recording: Recording, number: int | None) -> Episode:
    """The episode with a number, negative from the end; for None the first episode with a step.

    Raises:
        SelectionError: If there is no such episode.
    """
    episodes, name = recording.episodes, recording.path
    if number is None:
        for episode in episodes:
            if episode.length:
                return episode
        raise SelectionError(f"{name} has no episode with a step to replay.")
    if not episodes:
        raise SelectionError(f"{name} has no episodes.")
    if not -len(episodes) <= number < len(episodes):
        raise SelectionError(f"{name} has episodes 0 to {len(episodes) - 1}, there is no episode {number}.")
    return episodes[number]


def describe_end(episode: Episode) -> str:
    """``"terminated"``, ``"truncated"``, ``"terminated and truncated"`` or ``"incomplete"``."""
    ends = [name for name in ("terminated", "truncated") if getattr(episode, name)]
    return " and ".join(ends) or "incomplete"


def headline(episode: Episode) -> str:
    """Number, length, return, end and seed of an episode."""
    parts = [counted(episode.length, "step"), f"return {reward_text(episode.total_reward)}", describe_end(episode)]
    if episode.seed is not None:
        parts.append(f"seed {episode.seed}")
    return f"episode {episode.number}: {', '.join(parts)}"
