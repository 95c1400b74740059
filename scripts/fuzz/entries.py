"""The entries: every way that the package offers to open a file and to work with it.

An entry takes the path of a file and hands everything that it gets to a ``Harvest``. The package's own
errors are allowed answers; the worker counts all other exceptions as failures.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import gym_h5record as h5r
from gym_h5record.cli import main
from gym_h5record.storage.usage import column_usage

from .harvest import Harvest, Violation, check_memory
from .subjects import make_lanes, make_scene

__all__ = ["ENTRIES", "Entry", "different_entries"]

_WINDOW_ROWS = 64
_MAX_ROWS = 1000
_MAX_EPISODES = 30
_MAX_LANES = 8
_COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations", "frames", "infos")
_ENTRY_FACTS = ("start", "length", "total_reward", "terminated", "truncated", "complete", "origin", "episode_id")

_KEPT_TEXTS = ("observation_space", "action_space", "env_spec")
"""Attributes that ``repair(salvage=)`` copies unread: no row depends on them."""

Run = Callable[[Path, Harvest, Path], None]


@dataclass(frozen=True)
class Entry:
    """One way to open a file.

    Attributes:
        name: Its name in messages.
        run: Takes the file, a harvest, and a directory to write to.
        writes: Whether it may change the file and the files beside it.
    """

    name: str
    run: Run
    writes: bool = False


# Reading --------------------------------------------------------------------------------------------


def _read(path: Path, harvest: Harvest, scratch: Path) -> None:
    with closing(h5r.Recording(path)) as recording:
        _take_everything(recording, harvest)


def _read_live(path: Path, harvest: Harvest, scratch: Path) -> None:
    with _locked(path), closing(h5r.Recording(path, live=True)) as recording:
        _take_everything(recording, harvest)
        harvest.take("refresh", recording.refresh, is_data=False)


def _read_repaired(path: Path, harvest: Harvest, scratch: Path) -> None:
    h5r.repair(path)
    with closing(h5r.Recording(path)) as recording:
        _take_everything(recording, harvest)


def _take_everything(recording: h5r.Recording, harvest: Harvest) -> None:
    harvest.show(repr(recording))
    for name in ("metadata", "fps", "env_spec", "observation_space", "action_space", "schema", "is_live"):
        harvest.take(name, lambda name=name: getattr(recording, name), is_data=False)  # type: ignore[misc]
    for name in ("num_rows", "num_episodes", "num_steps", "returns", "lengths", "masks"):
        harvest.take(name, lambda name=name: getattr(recording, name))  # type: ignore[misc]
    num_envs = harvest.take("lanes", lambda: recording.schema.num_envs, is_data=False)
    rows = (lambda: recording.rows) if num_envs is None else (lambda: recording.steps)
    for name in _COLUMNS:
        _take_column(name, lambda name=name: getattr(rows(), name), harvest)  # type: ignore[misc]
    harvest.take("dones", lambda: rows().dones)
    for lane in range(min(num_envs or 0, _MAX_LANES)):
        harvest.take("lane", lambda lane=lane: recording.lane(lane).returns)  # type: ignore[misc]
    harvest.take("a condition", lambda: recording.select("total_reward > 0 and seed != 1").numbers)
    harvest.take("a batch", lambda: next(recording.iter_batches(16), None))
    episodes = harvest.take("episodes", lambda: recording.episodes, is_data=False)
    if episodes is None:
        return
    for number in [*range(min(len(episodes), _MAX_EPISODES)), *([len(episodes) - 1] if len(episodes) else [])]:
        episode = harvest.take("episode", lambda number=number: episodes[number], is_data=False)  # type: ignore[misc]
        if episode is not None:
            _take_episode(episode, harvest)
    copy = harvest.take("pickle", lambda: pickle.loads(pickle.dumps(recording)), is_data=False)
    if copy is not None:
        copy.close()


def _take_episode(episode: h5r.Episode, harvest: Harvest) -> None:
    for name in (*_ENTRY_FACTS, "seed", "options"):
        harvest.take(f"episode {name}", lambda name=name: getattr(episode, name))  # type: ignore[misc]
    for name in _COLUMNS:
        column = harvest.take(f"episode {name}", lambda name=name: getattr(episode, name), is_data=False)  # type: ignore[misc]
        if column is not None:
            harvest.take(f"episode {name}", lambda column=column: column[-_MAX_ROWS:])  # type: ignore[misc]


def _take_column(name: str, get: Callable[[], Any], harvest: Harvest) -> None:
    """Take a column, row by row and in slices."""
    column = harvest.take(name, get, is_data=False)
    if column is None:
        return
    rows = min(len(column), _MAX_ROWS)
    if isinstance(column, h5r.Column):
        harvest.take(name, lambda: (column.shape, str(column.dtype)), is_data=False)
    harvest.take(name, lambda: column[-_MAX_ROWS::3], is_data=False)
    harvest.take(name, lambda: column[-1] if rows else None)
    for low in range(0, rows, _WINDOW_ROWS):
        harvest.take(name, lambda low=low: column[low : min(low + _WINDOW_ROWS, rows)])  # type: ignore[misc]
    for row in range(rows):
        harvest.take(name, lambda row=row: column[row])  # type: ignore[misc]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a recording, as its recorder does, unless the lock file cannot be opened."""
    lock = path.with_name(f"{path.name}.lock")
    existed = os.path.lexists(lock)
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
        if not existed:
            lock.unlink()


def _replay(path: Path, harvest: Harvest, scratch: Path) -> None:
    with closing(h5r.ReplayFromHDF5(path)) as env:
        harvest.show(f"{env!r} {env}")
        for _ in range(4):
            harvest.take("reset", env.reset)
            for _ in range(_WINDOW_ROWS):
                result = harvest.take("step", lambda: env.step(0))
                harvest.take("render", env.render)
                if result is None or result[2] or result[3]:
                    break


def _replay_lanes(path: Path, harvest: Harvest, scratch: Path) -> None:
    with closing(h5r.vector.ReplayFromHDF5(path)) as envs:
        harvest.show(f"{envs!r} {envs}")
        harvest.take("reset", envs.reset)
        for _ in range(_WINDOW_ROWS):
            if harvest.take("step", lambda: envs.step(envs.action_space.sample())[:4]) is None:
                break


def _measure(path: Path, harvest: Harvest, scratch: Path) -> None:
    harvest.take("storage", lambda: [each.name for each in column_usage(path)], is_data=False)


# Repairing ------------------------------------------------------------------------------------------


def _repair_dry(path: Path, harvest: Harvest, scratch: Path) -> None:
    _take_report(h5r.repair(path, dry_run=True), harvest)


def _repair(path: Path, harvest: Harvest, scratch: Path) -> None:
    _take_report(h5r.repair(path), harvest)


def _salvage(path: Path, harvest: Harvest, scratch: Path) -> None:
    report = h5r.repair(path, salvage=scratch / "saved.h5")
    _take_report(report, harvest)
    if report.salvaged is not None:
        saved = Harvest(b"")
        _read(report.salvaged, saved, scratch)
        if saved.refused.keys() - _KEPT_TEXTS:
            raise Violation("bad salvage", f"the salvaged file cannot be read: {saved.refused}")


def _take_report(report: h5r.RepairReport, harvest: Harvest) -> None:
    harvest.take("report", lambda: report, is_data=False)
    if report.problem:
        harvest.show(report.problem)
        harvest.refused["problem"] = report.problem


def _validate(path: Path, harvest: Harvest, scratch: Path) -> None:
    for options in ({}, {"deep": True}):
        problems = harvest.take("problems", lambda options=options: h5r.validate(path, **options), is_data=False)  # type: ignore[misc]
        if problems:
            harvest.show("\n".join(map(str, problems)))
            harvest.refused["problems"] = str(problems[0])


# Recording ------------------------------------------------------------------------------------------


def _append(path: Path, harvest: Harvest, scratch: Path) -> None:
    _record(path, "a", harvest)


def _append_lanes(path: Path, harvest: Harvest, scratch: Path) -> None:
    envs: Any = h5r.vector.RecordToHDF5(make_lanes(), path, mode="a", writer="inline")
    envs.action_space.seed(0)
    try:
        for seed in range(2):
            envs.reset(seed=seed)
            for _ in range(3):
                envs.step(envs.action_space.sample())
    finally:
        envs.close()


def _overwrite(path: Path, harvest: Harvest, scratch: Path) -> None:
    _record(path, "w", harvest)


def _record(path: Path, mode: str, harvest: Harvest) -> None:
    env: Any = h5r.RecordToHDF5(make_scene(), path, mode=mode, writer="inline")
    env.action_space.seed(0)
    try:
        for seed in range(2):
            env.reset(seed=seed)
            for _ in range(3):
                env.step(env.action_space.sample())
    finally:
        env.close()


# The command line -----------------------------------------------------------------------------------


def _command(*words: str) -> Run:
    """A run of a command. ``FILE`` stands for the file, ``NEW`` for a file that the command may make."""

    def run(path: Path, harvest: Harvest, scratch: Path) -> None:
        arguments = [word.replace("FILE", str(path)).replace("NEW", str(scratch / "new")) for word in words]
        result = CliRunner().invoke(main, arguments)
        printed = result.stdout + result.stderr
        harvest.show(printed)
        error = result.exception
        if error is not None and not isinstance(error, SystemExit):
            check_memory(error)
            raise error
        if result.exit_code not in (0, 1) or "Traceback" in printed:
            raise Violation("exit code", f"{result.exit_code}: {printed}")
        if result.exit_code == 1:
            if not printed.strip():
                raise Violation("silence", "exit code 1 without a word")
            harvest.refused["command"] = printed[:300]
        elif "--json" in words:
            json.loads(result.stdout)

    return run


_COMMANDS = (
    ("info", "FILE"),
    ("info", "FILE", "--json"),
    ("replay", "FILE"),
    ("replay", "FILE", "--json"),
    ("replay", "FILE", "--gif", "NEW.gif", "--png", "NEW.png"),
    ("validate", "FILE"),
    ("validate", "FILE", "--json"),
    ("validate", "FILE", "--deep"),
    ("tail", "FILE"),
    ("repair", "FILE", "--dry-run"),
    ("repair", "FILE"),
    ("repair", "FILE", "--salvage", "NEW.h5"),
)


def _commands() -> Iterator[Entry]:
    for words in _COMMANDS:
        writes = words[0] == "repair" and "--dry-run" not in words
        yield Entry(f"cli {' '.join(word for word in words if word != 'FILE')}", _command(*words), writes)


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("read", _read),
        Entry("live", _read_live),
        Entry("replay", _replay),
        Entry("replay lanes", _replay_lanes),
        Entry("storage", _measure),
        Entry("dry run", _repair_dry),
        Entry("validate", _validate),
        *_commands(),
        Entry("read repaired", _read_repaired, writes=True),
        Entry("repair", _repair, writes=True),
        Entry("salvage", _salvage, writes=True),
        Entry("append", _append, writes=True),
        Entry("append lanes", _append_lanes, writes=True),
        Entry("overwrite", _overwrite, writes=True),
    )
}
"""The entries by name; those that only read come first."""


def different_entries(number: int) -> list[str]:
    """The entries that call functions, and two of the commands: other commands for each number."""
    functions = [name for name in ENTRIES if not name.startswith("cli ")]
    commands = [name for name in ENTRIES if name.startswith("cli ")]
    return functions + [commands[(2 * number + more) % len(commands)] for more in range(2)]
