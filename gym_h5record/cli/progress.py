"""The progress bar of a recording, drawn when the loop says that it is time.

No thread of its own: it would compete with the environment for the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gym_h5record.cli.output import file_bytes, make_console, size_text
from gym_h5record.cli.rollout import Limits, RolloutStats
from gym_h5record.display import printable

__all__ = ["NoProgress", "ProgressBar", "row_progress"]


_INTERVAL_S = 0.25


class NoProgress:
    """Shows nothing, and asks for nothing to be shown."""

    due_s = float("inf")

    def show(self, tally: RolloutStats) -> None:
        """Nothing."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


class ProgressBar:
    """Steps per second, episodes, last return and bytes written, while recording.

    Args:
        console: Where to draw.
        path: The recording.
        limits: What is 100 percent.

    Attributes:
        due_s: When to call ``show`` next, on the monotonic clock.
    """

    def __init__(self, console: Console, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task(printable(path.name), total=1.0, facts="starting")
        self.due_s = monotonic() + _INTERVAL_S

    def show(self, tally: RolloutStats) -> None:
        """Draw what has happened so far."""
        self._progress.update(self._task, completed=self._limits.fraction(tally), facts=self._facts(tally))
        self._progress.refresh()
        self.due_s = monotonic() + _INTERVAL_S

    def _facts(self, tally: RolloutStats) -> str:
        of_all = f"/{self._limits.episodes:,}" if self._limits.episodes else ""
        facts = [f"{tally.steps_per_second:,.0f} steps/s", f"episode {len(tally.returns):,}{of_all}"]
        if tally.ended:
            facts.append(f"return {tally.returns[tally.ended - 1]:g}")
        return "  ".join([*facts, size_text(file_bytes(self._path))])

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        self._progress.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


_INTERVAL_S = 0.25

OnProgress = Callable[[int, int], None]


@contextmanager
def row_progress(name: str, unit: str = "rows", *, is_shown: bool = True) -> Iterator[OnProgress | None]:
    """A bar on a terminal, nothing elsewhere.

    Args:
        name: What to say before it.
        unit: What is counted.
        is_shown: Whether to show it on a terminal.
    """
    console = make_console(stderr=True)
    if not (is_shown and console.is_terminal):
        yield None
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,  # no thread of its own
        transient=True,
        expand=True,
    )
    task = bar.add_task(printable(name), total=1.0, facts="")
    due_s = monotonic()

    def on_progress(done: int, rows: int) -> None:
        nonlocal due_s
        if monotonic() >= due_s:
            bar.update(task, completed=done / max(rows, 1), facts=f"{done:,}/{rows:,} {unit}")
            bar.refresh()
            due_s = monotonic() + _INTERVAL_S

    with bar:
        yield on_progress
