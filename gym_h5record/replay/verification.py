"""``verify``: runs recorded episodes again on the real environment and compares them bit for bit."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium as gym

from gym_h5record.errors import NotReplayableError, OptionError, RecordingError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.branching import RerunSetup, at_branch_point
from gym_h5record.replay.episode_sequence import check_sequence, not_replayable
from gym_h5record.replay.lineage import (
    branches_off,
    check_beginning,
    chosen_numbers,
    from_first_known,
    in_same_env,
    since_reset,
    surviving_state,
)
from gym_h5record.replay.outcome_comparison import make_comparison_rules
from gym_h5record.replay.rebuild import EnvFactory, build_env, close_if_built, version_differences
from gym_h5record.replay.reports import EpisodeReport, Verdict, VerifyReport
from gym_h5record.replay.rerun import Rerun, missing_clause
from gym_h5record.replay.vector_check import check_together
from gym_h5record.replay.vector_description import ignored_infos
from gym_h5record.replay.vector_making import VectorEnvFactory, vector_env_maker

__all__ = ["verify"]

_FAILED = (Verdict.DIVERGED, Verdict.NOT_REPLAYABLE)
_SHARES = 4  # per worker: episodes differ in length, so one share each would leave workers without work
_SEQUENTIAL = "it is exact only after the episodes before it: the environment keeps state across resets"
_CAMERAS = "frames are not compared: the file does not hold the cameras that took them"
_STATISTICS = (
    "infos/episode is not compared: RecordEpisodeStatistics was around all lanes, and is not in the spec of one; "
    "pass a function that makes the vector environment, env=lambda: ..., to run all lanes together"
)
_NOT_FRESH = "it was not tried in a fresh environment: pass a function that makes it, not one environment"


def verify(
    path: str | os.PathLike[str],
    episodes: Sequence[int] | None = None,
    *,
    env: EnvFactory | VectorEnvFactory | None = None,
    atol: float = 0.0,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Run recorded episodes again on the real environment and compare all of their values.

    Each episode is first run alone, from its own snapshot or seed. If it differs, it is run in a fresh environment
    after all episodes that its environment went through before it. Pictures of cameras are not compared.

    The lanes of a vector environment are run one by one if each had an environment of its own (``SyncVectorEnv``,
    ``AsyncVectorEnv``). Lanes that share generators, a simulator or a wrapper are run together; so they are if
    ``env`` is a vector environment. Then episodes are exact only from the first reset of all lanes that was given
    seeds, unless nothing in them is random.

    This imports the environment, wrappers and modules that the file names: verify only recordings from people you
    trust.

    Args:
        path: The recording.
        episodes: Numbers of the episodes to run, None for all.
        env: The environment, or a function that makes one; None to make it from the file. One environment serves only
            one try; with a function a differing episode can be tried in a fresh environment. For a vector recording
            it may also be a ``gymnasium.vector.VectorEnv``, or a function that makes one.
        atol: How far floating numbers may be apart, for simulators that are not exact.
        ignore: A path into infos that is not compared, such as ``"timing/seconds"``, or several; ``"episode/t"`` is
            never compared.
        snapshots: Providers for simulators that this package does not know.
        workers: How many processes run episodes. With more than one, ``env`` must be None or a function that can be
            pickled. Lanes that are run together are run in this process.
        on_progress: Called with the number of episodes that are done, and the number of all.

    Raises:
        UnbuildableEnvError: If the environment cannot be made from the file.
        EnvMismatchError: If its spaces are not the recorded ones.
        OptionError: If an episode does not exist, ``atol`` is negative or no number, or ``env`` does not fit
            ``workers``.
        RecordingError: If one of the ``workers`` ended early.
    """
    rules = make_comparison_rules(atol, ignore)
    with Recording(path) as recording:
        numbers = chosen_numbers(recording, episodes)
        differences = tuple(version_differences(recording))
        if workers < 1 or (workers > 1 and isinstance(env, gym.Env)):
            raise OptionError(
                f"workers={workers}: expected 1 or more, and with more than one env= must be a function that makes "
                "environments, not an environment."
            )
        count = _Counter(len(numbers), on_progress)
        maker = vector_env_maker(recording, env)
        if maker is not None:
            found = {each.episode: count(each) for each in check_together(recording, maker, numbers, rules)}
            omitted = _not_compared(recording)
        else:
            of_one: Any = env  # a vector environment would have a maker
            setup = RerunSetup(of_one, tuple(snapshots), rules).for_lanes_of(recording)
            found = _one_by_one(setup, recording, numbers, workers, count)
            omitted = (*_not_compared(recording), *([_STATISTICS] if ignored_infos(recording) else []))
        reports = tuple(found[number] for number in numbers)
        return VerifyReport(recording.path, reports, differences, rules.atol, omitted)


class _Counter:
    """Tells the user how many episodes are done."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def __call__(self, report: EpisodeReport) -> EpisodeReport:
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)
        return report


def _one_by_one(
    setup: RerunSetup,
    recording: Recording,
    numbers: list[int],
    workers: int,
    count: Callable[[EpisodeReport], EpisodeReport],
) -> dict[int, EpisodeReport]:
    """Run each episode alone, and those that differ again after the episodes before them in their lane."""
    found = {each.episode: count(each) for each in _alone(setup, recording, numbers, workers)}
    for of_lane in _by_lane(recording, numbers):
        in_lane = {number: found[number] for number in of_lane}
        _retry_in_sequence(setup, recording, in_lane)
        found |= in_lane
    return found


def _by_lane(recording: Recording, numbers: list[int]) -> list[list[int]]:
    """The numbers of the episodes of each lane; each lane has had an environment of its own."""
    if recording.num_envs == 1:
        return [numbers]
    lanes: dict[int, list[int]] = {}
    for number in numbers:
        lanes.setdefault(recording.episodes[number].env, []).append(number)
    return [lanes[lane] for lane in sorted(lanes)]


def _not_compared(recording: Recording) -> tuple[str, ...]:
    return (_CAMERAS,) if recording.metadata.get("frames") == "cameras" else ()


# Each episode alone ---------------------------------------------------------------------------------


def _alone(setup: RerunSetup, recording: Recording, numbers: list[int], workers: int) -> Iterator[EpisodeReport]:
    lanes = _by_lane(recording, numbers)
    if workers == 1:
        for of_lane in lanes:
            yield from _verify_alone(setup, recording, of_lane)
        return
    groups = [wanted for of_lane in lanes for _, wanted in _grouped(recording, of_lane, since_reset)]
    size = max(1, len(groups) // (_SHARES * workers))
    shares = [list(chain.from_iterable(groups[at : at + size])) for at in range(0, len(groups), size)]
    _check_sendable(setup, workers)
    initializer = _print_on_stderr if sys.stdout is sys.stderr else None  # the same redirection as here
    try:
        # Not forked: environments and their libraries start threads, which a forked child would lack.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer) as pool:
            for reports in pool.map(partial(_verify_share, setup, recording.path), shares):
                yield from reports
    except BrokenProcessPool as error:
        raise RecordingError(
            f"{recording.path}: workers={workers}: a process that ran episodes has ended, or could not begin. "
            'A script that calls verify needs if __name__ == "__main__". workers=1 may show the cause.'
        ) from error


def _print_on_stderr() -> None:
    sys.stdout = sys.stderr


def _check_sendable(setup: RerunSetup, workers: int) -> None:
    try:
        pickle.dumps(setup)
    except Exception as error:  # __reduce__ of the user's objects may raise any
        raise OptionError(
            f"workers={workers}: env= or a snapshot provider cannot be sent to other processes: {error!s:.200}. "
            "Pass a function that a module defines."
        ) from error


def _verify_share(setup: RerunSetup, path: Path, numbers: list[int]) -> list[EpisodeReport]:
    with Recording(path) as recording:
        lanes = _by_lane(recording, numbers)
        return [report for of_lane in lanes for report in _verify_alone(setup, recording, of_lane)]


def _verify_alone(setup: RerunSetup, recording: Recording, numbers: Sequence[int]) -> Iterator[EpisodeReport]:
    """Run episodes of a lane in one environment, the last one first; run each that differs again in a fresh one.

    In this order, state that survives a reset is never what it was when recording. So it shows as a difference.
    """
    with _opened(setup, recording) as rerun:
        for position, (episodes, wanted) in enumerate(_grouped(recording, numbers, since_reset)):
            can_retry = position > 0 and not isinstance(setup.env, gym.Env)  # the first group had a fresh environment
            again = []
            for report in _verify_group(setup, recording, rerun, episodes, wanted):
                if report.verdict is Verdict.DIVERGED and can_retry:
                    again.append(report.episode)
                else:
                    yield report
            if again:
                yield from _in_fresh(setup, recording, episodes, again)


def _verify_group(
    setup: RerunSetup, recording: Recording, rerun: Rerun, episodes: list[Episode], wanted: list[int]
) -> Iterator[EpisodeReport]:
    """Run episodes without a reset between them, from the reset of the first one."""
    try:
        check_beginning(recording, episodes[0])
    except NotReplayableError as error:
        return not_replayable(wanted, str(error))
    if branches_off(recording, episodes[0].number):
        return _in_fresh(setup, recording, episodes, wanted)
    return _compared(setup, rerun, episodes, wanted)


def _compared(setup: RerunSetup, rerun: Rerun, episodes: list[Episode], wanted: list[int]) -> Iterator[EpisodeReport]:
    for report in check_sequence(rerun, episodes, wanted, setup.rules):
        has_diverged = report.verdict is Verdict.DIVERGED
        yield replace(report, reason=report.reason or missing_clause(rerun)) if has_diverged else report


def _grouped(
    recording: Recording, numbers: Iterable[int], needed_for: Callable[[Recording, int], list[Episode]]
) -> Iterator[tuple[list[Episode], list[int]]]:
    """Group episodes that need the same sequence. Each group is the sequence and the numbers; the last comes first.

    ``needed_for`` gives the episodes to run for one, itself at the end.
    """
    left = sorted(numbers)
    while left:
        episodes, wanted = needed_for(recording, left[-1]), []
        while left and left[-1] >= episodes[0].number:
            wanted.append(left.pop())
        yield episodes, wanted


# Environments -----------------------------------------------------------------------------------------


@contextmanager
def _opened(setup: RerunSetup, recording: Recording, number: int = -1) -> Iterator[Rerun]:
    """An environment in which an episode can begin."""
    env = build_env(recording, setup.env)
    try:
        begun = at_branch_point(env, recording, number, setup)
        yield Rerun(recording, begun, make_snapshot_set(setup.providers))
    finally:
        close_if_built(env, setup.env)


def _in_fresh(
    setup: RerunSetup, recording: Recording, episodes: list[Episode], wanted: list[int]
) -> Iterator[EpisodeReport]:
    """Run episodes in a fresh environment, at the step of another recording if the first one branches off there."""
    with ExitStack() as stack:
        try:
            rerun = stack.enter_context(_opened(setup, recording, episodes[0].number))
        except RecordingError as error:  # only of the other recording: this environment has been built before
            yield from not_replayable(wanted, str(error))
            return
        yield from _compared(setup, rerun, episodes, wanted)


# After all episodes before it -------------------------------------------------------------------------


def _retry_in_sequence(setup: RerunSetup, recording: Recording, found: dict[int, EpisodeReport]) -> None:
    """Run each episode that failed alone again, after the episodes that its environment went through before it."""
    failed = [number for number, report in found.items() if report.verdict in _FAILED]
    for in_env, wanted in _grouped(recording, failed, in_same_env):
        episodes, missing = from_first_known(recording, in_env)
        if isinstance(setup.env, gym.Env):
            missing = _NOT_FRESH
        elif len(episodes) > len(since_reset(recording, wanted[0])):
            within = [number for number in wanted if number >= episodes[0].number]
            for report in _in_fresh(setup, recording, episodes, within):
                found[report.episode] = _better(found[report.episode], report, recording)
        for number in wanted:
            if found[number].verdict in _FAILED:
                found[number] = replace(found[number], reason=found[number].reason or missing)


def _better(alone: EpisodeReport, after: EpisodeReport, recording: Recording) -> EpisodeReport:
    if after.verdict in _FAILED:
        return replace(alone, reason=alone.reason or after.reason)
    known = surviving_state(recording)
    reason = f"{_SEQUENTIAL} ({known})" if known else _SEQUENTIAL
    return replace(after, independent=False, reason="; ".join(filter(None, (reason, after.reason))))
