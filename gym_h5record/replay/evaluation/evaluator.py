"""``evaluate``: compares the actions of a policy with the recorded ones, or its returns with the recorded ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.replay.evaluation.agreement import AgreementCounter, make_agreement_counter
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

    In an open loop the policy is called with the recorded observations, and its actions are compared with the recorded
    ones; this needs no environment. In a closed loop the environment is put where each episode began, and the policy
    acts until it ends. The returns are compared episode by episode; means have 95 % bootstrap intervals (percentile
    method, 10,000 resamples). An episode that the environment did not end, when recorded or now, has only a partial
    return: it is listed, but left out of the means.
    A closed loop imports the environment and the modules that the file names: use only recordings from people you
    trust.

    Args:
        policy: Called with an observation, returns an action. Its method ``reset``, if it has one, is called before
            each episode.
        path: The recording.
        episodes: Numbers of the episodes, None for all; negative ones count from the end.
        closed_loop: Whether the policy acts in the environment.
        env: For a closed loop, the environment or a function that makes one; None to make it from the file.
        seed: Seed of the bootstrap's resamples; nothing else is random here.
        max_steps: For a closed loop, when to stop an episode that the environment does not end.
        ignore: For a closed loop, paths into infos that are not compared, as for ``verify``.
        snapshots: For a closed loop, providers for simulators that this package does not know.
        on_progress: Called with the number of episodes that are done, and the number of all.

    Raises:
        OptionError: If an episode does not exist, options do not fit each other, or rewards are arrays in a closed
            loop, which compares returns.
        UnbuildableEnvError: If the environment cannot be made from the file.
        EnvMismatchError: If its spaces are not the recorded ones.
        Exception: Any error of the policy or the environment, with a note that names episode and step.

    Example:
        >>> report = evaluate(lambda observation: 1, cartpole_path)
        >>> report.agreement.num_steps == report.num_steps
        True
        >>> evaluate(lambda observation: 1, cartpole_path, closed_loop=True, max_steps=500).live_return.count
        3
    """
    if seed < 0:
        raise OptionError(f"seed={seed}: expected 0 or more.")
    if not closed_loop and (env is not None or max_steps is not None or ignore or snapshots):
        raise OptionError(
            "env, max_steps, ignore and snapshots need closed_loop=True: an open loop runs no environment."
        )
    if max_steps is not None and max_steps < 1:
        raise OptionError(f"max_steps={max_steps}: expected 1 or more, or None.")
    with Recording(path) as recording:
        if closed_loop:
            _check_rewards(recording)
        overall = make_agreement_counter(recording.action_space)
        if closed_loop:
            run = partial(run_live, policy, recording, env=env, max_steps=max_steps, ignore=ignore, snapshots=snapshots)
        else:
            run = partial(_compare, policy, recording, overall)
        numbers = chosen_numbers(recording, episodes)
        done: list[EpisodeEvaluation] = []
        for number in numbers:
            done.append(run(recording.episodes[number]))
            if on_progress is not None:
                on_progress(len(done), len(numbers))
        if closed_loop:
            return _closed_report(recording, done, seed)
        return EvaluationReport(recording.path, closed_loop, tuple(done), overall.agreement())


def _check_rewards(recording: Recording) -> None:
    """Refuse returns that are no single numbers."""
    shape = recording.schema.return_shape
    if shape:
        raise OptionError(
            f"{recording.path}: its rewards are arrays of shape {shape}, and a closed loop compares returns that are "
            "single numbers. Record the environment in a wrapper that makes one number of each reward, such as "
            "gymnasium.wrappers.TransformReward, or compare actions in an open loop."
        )


def _compare(policy: Policy, recording: Recording, overall: AgreementCounter, episode: Episode) -> EpisodeEvaluation:
    """Call the policy with the recorded observations of an episode and count how its actions agree."""
    counter = make_agreement_counter(recording.action_space)
    observations, actions = episode.observations, episode.actions
    begin_episode(policy, episode.number)
    for step in range(episode.length):
        observation, recorded = observations[step], actions[step]
        with noting(f"raised by the policy, in episode {episode.number} at step {step}"):
            chosen = policy(observation)
        counter.add(recorded, chosen)
        overall.add(recorded, chosen)
    total = episode.total_reward
    total = total.tolist() if isinstance(total, np.ndarray) else total
    return EpisodeEvaluation(episode.number, episode.length, total, episode.complete, agreement=counter.agreement())


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
