"""A bar that shows how many rows, or episodes, of a file have been looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gym_h5record.cli.output import make_console
from gym_h5record.printable import printable

__all__ = ["row_progress"]

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
