"""What all commands print: consoles, tables, sizes, JSON.

Text from a file may hold anything. ``safe`` makes sure that it neither drives
the terminal nor is taken for Rich's markup.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from gym_h5record.display import printable

__all__ = [
    "file_bytes",
    "json_value",
    "make_console",
    "name_table",
    "print_json",
    "safe",
    "safe_line",
    "show",
    "size_text",
    "summary",
]


_BOUNDLESS = 10_000  # characters, of a line that may be as long as it needs
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours nothing by guessing, and no markup.

    Args:
        stderr: Whether it is for what is no result.
    """
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def safe(value: object) -> Text:
    """``printable`` as Rich's text."""
    return Text(printable(value))


def safe_line(value: object) -> Text:
    """``safe`` for a cell of a table that is cut off rather than broken into lines."""
    return Text(printable(value), no_wrap=True, overflow="ellipsis")


def show(renderable: RenderableType, *, whole: bool = False) -> None:
    """Print on stdout, without the blanks that Rich puts at the end of lines.

    Args:
        renderable: What to print.
        whole: Whether lines may be longer than the terminal: digits of numbers below each other say nothing.
    """
    console = make_console()
    if whole:
        console.width = max(console.width, console.measure(renderable, options=_boundless(console)).maximum)
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def _boundless(console: Console) -> ConsoleOptions:
    return console.options.update(width=_BOUNDLESS)


def name_table(rows: Iterable[tuple[str, object]]) -> Table:
    """Names and values in two columns; values that are None are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            table.add_row(name, safe(value))
    return table


def size_text(num_bytes: int) -> str:
    """A size as people read it.

    Example:
        >>> size_text(999), size_text(1_234_567)
        ('999 B', '1.23 MB')
    """
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size = float(num_bytes)
    for unit in _UNITS:
        size /= 1000
        if size < 999.5 or unit == _UNITS[-1]:
            break
    return f"{size:#.3g} {unit}".replace(". ", " ")


def file_bytes(path: Path) -> int:
    """Size of a file, 0 as long as there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object: on one line for programs, indented for people."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(json_value(content), allow_nan=False, indent=indent))


def json_value(value: Any) -> Any:
    """A value as JSON has it: arrays are lists, what is not finite is null, the rest is text."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(each) for each in value]
    return str(value)


_MAX_ITEMS = 8


def summary(value: Any) -> str:
    """A value in a few words.

    Example:
        >>> import numpy as np
        >>> summary({"position": np.array([0.123456, -1.0]), "camera": np.zeros((84, 84), np.uint8)})
        'position=[0.123 -1] camera=84x84 uint8'
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return _array(value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.3g}"
    if isinstance(value, Mapping):
        return _joined((f"{key}={summary(each)}" for key, each in value.items()), len(value))
    if isinstance(value, (list, tuple)):
        return f"({_joined(map(summary, value), len(value))})"
    return str(value)


def _array(array: np.ndarray) -> str:
    if array.ndim > 1 or array.size > _MAX_ITEMS:
        return f"{'x'.join(map(str, array.shape))} {array.dtype}"
    return f"[{' '.join(map(summary, array))}]"


def _joined(parts: Iterable[str], count: int) -> str:
    shown = " ".join(itertools.islice(parts, _MAX_ITEMS))
    return f"{shown} ..." if count > _MAX_ITEMS else shown
