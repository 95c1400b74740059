"""Starts victims, finds their writer processes, and kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from .victim import Counter, Record, Repair

__all__ = ["Victim"]

_TIMEOUT_S = 60.0
_NAP_S = 0.0005


class Victim:
    """A victim in a session of its own. A context manager that leaves no process behind.

    Attributes:
        task: The arguments of the victim.
        counter: The steps that it has counted.
        process: The victim's own process, not its writer.
    """

    def __init__(self, task: Record | Repair) -> None:
        Path(task.counter).unlink(missing_ok=True)
        self.task = task
        self.counter = Counter(task.counter)
        self._stderr_path = Path(f"{task.counter}.stderr")
        kind = "record" if isinstance(task, Record) else "repair"
        with self._stderr_path.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "crash.victim", kind, json.dumps(asdict(task))],
                cwd=Path(__file__).parents[1],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # one thread is easier to trace
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        self._writer: int | None = None

    def wait_until_ready(self) -> None:
        """Return when the victim has loaded everything and begins its work; before, it touches no file."""
        self._wait(lambda: self.counter.ready, "did not start")

    def wait_for_a_step(self) -> None:
        """Return when a step of the victim has returned."""
        self._wait(lambda: self.counter.steps > 0, "took no step")

    @property
    def is_alive(self) -> bool:
        """Whether the victim still runs."""
        return self.process.poll() is None

    @property
    def writer(self) -> int | None:
        """The process number of the writer, None before it is started."""
        if self._writer is None:
            pid = self.process.pid
            with suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                self._writer = int(children[0]) if children else None
        return self._writer

    def wait_for_the_writer(self) -> int | None:
        """The process number of the writer, once it is started; None if the victim ends without one."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while self.writer is None and self.is_alive and time.monotonic() < deadline_s:
            time.sleep(_NAP_S)
        return self.writer

    def kill(self, pid: int | None, *, group: bool = False) -> None:
        """Kill a process, or its whole group."""
        if pid is None:
            return
        with suppress(ProcessLookupError):  # it has ended, or does not lead a group yet
            (os.killpg if group else os.kill)(pid, signal.SIGKILL)

    def complaint(self) -> str:
        """Wait for the victim to end; the text it wrote to standard error."""
        try:
            self.process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the victim hangs"
        return self._stderr_path.read_text(errors="replace")

    @property
    def was_killed(self) -> bool:
        """Whether the victim was killed, or ended with the error that its writer was killed."""
        killed = -int(signal.SIGKILL)
        return self.process.returncode == killed or f"was killed by signal {-killed}" in self.complaint()

    def __enter__(self) -> Victim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.is_alive:
            self.kill(self.writer)
            self.process.kill()
        self.process.wait()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not condition():
            if not self.is_alive or time.monotonic() > deadline_s:
                raise RuntimeError(f"the victim {what}: {self.complaint()}")
            time.sleep(_NAP_S)
