"""Measures how long it takes until a step that has returned is safe from a power cut."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import gym_h5record as h5r
from gym_h5record.writing.journal_control import Control

from ..crash.plays import make_env, play

__all__ = ["Lag", "measure"]

_POLL_S = 0.0005
_STEP_S = 0.001


@dataclass(frozen=True)
class Lag:
    """How far the disk is behind the steps.

    Attributes:
        writer: As in ``RecordToHDF5``.
        flush_interval_s: As in ``RecordToHDF5``.
        pause_s: How long the agent does nothing after the last step.
        steps: The number of steps that were measured.
        median_s: Median time from the return of a step to the end of the sync that covers it.
        longest_s: The longest such time.
    """

    writer: str
    flush_interval_s: float
    pause_s: float
    steps: int
    median_s: float
    longest_s: float

    def __str__(self) -> str:
        pause = f", then a pause of {self.pause_s:g} s" if self.pause_s else ""
        return (
            f"writer={self.writer!r}, flush_interval_s={self.flush_interval_s:g}: {self.steps:,} steps{pause}, "
            f"safe after {self.median_s:.3f} s (median), {self.longest_s:.3f} s at most"
        )


def measure(path: Path, writer: str, flush_interval_s: float, seconds: float, pause_s: float = 0.0) -> Lag:
    """Record CartPole with ``durability="power"``, a thousand steps a second, and watch the writer.

    Args:
        path: The file to make.
        writer: As in ``RecordToHDF5``.
        flush_interval_s: As in ``RecordToHDF5``.
        seconds: How long to take steps.
        pause_s: How long to do nothing after that, before a last reset.
    """
    options = {"writer": writer, "flush_interval_s": flush_interval_s, "durability": "power"}
    env = h5r.RecordToHDF5(make_env("CartPole-v1"), path, **options)  # type: ignore[arg-type]
    returned: list[tuple[int, float]] = []  # rows after a step, and when it had returned
    committed: list[tuple[int, float]] = []
    env.reset(seed=0)
    env.step(0)
    env.flush()  # the writer process has loaded: it does so in the background, and a flush waits for its commit
    control = env._recorder.open_stream.session.journal.control  # type: ignore[union-attr]  # noqa: SLF001  # no public name tells
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            committed.append((int(control[Control.COMMITTED_HEAD]), time.monotonic()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    end_s, seed = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        for moment in play(env, seed):
            if moment.action is not None:
                returned.append((int(control[Control.HEAD]), time.monotonic()))
                time.sleep(_STEP_S)
        seed += 1
    if pause_s:
        time.sleep(pause_s)
        env.reset()
        time.sleep(5 * _POLL_S)
    is_over.set()
    watcher.join()
    env.close()
    heads, times_s = np.array(committed).T
    waits_s = [
        times_s[at] - returned_s for rows, returned_s in returned if (at := np.searchsorted(heads, rows)) < len(heads)
    ]
    return Lag(writer, flush_interval_s, pause_s, len(waits_s), float(np.median(waits_s)), float(max(waits_s)))
