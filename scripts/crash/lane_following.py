"""Compares what a live reader sees of a vector recording with what its environments gave.

The courses are those in which nothing is discarded: no row that was committed may change or vanish.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gym_h5record as h5r
from gym_h5record.values.exact import identical

from .courses import COURSES, Course, Kept, Run
from .lane_inspection import episode_problem
from .lanes import Place, action_at, observation_at, reward_at

__all__ = ["Follower", "Sight"]

_SOME = 4  # older episodes, and steps, that are compared at every look


@dataclass
class Sight:
    """What a look has found.

    Attributes:
        rows: Rows compared.
        wrong: Sentences about rows and episodes that differ from those of the environments.
        missing: Sentences about lanes with fewer steps than had been committed.
        beyond: Sentences about lanes with more steps than had been taken.
    """

    rows: int = 0
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)


class _Progress:
    """The steps of every lane after so many acts, and its episodes up to then."""

    def __init__(self, course: Course) -> None:
        count = len(course.lengths)
        self._run = Run(course)
        self._acts = self._run.acts()
        self._known = 0
        self._whole = np.zeros(count, np.int64)  # steps of all episodes of a lane but its last one
        self._numbers: list[list[int]] = [[] for _ in range(count)]
        self._steps = [np.zeros(count, np.int64)]

    def after(self, acts: int) -> np.ndarray:
        """The steps of each lane after some acts, ``(lanes,)`` int64."""
        entries = self._run.file.entries
        while len(self._steps) <= acts:
            for _ in next(self._acts)[2]:
                pass
            for number in range(self._known, len(entries)):
                numbers = self._numbers[entries[number].kept.lane]
                if numbers:
                    self._whole[entries[number].kept.lane] += entries[numbers[-1]].kept.length
                numbers.append(number)
            self._known = len(entries)
            newest = [entries[numbers[-1]].kept.length if numbers else 0 for numbers in self._numbers]
            self._steps.append(self._whole + newest)
        return self._steps[acts]

    def episodes(self, lane: int) -> list[Kept]:
        """The episodes of a lane, as long as they have become by the last act that was asked for."""
        return [self._run.file.entries[number].kept for number in self._numbers[lane]]


class Follower:
    """Compares one recording, look by look.

    Args:
        env: Its course.
        chance: Chooses what is compared.
    """

    def __init__(self, env: str, chance: random.Random) -> None:
        self._env, self._course, self._chance = env, COURSES[env], chance
        self._progress: dict[int, _Progress] = defaultdict(lambda: _Progress(self._course))
        self._places: list[Place] = []  # of the first rows of the episodes that have been seen

    def look(self, recording: h5r.Recording, least: list[int], most: list[int], *, everything: bool = False) -> Sight:
        """Compare what a recording shows.

        Args:
            recording: The recording, as it was opened or refreshed.
            least: Acts that have been committed, by life.
            most: Acts that may have been, by life.
            everything: Whether to compare all episodes.
        """
        sight = Sight()
        episodes = recording.episodes
        for number in range(len(self._places), len(episodes)):
            self._places.append(tuple(episodes[number].observations[0]["at"].tolist()))
        lengths: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        for place, length in zip(self._places, recording.lengths.tolist(), strict=True):
            lengths[place[:2]][place[2]] = length
        running = self._running(recording, sight)
        for place in running:
            lengths[place[:2]][place[2]] = place[3]
        self._compare_lengths(lengths, {place[:3] for place in running}, least, most, sight)
        count = len(self._places)
        newest = range(max(0, count - 2), count)
        chosen = {*newest, *(self._chance.randrange(count) for _ in range(_SOME) if count)}
        for number in range(count) if everything else sorted(chosen):
            self._compare_episode(recording, number, sight)
        return sight

    def _running(self, recording: h5r.Recording, sight: Sight) -> list[Place]:
        """Compare the newest steps, and some of those of running episodes; where the running episodes are."""
        steps = recording.steps
        found: dict[tuple[int, ...], Place] = {}
        chosen = {self._chance.randrange(len(steps)) for _ in range(_SOME) if len(steps)}
        for number in sorted({*range(int(recording.lengths.sum()), len(steps)), *chosen}):
            place: Place = tuple(steps.observations[number]["at"].tolist())
            after = (*place[:3], place[3] + 1)
            wanted = (action_at(*place[1:]), reward_at(after))
            ok = identical(steps.next_observations[number], observation_at(after, is_rich=self._course.is_rich))
            ok &= identical(steps.observations[number], observation_at(place, is_rich=self._course.is_rich))
            if not ok or (steps.actions[number], steps.rewards[number]) != wanted:
                sight.wrong.append(f"step {number} is not the one from {place}")
            sight.rows += 1
            if number >= recording.lengths.sum():
                if place[3] != found.get(place[:3], (0, 0, 0, 0))[3]:
                    sight.wrong.append(f"step {number} of a running episode is from {place}, not the one behind")
                found[place[:3]] = after
        return list(found.values())

    def _compare_lengths(
        self,
        lengths: dict[tuple[int, int], dict[int, int]],
        running: set[tuple[int, ...]],
        least: list[int],
        most: list[int],
        sight: Sight,
    ) -> None:
        for life, (low, high) in enumerate(zip(least, most, strict=True)):
            progress = self._progress[life]
            at_least, at_most = progress.after(low), progress.after(high + 1)
            for lane in range(len(self._course.lengths)):
                found = lengths.get((life, lane), {})
                total = sum(found.values())
                where = f"life {life}, lane {lane}: {total} steps, expected {at_least[lane]} to {at_most[lane]}"
                if total < at_least[lane]:
                    sight.missing.append(where)
                if total > at_most[lane]:
                    sight.beyond.append(where)
                wanted = progress.episodes(lane)
                numbers = list(found)
                if numbers != list(range(len(numbers))) or len(numbers) > len(wanted):
                    sight.wrong.append(f"life {life}, lane {lane}: the episodes {numbers[:20]}")
                    continue
                for number, length in found.items():
                    is_short = number == len(numbers) - 1  # it runs, or its recorder was killed
                    if length > wanted[number].length or (length < wanted[number].length and not is_short):
                        sight.wrong.append(f"{length} steps of {wanted[number]}")

    def _compare_episode(self, recording: h5r.Recording, number: int, sight: Sight) -> None:
        episode, place = recording.episodes[number], self._places[number]
        whole = self._progress[place[0]].episodes(place[1])[place[2]].length == episode.length
        is_over = whole and episode.length == self._course.length(place[1], place[2])
        kept = Kept(place[1], place[2], episode.length, is_over)
        problem: Any = episode_problem(episode, self._env, place[0], kept)
        sight.rows += episode.length + 1
        if problem:
            sight.wrong.append(f"episode {number}, {place}: {problem}")
