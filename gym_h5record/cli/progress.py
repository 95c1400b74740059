"""Progress bars on stderr, drawn at most every 0.25 s and only if stderr is a terminal.

The command that is running draws them: a thread of Rich's would compete with the
environment for the interpreter. A bar is a context with a function to call as often as
convenient, or with None if nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic
from typing import ParamSpec

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gym_h5record.cli.output import file_bytes, make_console, size_text
from gym_h5record.cli.rollout import Limits, RolloutStats
from gym_h5record.display import printable, reward_text

__all__ = ["OnProgress", "rollout_progress", "row_progress"]

OnProgress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_INTERVAL_S = 0.25

_P = ParamSpec("_P")


def row_progress(
    name: str, unit: str = "rows", *, is_shown: bool = True, at_once: bool = True
) -> AbstractContextManager[OnProgress | None]:
    """A bar for the rows, or other units, that are done of a known number.

    Unless it is drawn ``at_once``, it is drawn when the first of them is done: what other programs print before that
    does not tear it.
    """

    def describe(done: int, total: int) -> tuple[float, str]:
        return done / max(total, 1), f"{done:,}/{total:,} {unit}"

    return _progress(name, describe, is_shown=is_shown, at_once=at_once)


def rollout_progress(
    path: Path, limits: Limits, *, is_shown: bool = True
) -> AbstractContextManager[Callable[[RolloutStats], None] | None]:
    """A bar for a rollout that is recorded: steps per second, episodes, last return and bytes written."""
    of_all = f"/{limits.episodes:,}" if limits.episodes else ""

    def describe(stats: RolloutStats) -> tuple[float, str]:
        speed = stats.steps_per_second
        facts = [] if speed is None else [f"{speed:,.0f} steps/s"]
        facts.append(f"episode {len(stats.returns):,}{of_all}")
        if stats.ended:
            facts.append(f"return {reward_text(stats.returns[stats.ended - 1])}")
        return limits.fraction(stats), "  ".join([*facts, size_text(file_bytes(path))])

    return _progress(path.name, describe, is_shown=is_shown)


@contextmanager
def _progress(
    name: str, describe: Callable[_P, tuple[float, str]], *, is_shown: bool, at_once: bool = True
) -> Iterator[Callable[_P, None] | None]:
    """A bar that is drawn when it is time to; ``describe`` gives the fraction and the text behind the bar."""
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
        auto_refresh=False,  # starts no thread
        transient=True,
        expand=True,
    )
    task = bar.add_task(printable(name), total=1.0, facts="starting")
    due_s = monotonic()

    def on_progress(*args: _P.args, **kwargs: _P.kwargs) -> None:
        nonlocal due_s
        if monotonic() >= due_s:
            fraction, facts = describe(*args, **kwargs)
            bar.start()
            bar.update(task, completed=fraction, facts=facts)
            bar.refresh()
            due_s = monotonic() + _INTERVAL_S

    if at_once:
        bar.start()
    try:
        yield on_progress
    finally:
        bar.stop()
