"""Follows a recording that is being written: opens it, looks for new commits, and notices how it ends."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from gym_h5record.cli.follower_printers import Printer
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.errors import RecordingNotFoundError
from gym_h5record.reading.recording import Recording
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import has_journal

__all__ = ["Follower", "Speed"]

_NAP_S = 0.05  # the longest time until Ctrl-C, or the start of a recording, is noticed
_SPEED_OVER_S = 10.0  # a recorder commits once a second: over a shorter time the speed would jump


class Follower:
    """Looks at a recording at intervals, and tells a printer what has changed until the recording ends or Ctrl-C.

    Args:
        path: The recording, as an absolute path.
        printer: Told about every look.
        interrupts: Checked between two looks.
        interval_s: Seconds between two looks.
        last: How many of the episodes to tell the printer at first.

    Attributes:
        recording: The recording, None before it exists.
    """

    def __init__(self, path: Path, printer: Printer, interrupts: Interrupts, *, interval_s: float, last: int) -> None:
        self.recording: Recording | None = None
        self._path = path
        self._printer = printer
        self._interrupts = interrupts
        self._interval_s = interval_s
        self._last = last

    def run(self, *, wait: bool, follow: bool) -> None:
        """Follow the recording, and a recording that replaces it; look only once if ``follow`` is False.

        With ``wait``, a recording that does not exist yet is no error.
        """
        while not self._interrupts.requested:
            self.recording = self._open(wait=wait)
            if self.recording is None:
                return
            with self.recording:
                try:
                    self._look(self.recording, follow=follow)
                except RecordingNotFoundError:  # removed, or replaced by another recording
                    if not self._path.exists() and not _has_begun(self._path):
                        raise
                else:
                    return

    def _open(self, *, wait: bool) -> Recording | None:
        """Open the recording as soon as it exists; None after Ctrl-C."""
        is_waiting = False
        while not self._interrupts.requested:
            try:
                return Recording(self._path, live=True)
            except RecordingNotFoundError:
                if not wait and not _has_begun(self._path):
                    raise
            if not is_waiting:
                self._printer.wait(self._path)
                is_waiting = True
            time.sleep(_NAP_S)
        return None

    def _look(self, recording: Recording, *, follow: bool) -> None:
        """Look at intervals until the recording is closed, or Ctrl-C."""
        speed = Speed()
        shown = max(0, recording.num_episodes - self._last)
        self._printer.start(recording)
        while True:
            speed.add(recording.num_steps)
            self._printer.episodes(recording.episodes[shown:])
            shown = recording.num_episodes
            if not recording.is_live:
                self._printer.end("complete", recording)
                return
            self._printer.progress(recording, speed.steps_per_second)
            if follow:
                self._pause()
            if not follow or self._interrupts.requested:
                return
            recording.refresh()

    def _pause(self) -> None:
        deadline_s = time.monotonic() + self._interval_s
        while not self._interrupts.requested and time.monotonic() < deadline_s:
            time.sleep(min(_NAP_S, self._interval_s))


def _has_begun(path: Path) -> bool:
    """Whether a recorder has the path but has not written the file yet."""
    return is_locked(path) or has_journal(path)


class Speed:
    """Steps per second over the looks of the last 10 s."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def add(self, steps: int) -> None:
        """Note the number of steps at this look."""
        now_s = time.monotonic()
        while len(self._looks) > 1 and self._looks[1][0] < now_s - _SPEED_OVER_S:
            self._looks.popleft()
        self._looks.append((now_s, steps))

    @property
    def steps_per_second(self) -> float | None:
        """The speed, None before the second look."""
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else None
