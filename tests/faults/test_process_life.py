"""Processes around a recorder end, fork, or change their surroundings: the file is complete and no other is left."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.storage.lock import is_locked
from gym_h5record.writing.index_writer import IndexWriter
from gym_h5record.writing.process_worker import ProcessWorker
from tests.writing import each_writer, small_journal, wait_until
from tests.zoo import open_descriptors

pytestmark = [
    pytest.mark.compacted,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
    pytest.mark.timeout(60),
]


class Counter(gym.Env[Any, Any]):
    """Shows the number of its steps since it was made. Every episode has seven steps."""

    observation_space = gym.spaces.Box(0, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.array([self.steps], np.float64), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.in_step()
        return np.array([self.steps], np.float64), 1.0, self.steps % 7 == 0, False, {}

    def in_step(self) -> None:
        """Tests replace this, to do something in the middle of a step."""


def record(path: Any, writer: str, steps: int = 0, **options: Any) -> h5r.RecordToHDF5[Any, Any]:
    """A recorder of a ``Counter`` that has taken some steps."""
    env = h5r.RecordToHDF5(Counter(), path, writer=writer, **options)
    env.reset()
    go_on(env, steps)
    return env


def go_on(env: gym.Env[Any, Any], steps: int) -> None:
    """Take some more steps."""
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(0)
        if terminated or truncated:
            env.reset()


# Processes ---------------------------------------------------------------------------------------

_SCENARIO = (Counter, record, go_on)
_NURSERY = """
import atexit, copy, fcntl, gc, json, multiprocessing, os, pickle, signal, subprocess, sys, threading, time
from typing import Any
import gymnasium as gym, numpy as np
import gym_h5record as h5r
for name in h5r.__all__:
    getattr(h5r, name)  # the package loads its names at their first use: load them here, not in every fork
sys.path[0] = os.getcwd()
signal.signal(signal.SIGINT, signal.default_int_handler)  # the process that started this one may have ignored them
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def wait(pid, patience_s):
    deadline_s = time.monotonic() + patience_s
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "killed: it did not end"
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(found[1])

while job := json.loads(sys.stdin.readline() or "null"):
    if "wait" in job:
        print(json.dumps(wait(*job["wait"])), flush=True)
    elif not (pid := os.fork()):
        break
    else:
        print(pid, flush=True)
if job:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
    os.dup2(1, 2)
    os.closerange(3, 10)
    sys.argv = ["scenario", *job["arguments"]]
    path = sys.argv[1]
    exec(compile(job["code"], "scenario", "exec"))
"""


class Nursery:
    """An interpreter that has imported everything. Its forks run scenarios, each as a main module to its end."""

    def __init__(self, said: Path) -> None:
        self._said = said
        self._running: set[int] = set()
        source = "\n".join(textwrap.dedent(inspect.getsource(each)) for each in _SCENARIO)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY.replace("\ndef wait", f"\n{source}\ndef wait", 1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def start(self, code: str, *arguments: object) -> int:
        """Start a scenario, which leads a session of its own; its process number."""
        self._said.write_text("")
        job = {"code": textwrap.dedent(code), "arguments": [*map(str, arguments)], "said": str(self._said)}
        pid = int(self._ask(job))
        self._running.add(pid)
        return pid

    def wait(self, pid: int, patience_s: float = 30) -> Any:
        """Wait for a scenario to end; its exit code, the negative number of the signal that ended it."""
        self._running.remove(pid)
        return self._ask({"wait": [pid, patience_s]})

    def run(self, code: str, *arguments: object) -> Any:
        """Run a scenario to its end; its exit code."""
        return self.wait(self.start(code, *arguments))

    def said(self) -> str:
        """The text that the last scenario has printed."""
        return self._said.read_text()

    def expect(self, word: str) -> None:
        """Wait until the last scenario has printed a line that begins with a word."""
        wait_until(lambda: any(line.startswith(word) for line in self.said().splitlines()), 30)

    def close(self) -> None:
        for pid in [*self._running]:  # scenarios of failed tests
            self.wait(pid, 0)
        self._process.communicate(timeout=30)

    def _ask(self, job: dict[str, Any]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{json.dumps(job)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "said")
    yield nursery
    nursery.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The recording to make, in a directory of its own, so that tests see every file that is left."""
    (tmp_path / "recording").mkdir()
    return tmp_path / "recording" / "run.h5"


def writers_of(path: Path) -> list[int]:
    """The writer processes of a recording, or of all recordings in a directory."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:  # ended meanwhile
                continue
            if b"gym_h5record.writing.writer_process" in words and any(
                word.startswith(os.fsencode(path)) for word in words
            ):
                found.append(int(directory.name))
    return found


def await_writer(path: Path) -> int:
    """The writer process of a recording that has just begun: it has the name of its program only after a moment."""
    for _ in range(500):
        if found := writers_of(path):
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no writer process of {path}")


def children() -> list[int]:
    """The children of this process, with those that have ended but were not waited for."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def steps_in(path: Path) -> list[int]:
    """The numbers of the steps in a recording, in order."""
    with h5r.Recording(path) as recording:
        found = [int(n) for episode in recording.episodes for n in episode.observations[:].ravel()[1:]]
        assert len(found) == recording.num_steps
        return found


def repair(path: Path) -> None:
    """Repair a recording, once its writer process, if there is one, has ended."""
    wait_until(lambda: not is_locked(path))
    h5r.repair(path)


def check_alone(path: Path) -> None:
    """Fail if another file is beside a recording, or it still has a writer process."""
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    wait_until(lambda: not writers_of(path), 10)


def check_complete(path: Path, steps: int) -> None:
    """Fail unless a file has exactly these steps, and is alone."""
    assert steps_in(path) == [*range(1, steps + 1)]
    check_alone(path)


def check_mended(path: Path, writer: str, steps: int) -> None:
    """Fail unless a recording whose recorder died becomes complete, by its writer process or else by ``repair``."""
    if writer == "process":
        wait_until(lambda: [each.name for each in path.parent.iterdir()] == [path.name])
    else:
        with pytest.raises(errors.InterruptedRecordingError):
            h5r.Recording(path)
        h5r.repair(path)
    check_complete(path, steps)


# Ends --------------------------------------------------------------------------------------------

BEGINS = {
    "nothing committed": "env = record(path, sys.argv[2], 10)",  # the writer process is still loading
    "half committed": "env = record(path, sys.argv[2], 5); env.flush(); go_on(env, 5)",
}
ORDERLY_ENDS = {
    "the end of the program": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "sys.exit in a step": ("env.unwrapped.in_step = lambda: sys.exit(4); env.step(0)", 4),
    "an exception in a step": ("env.unwrapped.in_step = lambda: 1 / 0; env.step(0)", 1),
    "KeyboardInterrupt": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", -signal.SIGINT),
    "the garbage collector": ("del env; gc.collect(); os._exit(5)", 5),
}
SUDDEN_ENDS = {
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -signal.SIGTERM),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP); time.sleep(9)", -signal.SIGHUP),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(9)", -signal.SIGKILL),
    "os._exit": ("os._exit(6)", 6),
}


def each_end(ends: dict[str, tuple[str, int]]) -> pytest.MarkDecorator:
    """Parametrises ``ending``, ``code``, ``begin`` and ``writer``: with an inline writer, the beginnings take turns."""
    return pytest.mark.parametrize(
        ("ending", "code", "begin", "writer"),
        [
            pytest.param(*end, begin, writer, id=f"{name}-{state}-{writer}")
            for number, (name, end) in enumerate(ends.items())
            for at, (state, begin) in enumerate(BEGINS.items())
            for writer in ("process", "inline")
            if writer == "process" or at == number % len(BEGINS)
        ],
    )


@pytest.mark.sampled(5)
@each_end(ORDERLY_ENDS)
def test_without_close_the_file_is_complete_when_the_process_has_ended(
    ending: str, code: int, begin: str, writer: str, nursery: Nursery, path: Path
) -> None:
    assert nursery.run(f"{begin}\n{ending}", path, writer) == code
    check_complete(path, 10)


@pytest.mark.sampled(5)
@each_end(SUDDEN_ENDS)
def test_a_process_that_ends_suddenly_loses_no_step_and_its_writer_ends(
    ending: str, code: int, begin: str, writer: str, nursery: Nursery, path: Path
) -> None:
    assert nursery.run(f"{begin}\n{ending}", path, writer) == code
    check_mended(path, writer, 10)


ENDLESS = """
    count = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
    env = record(path, sys.argv[3], 1, flush_interval_s=0.001)
    env.flush()  # the writer process has loaded
    try:
        while True:
            go_on(env, 1)
            os.pwrite(count, b"%d" % env.unwrapped.steps, 0)
    finally:
        print("out of the loop", flush=True)
        {finally_}
"""


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("finally_", ["pass", "env.close()"], ids=["not closed", "closed"])
def test_a_signal_at_any_instant_of_a_loop_loses_no_step_that_returned(
    number: int, finally_: str, writer: str, nursery: Nursery, path: Path, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    pid = nursery.start(ENDLESS.format(finally_=finally_), path, count, writer)
    wait_until(lambda: count.exists() and count.read_text())
    time.sleep(0.05)
    os.kill(pid, number)
    again_s = time.monotonic() + 1
    while number == signal.SIGINT and "out of the loop" not in nursery.said():
        time.sleep(0.005)
        if time.monotonic() > again_s:  # the signal came in a finalizer, where Python drops it
            os.kill(pid, number)
            again_s += 1
    assert nursery.wait(pid) == -number
    repair(path)
    returned = int(count.read_text())
    found = steps_in(path)
    assert found == [*range(1, len(found) + 1)]
    assert returned <= len(found) <= returned + 2  # one step not counted yet, one not returned
    check_complete(path, len(found))


def test_a_program_that_replaces_the_recorder_by_exec_does_not_keep_the_recording(nursery: Nursery, path: Path) -> None:
    code = "env = record(path, 'process', 5); env.flush(); go_on(env, 5); os.execv('/bin/sleep', ['sleep', '60'])"
    pid = nursery.start(code, path)
    try:
        wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0" + b"60\0")
        wait_until(lambda: not is_locked(path), 5)
        wait_until(lambda: not writers_of(path), 5)
    finally:
        os.kill(pid, signal.SIGKILL)
        nursery.wait(pid)
    h5r.repair(path)
    check_complete(path, 10)


@pytest.mark.long
@each_writer
def test_a_daemon_thread_that_steps_while_the_interpreter_ends_cannot_harm_the_file(
    writer: str, nursery: Nursery, path: Path
) -> None:
    code = f"""
        env = record(path, {writer!r}, 1, flush_interval_s=0.0001)
        threading.excepthook = lambda *_: None
        thread = threading.Thread(target=go_on, args=(env, 1 << 60), daemon=True)
        thread.start()
        while env.unwrapped.steps < 50:
            time.sleep(0.01)
        print(env.unwrapped.steps - 1, flush=True)
    """
    for attempt in range(3 if writer == "inline" else 1):
        here = path.with_name(f"{attempt}.h5")
        assert nursery.run(code, here) == 0
        h5r.repair(here)
        found = steps_in(here)
        assert found == [*range(1, len(found) + 1)]
        assert len(found) >= int(nursery.said().split()[0])
        with h5r.Recording(here) as recording:
            assert {episode.length for episode in recording.episodes[:-1]} == {7}


# Interrupts --------------------------------------------------------------------------------------


class Interruption:
    """A Ctrl-C after ``instant`` calls and returns, where Python looks for signals."""

    def __init__(self, instant: int) -> None:
        self._left = instant

    def __enter__(self) -> Interruption:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    @property
    def has_come(self) -> bool:
        return self._left <= 0

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        self._left -= 1
        if self._left == 0:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)


@pytest.mark.long
@pytest.mark.timeout(40)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the Ctrl-C may come in a finalizer
@each_writer
def test_an_interrupt_at_any_instant_of_a_step_loses_no_step_that_returned(
    writer: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    monkeypatch.setattr(ProcessWorker, "watch_interval_s", 0)  # every step looks at the writer process, or drains
    env = record(path, writer, 3, flush_interval_s=1e-9)
    returned, instant, came = [1, 2, 3], 0, True
    while came:
        instant += 1 if instant < 50 else 1 + instant // 20
        interruption = Interruption(instant)
        try:
            with interruption:
                env.step(0)
            returned.append(env.unwrapped.steps)
        except KeyboardInterrupt:
            pass
        came = interruption.has_come
        env.reset()
        env.step(0)
        returned.append(env.unwrapped.steps)
    assert instant > 30
    env.close()
    found = steps_in(path)
    assert found == sorted(set(found))
    assert set(returned) <= set(found)
    check_alone(path)


@pytest.mark.parametrize("when", ["before", "after"])
def test_close_completes_the_file_after_an_interrupt_in_the_inline_writer(
    when: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = IndexWriter.write

    def interrupted(self: IndexWriter, *arguments: Any) -> int:
        if when == "after":
            write(self, *arguments)
        raise KeyboardInterrupt

    env = record(path, "inline", 10)
    with monkeypatch.context() as patch:
        patch.setattr(IndexWriter, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            env.flush()
    go_on(env, 10)
    env.close()
    check_complete(path, 20)


TERMINAL = """
    pid, terminal = os.forkpty()
    if not pid:
        env = record(path, sys.argv[2], 5)
        env.flush()  # the writer process has loaded
        go_on(env, 5)
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            time.sleep(0.1)  # a writer that noticed the signal would have ended by now
            go_on(env, 10)
            env.close()
            os._exit(9)
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1000)
    {then}
    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@each_writer
def test_ctrl_c_in_a_terminal_interrupts_the_recorder_and_not_its_writer(
    writer: str, nursery: Nursery, path: Path
) -> None:
    assert nursery.run(TERMINAL.format(then="os.write(terminal, b'\\x03')"), path, writer) == 0
    assert "ended 9" in nursery.said()
    check_complete(path, 20)


@each_writer
def test_no_step_is_lost_when_the_terminal_is_closed(writer: str, nursery: Nursery, path: Path) -> None:
    assert nursery.run(TERMINAL.format(then="os.close(terminal)"), path, writer) == 0
    assert f"ended {-signal.SIGHUP}" in nursery.said()
    check_mended(path, writer, 10)


def test_the_writer_process_ignores_sigint_and_sigterm(path: Path) -> None:
    env = record(path, "process", 10)
    wait_until(lambda: writers_of(path))  # a process that has just been started has no name yet
    (pid,) = writers_of(path)
    for _ in range(2):  # while it loads, and when it has loaded
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        env.flush()
        go_on(env, 5)
    env.flush()
    assert writers_of(path) == [pid]
    env.close()
    check_complete(path, 20)


# Forks -------------------------------------------------------------------------------------------

FORKS = """
    env = record(path, sys.argv[2], 3)
    env.flush()
    ends = ["os._exit", "sys.exit", "exception", "kill", "exec", "garbage", "close", "fall off"]
    for end in ends:
        go_on(env, 1)
        if not os.fork():
            break
        print("end", end, os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        go_on(env, 1)
    else:
        end = None
        env.close()
    if end:
        taken = env.unwrapped.steps
        env.flush()
        go_on(env, 50)
        env.flush()
        assert env.unwrapped.steps == taken + 50
        if end == "os._exit":
            os._exit(1)
        elif end == "sys.exit":
            sys.exit(2)
        elif end == "exception":
            raise SystemError
        elif end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif end == "exec":
            os.execv("/bin/sh", ["sh", "-c", "exit 3"])
        elif end == "garbage":
            del env
            gc.collect()
        elif end == "close":
            env.close()
"""


@pytest.mark.long
@each_writer
def test_forked_children_record_nothing_and_leave_the_recording_intact_however_they_end(
    writer: str, nursery: Nursery, path: Path
) -> None:
    assert nursery.run(FORKS, path, writer) == 0
    ends = [line[4:] for line in nursery.said().splitlines() if line.startswith("end ")]
    expected = ["os._exit 1", "sys.exit 2", "exception 1", "kill -9", "exec 3", "garbage 0", "close 0", "fall off 0"]
    assert ends == expected, nursery.said()
    check_complete(path, 3 + 2 * len(expected))


@each_writer
def test_a_fork_in_the_middle_of_a_step_gives_a_child_that_steps_on_unrecorded(
    writer: str, nursery: Nursery, path: Path
) -> None:
    code = f"""
        env = record(path, {writer!r}, 3)
        in_child = []
        env.unwrapped.in_step = lambda: in_child.append(not os.fork())
        env.step(0)
        del env.unwrapped.in_step
        go_on(env, 4)
        env.close()
        if in_child[0]:
            os._exit(env.unwrapped.steps)
        print("child", os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert nursery.run(code, path) == 0, nursery.said()
    assert "child 8" in nursery.said()
    check_complete(path, 8)


@pytest.mark.long
@each_writer
def test_forks_while_another_thread_steps_leave_the_recording_intact(writer: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        env = record(path, {writer!r}, 1, flush_interval_s=0.001)
        forks = 0
        def play():
            while forks < 6:
                go_on(env, 10)
                time.sleep(0.001)
        thread = threading.Thread(target=play)
        thread.start()
        while forks < 6:
            if not os.fork():
                sys.exit()
            assert os.wait()[1] == 0
            forks += 1
        thread.join()
        env.close()
        print("steps", env.unwrapped.steps)
    """
    assert nursery.run(code, path) == 0, nursery.said()
    check_complete(path, int(nursery.said().split()[-1]))


@each_writer
def test_a_child_that_outlives_its_parent_keeps_neither_the_lock_nor_the_writer(
    writer: str, nursery: Nursery, path: Path
) -> None:
    code = f"""
        env = record(path, {writer!r}, 5)
        env.flush()
        go_on(env, 5)
        if not os.fork():
            print("child", os.getpid(), flush=True)
            time.sleep(60)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert nursery.run(code, path) == -signal.SIGKILL
    nursery.expect("child")
    child_pid = int(nursery.said().split()[1])
    try:
        check_mended(path, writer, 10)
        record(path, "inline", 5, mode="a").close()
        assert len(steps_in(path)) == 15
    finally:
        os.kill(child_pid, signal.SIGKILL)


@each_writer
def test_a_forked_child_may_begin_a_recording_of_its_own(writer: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        env = record(path, {writer!r}, 3)
        if not os.fork():
            own = record(path + ".child", {writer!r}, 5)
            sys.exit()
        assert os.wait()[1] == 0
        go_on(env, 3)
    """
    assert nursery.run(code, path) == 0, nursery.said()
    assert steps_in(path.with_name("run.h5.child")) == [1, 2, 3, 4, 5]
    path.with_name("run.h5.child").unlink()
    check_complete(path, 6)


# Workers, copies, threads ------------------------------------------------------------------------

VECTOR = """
    def maker(writer):
        return lambda: h5r.RecordToHDF5(Counter(), f"{path}.{writer}", writer=writer)

    envs = gym.vector.AsyncVectorEnv([maker("process"), maker("inline")], context=sys.argv[2], shared_memory=False)
    envs.reset()
    for _ in range(6):
        envs.step(np.zeros(2, int))
    """


@pytest.mark.long
@pytest.mark.sampled(2)
@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("end", ["closed", "killed"])
def test_every_worker_of_an_async_vector_env_completes_a_file_of_its_own(
    end: str, context: str, nursery: Nursery, path: Path
) -> None:
    last = "envs.close()" if end == "closed" else "os.kill(os.getpid(), signal.SIGKILL)"
    code = nursery.run(textwrap.dedent(VECTOR) + last, path, context)
    assert code == (0 if end == "closed" else -signal.SIGKILL), nursery.said()
    for writer in ("process", "inline"):
        here = path.with_name(f"run.h5.{writer}")
        if end == "killed":
            repair(here)
        assert steps_in(here) == [1, 2, 3, 4, 5, 6]
    assert sorted(each.name for each in path.parent.iterdir()) == ["run.h5.inline", "run.h5.process"]
    wait_until(lambda: not writers_of(path), 10)


def test_recorders_in_a_sync_vector_env_do_not_mix(path: Path) -> None:
    def maker(number: int) -> Callable[[], gym.Env[Any, Any]]:
        writer = "inline" if number else "process"
        return lambda: h5r.RecordToHDF5(Counter(), path.with_name(f"{number}.h5"), writer=writer)

    envs = gym.vector.SyncVectorEnv([maker(number) for number in range(5)])
    for number, env in enumerate(envs.envs):
        env.unwrapped.steps = 1000 * number
    envs.reset()
    for _ in range(5):
        envs.step(np.zeros(5, np.int64))
    envs.close()
    for number in range(5):
        found = steps_in(path.with_name(f"{number}.h5"))
        assert found == sorted(found)
        assert {step - step % 1000 for step in found} == {1000 * number}
    assert sorted(each.name for each in path.parent.iterdir()) == [f"{number}.h5" for number in range(5)]


@pytest.mark.long
@each_writer
def test_workers_of_a_pool_record(writer: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        kept = []
        def work(job):
            kept.append(record(f"{{path}}.{{job}}", {writer!r}, 5))
            if job != "left open":
                kept.pop().close()
            return job
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, ["a", "b", "left open"], chunksize=1) == ["a", "b", "left open"]
            for job in "ab":
                assert h5r.Recording(f"{{path}}.{{job}}").num_steps == 5
    """
    assert nursery.run(code, path) == 0, nursery.said()
    repair(path.with_name("run.h5.left open"))
    for job in ("a", "b", "left open"):
        assert steps_in(path.with_name(f"run.h5.{job}")) == [1, 2, 3, 4, 5]
    assert len([*path.parent.iterdir()]) == 3
    wait_until(lambda: not writers_of(path), 10)


COPIES = {"deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


@each_writer
def test_copies_of_a_recorder_record_nothing_and_leave_the_recording_intact(writer: str, path: Path) -> None:
    env = record(path, writer, 5)
    for number, make in enumerate(COPIES.values()):
        twin = make(env)
        inner, twin.env = twin.env, Counter()  # a shallow copy shares the environment
        twin.reset()
        assert twin.step(0)[0] == [1]
        go_on(twin, 20)
        twin.flush()
        again = copy.deepcopy(twin)
        assert inner.steps == 5 + number
        if number:
            twin.close()
        del twin, again, inner
        gc.collect()
        go_on(env, 1)
    env.close()
    check_complete(path, 8)


@each_writer
def test_a_recorder_may_be_made_used_and_closed_in_different_threads(writer: str, path: Path) -> None:
    made: list[Any] = []
    acts: list[Callable[[], Any]] = [
        lambda: made.append(h5r.RecordToHDF5(Counter(), path, writer=writer)),
        lambda: made[0].reset(),
        lambda: go_on(made[0], 10),
        lambda: made[0].flush(),
        lambda: go_on(made[0], 10),
        lambda: made[0].close(),
    ]
    for act in acts:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
    check_complete(path, 20)


@each_writer
def test_recorders_in_many_threads_do_not_mix(writer: str, path: Path) -> None:
    paths = [path.with_name(f"{number}.h5") for number in range(2)]
    threads = [
        threading.Thread(target=lambda at=at: record(at, writer, 500, flush_interval_s=0.001).close()) for at in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in paths:
        assert steps_in(at) == [*range(1, 501)]


# Surroundings ------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("closed", [[0], [1, 2], [0, 1, 2]], ids=str)
def test_no_file_of_the_recording_takes_the_place_of_a_closed_standard_stream(
    closed: list[int], writer: str, nursery: Nursery, path: Path, tmp_path: Path
) -> None:
    code = f"""
        for descriptor in {closed}:
            os.close(descriptor)
        sys.stdin = sys.stdout = sys.stderr = None
        env = record(path, {writer!r}, 10)
        env.flush()
        open(sys.argv[2], "w").close()
        while os.path.exists(sys.argv[2]):
            time.sleep(0.005)
    """
    flag = tmp_path / "flag"
    pid = nursery.start(code, path, flag)
    wait_until(flag.exists)
    streams = [Path(f"/proc/{each}/fd/{number}") for each in (pid, *writers_of(path)) for number in range(3)]
    targets = [str(stream.readlink()) for stream in streams if stream.is_symlink()]
    flag.unlink()
    assert nursery.wait(pid) == 0
    check_complete(path, 10)
    assert not [target for target in targets if "run.h5" in target]


def test_the_writer_holds_the_lock_though_stdin_was_closed(nursery: Nursery, path: Path) -> None:
    code = """
        os.close(0)
        env = record(path, "process", 5)
        env.flush()  # the writer process has loaded, and has taken over the lock
        go_on(env, 5)
        os.kill(env._recorder.stream.session._worker._process.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    nursery.run(code, path)
    (pid,) = writers_of(path)
    try:
        assert is_locked(path)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: [each.name for each in path.parent.iterdir()] == ["run.h5"])
    check_complete(path, 10)


@each_writer
def test_a_daemon_records(writer: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.umask(0)
        for descriptor in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        env = record(path, {writer!r}, 10)
        os.mkdir(path + ".pid." + str(os.getpid()))
        time.sleep(30)
    """
    assert nursery.run(code, path) == 0
    wait_until(lambda: [*path.parent.glob("*.pid.*")], 30)
    (flag,) = path.parent.glob("*.pid.*")
    flag.rmdir()
    os.kill(int(flag.name.rpartition(".")[2]), signal.SIGTERM)
    repair(path)
    check_complete(path, 10)


@each_writer
def test_a_recorder_that_becomes_a_daemon_leaves_a_complete_file(writer: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        env = record(path, {writer!r}, 10)
        if os.fork():
            sys.exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        go_on(env, 10)  # not recorded: this process is a fork of the recorder
        env.close()
        print("done", flush=True)
    """
    assert nursery.run(code, path) == 0
    nursery.expect("done")
    check_complete(path, 10)


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("leave", ["os.chdir('/')", "os.rmdir(os.getcwd())"], ids=["changed", "deleted"])
def test_the_working_directory_may_change_or_vanish_while_recording(
    leave: str, writer: str, nursery: Nursery, path: Path
) -> None:
    code = f"""
        os.chdir(os.path.dirname(path))
        os.mkdir("below")
        os.chdir("below")
        env = h5r.RecordToHDF5(Counter(), "../run.h5", writer={writer!r})
        if {leave!r} == "os.chdir('/')":
            os.rmdir(os.getcwd())
        {leave}
        env.reset()
        go_on(env, 10)
        env.close()
    """
    assert nursery.run(code, path) == 0, nursery.said()
    check_complete(path, 10)


def test_a_relative_path_in_a_vanished_directory_is_a_path_error(nursery: Nursery, path: Path) -> None:
    code = """
        os.chdir(os.path.dirname(path))
        os.rmdir(os.getcwd())
        try:
            h5r.RecordToHDF5(Counter(), "run.h5")
        except h5r.errors.RecordingPathError as error:
            assert "run.h5" in str(error)
            sys.exit(9)
    """
    assert nursery.run(code, path) == 9, nursery.said()


@pytest.mark.parametrize(
    "reap",
    ["signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "signal.signal(signal.SIGCHLD, lambda *_: reap())"],
    ids=["ignored", "reaped"],
)
def test_a_program_that_reaps_all_its_children_records(reap: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        def reap():
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass
        {reap}
        env = record(path, "process", 10)
        subprocess.Popen(["true"])
        time.sleep(0.05)
        go_on(env, 10)
        env.close()
    """
    assert nursery.run(code, path) == 0, nursery.said()
    check_complete(path, 20)


# Nothing is left ---------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("writer", "cycles"), [("inline", 12), ("process", 3)])
def test_recorders_leave_no_descriptor_no_thread_and_no_child(
    writer: str, cycles: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    record(path, writer, 3).close()
    descriptors, threads, others = open_descriptors(), threading.active_count(), children()
    for cycle in range(cycles):
        env = record(path, writer, 3, mode="w", infos=False)
        if cycle % 2:
            env.close()
        del env
    assert open_descriptors() <= descriptors
    assert threading.active_count() == threads
    assert children() == others
    check_complete(path, 3)


def test_a_recorder_that_cannot_begin_or_whose_writer_died_leaves_no_zombie(path: Path) -> None:
    record(path, "process", 3).close()
    descriptors, others = open_descriptors(), children()
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path, mode="a")
    with pytest.raises(errors.SchemaMismatchError):
        env.reset()
    assert children() == others
    env = record(path.with_name("other.h5"), "process", 3)
    os.kill(await_writer(path.parent), signal.SIGKILL)
    with pytest.raises(errors.WriterError, match="was killed by signal 9"):
        env.close()
    assert children() == others
    assert open_descriptors() <= descriptors
    assert steps_in(path.with_name("other.h5")) == [1, 2, 3]


@pytest.mark.parametrize("program", ["/nonexistent/python", os.devnull, "", None], ids=str)
def test_a_writer_that_cannot_be_started_is_a_writer_error_and_leaves_nothing(
    program: str | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors, others = open_descriptors(), children()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", program)
        with pytest.raises(errors.WriterError, match=r"run\.h5"):
            record(path, "process")
    assert not [*path.parent.iterdir()]
    assert children() == others
    assert open_descriptors() <= descriptors
