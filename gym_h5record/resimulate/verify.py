"""``verify``: does the real environment do, bit for bit, what a recording says?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

import gymnasium as gym

from gym_h5record.errors import NotReplayableError, OptionError, RecordingError, SnapshotError
from gym_h5record.reader import Episode
from gym_h5record.rebuild import EnvFactory, build_env, version_differences
from gym_h5record.recording import Recording
from gym_h5record.resimulate.branch import branches_off, standing
from gym_h5record.resimulate.check import IGNORED_INFOS, Comparison, check_episode
from gym_h5record.resimulate.lineage import all_before, alone, chosen_numbers
from gym_h5record.resimulate.reports import Divergence, EpisodeReport, Verdict, VerifyReport
from gym_h5record.resimulate.rerun import Rerun
from gym_h5record.snapshots import SnapshotProvider, make_snapshots

__all__ = ["verify"]

_SHARES = 4  # of each worker: episodes differ in length
_SEQUENTIAL = "it is exact only after the episodes before it: something in the environment outlives a reset"
_SURVIVORS = {
    "NormalizeObservation": "the running statistics of NormalizeObservation",
    "NormalizeReward": "the running statistics of NormalizeReward",
    "BipedalWalker": "the world of BipedalWalker",
}


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
    ignore: Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Run recorded episodes again on the real environment, and compare everything they gave.

    Every episode is run on its own, from what was recorded before its reset; where
    that is not exact, in a fresh environment after all episodes before it.
    Environment, wrappers and modules that the file names are imported: verify
    recordings of people you trust.

    Args:
        path: The recording.
        env: The environment, or a function that makes one; None to make it from the file.
        episodes: Numbers of the episodes to run, None for all.
        atol: How far floating numbers may be apart, for simulators that are not exact.
        ignore: Paths into infos that are not compared, such as ``"timing/seconds"``,
            besides ``"episode/t"``.
        snapshots: Providers for simulators that are not known here.
        workers: Processes to run episodes in; with an environment that is passed, it has
            to be a function that can be pickled.
        on_progress: Called with the number of episodes that are done, and of all.

    Raises:
        UnbuildableEnvError: If the environment cannot be made from the file.
        EnvMismatchError: If it is another one.
        OptionError: If an episode does not exist, or ``workers`` is not possible.
    """
    task = _Task(os.fspath(path), env, tuple(snapshots), Comparison(atol, (*IGNORED_INFOS, *ignore)))
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
        return VerifyReport(recording.path, tuple(found[number] for number in numbers), differences, atol)


# Each on its own --------------------------------------------------------------------------------------


def _alone(task: _Task, recording: Recording, numbers: list[int], workers: int) -> Iterator[EpisodeReport]:
    if workers == 1:
        yield from _verify_alone(task, recording, numbers)
        return
    share = max(1, len(numbers) // (_SHARES * workers))
    shares = [numbers[at : at + share] for at in range(0, len(numbers), share)]
    # Not forked: environments and their libraries start threads.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for reports in pool.map(partial(_verify_share, task), shares):
            yield from reports


def _verify_share(task: _Task, numbers: list[int]) -> list[EpisodeReport]:
    with Recording(task.path) as recording:
        return list(_verify_alone(task, recording, numbers))


def _verify_alone(task: _Task, recording: Recording, numbers: Sequence[int]) -> Iterator[EpisodeReport]:
    """Episodes one by one in one environment; what is not exact there has another try in a fresh one.

    The last one goes first: nothing that outlives a reset is as it was when they were recorded.
    """
    with _opened(task, recording) as rerun:
        for position, number in enumerate(reversed(numbers)):
            if branches_off(recording, number):
                yield _verify_branch(task, recording, number)
                continue
            report = _verify_one(rerun, recording, number, task.comparison)
            if report.verdict is Verdict.DIVERGED and position and not isinstance(task.env, gym.Env):
                with _opened(task, recording) as fresh:
                    report = _verify_one(fresh, recording, number, task.comparison)
            yield report


def _verify_branch(task: _Task, recording: Recording, number: int) -> EpisodeReport:
    """An episode that goes on where another recording stood."""
    try:
        with _opened(task, recording, number) as rerun:
            return _verify_one(rerun, recording, number, task.comparison)
    except RecordingError as error:
        return EpisodeReport(number, Verdict.NOT_REPLAYABLE, reason=str(error))


def _verify_one(rerun: Rerun, recording: Recording, number: int, comparison: Comparison) -> EpisodeReport:
    try:
        chain = alone(recording, number)
        if chain[:-1]:
            rerun.play(chain[:-1], chain[-2].length, restore_all=True)
        steps, divergence = check_episode(rerun, chain[-1], comparison, restore=True)
    except (NotReplayableError, SnapshotError) as error:
        return EpisodeReport(number, Verdict.NOT_REPLAYABLE, reason=str(error))
    return _judged(number, steps, divergence, comparison)


def _judged(number: int, steps: int, divergence: Divergence | None, comparison: Comparison) -> EpisodeReport:
    if divergence is not None:
        return EpisodeReport(number, Verdict.DIVERGED, steps, divergence=divergence)
    return EpisodeReport(number, Verdict.CLOSE if comparison.atol else Verdict.EXACT, steps)


@contextmanager
def _opened(task: _Task, recording: Recording, number: int = -1) -> Iterator[Rerun]:
    """An environment in which an episode can begin; one that the user has passed is not closed."""
    env = build_env(recording, task.env)
    try:
        yield Rerun(recording, standing(env, recording, number), make_snapshots(task.providers))
    finally:
        if not isinstance(task.env, gym.Env):
            env.close()


# One after the other ----------------------------------------------------------------------------------


def _mend_in_sequence(task: _Task, recording: Recording, found: dict[int, EpisodeReport]) -> None:
    """Run what was not exact on its own once more, behind everything before it."""
    failed = sorted(number for number, report in found.items() if not report.ok)
    if not failed or isinstance(task.env, gym.Env):
        return
    try:
        chain = all_before(recording, failed[-1])
    except NotReplayableError:
        return
    with _opened(task, recording, chain[0].number) as rerun:
        for position, episode in enumerate(chain):
            try:
                steps, divergence = check_episode(rerun, episode, task.comparison, restore=not position)
            except SnapshotError:
                return
            if episode.number in failed:
                report = _judged(episode.number, steps, divergence, task.comparison)
                found[episode.number] = _better(found[episode.number], report, recording)
            if not _at_its_end(rerun, episode, steps):
                return


def _at_its_end(rerun: Rerun, episode: Episode, steps: int) -> bool:
    """Take the steps that are left: the next episode begins where this one ended, whatever it gave.

    Returns:
        False if the environment refuses.
    """
    actions = episode.actions
    try:
        for step in range(steps, episode.length):
            rerun.step(actions[step])
    except Exception:  # noqa: BLE001  # has been reported as the divergence of this episode, or will be of the next
        return False
    return True


def _better(alone: EpisodeReport, after: EpisodeReport, recording: Recording) -> EpisodeReport:
    if not after.ok:
        return alone
    names = f"{recording.metadata.get('env_wrappers', '')} {recording.metadata.get('env_class', '')}"
    known = [what for name, what in _SURVIVORS.items() if name in names]
    reason = f"{_SEQUENTIAL}{f' ({known[0]})' if known else ''}"
    return replace(after, independent=False, reason=reason)
