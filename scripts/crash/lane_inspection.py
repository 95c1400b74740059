"""Compares a vector recording with what the course of its agent says: every episode, row and number of every lane.

The file has to be as it was at one instant between the last act that had returned and the end of the next one: rows of
all lanes enter together, so no lane may be ahead of the others. The numbers that tell rows apart are read with plain
h5py, all other values with the package.
"""

from __future__ import annotations

import itertools
from typing import Any

import h5py
import numpy as np

import gym_h5record as h5r
from gym_h5record.values.exact import identical

from .courses import COURSES, Kept, Stage, stages_of
from .findings import Finding
from .lanes import Place, action_at, extras_at, info_at, observation_at, reward_at

__all__ = ["compare_lanes", "episode_problem"]

_MOST_COMPARED = 400  # episodes that are read with the package, of many lanes

_Found = tuple[Place, Kept, int]
"""An episode of the file: its first place, what the index says of it, and its first row."""


def compare_lanes(
    recording: h5r.Recording, env: str, acknowledged: list[int], least: list[int] | None, finding: Finding
) -> None:
    """Compare all episodes of a vector recording.

    Args:
        recording: The recording.
        env: Its course.
        acknowledged: Acts that had returned, by life.
        least: Acts that have to be in the file, by life, after a power cut; None for all of them.
        finding: Gets the steps and the problems.
    """
    with h5py.File(recording.path) as file:
        places = _places(file, finding)
        found: list[list[Kept]] = [[] for _ in acknowledged]
        before = 0
        for number, (place, kept, _) in enumerate(places):
            if not before <= place[0] < len(found):
                finding.contradict(number, f"it is of life {place[0]}, after one of life {before}")
                return
            before = place[0]
            found[before].append(kept)
            finding.found[before] += kept.length
        _compare_numbers(file, places, finding)
    gone = np.zeros(2, np.int64)
    for life, (stage, acts, at_least) in enumerate(zip(found, acknowledged, least or acknowledged, strict=True)):
        gone += _match(env, life, tuple(stage), (at_least, acts + 1), finding)
    says = np.array([recording.metadata[name] for name in ("discarded_episodes", "discarded_steps")])
    # A power cut takes the journal, and with it the counts of the newest discarded episodes.
    is_right = says == gone if least is None else says <= gone
    if not is_right.all() and not finding.problems:
        finding.contradict(0, f"the metadata says that {says} episodes and steps were discarded, expected {gone}")
    if recording.num_envs != len(COURSES[env].lengths):
        finding.contradict(0, f"{recording.num_envs} lanes")
    every = max(1, len(places) // _MOST_COMPARED)
    for number, (place, kept, _) in enumerate(places):
        if number % every == 0:
            problem = episode_problem(recording.episodes[number], env, place[0], kept)
            if problem:
                finding.contradict(number, problem)


def _places(file: h5py.File, finding: Finding) -> list[_Found]:
    *rows, episodes = file["commit"][:].tolist()
    names = ("envs", "starts", "lengths", "complete")
    index = [file[f"episodes/{name}"][:episodes].tolist() for name in names]
    at = file["observations/at"][: max(rows)]
    next_rows = [0] * len(rows)
    places: list[_Found] = []
    for number, (lane, start, length, is_over) in enumerate(zip(*index, strict=True)):
        if start != next_rows[lane]:
            finding.contradict(number, f"it starts at row {start} of lane {lane}, not {next_rows[lane]}")
        next_rows[lane] = start + length + 1
        place: Place = tuple(at[start, lane].tolist())
        places.append((place, Kept(lane, place[2], length, bool(is_over)), start))
    if next_rows != rows:
        finding.contradict(episodes, f"the episodes have the rows {next_rows!r:.200}, committed are {rows!r:.200}")
    return places


def _match(env: str, life: int, found: Stage, acts: tuple[int, int], finding: Finding) -> tuple[int, int]:
    """Find the stage that the file shows of a life; returns its discarded episodes and steps."""
    stages = stages_of(env, *acts)
    for stage, *gone in reversed(stages):
        if stage == found:
            return gone[0], gone[1]
    nearest = min(stages, key=lambda each: sum(a != b for a, b in itertools.zip_longest(each[0], found)))[0]
    differing = [pair for pair in itertools.zip_longest(found, nearest) if pair[0] != pair[1]]
    problem = f"life {life}: no instant from act {acts[0]} to {acts[1]} has these episodes: {differing[:3]!r:.400}"
    finding.contradict(-1 - life, problem)
    return 0, 0


def _compare_numbers(file: h5py.File, places: list[_Found], finding: Finding) -> None:
    """Compare what plain h5py reads: the place of every row, and its step."""
    columns = {name: file[name][:] for name in ("observations/at", "actions", "rewards", "dones")}
    for number, ((life, lane, episode, _), kept, start) in enumerate(places):
        rows = slice(start, start + kept.length + 1)
        steps = range(kept.length + 1)
        wanted = {
            "observations/at": [[life, lane, episode, step] for step in steps],
            "actions": [action_at(lane, episode, step) for step in steps[:-1]] + [0],
            "rewards": [reward_at((life, lane, episode, step + 1)) for step in steps[:-1]] + [0.0],
            "dones": [kept.is_over and step == kept.length - 1 for step in steps],
        }
        for name, values in wanted.items():
            if columns[name][rows, lane].tolist() != values:
                finding.contradict(number, f"/{name} of lane {lane} from row {start} on is not {values!r:.200}")


def episode_problem(episode: h5r.Episode, env: str, life: int, kept: Kept) -> str:
    """The first difference between an episode and what its environment gave, empty if there is none."""
    is_rich, length = COURSES[env].is_rich, kept.length
    places: list[Place] = [(life, kept.lane, kept.number, step) for step in range(length + 1)]
    wanted: dict[str, list[Any]] = {
        "observations": [observation_at(place, is_rich=is_rich) for place in places],
        "infos": [info_at(place, is_rich=is_rich) for place in places],
        "actions": [np.int64(action_at(*place[1:])) for place in places[:-1]],
        "rewards": [np.float64(reward_at(place)) for place in places[1:]],
        "terminations": [np.bool_(_ends(kept, place) and place[2] % 2 == 0) for place in places[1:]],
        "truncations": [np.bool_(_ends(kept, place) and place[2] % 2 == 1) for place in places[1:]],
    }
    if is_rich:
        wanted["extras"] = [extras_at(place) for place in places[:-1]]
    for name, values in wanted.items():
        column: Any = getattr(episode, name)
        if len(column) != len(values):
            return f"{len(column)} {name}, expected {len(values)}"
        for at, value in enumerate(values):
            if not identical(column[at], value):
                return f"{name}[{at}] of {places[at]} is {column[at]!r:.200}, expected {value!r:.200}"
    total = 0.0
    for place in places[1:]:
        total += reward_at(place)
    entry = (episode.total_reward, episode.complete, episode.env)
    if entry != (total, kept.is_over, kept.lane):
        return f"the index says {entry}, expected {(total, kept.is_over, kept.lane)}"
    seed = 1000 * life + kept.lane if kept.number == 0 else None
    return "" if episode.seed == seed else f"the seed {episode.seed}, expected {seed}"


def _ends(kept: Kept, place: Place) -> bool:
    return kept.is_over and place[3] == kept.length
