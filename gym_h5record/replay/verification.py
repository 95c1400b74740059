"""``verify``: does the real environment do, bit for bit, what a recording says?"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context

import gymnasium as gym

from gym_h5record.errors import NotReplayableError, OptionError, RecordingError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.branching import standing
from gym_h5record.replay.episode_check import Comparison, make_comparison
from gym_h5record.replay.episode_sequence import check_pass, not_replayable
from gym_h5record.replay.lineage import (
    branches_off,
    check_beginning,
    chosen_numbers,
    continued,
    from_known,
    in_one_life,
    survivor,
)
from gym_h5record.replay.rebuild import EnvFactory, build_env, version_differences
from gym_h5record.replay.reports import EpisodeReport, Verdict, VerifyReport
from gym_h5record.replay.rerun import Rerun

__all__ = ["verify"]


_FAILED = (Verdict.DIVERGED, Verdict.NOT_REPLAYABLE)
_SHARES = 4  # of each worker: episodes differ in length
_SEQUENTIAL = "it is exact only after the episodes before it: something in the environment outlives a reset"
_PASSED = "it was not tried in a fresh environment, nor after the episodes before it: pass a function that makes it"


@dataclass(frozen=True)
class _Task:
    """What to do; goes to worker processes."""

    path: str
    env: EnvFactory | None
    providers: tuple[SnapshotProvider, ...]
    comparison: Comparison


def verify(
    path: str | os.PathLike[str],
    env: EnvFactory | None = None,
    episodes: Sequence[int] | None = None,
    *,
    atol: float = 0.0,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Run recorded episodes again on the real environment, and compare everything they gave.

    Every episode is run on its own, from what was recorded before its reset; where
    that is not exact, in a fresh environment after all that its environment went
    through before it.
    Environment, wrappers and modules that the file names are imported: verify
    recordings of people you trust.

    Args:
        path: The recording.
        env: The environment, or a function that makes one, which can try more; None to make it from the file.
        episodes: Numbers of the episodes to run, None for all.
        atol: How far floating numbers may be apart, for simulators that are not exact.
        ignore: Paths into infos that are not compared, such as ``"timing/seconds"``,
            besides ``"episode/t"``; or one path.
        snapshots: Providers for simulators that are not known here.
        workers: Processes to run episodes in; with an environment that is passed, it has
            to be a function that can be pickled.
        on_progress: Called with the number of episodes that are done, and of all.

    Raises:
        UnbuildableEnvError: If the environment cannot be made from the file.
        EnvMismatchError: If it is another one.
        OptionError: If an episode does not exist, ``atol`` is negative or no number, or ``workers``
            is not possible.
        RecordingError: If one of the ``workers`` ended early.
    """
    task = _Task(os.fspath(path), env, tuple(snapshots), make_comparison(atol, ignore))
    with Recording(path) as recording:
        numbers = chosen_numbers(recording, episodes)
        differences = tuple(version_differences(recording))
        if workers < 1 or (workers > 1 and isinstance(env, gym.Env)):
            raise OptionError(f"workers={workers}: more than one need a function that makes environments, not one.")
        found: dict[int, EpisodeReport] = {}
        for report in _alone(task, recording, numbers, workers):
            found[report.episode] = report
            if on_progress is not None:
                on_progress(len(found), len(numbers))
        _mend_in_sequence(task, recording, found)
        return VerifyReport(
            recording.path, tuple(found[number] for number in numbers), differences, task.comparison.atol
        )


# Each on its own --------------------------------------------------------------------------------------


def _alone(task: _Task, recording: Recording, numbers: list[int], workers: int) -> Iterator[EpisodeReport]:
    if workers == 1:
        yield from _verify_alone(task, recording, numbers)
        return
    chains = [wanted for _, wanted in _grouped(recording, numbers, continued)]
    size = max(1, len(chains) // (_SHARES * workers))
    shares = [list(chain.from_iterable(chains[at : at + size])) for at in range(0, len(chains), size)]
    _check_sendable(task, workers)
    where_to_print = _print_on_stderr if sys.stdout is sys.stderr else None  # workers do as this process does
    try:
        # Not forked: environments and their libraries start threads.
        with ProcessPoolExecutor(workers, get_context("spawn"), where_to_print) as pool:
            for reports in pool.map(partial(_verify_share, task), shares):
                yield from reports
    except BrokenProcessPool as error:
        raise RecordingError(
            f"{recording.path}: workers={workers}: a process that ran episodes has ended, or could not begin: "
            'scripts that start processes need if __name__ == "__main__". With workers=1 it may say more.'
        ) from error


def _print_on_stderr() -> None:
    sys.stdout = sys.stderr


def _check_sendable(task: _Task, workers: int) -> None:
    try:
        pickle.dumps(task)
    except Exception as error:  # of any kind, from the pickling of anybody's objects
        raise OptionError(
            f"workers={workers}: what makes the environment, or a snapshot provider, cannot be sent "
            f"to other processes: {error!s:.200}. Pass a function that a module defines."
        ) from error


def _verify_share(task: _Task, numbers: list[int]) -> list[EpisodeReport]:
    with Recording(task.path) as recording:
        return list(_verify_alone(task, recording, numbers))


def _verify_alone(task: _Task, recording: Recording, numbers: Sequence[int]) -> Iterator[EpisodeReport]:
    """Episodes one by one in one environment; what is not exact there has another try in a fresh one.

    The last one goes first: nothing that outlives a reset is as it was when they were recorded.
    """
    with _opened(task, recording) as rerun:
        for position, (episodes, wanted) in enumerate(_grouped(recording, numbers, continued)):
            again = []
            for report in _verify_continued(task, recording, rerun, episodes, wanted):
                if report.verdict is Verdict.DIVERGED and position and not isinstance(task.env, gym.Env):
                    again.append(report.episode)
                else:
                    yield report
            if again:
                yield from _in_fresh(task, recording, episodes, again)


def _verify_continued(
    task: _Task, recording: Recording, rerun: Rerun, episodes: list[Episode], wanted: list[int]
) -> Iterator[EpisodeReport]:
    """Episodes without a reset between them, in one pass from the reset that the first one began with."""
    try:
        check_beginning(recording, episodes[0])
    except NotReplayableError as error:
        return not_replayable(wanted, str(error))
    if branches_off(recording, episodes[0].number):
        return _in_fresh(task, recording, episodes, wanted)
    return check_pass(rerun, episodes, wanted, task.comparison)


def _grouped(
    recording: Recording, numbers: Iterable[int], behind: Callable[[Recording, int], list[Episode]]
) -> Iterator[tuple[list[Episode], list[int]]]:
    """What has to be run for each of the episodes, once for those that need the same; and which these are.

    The last ones come first.
    """
    left = sorted(numbers)
    while left:
        episodes, wanted = behind(recording, left[-1]), []
        while left and left[-1] >= episodes[0].number:
            wanted.append(left.pop())
        yield episodes, wanted


# Environments -----------------------------------------------------------------------------------------


@contextmanager
def _opened(task: _Task, recording: Recording, number: int = -1) -> Iterator[Rerun]:
    """An environment in which an episode can begin; one that the user has passed is not closed."""
    env = build_env(recording, task.env)
    try:
        snapshots = make_snapshot_set(task.providers)
        yield Rerun(recording, standing(env, recording, number, snapshots, task.comparison), snapshots)
    finally:
        if not isinstance(task.env, gym.Env):
            env.close()


def _in_fresh(task: _Task, recording: Recording, episodes: list[Episode], wanted: list[int]) -> Iterator[EpisodeReport]:
    """A pass in an environment of its own, which stands where another recording stood if that is needed."""
    with ExitStack() as stack:
        try:
            rerun = stack.enter_context(_opened(task, recording, episodes[0].number))
        except RecordingError as error:  # the other recording's: this one's environment has been made before
            yield from not_replayable(wanted, str(error))
            return
        yield from check_pass(rerun, episodes, wanted, task.comparison)


# One after the other ----------------------------------------------------------------------------------


def _mend_in_sequence(task: _Task, recording: Recording, found: dict[int, EpisodeReport]) -> None:
    """Run what was not exact on its own once more, behind everything that its environment went through before."""
    failed = [number for number, report in found.items() if report.verdict in _FAILED]
    for life, wanted in _grouped(recording, failed, in_one_life):
        episodes, missing = from_known(recording, life)
        if isinstance(task.env, gym.Env):
            missing = _PASSED
        elif len(episodes) > len(continued(recording, wanted[0])):
            within = [number for number in wanted if number >= episodes[0].number]
            for report in _in_fresh(task, recording, episodes, within):
                found[report.episode] = _better(found[report.episode], report, recording)
        for number in wanted:
            if found[number].verdict in _FAILED:
                found[number] = replace(found[number], reason=found[number].reason or missing)


def _better(alone: EpisodeReport, after: EpisodeReport, recording: Recording) -> EpisodeReport:
    if after.verdict in _FAILED:
        return replace(alone, reason=alone.reason or after.reason)
    known = survivor(recording)
    reason = f"{_SEQUENTIAL} ({known})" if known else _SEQUENTIAL
    return replace(after, independent=False, reason="; ".join(filter(None, (reason, after.reason))))
