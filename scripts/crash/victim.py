"""The program that is killed: records, or repairs, and counts its steps in a shared file.

    python -m crash.victim record|repair '{...}'

The JSON object has the fields of ``Record`` or ``Repair``.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# From the modules that define them: the package itself loads its names at their first use. That takes 0.1 s, and kills
# shall hit the work, not the loading.
from gym_h5record.errors import RecordingWarning
from gym_h5record.maintenance.repairs.repairing import repair
from gym_h5record.writing import journal

from .recorders import acts, load, record

__all__ = ["Counter", "Record", "Repair", "main"]


@dataclass(frozen=True)
class Record:
    """A life of a recorder.

    Attributes:
        path: The recording.
        counter: The file of the ``Counter``.
        env: One of ``plays.ENVIRONMENTS`` or ``courses.COURSES``.
        life: Its number among the recorders of the file.
        mode: As in ``RecordToHDF5``, and so are ``writer``, ``flush_interval_s`` and ``durability``.
        steps: Acts after which it ends, 0 for never: see ``promises``.
        close: Whether it then closes the file; else it kills itself.
        flush_every: Acts between two calls of ``flush``, 0 for none.
        ring_rows: Rows that the journal has room for, 0 for the usual number.
        traced: Whether it waits for its tracer, and announces stores into the journal's control words.
    """

    path: str
    counter: str
    env: str
    life: int = 0
    mode: str = "x"
    writer: str = "process"
    flush_interval_s: float = 0.02
    durability: str = "process"
    steps: int = 0
    close: bool = True
    flush_every: int = 0
    ring_rows: int = 0
    traced: bool = False


@dataclass(frozen=True)
class Repair:
    """A call of ``repair``; the attributes are those of ``Record``."""

    path: str
    counter: str
    traced: bool = False


class Counter:
    """Numbers in a mapped file: they survive the process that counts.

    Args:
        path: The file. It is made if it does not exist.
    """

    def __init__(self, path: Path | str) -> None:
        with Path(path).open("a+b") as file:
            file.truncate(16)
            self._words = np.frombuffer(mmap.mmap(file.fileno(), 16), np.int64)

    @property
    def steps(self) -> int:
        """Acts: calls of ``step`` and ``discard_episode`` that have returned."""
        return int(self._words[0])

    @steps.setter
    def steps(self, steps: int) -> None:
        self._words[0] = steps

    @property
    def ready(self) -> bool:
        """Whether the victim has loaded everything and begins its work."""
        return bool(self._words[1])

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._words[1] = ready


class _TellingWords(np.ndarray):
    """The control words of a journal. Before each store the process sends itself signal 0, which the tracer sees."""

    def __getitem__(self, index: Any) -> Any:
        return int(super().__getitem__(index))

    def __setitem__(self, index: Any, word: Any) -> None:
        os.kill(os.getpid(), 0)
        super().__setitem__(index, word)


def _tell_of_stores() -> None:
    plain = journal.Journal.__init__

    def init(self: journal.Journal, *args: Any, **options: Any) -> None:
        plain(self, *args, **options)
        self.control = np.frombuffer(self.control, np.uint64).view(_TellingWords)  # type: ignore[assignment]

    journal.Journal.__init__ = init  # type: ignore[method-assign]


def _record(task: Record, counter: Counter) -> None:
    env = record(
        task.env,
        task.life,
        task.path,
        mode=task.mode,
        writer=task.writer,
        flush_interval_s=task.flush_interval_s,
        durability=task.durability,
    )
    for _ in acts(env, task.env, task.life):
        counter.steps += 1
        if task.flush_every and counter.steps % task.flush_every == 0:
            env.flush()
        if counter.steps == task.steps:
            if not task.close:
                os.kill(os.getpid(), signal.SIGKILL)
            env.close()
            return


def main(argv: list[str]) -> int:
    """Record or repair, until the end or a kill."""
    warnings.simplefilter("ignore", RecordingWarning)  # some values fit no column on purpose
    options: dict[str, Any] = json.loads(argv[1])
    task = Record(**options) if argv[0] == "record" else Repair(**options)
    if isinstance(task, Record):
        load(task.env)
        if task.ring_rows:
            journal._MAX_CAPACITY_ROWS, journal._MIN_BLOB_BYTES = task.ring_rows, 4096  # noqa: SLF001
    if task.traced:
        _tell_of_stores()
    counter = Counter(task.counter)
    counter.ready = True
    if task.traced:
        sys.stdin.readline()
    if isinstance(task, Record):
        _record(task, counter)
    else:
        problem = repair(task.path).problem
        if problem:
            sys.exit(problem)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
