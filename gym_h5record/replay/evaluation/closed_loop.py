"""``run_live``: a policy acts from where a recorded episode began until the environment ends the episode."""

from __future__ import annotations

from collections.abc import Sequence

from gym_h5record.errors import DivergedError, NotReplayableError, SnapshotError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.branching import branch
from gym_h5record.replay.evaluation.policy import Policy, begin_episode, noting
from gym_h5record.replay.evaluation.reports import EpisodeEvaluation, LiveEpisode
from gym_h5record.replay.rebuild import EnvFactory, close_if_built
from gym_h5record.replay.rerun import Outcome, Rerun
from gym_h5record.values.exact import reward_number

__all__ = ["run_live"]


def run_live(
    policy: Policy,
    recording: Recording,
    episode: Episode,
    *,
    env: EnvFactory | None,
    max_steps: int | None,
    ignore: str | Sequence[str],
    snapshots: Sequence[SnapshotProvider],
) -> EpisodeEvaluation:
    """Reset the environment as the recorded episode did, and let the policy act.

    Each episode gets a fresh environment unless the user passes one, so that the actions of one episode do not change
    the next.
    The first observation and info must be the recorded ones. State that survives resets and does not show in them is
    restored only if ``lineage.surviving_state`` knows it: the world of BipedalWalker and running statistics.

    The options are those of ``evaluate``. The result has a ``reason`` if the environment did not begin where the
    recording did.
    """
    recorded = (episode.number, episode.length, episode.total_reward, episode.complete)
    try:
        live, observation, info = branch(
            *(recording.path, episode.number, 0), env=env, ignore=ignore, snapshots=snapshots, lookahead_steps=0
        )
    except (NotReplayableError, SnapshotError, DivergedError) as error:
        return EpisodeEvaluation(*recorded, reason=str(error))
    try:
        # Rerun renders where the recorder did: rendering may draw random numbers.
        rerun = Rerun(recording, live, make_snapshot_set(wanted=False))
        played = _act(policy, rerun, Outcome(observation, info, None), episode.number, max_steps)
    finally:
        close_if_built(live, env)
    return EpisodeEvaluation(*recorded, live=played)


def _act(policy: Policy, rerun: Rerun, outcome: Outcome, number: int, max_steps: int | None) -> LiveEpisode:
    begin_episode(policy, number)
    total, step, terminated, truncated = 0.0, 0, False, False
    while not (terminated or truncated or step == max_steps):
        with noting(f"raised by the policy, in episode {number} at step {step} of a closed loop"):
            action = policy(outcome.observation)
        with noting(f"raised by the environment, in episode {number} at step {step} of a closed loop"):
            outcome = rerun.step(action)
        reward, terminated, truncated = outcome.step or (0.0, False, False)
        total += reward_number(reward)
        step += 1
    return LiveEpisode(total, step, bool(terminated), bool(truncated))
