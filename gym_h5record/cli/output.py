"""How commands print: consoles and tables for people, JSON for programs, sizes and values as text.

Text from a file may hold control characters and Rich's markup. ``safe`` escapes
the first and switches off the second.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gym_h5record.display import printable

__all__ = [
    "file_bytes",
    "json_value",
    "make_console",
    "name_table",
    "plain_table",
    "print_json",
    "safe",
    "safe_line",
    "show",
    "show_line",
    "size_text",
]

_WIDEST = 10_000  # characters of a line that is not broken
_UNITS = ("kB", "MB", "GB", "TB", "PB")


# For people -----------------------------------------------------------------------------------------


def make_console(*, stderr: bool = False) -> Console:
    """A console without markup, emoji codes and automatic colours, on stdout or for progress on stderr."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def safe(value: object) -> Text:
    """The value's text for Rich: escaped, and without markup."""
    return Text(printable(value))


def safe_line(value: object) -> Text:
    """The same for a table cell on one line: text that is too long ends with an ellipsis."""
    return Text(printable(value), no_wrap=True, overflow="ellipsis")


def show(renderable: RenderableType, *, whole: bool = False) -> None:
    """Print on stdout, without the spaces that Rich adds at the end of lines.

    With ``whole``, lines may be longer than the terminal is wide: broken lines make a table of numbers unreadable.
    """
    console = make_console()
    if whole:
        unlimited = console.options.update(width=_WIDEST)
        console.width = max(console.width, console.measure(renderable, options=unlimited).maximum)
    with console.capture() as capture:
        console.print(renderable)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def show_line(text: str) -> None:
    """Print a sentence. On a terminal it breaks between words."""
    console = make_console()
    if console.is_terminal:
        show(safe(text))
    else:
        click.echo(printable(text))


def name_table(rows: Iterable[tuple[str, object]]) -> Table:
    """A table of names and values; rows whose value is None are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            table.add_row(name, safe(value))
    return table


def plain_table(gap: int = 2) -> Table:
    """An empty table without lines, its columns ``gap`` spaces apart."""
    return Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")


# As text --------------------------------------------------------------------------------------------


def size_text(num_bytes: int) -> str:
    """A size in three digits and a decimal unit.

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
    """Size of a file, 0 if it does not exist yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


# For programs ---------------------------------------------------------------------------------------


def print_json(content: Mapping[str, Any], *, on_one_line: bool = False) -> None:
    """Print one JSON object: on one line in a pipe, indented on a terminal unless it has to be one line."""
    indent = 2 if sys.stdout.isatty() and not on_one_line else None
    click.echo(json.dumps(json_value(content), allow_nan=False, indent=indent))


def json_value(value: Any) -> Any:
    """A value as JSON: arrays become lists, NaN and infinities null, values of other types their text."""
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
