"""``evaluate``: does a policy choose what was recorded, and what does it earn from where episodes began?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from gym_h5record.errors import OptionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.replay.evaluation.agreement import Tally, make_tally
from gym_h5record.replay.evaluation.bootstrap import mean_interval
from gym_h5record.replay.evaluation.closed_loop import run_live
from gym_h5record.replay.evaluation.policy import Policy, begin_episode, noting
from gym_h5record.replay.evaluation.reports import EpisodeEvaluation, EvaluationReport
from gym_h5record.replay.lineage import chosen_numbers
from gym_h5record.replay.rebuild import EnvFactory

__all__ = ["evaluate"]


def evaluate(
    policy: Policy,
    path: str | os.PathLike[str],
    episodes: Sequence[int] | None = None,
    *,
    closed_loop: bool = False,
    env: EnvFactory | None = None,
    seed: int = 0,
    max_steps: int | None = None,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Evaluate a policy on recorded episodes.

    In an open loop it is shown every recorded observation that was acted upon, and its actions are
    compared with the recorded ones; no environment is needed. In a closed loop the environment is put
    where each episode began, and the policy acts until it ends. The two returns are compared
    episode by episode, means with 95 % bootstrap intervals (percentile method, 10,000 resamples).
    Episodes that were not ended by the environment, as recorded or as played, are reported and
    left out of the means: their returns are of a part. For a closed loop the environment, and
    modules that the file names, are imported and run: use recordings of people you trust.

    Args:
        policy: Called with an observation, returns an action. If it has a method ``reset``, that is
            called before each episode.
        path: The recording.
        episodes: Numbers of the episodes, None for all; negative ones count from the end.
        closed_loop: Whether the policy acts itself.
        env: For a closed loop the environment, or a function that makes one; None to make it from the file.
        seed: Of the bootstrap's resamples; nothing else is random here.
        max_steps: For a closed loop, when to stop an episode that the environment has not ended.
        ignore: For a closed loop, paths into infos that are not compared, as for ``verify``.
        snapshots: For a closed loop, providers for simulators that are not known here.
        on_progress: Called with the number of episodes that are done, and of all.

    Raises:
        OptionError: If an episode does not exist, or options do not fit each other.
        UnbuildableEnvError: If the environment cannot be made from the file.
        EnvMismatchError: If it is another one.
        Exception: What the policy or the environment raises, with a note of episode and step.

    Example:
        >>> report = evaluate(lambda observation: 1, cartpole_path)
        >>> report.agreement.steps == sum(each.length for each in report.episodes)
        True
        >>> evaluate(lambda observation: 1, cartpole_path, closed_loop=True, max_steps=500).live_return.count
        3
    """
    if seed < 0:
        raise OptionError(f"seed={seed}: expected 0 or more.")
    if not closed_loop and (env is not None or max_steps is not None or ignore or snapshots):
        raise OptionError("env, max_steps, ignore and snapshots are for a closed loop; no environment is run here.")
    if max_steps is not None and max_steps < 1:
        raise OptionError(f"max_steps={max_steps}: expected 1 or more, or None.")
    with Recording(path) as recording:
        total = make_tally(recording.action_space)
        done: list[EpisodeEvaluation] = []
        numbers = chosen_numbers(recording, episodes)
        for number in numbers:
            episode = recording.episodes[number]
            if closed_loop:
                done.append(run_live(policy, recording, episode, env, max_steps, ignore=ignore, snapshots=snapshots))
            else:
                done.append(_compare(policy, episode, make_tally(recording.action_space), total))
            if on_progress is not None:
                on_progress(len(done), len(numbers))
        if closed_loop:
            return _closed_report(recording, done, seed)
        return EvaluationReport(recording.path, closed_loop, tuple(done), total.agreement())


def _compare(policy: Policy, episode: Episode, tally: Tally, total: Tally) -> EpisodeEvaluation:
    """Show a policy what was observed, and count its actions."""
    begin_episode(policy, episode.number)
    observations, actions = episode.observations, episode.actions
    for step in range(episode.length):
        observation, recorded = observations[step], actions[step]
        with noting(f"raised by the policy, in episode {episode.number} at step {step}"):
            chosen = policy(observation)
        tally.add(recorded, chosen)
        total.add(recorded, chosen)
    return EpisodeEvaluation(
        episode.number, episode.length, episode.total_reward, episode.complete, agreement=tally.agreement()
    )


def _closed_report(recording: Recording, done: list[EpisodeEvaluation], seed: int) -> EvaluationReport:
    pairs = [(each.total_reward, each.live.total_reward) for each in done if each.live is not None and each.is_paired]
    return EvaluationReport(
        recording.path,
        closed_loop=True,
        episodes=tuple(done),
        recorded_return=mean_interval([recorded for recorded, _ in pairs], seed),
        live_return=mean_interval([live for _, live in pairs], seed),
        difference=mean_interval([live - recorded for recorded, live in pairs], seed),
    )
