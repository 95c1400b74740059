"""``branch``: a live environment at a step of a recorded episode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import DivergedError, NotReplayableError, OptionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import check_episode, go_to
from gym_h5record.replay.lineage import (
    branches_off,
    chosen_numbers,
    since_first_known,
    since_known_reset,
    surviving_state,
)
from gym_h5record.replay.outcome_comparison import ComparisonRules, make_comparison_rules
from gym_h5record.replay.rebuild import EnvFactory, build_env, close_if_built
from gym_h5record.replay.rerun import Outcome, Rerun, missing_clause
from gym_h5record.replay.vector_description import check_lanes_alone, ignored_infos

__all__ = ["Branch", "RerunSetup", "at_branch_point", "branch"]


class Branch(gym.Wrapper[ObsType, ActType, ObsType, ActType]):
    """An environment in the middle of a recorded episode.

    It can be stepped at once. Its first ``reset`` without seed and options resets nothing; it returns the newest
    observation and info. So wrap it in ``RecordToHDF5`` and call ``reset`` to record from this step on. Later resets
    reset the environment.

    Attributes:
        recording_parent: The step: ``path``, ``run_id``, ``episode`` and ``step``; and ``in_sequence``, True, if the
            episodes before it were run first. ``RecordToHDF5`` writes it into the metadata of its recording.
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
    lookahead_steps: int | None = 1_000,
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    """Run an environment to a recorded step and return it there, generators included.

    The episode is run from its reset with the recorded actions, and compared with the recording at every step.
    A second environment, made and run in the same way, goes on with the recorded actions: its steps must be the
    recorded ones, too. If something differs, or the environment is known to keep state across resets, all episodes
    before it are run first.

    Args:
        path: The recording.
        episode: Number of the episode; negative ones count from the end.
        step: How many of its steps have been taken: 0 is just after the reset.
        env: The environment, or a function that makes one; None to make it from the file. With one environment there
            is no second one, so nothing is compared after ``step``.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that this package does not know.
        lookahead_steps: How many recorded steps after ``step`` are compared; None for all of the episode, 0 for none.

    Returns:
        The environment, and its newest observation and info.

    Raises:
        OptionError: If the episode or the step does not exist, or ``lookahead_steps`` is negative.
        DivergedError: If the environment does something else than was recorded, up to the step or after it.
        NotReplayableError: If the episode cannot be run again; always if a vector environment stepped all of its lanes
            as one.
        UnbuildableEnvError: If the environment cannot be made from the file.
    """
    if lookahead_steps is not None and index(lookahead_steps) < 0:
        raise OptionError(f"lookahead_steps={lookahead_steps}: expected 0 or more, or None for the whole episode.")
    setup = RerunSetup(env, tuple(snapshots), make_comparison_rules(ignore=ignore))
    return _branch(path, episode, index(step), setup, lookahead_steps)


@dataclass(frozen=True)
class RerunSetup:
    """How to run episodes again. ``verify`` pickles it for worker processes."""

    env: EnvFactory | None
    providers: tuple[SnapshotProvider, ...]
    rules: ComparisonRules

    def for_lanes_of(self, recording: Recording) -> RerunSetup:
        """The setup that leaves out what a lane that is run alone cannot give."""
        return replace(self, rules=replace(self.rules, ignore=(*self.rules.ignore, *ignored_infos(recording))))


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
    in_sequence = parent.get("in_sequence") is True
    return _branch(place, episode, step, replace(setup, env=live), lookahead_steps=0, in_sequence=in_sequence)[0]


# Running to the step ------------------------------------------------------------------------------


class _Sequence(NamedTuple):
    """Episodes that lead to one, which is the last of them; and whether every reset among them is restored."""

    episodes: list[Episode]
    runs_alone: bool


def _branch(
    path: str | os.PathLike[str],
    episode: int,
    step: int,
    setup: RerunSetup,
    lookahead_steps: int | None,
    *,
    in_sequence: bool = False,
) -> tuple[Branch[Any, Any], Any, dict[str, Any]]:
    """``branch``; with ``in_sequence`` the episodes before are run at once, and not only at the second try."""
    with Recording(path) as recording:
        target = recording.episodes[chosen_numbers(recording, [episode])[0]]
        check_lanes_alone(recording)
        setup = setup.for_lanes_of(recording)
        if not 0 <= step <= target.length:
            raise OptionError(f"step={step}: episode {target.number} has {target.length} steps.")
        stop = target.length if lookahead_steps is None else min(step + lookahead_steps, target.length)
        sequences = _sequences_to(recording, target.number, in_sequence=in_sequence)
        live, outcome, sequence = _run_to(recording, sequences, step, stop, setup)
        run_id = recording.metadata.get("run_id", "")
        parent = {"path": str(recording.path), "run_id": run_id, "episode": target.number, "step": step}
        if not sequence.runs_alone:
            parent["in_sequence"] = True
        return Branch(live, outcome.observation, outcome.info, parent), outcome.observation, outcome.info


def _run_to(
    recording: Recording, sequences: list[_Sequence], step: int, stop: int, setup: RerunSetup
) -> tuple[gym.Env[Any, Any], Outcome, _Sequence]:
    """Try each sequence until one does what was recorded: up to ``step``, and in another environment up to ``stop``."""
    is_one_env = isinstance(setup.env, gym.Env)
    ahead: DivergedError | None = None
    for sequence in sequences[:1] if is_one_env else sequences:  # a second try needs a fresh environment
        # First, and closed before the other one is made: the environment may use things that all of its kind share.
        found = None if is_one_env or step == stop else _look_ahead(recording, sequence, step, stop, setup)
        with ExitStack() as unless_there:
            live, rerun = _begin(unless_there, recording, sequence, setup)
            try:
                outcome = go_to(rerun, sequence.episodes, step, setup.rules, restore_all=sequence.runs_alone)
            except DivergedError as error:
                diverged = error
                continue
            if found is None:
                unless_there.pop_all()
                return live, outcome, sequence
            ahead = ahead or found
    raise ahead or diverged


def _begin(
    stack: ExitStack, recording: Recording, sequence: _Sequence, setup: RerunSetup
) -> tuple[gym.Env[Any, Any], Rerun]:
    """An environment in which a sequence can begin; the stack closes it."""
    live = build_env(recording, setup.env)
    stack.callback(close_if_built, live, setup.env)
    begun = at_branch_point(live, recording, sequence.episodes[0].number, setup)
    return live, Rerun(recording, begun, make_snapshot_set(setup.providers))


def _look_ahead(
    recording: Recording, sequence: _Sequence, step: int, stop: int, setup: RerunSetup
) -> DivergedError | None:
    """Run an environment of its own up to ``stop``; the error if it does something else than was recorded."""
    *before, last = sequence.episodes
    with ExitStack() as stack:
        _, rerun = _begin(stack, recording, sequence, setup)
        try:
            rerun.play(before, restore_all=sequence.runs_alone)
            restore = sequence.runs_alone or not before
            checked = check_episode(rerun, last, setup.rules, restore=restore, num_steps=stop)
        except NotReplayableError:  # of an action that the file has as text; go_to raises it if it is before ``step``
            return None
    if checked.divergence is None:
        return None
    clause = missing_clause(rerun)
    return DivergedError(
        f"{recording.path}: the environment can be taken to step {step} of episode {last.number}, but another one that "
        f"was made and run in the same way does something else than was recorded: {checked.divergence}. "
        "The snapshot lacks something that the environment depends on, such as a generator in compiled code: save it "
        f"with a SnapshotProvider, snapshots=[...]. {clause and f'Also, {clause}. '}"
        "Leave out infos that change on every run with ignore=. lookahead_steps=0 skips this check."
    )


def _sequences_to(recording: Recording, number: int, *, in_sequence: bool) -> list[_Sequence]:
    """The sequences of episodes that lead to one, the likelier first."""
    try:
        first = _Sequence(since_known_reset(recording, number), runs_alone=True)
    except NotReplayableError:
        return [_Sequence(since_first_known(recording, number), runs_alone=False)]
    try:
        second = _Sequence(since_first_known(recording, number), runs_alone=False)
    except NotReplayableError:
        return [first]
    if len(second.episodes) == len(first.episodes):  # they are the same
        return [first]
    return [second, first] if in_sequence or surviving_state(recording) else [first, second]


def _find_parent(recording: Recording, parent: dict[str, Any]) -> Path:
    """The recording that this one branches off: at its recorded path, or in the directory of this one."""
    path = Path(str(parent["path"]))
    for place in (path, recording.path.with_name(path.name)):
        if place.is_file():
            with Recording(place) as other:
                if other.metadata.get("run_id") == parent["run_id"] != recording.metadata.get("run_id"):
                    return place
    raise NotReplayableError(f"it branches off {path}, which is missing or has been replaced by another recording")
