"""What a file has to hold when a life of a recorder has done so many acts: some of its episodes are discarded.

An act is a call of ``step`` or ``discard_episode`` that has returned; with lanes, also one of ``reset``. The process
may have been killed in the next one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

from .courses import COURSES, steps_of
from .plays import LIFE, fate_of, has_fates, rehearse
from .studio import Fate

__all__ = ["Promise", "promise"]


@dataclass(frozen=True)
class Promise:
    """What a life has promised.

    Attributes:
        steps: The least and the greatest number of steps in the file.
        discarded: The least and the greatest number of discarded episodes.
        gone: The seeds of the episodes that have been discarded for good.
    """

    steps: tuple[int, int]
    discarded: tuple[int, int]
    gone: frozenset[int]


def promise(env: str, life: int, acts: int) -> Promise:
    """What a life has promised after so many acts."""
    if env in COURSES:
        counts, discarded = steps_of(env, acts, acts + 1)
        return Promise((min(counts), max(counts)), (min(discarded), max(discarded)), frozenset())
    if not has_fates(env):
        return Promise((acts, acts + 1), (0, 0), frozenset())
    steps, gone = _state(env, life, acts)
    steps_later, gone_later = _state(env, life, acts + 1)
    # ``keep`` is asked after the last step of an episode is in the journal: a kill in between leaves the episode.
    least, most = min(steps, steps_later), max(len(gone), len(gone_later))
    # A recorder whose writer was killed closes the file, and asks ``keep`` about the episode that runs.
    refused = max(_refused(env, life, acts), _refused(env, life, acts + 1))
    return Promise((least - refused, steps + 1), (len(gone), most + bool(refused)), gone)


def _refused(env: str, life: int, acts: int) -> int:
    """Steps of the running episode, if ``keep`` would say no to it."""
    for seed in itertools.count(life * LIFE):
        needed = _length(env, seed) + (fate_of(env, seed) is Fate.DISCARDED)
        if acts < needed:
            return acts if fate_of(env, seed) is Fate.REFUSED else 0
        acts -= needed
    raise AssertionError  # seeds do not end


def _state(env: str, life: int, acts: int) -> tuple[int, frozenset[int]]:
    """Steps of episodes that are not discarded, and the seeds of those that are."""
    steps, gone = 0, set()
    for seed in itertools.count(life * LIFE):
        length, its_fate = _length(env, seed), fate_of(env, seed)
        needed = length + (its_fate is Fate.DISCARDED)
        if acts < needed:
            return steps + min(acts, length), frozenset(gone)
        acts -= needed
        if its_fate is Fate.KEPT:
            steps += length
        else:
            gone.add(seed)
    raise AssertionError  # seeds do not end


@cache
def _length(env: str, seed: int) -> int:
    return len(rehearse(env, seed).actions)
