"""Which episodes have to be run to get to one, and whether that can be done at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from gym_h5record.display import short_repr
from gym_h5record.errors import NotReplayableError, OptionError
from gym_h5record.format.names import Origin
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = [
    "all_before",
    "alone",
    "branches_off",
    "check_beginning",
    "chosen_numbers",
    "continued",
    "from_known",
    "in_one_life",
    "survivor",
]


def chosen_numbers(recording: Recording, episodes: Sequence[int] | None) -> list[int]:
    """Numbers of the episodes that were asked for, each once, none negative; all if none were.

    Raises:
        OptionError: If one does not exist.
    """
    total = recording.num_episodes
    numbers = list(range(total)) if episodes is None else [int(number) for number in episodes]
    missing = [number for number in numbers if not -total <= number < total]
    if missing:
        raise OptionError(f"episodes: {recording.path} has {total} episodes, there is no {short_repr(missing)}.")
    return list(dict.fromkeys(number % total for number in numbers))


def continued(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind those that it continues without a reset, as far as they were recorded."""
    chain = [recording.episodes[number]]
    while chain[-1].origin is Origin.AFTER_DONE and chain[-1].number:
        chain.append(recording.episodes[chain[-1].number - 1])
    return chain[::-1]


def alone(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind those that it continues without a reset.

    Raises:
        NotReplayableError: If it does not go back to a reset whose generators are known.
    """
    chain = continued(recording, number)
    check_beginning(recording, chain[0])
    return chain


def check_beginning(recording: Recording, episode: Episode) -> None:
    """See that an episode can be begun with nothing before it.

    Raises:
        NotReplayableError: If it did not begin with a reset whose generators are known.
    """
    if episode.origin is Origin.AFTER_DONE:
        raise NotReplayableError("what it continues was not recorded")
    if episode.origin is Origin.STEP_TRIGGER:
        raise NotReplayableError("its recording began in the middle of an episode")
    if not _is_known(recording, episode):
        raise NotReplayableError("neither a seed nor a snapshot of the generators was recorded with its reset")


def in_one_life(recording: Recording, number: int) -> list[Episode]:
    """The episode, behind those that its environment went through before it, as far as they were recorded."""
    life = [recording.episodes[number]]
    while life[-1].number:
        before = recording.episodes[life[-1].number - 1]
        if not _follows(before, life[-1]):
            break
        life.append(before)
    return life[::-1]


def from_known(recording: Recording, life: Sequence[Episode]) -> tuple[list[Episode], str]:
    """What can be run again of the episodes that an environment went through.

    Returns:
        Those from the first one whose generators are known on; and what is missing before them, as
        the end of a sentence, empty if nothing is.
    """
    missing = _missing_before(recording, life[0])
    unknown = list(takewhile(lambda each: not _is_known(recording, each), life))
    if len(unknown) == len(life):
        missing = missing or "neither a seed nor a snapshot of the generators was recorded up to it"
    return list(life[len(unknown) :]), missing


def _is_known(recording: Recording, episode: Episode) -> bool:
    """Whether all that its reset depends on can be put back, in an environment that keeps nothing else."""
    if episode.origin is not Origin.RESET:
        return False
    return bool(episode.snapshot) or episode.seed is not None or branches_off(recording, episode.number)


def _follows(before: Episode, after: Episode) -> bool:
    """Whether nothing happened to the environment between two episodes; a recorder counts its resets from 0."""
    if after.origin is Origin.RESET:
        return after.episode_id == before.episode_id + 1
    return after.origin is Origin.AFTER_DONE


def _missing_before(recording: Recording, first: Episode) -> str:
    if first.origin is Origin.STEP_TRIGGER:
        return f"the recording of episode {first.number} began in the middle of an episode"
    resets = first.episode_id
    if first.number and recording.episodes[first.number - 1].episode_id < resets:
        resets -= recording.episodes[first.number - 1].episode_id + 1
    return f"{resets} resets of the environment before episode {first.number} were not recorded" if resets else ""


def all_before(recording: Recording, number: int) -> list[Episode]:
    """The episode behind all others back to the first reset of the environment, or to one whose generators are known.

    Raises:
        NotReplayableError: If one of them was not recorded, or cannot be run.
    """
    chain, missing = from_known(recording, in_one_life(recording, number))
    if missing:
        raise NotReplayableError(missing)
    return chain


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
