"""Which episodes have to be run to get to one, and whether that can be done at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gym_h5record.errors import NotReplayableError, OptionError
from gym_h5record.format import Origin
from gym_h5record.reader import Episode
from gym_h5record.recording import Recording

__all__ = ["all_before", "alone", "chosen_numbers"]


def chosen_numbers(recording: Recording, episodes: Sequence[int] | None) -> list[int]:
    """Numbers of the episodes that were asked for, each once, none negative; all if none were.

    Raises:
        OptionError: If one does not exist.
    """
    total = recording.num_episodes
    numbers = list(range(total)) if episodes is None else [int(number) for number in episodes]
    missing = [number for number in numbers if not -total <= number < total]
    if missing:
        raise OptionError(f"episodes: {recording.path} has {total} episodes, there is no {missing}.")
    return list(dict.fromkeys(number % total for number in numbers))


def alone(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind those that it continues without a reset.

    Raises:
        NotReplayableError: If it does not go back to a reset whose generators are known.
    """
    chain = [recording.episodes[number]]
    while chain[0].origin is Origin.AFTER_DONE:
        if not chain[0].number:
            raise NotReplayableError("what it continues was not recorded")
        chain.insert(0, recording.episodes[chain[0].number - 1])
    _check_reset(chain[0])
    is_branch = not chain[0].number and "recording_parent" in recording.metadata
    if not is_branch and not chain[0].snapshot and chain[0].seed is None:
        raise NotReplayableError("neither a seed nor a snapshot of the generators was recorded with its reset")
    return chain


def all_before(recording: Recording, number: int) -> list[Episode]:
    """The episode behind all others back to the first reset of the environment, or to one whose generators are known.

    Raises:
        NotReplayableError: If one of them was not recorded, or cannot be run.
    """
    chain = [recording.episodes[each] for each in range(number + 1)]
    known = [each.number for each in chain if each.snapshot or each.seed is not None]
    if not known:
        raise NotReplayableError("neither a seed nor a snapshot of the generators was recorded up to it")
    chain = chain[known[0] :]
    for before, after in pairwise(chain):
        _check_follows(before, after)
    _check_reset(chain[0])
    return chain


def _check_reset(episode: Episode) -> None:
    if episode.origin is Origin.STEP_TRIGGER:
        raise NotReplayableError("its recording began in the middle of an episode")


def _check_follows(before: Episode, after: Episode) -> None:
    _check_reset(after)
    if after.origin is Origin.RESET and after.episode_id != before.episode_id + 1:
        missing = after.episode_id - before.episode_id - 1
        raise NotReplayableError(f"{missing} resets of the environment before episode {after.number} were not recorded")
