"""Repairs the files that a crash has left, and compares them with the acknowledged steps.

Every episode in the file is compared with the same episode played again: the type and every
bit of each observation, action, reward, flag and info, and the entry of the index.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import gym_h5record as h5r
from gym_h5record.errors import RecordingInUseError, RecordingNotFoundError
from gym_h5record.values.exact import identical

from .findings import Finding
from .lane_inspection import compare_lanes
from .lanes import has_lanes
from .plays import LIFE, Play, fate_of, rehearse
from .promises import Promise, promise
from .studio import Fate

__all__ = ["inspect"]

_PATIENCE_S = 10.0
_COLUMNS = ("observations", "infos", "actions", "rewards", "terminations", "truncations")
_OPTIONAL = ("frames", "extras")


def inspect(path: Path, env: str, acknowledged: list[int], least: list[int] | None = None) -> Finding:
    """Repair a recording and compare it.

    Args:
        path: The recording. Its folder has no other files than its own.
        env: The environment that was recorded.
        acknowledged: Acts that had returned, by life.
        least: Acts that have to be in the file, by life, if those are fewer. Used with lanes only: of other
            environments the caller compares the numbers of steps.
    """
    promises = [promise(env, life, acts) for life, acts in enumerate(acknowledged)]
    finding = Finding(found=[0] * len(acknowledged), promised=[each.steps[0] for each in promises])
    try:
        report = _repair(path)
        if report.problem:
            finding.problems.append(report.problem)
            return finding
        with h5r.Recording(path) as recording:
            if has_lanes(env):
                compare_lanes(recording, env, acknowledged, least, finding)
            else:
                _compare(recording, env, promises, finding)
                _check_discarded(recording.metadata["discarded_episodes"], promises, finding)
        if report.num_steps != sum(finding.found):
            finding.contradict(0, f"repair says {report.num_steps} steps, there are {sum(finding.found)}")
        if not has_lanes(env):
            _check_index(path, finding)
        finding.opens = True
    except RecordingNotFoundError as error:
        finding.is_empty = not any(acts > has_lanes(env) for acts in acknowledged)  # a reset alone is not recorded
        if not finding.is_empty:
            finding.problems.append(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  # any error is a finding
        finding.problems.append(f"{type(error).__name__}: {error}")
    finding.strays = sorted(each.name for each in path.parent.iterdir() if each != path)
    return finding


def _repair(path: Path) -> h5r.RepairReport:
    """Repair a recording. Its writer process may still hold the lock: try again for ``_PATIENCE_S``."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        with suppress(RecordingInUseError):
            return h5r.repair(path)
    return h5r.repair(path)


def _compare(recording: h5r.Recording, env: str, promises: list[Promise], finding: Finding) -> None:
    """Compare all episodes.

    Within a life their seeds must count up without a gap, but for discarded episodes; and lives must be in order.
    """
    seeds = [episode.seed for episode in recording.episodes]
    # A first recorder that ended before its first step has fixed the columns without having seen a reward.
    is_blind = recording.returns.ndim == 1
    before = -1
    for number, (seed, after) in enumerate(zip(seeds, [*seeds[1:], None][: len(seeds)], strict=True)):
        if seed is None or not 0 <= seed // LIFE < len(finding.found):
            finding.contradict(number, f"it has the seed {seed}")
            continue
        life = seed // LIFE
        is_last = after is None or after // LIFE != life
        missing = range(max(before + 1, life * LIFE), seed)
        if seed <= before or any(fate_of(env, each) is Fate.KEPT for each in missing):
            finding.contradict(number, f"the seed {seed} follows upon {before}")
        if seed in promises[life].gone or (not is_last and fate_of(env, seed) is not Fate.KEPT):
            finding.contradict(number, f"the episode of the seed {seed} had been discarded")
        before = seed
        episode = recording.episodes[number]
        finding.found[life] += episode.length
        problem = _difference(episode, rehearse(env, seed), is_last=is_last, is_blind=is_blind)
        if is_last and finding.found[life] > promises[life].steps[1]:
            problem = f"{finding.found[life]} steps of life {life}, more than {promises[life].steps[1]}"
        if problem:
            finding.contradict(number, problem)


def _check_discarded(found: int, promises: list[Promise], finding: Finding) -> None:
    """Check how many episodes the metadata says were discarded."""
    least, most = (sum(bounds) for bounds in zip((0, 0), *(each.discarded for each in promises), strict=True))
    if not least <= found <= most:
        finding.contradict(0, f"the metadata says {found} discarded episodes, expected {least} to {most}")


def _difference(episode: h5r.Episode, played: Play, *, is_last: bool, is_blind: bool) -> str:
    """The first difference between an episode and its play, empty if there is none.

    Args:
        episode: The episode.
        played: What was played.
        is_last: Whether it is the last of its life, which may have been cut short.
        is_blind: Whether the columns are those of numbers as rewards: a total of arrays is then not a number.
    """
    length, whole = episode.length, len(played.actions)
    if length > whole or (length < whole and not is_last):
        return f"{length} of {whole} steps"
    for name in (*_COLUMNS, *(each for each in _OPTIONAL if getattr(played, each))):
        column = getattr(episode, name)
        expected = getattr(played, name)[: length + (name in ("observations", "infos", "frames"))]
        if len(column) != len(expected):
            return f"{len(column)} {name}, expected {len(expected)}"
        for at, value in enumerate(expected):
            if not identical(column[at], value):
                return f"{name}[{at}] is {str(column[at])[:200]}, expected {str(value)[:200]}"
    terminated = length > 0 and bool(played.terminations[length - 1])
    truncated = length > 0 and bool(played.truncations[length - 1])
    entry = (episode.terminated, episode.truncated, episode.complete, episode.total_reward)
    has_arrays = np.ndim(played.rewards[0]) > 0
    total: Any = np.zeros(np.shape(played.rewards[0])) if has_arrays and not is_blind else 0.0
    for reward in played.rewards[:length]:
        total = np.nan if has_arrays and is_blind else total + (reward if has_arrays else float(reward))
    expected_entry = (terminated, truncated, terminated or truncated, total)
    return "" if identical(entry, expected_entry) else f"the index says {entry}, expected {expected_entry}"


def _check_index(path: Path, finding: Finding) -> None:
    """Check with plain h5py that the episodes are contiguous and the flags agree with each other."""
    with h5py.File(path) as file:
        rows, episodes = (int(count) for count in file["commit"][:2])
        starts, lengths = file["episodes/starts"][:episodes], file["episodes/lengths"][:episodes]
        ends = starts + lengths + 1
        for number, (start, end) in enumerate(zip(starts, [0, *ends][: len(starts)], strict=True)):
            if start != end:
                finding.contradict(number, f"it starts at row {start}, the one before ends at row {end}")
        if (ends[-1] if episodes else 0) != rows:
            finding.contradict(episodes, f"the episodes do not fill the {rows} rows")
        if (np.diff(file["times"][:rows]) < 0).any():
            finding.contradict(episodes, "/times goes back")
        dones = file["dones"][:rows]
        if (dones != (file["terminations"][:rows] | file["truncations"][:rows])).any() or dones[ends - 1].any():
            finding.contradict(episodes, "/dones contradicts the other flags")
