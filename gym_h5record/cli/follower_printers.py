"""What ``tail`` prints: lines with a live line below on a terminal, lines in a pipe, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from gym_h5record.cli.output import file_bytes, print_json, safe, safe_line, size_text
from gym_h5record.cli.returns import mean_return, mean_return_text
from gym_h5record.display import counted, reward_text
from gym_h5record.media.headlines import describe_end
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = ["Printer", "make_printer"]


def make_printer(console: Console, last: int, *, as_json: bool) -> Printer:
    """The printer for a console on stdout. As text it prints only the newest ``last`` episodes of a look."""
    if as_json:
        return _JsonPrinter()
    return _ScreenPrinter(console, last) if console.is_terminal else _LinePrinter(last)


class Printer:
    """Prints the events of a recording that is followed; this one prints nothing."""

    def wait(self, path: Path) -> None:
        """The recording does not exist yet."""

    def start(self, recording: Recording) -> None:
        """The recording has been opened."""

    def episodes(self, episodes: Sequence[Episode]) -> None:
        """These episodes have ended since the last look."""

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        """The recording is still being written. The speed is None at the first look."""

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        """Nothing follows: the recording is ``"complete"`` or ``"interrupted"``, or tail is ``"stopped"`` by Ctrl-C.

        For an ``"error"`` there is a message, and no recording if it never existed.
        """

    def close(self) -> None:
        """Leave the terminal as it was."""


class _JsonPrinter(Printer):
    """One JSON object per line."""

    def __init__(self) -> None:
        self._has_lanes = False

    def start(self, recording: Recording) -> None:
        self._has_lanes = recording.num_envs > 1
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
                **({"env": episode.env} if self._has_lanes else {}),
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


class _LinePrinter(Printer):
    """Lines of text, for a pipe or a file."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._steps = -1
        self._has_lanes = False

    def start(self, recording: Recording) -> None:
        self._has_lanes = recording.num_envs > 1

    def wait(self, path: Path) -> None:
        self._say(f"waiting for {path}")

    def episodes(self, episodes: Sequence[Episode]) -> None:
        hidden = max(0, len(episodes) - self._last)
        if hidden and self._last:
            self._say(f"... {counted(hidden, 'more episode')}")
        for episode in episodes[hidden:]:
            length = counted(episode.length, "step")
            total = reward_text(episode.total_reward)
            lane = f", lane {episode.env}" if self._has_lanes else ""
            self._say(f"episode {episode.number}{lane}: {length}, return {total}, {describe_end(episode)}")

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        if recording.num_steps != self._steps:
            self._say(_progress_text(recording, steps_per_second))
        self._steps = recording.num_steps

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        if recording is None or reason == "error":
            return
        parts = [counted(recording.num_episodes, "episode"), counted(recording.num_steps, "step")]
        if reason == "complete":
            totals = _totals(recording)
            if totals["incomplete_episodes"]:
                parts[0] += f" ({totals['incomplete_episodes']:,} incomplete)"
            if recording.num_episodes:
                complete = recording.select("complete")
                parts.append(mean_return_text(complete.returns, totals["incomplete_episodes"]))
            parts.append(size_text(totals["bytes"]))
        self._say(f"{reason}: {recording.path}: {', '.join(parts)}")

    def _say(self, text: str) -> None:
        click.echo(safe(text).plain)


class _ScreenPrinter(_LinePrinter):
    """The same lines on a terminal, with one line of progress below them that is redrawn."""

    def __init__(self, console: Console, last: int) -> None:
        super().__init__(last)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def progress(self, recording: Recording, steps_per_second: float | None) -> None:
        self._live.update(safe_line(_progress_text(recording, steps_per_second)), refresh=True)

    def end(self, reason: str, recording: Recording | None, message: str = "") -> None:
        self.close()
        super().end(reason, recording, message)

    def close(self) -> None:
        self._live.stop()

    def _say(self, text: str) -> None:
        self._live.console.print(safe(text), soft_wrap=True)


def _progress_text(recording: Recording, steps_per_second: float | None) -> str:
    parts = [counted(recording.num_steps, "step"), counted(recording.num_episodes, "episode")]
    if steps_per_second is not None:
        parts.append(f"{steps_per_second:,.0f} steps/s")
    return ", ".join(parts)


def _counts(recording: Recording) -> dict[str, int]:
    return {"steps": recording.num_steps, "episodes": recording.num_episodes}


def _totals(recording: Recording) -> dict[str, Any]:
    """Facts that are final when the recording is closed. The mean return is that of the episodes that ended."""
    complete = recording.select("complete")
    return {
        "incomplete_episodes": recording.num_episodes - complete.num_episodes,
        "mean_return": mean_return(complete.returns),
        "bytes": file_bytes(recording.path),
    }


def _print_event(event: str, **facts: Any) -> None:
    print_json({"event": event, **facts}, on_one_line=True)
