"""A policy acts where a recorded episode began, until the environment ends it."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym

from gym_h5record.errors import DivergedError, NotReplayableError, SnapshotError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.branching import branch
from gym_h5record.replay.evaluation.policy import Policy, begin_episode, noting
from gym_h5record.replay.evaluation.reports import EpisodeEvaluation, LiveEpisode
from gym_h5record.replay.rebuild import EnvFactory
from gym_h5record.replay.rerun import Outcome, Rerun

__all__ = ["run_live"]


def run_live(
    policy: Policy,
    recording: Recording,
    episode: Episode,
    env: EnvFactory | None,
    max_steps: int | None,
    *,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
) -> EpisodeEvaluation:
    """Begin as a recorded episode did and let the policy go on.

    Every episode has an environment of its own, unless the user passes one: nothing that the policy
    does in one episode may reach the next.
    Whether it begins where the episode did is told by the first observation. Something that outlives a
    reset and does not show in it is put back only where it is known to be there, as the world of
    BipedalWalker and running statistics are.

    Args:
        policy: Chooses the actions.
        recording: The recording.
        episode: One of its episodes.
        env: The environment, or what makes one; None to make it from the file.
        max_steps: When to stop if the environment has not ended the episode, None for never.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that are not known here.

    Returns:
        The episode, with ``reason`` if the environment could not be put where it began.
    """
    number, length, total, complete = episode.number, episode.length, episode.total_reward, episode.complete
    try:
        live, observation, info = branch(recording.path, number, 0, env, ignore=ignore, snapshots=snapshots)
    except (NotReplayableError, SnapshotError, DivergedError) as error:
        return EpisodeEvaluation(number, length, total, complete, reason=str(error))
    try:
        # Stepped as recorded episodes are run again: rendered wherever the recorder did, which may draw random numbers.
        rerun = Rerun(recording, live, make_snapshot_set(wanted=False))
        made = _act(policy, rerun, Outcome(observation, info, None), number, max_steps)
    finally:
        if not isinstance(env, gym.Env):
            live.close()
    return EpisodeEvaluation(number, length, total, complete, live=made)


def _act(policy: Policy, rerun: Rerun, outcome: Outcome, number: int, max_steps: int | None) -> LiveEpisode:
    begin_episode(policy, number)
    total, step, terminated, truncated = 0.0, 0, False, False
    while not (terminated or truncated or step == max_steps):
        with noting(f"raised by the policy, in episode {number} at step {step} of a closed loop"):
            action = policy(outcome.observation)
        with noting(f"raised by the environment, in episode {number} at step {step} of a closed loop"):
            outcome = rerun.step(action)
        reward, terminated, truncated = outcome.step or (0.0, False, False)
        total += _number(reward)
        step += 1
    return LiveEpisode(total, step, bool(terminated), bool(truncated))


def _number(reward: object) -> float:
    """What a reward adds to the return: nothing, as in the file's own returns, if it is no number."""
    try:
        return float(reward)  # type: ignore[arg-type]  # that is what is tried
    except (TypeError, ValueError, OverflowError):
        return 0.0
