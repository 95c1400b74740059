"""``branch``: a live environment that stands where a recording stood at a step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import DivergedError, NotReplayableError, OptionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet, make_snapshot_set
from gym_h5record.replay.episode_check import Comparison, go_to, make_comparison
from gym_h5record.replay.lineage import all_before, alone, branches_off, survivor
from gym_h5record.replay.rebuild import EnvFactory, build_env
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome, Rerun

__all__ = ["Branch", "branch", "standing"]


class Branch(gym.Wrapper[ObsType, ActType, ObsType, ActType]):
    """An environment in the middle of a recorded episode.

    It can be stepped at once. Its first ``reset`` without a seed gives what the recording gave at
    that step, and changes nothing: so wrap it in ``RecordToHDF5`` and reset to
    record what becomes of it. Later resets are those of the environment.

    Args:
        env: The environment, standing there.
        observation: The newest observation.
        info: The info that came with it.
        recording_parent: Where it stands: ``path``, ``run_id``, ``episode`` and ``step``. A recorder
            around it writes it into its metadata, as ``recording_parent``.
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        observation: ObsType,
        info: dict[str, Any],
        recording_parent: dict[str, Any],
    ) -> None:
        super().__init__(env)
        self.recording_parent: dict[str, Any] | None = recording_parent
        self._here: tuple[ObsType, dict[str, Any]] | None = (observation, info)

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]  # a property, as in gymnasium.Wrapper
        """The spec of the environment: where it stands is no part of that."""
        return self.env.spec

    @property
    def continues_episode(self) -> bool:
        """Whether the next reset goes on in the recorded episode: nothing is reset, so nothing is kept for it."""
        return self._here is not None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin where the recording stood, then as the environment does."""
        here, self._here = self._here, None
        if here is not None and seed is None and options is None:
            return here
        return self.env.reset(seed=seed, options=options)

    def step(self, action: ActType) -> tuple[ObsType, Any, bool, bool, dict[str, Any]]:
        """Step on from there."""
        self._here = None
        return self.env.step(action)


def branch(
    path: str | os.PathLike[str],
    episode: int,
    step: int,
    env: EnvFactory | None = None,
    *,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    """Put a live environment where a recording stood, generators included, and play on from there.

    The way there is the recorded one, from the reset on; what it gives is compared with the recording
    at every step. Where that differs, or something is known to outlive resets, it leads
    through all episodes before.

    Args:
        path: The recording.
        episode: Number of the episode; negative ones count from the end.
        step: How many of its steps are behind the environment: 0 is just after the reset.
        env: The environment, or a function that makes one; None to make it from the file.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that are not known here.

    Returns:
        The environment, and the observation and info that it gave last.

    Raises:
        OptionError: If there is no such episode or step.
        DivergedError: If the environment does not do again what was recorded.
        NotReplayableError: If the episode cannot be run again.
        UnbuildableEnvError: If the environment cannot be made from the file.
    """
    means = _Means(env, make_snapshot_set(tuple(snapshots)), make_comparison(ignore=ignore))
    return _branch(path, episode, index(step), means)


@dataclass(frozen=True)
class _Means:
    """What it takes to run a recording again: an environment, who puts back its states, how to compare."""

    env: EnvFactory | None
    snapshots: SnapshotSet
    comparison: Comparison


def _branch(
    path: str | os.PathLike[str], episode: int, step: int, means: _Means
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    with Recording(path) as recording:
        if not -recording.num_episodes <= episode < recording.num_episodes:
            raise OptionError(f"episode={episode}: {recording.path} has {recording.num_episodes} episodes.")
        target = recording.episodes[episode]
        if not 0 <= step <= target.length:
            raise OptionError(f"step={step}: episode {target.number} has {target.length} steps.")
        live, outcome = _arrive(recording, target, step, means)
        run_id = recording.metadata.get("run_id", "")
        parent = {"path": str(recording.path), "run_id": run_id, "episode": target.number, "step": step}
        return Branch(live, outcome.observation, outcome.info, parent), outcome.observation, outcome.info


def _arrive(recording: Recording, target: Episode, step: int, means: _Means) -> tuple[gym.Env[Any, Any], Outcome]:
    """Go to a step by the first way that is the recorded one."""
    env, snapshots, comparison = means.env, means.snapshots, means.comparison
    where: Divergence | None = None
    for chain, is_alone in _ways(recording, target.number):
        live = build_env(recording, env)
        try:
            begun = standing(live, recording, chain[0].number, snapshots, comparison)
            rerun = Rerun(recording, begun, snapshots)
            where = go_to(rerun, chain, step, comparison, restore_all=is_alone)
            if where is None and rerun.last is not None:
                return live, rerun.last
        except BaseException:
            _close(live, env)
            raise
        _close(live, env)
        if isinstance(env, gym.Env):
            break
    raise DivergedError(
        f"{recording.path}: the environment is not where the recording was: {where}. gym_h5record.verify says more."
    )


def _ways(recording: Recording, number: int) -> list[tuple[list[Episode], bool]]:
    """Episodes that lead to one: itself alone, all before it, the likelier way first; and whether it is the former."""
    try:
        first = [(alone(recording, number), True)]
    except NotReplayableError:
        return [(all_before(recording, number), False)]
    try:
        second = [(all_before(recording, number), False)]
    except NotReplayableError:
        return first
    return [*second, *first] if survivor(recording) else [*first, *second]


def standing(
    live: gym.Env[Any, Any], recording: Recording, number: int, snapshots: SnapshotSet, comparison: Comparison
) -> gym.Env[Any, Any]:
    """An environment in which an episode can begin: where another recording stood, if it branches off one.

    Args:
        live: The environment.
        recording: The episode is of it.
        number: Of the episode.
        snapshots: Puts generators and simulators back on the way there.
        comparison: How to compare what the way there gives.

    Raises:
        NotReplayableError: If that other one is not there.
    """
    if not branches_off(recording, number):
        return live
    parent = recording.metadata["recording_parent"]
    means = _Means(live, snapshots, comparison)
    return _branch(_found(recording, parent), int(parent["episode"]), int(parent["step"]), means)[0]


def _found(recording: Recording, parent: dict[str, Any]) -> Path:
    """The recording that another one branches off: where it was, or beside it."""
    path = Path(str(parent["path"]))
    for place in (path, recording.path.with_name(path.name)):
        if place.is_file() and _run_id(place) == parent["run_id"] != recording.metadata.get("run_id"):
            return place
    raise NotReplayableError(f"it branches off {path}, which is not there, or another recording by now")


def _run_id(path: Path) -> Any:
    with Recording(path) as recording:
        return recording.metadata.get("run_id")


def _close(live: gym.Env[Any, Any], env: EnvFactory | None) -> None:
    if not isinstance(env, gym.Env):
        live.close()
