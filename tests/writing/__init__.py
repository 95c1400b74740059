"""Helpers of the tests of writing: record without an environment, and check the file.

``Pen`` drives a session and its row writer by hand. ``committed`` reads all committed items of a file,
``check_same_content`` compares two such readings bit by bit.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import WriterError
from gym_h5record.format import names as fmt
from gym_h5record.format.column_planning import MISSING, plan_keys, plan_space, plan_value
from gym_h5record.format.names import Origin
from gym_h5record.format.nodes import Array, Field
from gym_h5record.format.schema import NUMBER_REWARD, Schema
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing import journal
from gym_h5record.writing.claim import PATIENCE_S
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.options import Options
from gym_h5record.writing.recovery import recover_locked
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session
from tests.zoo import ZooEnv, passing_infos


class CountingClock:
    """Stands for ``time.monotonic_ns``: two recordings with equal values then have equal times."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._looks = 0
        for name in ("time.monotonic_ns", "gym_h5record.writing.row_writer.monotonic_ns"):
            patch.setattr(name, self)

    def __call__(self) -> int:
        self._looks += 1
        return self._looks


NEVER_S = 3600.0
"""A flush interval longer than any test."""

MOMENT_NS = 1_000_000_007

MODEST_BYTES = 2 << 20
USUAL_BYTES = journal._MAX_BYTES
"""Journals of tests are small, which saves time, unless their size matters."""

WRITERS = ("inline", "process")


def each_writer(test: Callable[..., None]) -> Callable[..., None]:
    """Parametrise ``writer``. Without ``--all`` a test runs with one of them."""
    return pytest.mark.sampled(2)(pytest.mark.parametrize("writer", WRITERS)(test))


PAIR = spaces.Box(-1e9, 1e9, (2,), np.float64)
PICTURE = spaces.Box(0, 255, (84, 84), np.uint8)
"""Compressed, sixteen in a chunk."""

EVERYTHING = spaces.Dict(
    picture=PICTURE,
    vector=spaces.Box(-1, 1, (900,), np.float32),  # compressed as well, thirty-two in a chunk
    number=spaces.Discrete(9),
    pair=spaces.Tuple((spaces.Box(0, 1, (), np.float16), spaces.MultiBinary(3))),
    words=spaces.Sequence(spaces.Text(9, min_length=0)),
    graph=spaces.Graph(spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(3)),
    choice=spaces.OneOf([spaces.Text(4), spaces.Box(0, 255, (70, 70), np.uint8)]),  # the latter: one item per chunk
)
"""Columns of every kind in one recording."""


def recover(path: Path) -> None:
    """Recover a recording as ``repair`` does: lock, drain, close."""
    lock = RecordingLock(path, patience_s=PATIENCE_S)
    try:
        recover_locked(path)
    finally:
        lock.release()


def everything_env(**options: Any) -> ZooEnv:
    """An environment that uses every kind of column; some of its infos and rewards do not fit their columns."""
    return ZooEnv(EVERYTHING, spaces.Tuple((spaces.Discrete(3), spaces.Text(5))), infos=passing_infos, **options)


def small_journal(monkeypatch: pytest.MonkeyPatch, rows: int, max_bytes: int = 1 << 18) -> None:
    """Limit the next journals to so many rows, and to little room for anything else."""
    monkeypatch.setattr(journal, "_MAX_CAPACITY_ROWS", rows)
    monkeypatch.setattr(journal, "_MIN_BLOB_BYTES", 4096)
    monkeypatch.setattr(journal, "_MAX_BYTES", max_bytes)


def make_schema(
    observation: gym.Space[Any] = PAIR,
    action: gym.Space[Any] = spaces.Discrete(4),  # noqa: B008  # it is never sampled
    infos: Iterable[dict[Any, Any]] | None = ({},),
    frame: np.ndarray | None = None,
    first_observation: Any = MISSING,
    *,
    reward: np.ndarray | None = None,
    extras: Iterable[dict[str, Any]] | None = ({},),
    times: bool = True,
) -> Schema:
    """A schema as a recorder would plan it; without extras and times, as one of an earlier version did."""
    return Schema(
        observation=plan_space(observation, fmt.OBSERVATIONS, first_observation),
        action=plan_space(action, fmt.ACTIONS),
        frame=None if frame is None else plan_value(fmt.FRAMES, frame),
        infos=None if infos is None else plan_keys(fmt.INFOS, list(infos)),
        reward=NUMBER_REWARD if reward is None else Array(fmt.REWARDS, reward.dtype, reward.shape),
        extras=None if extras is None else plan_keys(fmt.EXTRAS, list(extras)),
        times=times,
    )


class Pen:
    """Writes a recording row by row, as a recorder does. Row r comes ``MOMENT_NS`` after row r - 1."""

    def __init__(
        self,
        path: Path,
        schema: Schema | None = None,
        *,
        mode: str = "x",
        writer: str = "inline",
        flush_interval_s: float = NEVER_S,
        compression: str | None = "gzip",
        row_bytes: int = 100,
        journal_bytes: int = MODEST_BYTES,
        checksum: bool = False,
    ) -> None:
        in_process = writer == "inline"
        options = Options(path, mode, make_codec(compression), in_process, flush_interval_s, checksum=checksum)
        schema = make_schema() if schema is None else schema
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "_MAX_BYTES", min(journal._MAX_BYTES, journal_bytes))
            self.session = Session(options)
            self.session.open()
            self.session.reserve(row_bytes, 64 << 10)
            self.session.lay_out(schema, 30.0, {"made_by": "a pen"})
        self.schema = schema if self.session.existing is None else self.session.existing.schema
        self.rows = RowWriter(self.session, self.schema)
        self.num_episodes = 0

    def begin(
        self, observation: Any, info: Any = None, *, frame: Any = None, seed: Any = None, options: Any = None
    ) -> None:
        """Open an episode."""
        begin = begin_json(seed, options, Origin.RESET, self.num_episodes)
        self.num_episodes += 1
        self.rows.begin_episode(observation, {} if info is None else info, frame, begin, self._next_time_ns())

    def step(
        self,
        observation: Any,
        *,
        action: Any = 0,
        reward: Any = 1.0,
        terminated: Any = False,
        truncated: Any = False,
        info: Any = None,
        frame: Any = None,
        extras: dict[str, Any] | None = None,
    ) -> None:
        """Append a step."""
        self.rows.put_action(action, extras)
        info = {} if info is None else info
        self.rows.put_step(observation, reward, terminated, truncated, info, frame, self._next_time_ns())

    def flush(self) -> None:
        """Commit everything."""
        self.session.flush()

    def close(self) -> None:
        """Complete the file."""
        self.session.close()

    def _next_time_ns(self) -> int:
        row = self.session.journal.control[Control.HEAD]
        return self.session.began_ns + row * MOMENT_NS

    def __enter__(self) -> Pen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except WriterError:
            if error is None:
                raise


def pair(number: float) -> np.ndarray:
    """The observation that ``write_pairs`` gives to a row."""
    return np.array([number, -number], np.float64)


def write_pairs(pen: Pen, lengths: Iterable[int], first_row: int = 0) -> None:
    """Episodes of these many steps, of which row r observes ``pair(r)`` and is rewarded with r."""
    row = first_row
    for length in lengths:
        pen.begin(pair(row), seed=row)
        for step in range(length):
            pen.step(pair(row + 1), action=row % 4, reward=float(row), terminated=step == length - 1)
            row += 1
        row += 1


def check_pairs(path: Path, lengths: Iterable[int], *, complete: bool = True) -> None:
    """Fail unless the file has exactly the rows that ``write_pairs`` wrote."""
    lengths = list(lengths)
    with h5py.File(path) as file:
        rows, episodes = file[fmt.COMMIT][:2]
        assert (rows, episodes) == (sum(lengths) + len(lengths), len(lengths))
        starts = np.cumsum([0, *(length + 1 for length in lengths)])[:-1]
        numbers = np.arange(rows)
        is_last = np.zeros(rows, bool)
        is_last[starts + lengths] = True
        ends_in = is_last[1:] & ~is_last[:-1]
        assert file["observations"][:rows].tolist() == [pair(row).tolist() for row in range(rows)]
        assert file["actions"][:rows].tolist() == np.where(is_last, 0, numbers % 4).tolist()
        assert file["rewards"][:rows].tolist() == np.where(is_last, 0, numbers).tolist()
        if complete:
            assert file["terminations"][: rows - 1].tolist() == ends_in.tolist()
        assert file["episodes/starts"][:episodes].tolist() == starts.tolist()
        assert file["episodes/lengths"][:episodes].tolist() == lengths
        assert file["episodes/seeds"][:episodes].tolist() == starts.tolist()
        sums = [
            float(sum(range(start, start + length))) for start, length in zip(starts.tolist(), lengths, strict=True)
        ]
        assert file["episodes/returns"][:episodes].tolist() == sums


def open_live(path: Path) -> h5py.File:
    """Open a recording that is being written, by this process or another, as a reader does."""
    return h5py.File(path, "r", swmr=True, locking=False)


def committed(path: Path, *, live: bool = False) -> dict[str, np.ndarray]:
    """The committed items of all datasets of a recording."""
    with open_live(path) if live else h5py.File(path) as file:
        rows, episodes = (int(count) for count in file[fmt.COMMIT][:2])
        found: dict[str, np.ndarray] = {fmt.COMMIT: file[fmt.COMMIT][:2]}

        def take(fields: Iterable[Field], num_items: int) -> None:
            for field in fields:
                ends = None if field.parent is None else found[field.parent]
                count = num_items if ends is None else int(ends[-1]) if len(ends) else 0
                found[field.name] = file[field.name][:count]

        schema = schema_from_json(file[fmt.METADATA].attrs["schema"])
        take(schema.fields, rows)
        take([Field(fmt.DONES, np.dtype(bool)), Field(fmt.TYPES, np.dtype(np.uint8))], rows)
        take([Field(f"{fmt.EPISODES}/{name}", dtype) for name, dtype in fmt.EPISODE_COLUMNS.items()], episodes)
        take([Field(f"{fmt.EPISODE_JSON}/{fmt.ENDS}", np.dtype(np.int64), is_ends=True)], episodes)
        take([Field(f"{fmt.EPISODE_JSON}/{fmt.VALUES}", np.dtype(np.uint8), (), f"{fmt.EPISODE_JSON}/{fmt.ENDS}")], 0)
    return found


def check_same_content(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Fail unless two results of ``committed`` agree in every bit."""
    assert found.keys() == expected.keys()
    for name, items in expected.items():
        assert (found[name].dtype, found[name].shape) == (items.dtype, items.shape), name
        assert found[name].tobytes() == items.tobytes(), name


def elsewhere(path: Path) -> Path:
    """Copy a recording and its journal into another directory; returns the copy."""
    copy = path.parent / "copy" / path.name
    copy.parent.mkdir()
    for each in (path, journal_path(path)):
        if each.exists():
            shutil.copy(each, copy.with_name(each.name))
    return copy


def check_alone(path: Path) -> None:
    """Fail unless the recording is the only file in its directory."""
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def writer_pid(path: Path) -> int:
    """The process number of the writer process of a recording; a process that has just been started has no name yet."""
    deadline_s = time.monotonic() + 5.0
    while time.monotonic() < deadline_s:
        pid = _find_writer(path)
        if pid is not None:
            return pid
        time.sleep(0.001)
    raise LookupError(f"no process writes {path}")


def _find_writer(path: Path) -> int | None:
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:  # ended meanwhile
                continue
            if b"gym_h5record.writing.writer_process" in words and os.fsencode(path) in words:
                return int(directory.name)
    return None


def kill_writer(path: Path) -> None:
    """Kill the writer process of a recording, and wait until it is dead."""
    pid = writer_pid(path)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


def check_nothing_left(directory: Path) -> None:
    """Fail unless a directory is empty and no writer process of this process is left."""
    assert list(directory.iterdir()) == []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    assert not [command for command in commands if "gym_h5record.writing" in command]


def wait_until(condition: Callable[[], Any], patience_s: float = 20.0) -> None:
    """Wait until a condition is true."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"{condition} has not become true within {patience_s} s")
        time.sleep(0.005)


def run_script(source: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter that finds the package and the tests."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
    )
