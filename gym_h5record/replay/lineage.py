"""Which episodes must be run, and in which order, to reach an episode.

An episode that began with a reset needs that reset's seed or snapshot. An episode that continued another one without a
reset needs that one first. State that survives resets needs all episodes since the environment was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from gym_h5record.display import counted, short_repr
from gym_h5record.errors import NotReplayableError, OptionError
from gym_h5record.format.names import Origin
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = [
    "branches_off",
    "check_beginning",
    "chosen_numbers",
    "from_first_known",
    "in_same_env",
    "since_first_known",
    "since_known_reset",
    "since_reset",
    "surviving_state",
]


def chosen_numbers(recording: Recording, episodes: Sequence[int] | None) -> list[int]:
    """The numbers of the chosen episodes, from 0 on and each once; all of them for None.

    Raises:
        OptionError: If an episode does not exist.
    """
    total = recording.num_episodes
    numbers = list(range(total)) if episodes is None else [int(number) for number in episodes]
    missing = [number for number in numbers if not -total <= number < total]
    if missing:
        raise OptionError(
            f"episodes: {recording.path} has {counted(total, 'episode')}, there is no {short_repr(missing)}."
        )
    return list(dict.fromkeys(number % total for number in numbers))


# One episode alone --------------------------------------------------------------------------------


def since_reset(recording: Recording, number: int) -> list[Episode]:
    """The episodes since the last recorded reset, up to this one: it and those that it continues without a reset."""
    return _up_to(recording, number, lambda before, after: after.origin is Origin.AFTER_DONE)


def since_known_reset(recording: Recording, number: int) -> list[Episode]:
    """``since_reset``; raises NotReplayableError if the first of these episodes cannot be begun."""
    episodes = since_reset(recording, number)
    check_beginning(recording, episodes[0])
    return episodes


def check_beginning(recording: Recording, episode: Episode) -> None:
    """Raise NotReplayableError unless the episode can be begun without running another one before."""
    if episode.origin is Origin.AFTER_DONE:
        raise NotReplayableError("it continues an episode that was not recorded")
    if episode.origin is Origin.STEP_TRIGGER:
        raise NotReplayableError("its recording began in the middle of an episode")
    if not _is_known(recording, episode):
        raise NotReplayableError("neither a seed nor a snapshot of the generators was recorded with its reset")


def _is_known(recording: Recording, episode: Episode) -> bool:
    """Whether the episode began with a reset whose generators can be restored."""
    return episode.origin in (Origin.RESET, Origin.AUTORESET) and (
        bool(episode.snapshot) or episode.seed is not None or branches_off(recording, episode.number)
    )


def branches_off(recording: Recording, number: int) -> bool:
    """Whether an episode continues an episode of another recording.

    The first reset of a ``Branch`` does so if it gets neither seed nor options, and no step was taken before it.
    """
    if number or "recording_parent" not in recording.metadata:
        return False
    first = recording.episodes[0]
    is_bare = first.seed is None and first.options is None and not first.snapshot
    return is_bare and first.origin is Origin.RESET and first.episode_id == 0


# After all episodes before it ---------------------------------------------------------------------


def since_first_known(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind all recorded episodes of its environment since the first one that can be begun.

    It raises NotReplayableError if one of them was not recorded, or none can be begun.
    """
    episodes, missing = from_first_known(recording, in_same_env(recording, number))
    if missing:
        raise NotReplayableError(missing)
    return episodes


def in_same_env(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind the episodes that its environment went through directly before it.

    The list begins behind a reset that was not recorded, and behind the point where a new recorder appended.
    """
    return _up_to(recording, number, _follows)


def from_first_known(recording: Recording, episodes: Sequence[Episode]) -> tuple[list[Episode], str]:
    """Of the result of ``in_same_env``, the episodes from the first one on that can be begun.

    Returns:
        The episodes; and a clause that says what is missing before them, "" if nothing is.
    """
    missing = _missing_before(recording, episodes[0])
    unknown = list(takewhile(lambda each: not _is_known(recording, each), episodes))
    if len(unknown) == len(episodes):
        missing = missing or "neither a seed nor a snapshot of the generators was recorded up to it"
    return list(episodes[len(unknown) :]), missing


def _up_to(recording: Recording, number: int, follows: Callable[[Episode, Episode], bool]) -> list[Episode]:
    """The episodes up to this one, from the first on that does not follow the one before it."""
    episodes = [recording.episodes[number]]
    while (before := _before(recording, episodes[-1])) is not None and follows(before, episodes[-1]):
        episodes.append(before)
    return episodes[::-1]


def _before(recording: Recording, episode: Episode) -> Episode | None:
    """The episode before one, in its lane."""
    number = episode.number_before
    return None if number is None else recording.episodes[number]


def _follows(before: Episode, after: Episode) -> bool:
    """Whether the environment was not reset between two episodes, except by the recorded reset of the second one."""
    if after.origin in (Origin.RESET, Origin.AUTORESET):
        return after.episode_id == before.episode_id + 1  # a recorder counts the resets of its environment from 0
    return after.origin is Origin.AFTER_DONE


def _missing_before(recording: Recording, first: Episode) -> str:
    if first.origin is Origin.STEP_TRIGGER:
        return f"the recording of episode {first.number} began in the middle of an episode"
    resets, before = first.episode_id, _before(recording, first)
    if before is not None and before.episode_id < resets:
        resets -= before.episode_id + 1
    return f"the recording lacks {counted(resets, 'reset')} before episode {first.number}" if resets else ""


_SURVIVING = {
    "NormalizeObservation": "the running statistics of NormalizeObservation",
    "NormalizeReward": "the running statistics of NormalizeReward",
    "BipedalWalker": "the world of BipedalWalker",
}


def surviving_state(recording: Recording) -> str:
    """The state of the recorded environment that is known to survive resets, "" if there is none."""
    names = f"{recording.metadata.get('env_wrappers', '')} {recording.metadata.get('env_class', '')}"
    return next((state for name, state in _SURVIVING.items() if name in names), "")
