"""``branch``: a live environment at a step of a recorded episode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import ComparisonRules, go_to, make_comparison_rules
from gym_h5record.replay.lineage import (
    branches_off,
    chosen_numbers,
    since_first_known,
    since_known_reset,
    surviving_state,
)
from gym_h5record.replay.rebuild import EnvFactory, build_env, close_if_built
from gym_h5record.replay.rerun import Outcome, Rerun

__all__ = ["Branch", "RerunSetup", "at_branch_point", "branch"]


class Branch(gym.Wrapper[ObsType, ActType, ObsType, ActType]):
    """An environment in the middle of a recorded episode.

    It can be stepped at once. Its first ``reset`` without seed and options resets nothing; it returns the newest
    observation and info. So wrap it in ``RecordToHDF5`` and call ``reset`` to record from this step on. Later resets
    reset the environment.

    Attributes:
        recording_parent: The step: ``path``, ``run_id``, ``episode`` and ``step``. ``RecordToHDF5`` writes it into the
            metadata of its recording.
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
        self._newest: tuple[ObsType, dict[str, Any]] | None = (observation, info)

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]  # a property, as in gymnasium.Wrapper
        """The spec of the environment inside: this wrapper is not part of it."""
        return self.env.spec

    @property
    def continues_episode(self) -> bool:
        """Whether a bare reset would return the newest observation: then it needs no snapshot."""
        return self._newest is not None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """The first time without arguments, return the newest observation and info; otherwise reset."""
        newest, self._newest = self._newest, None
        if newest is not None and seed is None and options is None:
            return newest
        return self.env.reset(seed=seed, options=options)

    def step(self, action: ActType) -> tuple[ObsType, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        self._newest = None
        return self.env.step(action)


def branch(
    path: str | os.PathLike[str],
    episode: int,
    step: int,
    *,
    env: EnvFactory | None = None,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    """Run an environment to a recorded step and return it there, generators included.

    The episode is run from its reset with the recorded actions, and compared with the recording at every step.
    If it differs, or the environment is known to keep state across resets, all episodes before it are run first.

    Args:
        path: The recording.
        episode: Number of the episode; negative ones count from the end.
        step: How many of its steps have been taken: 0 is just after the reset.
        env: The environment, or a function that makes one; None to make it from the file.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that this package does not know.

    Returns:
        The environment, and its newest observation and info.

    Raises:
        OptionError: If the episode or the step does not exist.
        DivergedError: If the environment does something else than was recorded.
        NotReplayableError: If the episode cannot be run again.
        UnbuildableEnvError: If the environment cannot be made from the file.
    """
    return _branch(path, episode, index(step), RerunSetup(env, tuple(snapshots), make_comparison_rules(ignore=ignore)))


@dataclass(frozen=True)
class RerunSetup:
    """How to run episodes again. ``verify`` pickles it for worker processes."""

    env: EnvFactory | None
    providers: tuple[SnapshotProvider, ...]
    rules: ComparisonRules


def at_branch_point(live: gym.Env[Any, Any], recording: Recording, number: int, setup: RerunSetup) -> gym.Env[Any, Any]:
    """The environment in which an episode can begin.

    That is ``live`` itself, unless the episode branches off another recording: then ``live`` is run to the step of the
    other recording.

    Raises:
        NotReplayableError: If the other recording is missing.
    """
    if not branches_off(recording, number):
        return live
    parent = recording.metadata["recording_parent"]
    place, episode, step = _find_parent(recording, parent), int(parent["episode"]), int(parent["step"])
    return _branch(place, episode, step, replace(setup, env=live))[0]


# Running to the step ------------------------------------------------------------------------------


def _branch(
    path: str | os.PathLike[str], episode: int, step: int, setup: RerunSetup
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    with Recording(path) as recording:
        target = recording.episodes[chosen_numbers(recording, [episode])[0]]
        if not 0 <= step <= target.length:
            raise OptionError(f"step={step}: episode {target.number} has {target.length} steps.")
        live, outcome = _run_to(recording, target, step, setup)
        run_id = recording.metadata.get("run_id", "")
        parent = {"path": str(recording.path), "run_id": run_id, "episode": target.number, "step": step}
        return Branch(live, outcome.observation, outcome.info, parent), outcome.observation, outcome.info


def _run_to(recording: Recording, target: Episode, step: int, setup: RerunSetup) -> tuple[gym.Env[Any, Any], Outcome]:
    """Try each sequence of episodes that leads to the target, until one does what was recorded."""
    sequences = _sequences_to(recording, target.number)
    if isinstance(setup.env, gym.Env):  # a second try needs a fresh environment
        del sequences[1:]
    for episodes, runs_alone in sequences:
        with ExitStack() as unless_there:
            live = build_env(recording, setup.env)
            unless_there.callback(close_if_built, live, setup.env)
            begun = at_branch_point(live, recording, episodes[0].number, setup)
            rerun = Rerun(recording, begun, make_snapshot_set(setup.providers))
            try:
                outcome = go_to(rerun, episodes, step, setup.rules, restore_all=runs_alone)
            except DivergedError as error:
                diverged = error
                continue
            unless_there.pop_all()
            return live, outcome
    raise diverged


def _sequences_to(recording: Recording, number: int) -> list[tuple[list[Episode], bool]]:
    """Sequences of episodes that lead to one, the likelier first; each with whether it runs that episode alone."""
    try:
        first = [(since_known_reset(recording, number), True)]
    except NotReplayableError:
        return [(since_first_known(recording, number), False)]
    try:
        second = [(since_first_known(recording, number), False)]
    except NotReplayableError:
        return first
    return [*second, *first] if surviving_state(recording) else [*first, *second]


def _find_parent(recording: Recording, parent: dict[str, Any]) -> Path:
    """The recording that this one branches off: at its recorded path, or in the directory of this one."""
    path = Path(str(parent["path"]))
    for place in (path, recording.path.with_name(path.name)):
        if place.is_file():
            with Recording(place) as other:
                if other.metadata.get("run_id") == parent["run_id"] != recording.metadata.get("run_id"):
                    return place
    raise NotReplayableError(f"it branches off {path}, which is missing or has been replaced by another recording")
