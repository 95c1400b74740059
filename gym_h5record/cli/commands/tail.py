"""``gym-h5record tail``: follow a recording while it is made."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.output import file_bytes, json_value, make_console, safe, safe_line, size_text
from gym_h5record.cli.playback import describe_end
from gym_h5record.errors import InterruptedRecordingError, RecordingError, RecordingNotFoundError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import has_journal

__all__ = ["tail"]


_NAP_S = 0.05  # how soon a signal is heard, and a recording that is waited for is seen
_SPEED_OVER_S = 10.0  # commits come in lumps


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--interval",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show the newest N episodes at first, and at most as many at every look.",
)
@click.option("--wait", is_flag=True, help="Wait until there is a recording.")
@click.option("--no-follow", is_flag=True, help="Only show how it is now.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object per line: for each look, each episode that has ended since, and the end.",
)
def tail(*, path: Path, interval: float, last: int, wait: bool, no_follow: bool, as_json: bool) -> None:
    """Follow the recording PATH while it is made: steps, episodes and their returns.

    Shows what has been committed, without disturbing whoever writes it. Ends when
    the recording does: with exit code 0 if it is complete, with 1 and the command
    that repairs it if its recorder died. Ctrl-C only ends the following.

    \b
    Examples:
      gym-h5record tail run.h5
      gym-h5record tail run.h5 --wait --json | my_dashboard
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    console = make_console()
    with Interrupts() as interrupts, _printer(console, last, as_json=as_json) as printer:
        watch = _Watch(Path(os.path.realpath(path)), printer, interrupts, interval_s=interval, last=last)
        try:
            watch.run(wait=wait, follow=not no_follow)
        except RecordingError as error:
            reason = "interrupted" if isinstance(error, InterruptedRecordingError) else "error"
            printer.end(reason, watch.recording, str(error))
            raise
        if interrupts.requested:
            printer.end("stopped", watch.recording)
            raise KeyboardInterrupt


class _Watch:
    """Looks at a recording from time to time.

    Attributes:
        recording: The recording, None before there is one.
    """

    def __init__(self, path: Path, printer: _Printer, interrupts: Interrupts, *, interval_s: float, last: int) -> None:
        self.recording: Recording | None = None
        self._path = path
        self._printer = printer
        self._interrupts = interrupts
        self._interval_s = interval_s
        self._last = last

    def run(self, *, wait: bool, follow: bool) -> None:
        """Follow the recording, and the one that takes its place, until it ends or somebody interrupts."""
        while not self._interrupts.requested:
            self.recording = self._open(wait=wait)
            if self.recording is None:
                return
            with self.recording:
                try:
                    self._run(self.recording, follow=follow)
                except RecordingNotFoundError:
                    if not self._path.exists() and not _has_begun(self._path):
                        raise
                else:
                    return

    def _open(self, *, wait: bool) -> Recording | None:
        """The recording as soon as there is one, None if somebody interrupts."""
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

    def _run(self, recording: Recording, *, follow: bool) -> None:
        speed = _Speed()
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
    """Whether somebody is about to record to a path where there may be nothing yet."""
    return is_locked(path) or has_journal(path)


class _Speed:
    """Steps per second over the last looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def add(self, steps: int) -> None:
        """Note how many steps there are now."""
        now_s = time.monotonic()
        while len(self._looks) > 1 and self._looks[1][0] < now_s - _SPEED_OVER_S:
            self._looks.popleft()
        self._looks.append((now_s, steps))

    @property
    def steps_per_second(self) -> float | None:
        """None before the second look."""
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else None


# What is printed ------------------------------------------------------------------------------------


def _printer(console: Console, last: int, *, as_json: bool) -> _Printer:
    if as_json:
        return _JsonLines()
    return _Screen(console, last) if console.is_terminal else _Lines(last)


class _Printer:
    """Says what happens; this one says nothing."""

    def wait(self, path: Path) -> None:
        """There is no recording yet."""

    def start(self, recording: Recording) -> None:
        """There is one."""

    def episodes(self, episodes: Sequence[Episode]) -> None:
        """Episodes have ended."""

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        """It has been looked at; the speed is None if it is not known yet."""

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        """It is ``"complete"`` or ``"interrupted"``, there was an ``"error"``, or the following was ``"stopped"``."""

    def __enter__(self) -> _Printer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


class _JsonLines(_Printer):
    """For programs: an object per line."""

    def start(self, recording: Recording) -> None:
        _print_event("start", path=str(recording.path), live=recording.is_live, **_counts(recording))

    def episodes(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            _print_event(
                "episode",
                episode=episode.number,
                length=episode.length,
                **{"return": episode.total_reward},
                terminated=episode.terminated,
                truncated=episode.truncated,
                complete=episode.complete,
            )

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        speed = None if steps_per_second is None else round(steps_per_second, 3)
        _print_event("progress", **_counts(recording), steps_per_second=speed)

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        facts: dict[str, Any] = {} if recording is None else {"path": str(recording.path), **_counts(recording)}
        if reason == "complete" and recording is not None:
            facts |= _totals(recording)
        if message:
            facts["message"] = message
        _print_event("end", reason=reason, **facts)


class _Lines(_Printer):
    """For people, in a pipe or a file."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._steps = -1

    def wait(self, path: Path) -> None:
        self._say(f"waiting for {path}")

    def episodes(self, episodes: Sequence[Episode]) -> None:
        hidden = max(0, len(episodes) - self._last)
        if hidden and self._last:
            self._say(f"... {_count(hidden, 'more episode')}")
        for episode in episodes[hidden:]:
            length = _count(episode.length, "step")
            self._say(f"episode {episode.number}: {length}, return {episode.total_reward:g}, {describe_end(episode)}")

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        if recording.num_steps != self._steps:
            self._say(_progress_text(recording, steps_per_second))
        self._steps = recording.num_steps

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        if recording is None or reason == "error":
            return
        parts = [_count(recording.num_episodes, "episode"), _count(recording.num_steps, "step")]
        if reason == "complete":
            totals = _totals(recording)
            if totals["incomplete_episodes"]:
                parts[0] += f" ({totals['incomplete_episodes']:,} incomplete)"
            if totals["mean_return"] is not None:
                parts.append(f"mean return {totals['mean_return']:g}")
            parts.append(size_text(totals["bytes"]))
        self._say(f"{reason}: {recording.path}: {', '.join(parts)}")

    def _say(self, text: str) -> None:
        click.echo(safe(text).plain)


class _Screen(_Lines):
    """For people at a terminal: the newest line of progress stays where it is."""

    def __init__(self, console: Console, last: int) -> None:
        super().__init__(last)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._opened = ExitStack()

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        self._live.update(safe_line(_progress_text(recording, steps_per_second)), refresh=True)

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        self._opened.close()
        super().end(reason, recording, message)

    def __enter__(self) -> _Screen:
        self._opened.enter_context(self._live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _say(self, text: str) -> None:
        self._live.console.print(safe(text), soft_wrap=True)


def _progress_text(recording: Recording, steps_per_second: float | None) -> str:
    parts = [_count(recording.num_steps, "step"), _count(recording.num_episodes, "episode")]
    if steps_per_second is not None:
        parts.append(f"{steps_per_second:,.0f} steps/s")
    return ", ".join(parts)


def _counts(recording: Recording) -> dict[str, int]:
    return {"steps": recording.num_steps, "episodes": recording.num_episodes}


def _totals(recording: Recording) -> dict[str, Any]:
    """What is known of a recording in the end."""
    returns: list[float] = recording.returns.tolist()
    return {
        "incomplete_episodes": sum(not episode.complete for episode in recording.episodes),
        "mean_return": sum(returns) / len(returns) if returns else None,
        "bytes": file_bytes(recording.path),
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _print_event(event: str, **facts: Any) -> None:
    click.echo(json.dumps(json_value({"event": event, **facts}), allow_nan=False))
