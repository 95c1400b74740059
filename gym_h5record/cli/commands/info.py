"""``gym-h5record info``: what a recording holds, told without reading its rows."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from gym_h5record.cli.output import (
    file_bytes,
    make_console,
    name_table,
    plain_table,
    print_json,
    safe,
    safe_line,
    show,
    size_text,
)
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.returns import mean_return
from gym_h5record.cli.sparklines import sparkline
from gym_h5record.display import counted, printable, reward_text
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import KeyColumn
from gym_h5record.media.summaries import summary
from gym_h5record.reading.recording import Recording
from gym_h5record.storage.usage import ColumnUsage, column_usage

__all__ = ["info_command"]

_MAX_CHARACTERS = 126  # of a value: two lines of a terminal of 80 columns

_WIDE = 100  # characters of a terminal that has room for all facts of a column
_MAX_NAME = 26  # characters of the path of a column on one line

_FRAMES = {"render": "rendered", "cameras": "of cameras", "observation": "the observations", "none": "none"}


@click.command("info")
@click.argument("path", type=GivenPath())
@click.option("--storage", is_flag=True, help="Also show the size, the chunks and the compression of each column.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all of it.")
def info_command(*, path: Path, storage: bool, as_json: bool) -> None:
    """Show what the recording PATH holds, on one screen.

    Reads no steps. For statistics of the values, see the command stats.
    """
    with Recording(path) as recording:
        facts = _describe(recording)
        columns = column_usage(path)
        shown = _fact_table(facts, recording, columns)
    if as_json:
        print_json({**facts, "columns": [{**asdict(column), "ratio": column.ratio} for column in columns]})
        return
    click.echo(f"{click.style('recording', bold=True)}     {printable(path)}")  # on one line: a path is copied
    show(shown)
    click.echo()
    if not storage:
        click.echo("The sizes of the columns: --storage. All of it: --json.")
        return
    show(_column_table(columns))
    for column in columns:
        for alias in column.aliases:
            click.echo(printable(f"{alias} is another name of {column.name}: stored once"))


def _describe(recording: Recording) -> dict[str, Any]:
    """All facts but the columns, under the names that ``--json`` prints.

    Returns and lengths are those of the episodes that ended: of an incomplete one they say little.
    """
    metadata, schema = recording.metadata, recording.schema
    complete = recording.select("complete")
    return {
        "path": str(recording.path),
        "bytes": file_bytes(recording.path),
        "environment": {
            "name": metadata.get("env_name"),
            "class": metadata.get("env_class"),
            "spec": metadata.get("env_spec"),
            "spec_problem": metadata.get("env_spec_problem") or None,
            "wrappers": metadata.get("env_wrappers", []),
            "render_mode": metadata.get("render_mode") or None,
            "rom_md5": metadata.get("rom_md5"),
        },
        "observation_space": metadata["observation_space"],
        "action_space": metadata["action_space"],
        "frames": metadata.get("frames"),
        "fps": recording.fps,
        "extras": None if schema.extras is None else [column.key for column in schema.extras],
        "times": schema.times,
        "created_at": metadata.get("created_at"),
        "run_id": metadata.get("run_id"),
        "agent_id": metadata.get("agent_id") or None,
        "metadata": metadata["user"],
        "versions": metadata.get("versions", {}),
        "platform": metadata.get("platform", {}),
        "num_envs": recording.num_envs,
        "autoreset_mode": _autoreset_mode(metadata),
        "episodes": recording.num_episodes,
        "incomplete_episodes": recording.num_episodes - complete.num_episodes,
        "masks": {name: len(numbers) for name, numbers in recording.masks.items()},
        "steps": recording.num_steps,
        "rows": recording.num_rows,
        "returns": _spread(complete.returns),
        "lengths": _spread(complete.lengths),
    }


def _autoreset_mode(metadata: Mapping[str, Any]) -> str | None:
    """How the environments of a vector recording were reset; None if it is none, or does not say."""
    vector = metadata.get("vector")
    mode = vector.get("autoreset_mode") if type(vector) is dict else None
    return mode if isinstance(mode, str) else None


def _spread(values: np.ndarray) -> dict[str, Any] | None:
    """The least, mean and largest value; of arrays, those of each element."""
    if not len(values):
        return None
    return {"min": values.min(axis=0), "mean": mean_return(values), "max": values.max(axis=0)}


def _fact_table(facts: Mapping[str, Any], recording: Recording, columns: Sequence[ColumnUsage]) -> Table:
    environment, incomplete = facts["environment"], facts["incomplete_episodes"]
    frames, fps, steps = str(facts["frames"]), facts["fps"], facts["steps"]
    wrappers = [str(each).rpartition(":")[2] for each in environment["wrappers"]]  # without their modules
    speed = f", {fps:g} per second" if frames != "none" and fps > 0 else ""
    per_step = f", {size_text(facts['bytes'] // steps)} per step" if steps else ""
    complete = recording.select("complete")
    rows = [
        ("size", f"{size_text(facts['bytes'])}{per_step}"),
        ("environment", f"{environment['name']}  ({environment['class']})"),
        ("episodes", f"{facts['episodes']:,}" + (f", {incomplete:,} of them incomplete" if incomplete else "")),
        ("steps", f"{steps:,}, in {facts['rows']:,} rows"),
        ("lanes", _lanes_text(facts)),
        ("returns", _spread_text(facts["returns"], complete.returns, incomplete)),
        ("lengths", _spread_text(facts["lengths"], complete.lengths, incomplete)),
        ("left out", f"{counted(incomplete, 'incomplete episode')}, of returns and lengths" if incomplete else None),
        ("masks", ", ".join(f"{name} {counted(count, 'episode')}" for name, count in facts["masks"].items()) or None),
        ("", ""),
        ("observations", " ".join(str(recording.observation_space).split())),
        ("actions", " ".join(str(recording.action_space).split())),
        ("frames", f"{_FRAMES.get(frames, frames)}{speed}"),
        ("infos", _keys_text(recording.schema.infos)),
        ("extras", _extras_text(facts["extras"], columns)),
        ("times", "one for each row" if facts["times"] else "none"),
        ("wrappers", ", ".join(wrappers) or "none"),
        ("no spec", (environment["spec_problem"] or "").partition(". ")[0] or None),
        ("created", facts["created_at"]),
        ("run id", facts["run_id"]),
        ("agent id", facts["agent_id"]),
        ("metadata", summary(facts["metadata"]) or None),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
    ]
    return name_table((name, None if value is None else _shortened(str(value))) for name, value in rows)


def _lanes_text(facts: Mapping[str, Any]) -> str | None:
    """How many environments there are, and how they were reset; None for a single one."""
    count, mode = facts["num_envs"], facts["autoreset_mode"]
    if count == 1 and mode is None:
        return None
    return counted(count, "environment") + " side by side" + (f", autoreset {mode}" if mode else "")


def _shortened(text: str) -> str:
    """A text of at most two lines of a terminal, cut between two words if it has several."""
    shortened = textwrap.shorten(text, _MAX_CHARACTERS, placeholder=" ...") if len(text) > _MAX_CHARACTERS else text
    return shortened if len(shortened) > _MAX_CHARACTERS // 2 or text == shortened else text[:_MAX_CHARACTERS]


def _keys_text(columns: Sequence[KeyColumn] | None) -> str:
    """The keys that have columns."""
    if columns is None:
        return "none"
    return ", ".join(column.key for column in columns) or "no key with a column of its own"


def _extras_text(keys: Sequence[str] | None, columns: Sequence[ColumnUsage]) -> str:
    """The keys that have columns, and whether there are others."""
    shown = list(keys or ())
    if any(column.name == f"{fmt.EXTRAS_JSON}/{fmt.VALUES}" and column.shape[0] for column in columns):
        shown.append("others as JSON text" if shown else "as JSON text")
    return ", ".join(shown) or "none"


def _spread_text(spread: Mapping[str, Any] | None, values: np.ndarray, num_incomplete: int) -> str | None:
    if spread is None:
        return "no complete episode" if num_incomplete else None
    texts = {name: reward_text(value) if np.ndim(value) else f"{value:,.6g}" for name, value in spread.items()}
    return "  ".join([*filter(None, [sparkline(values)]), *(f"{name} {text}" for name, text in texts.items())])


def _column_table(columns: Sequence[ColumnUsage]) -> Table:
    """The table of columns; a terminal of 80 characters has no room for the chunks."""
    has_chunks = make_console().width >= _WIDE
    table = plain_table(gap=1)
    table.add_column("column", no_wrap=True, overflow="ellipsis")
    names = ("shape", "dtype", *(["chunk"] if has_chunks else []), "filter", "stored", "raw", "ratio")
    for name in names:
        justify: JustifyMethod = "left" if name in ("dtype", "filter") else "right"
        table.add_column(name, justify=justify, no_wrap=name != "shape")
    for column in sorted(columns, key=lambda column: -column.raw_bytes):
        table.add_row(
            _in_lines(column.name),
            "x".join(map(str, column.shape)),
            safe(column.dtype),
            *([str(column.chunk_rows)] if has_chunks else []),
            safe(column.filter or ""),
            size_text(column.stored_bytes),
            size_text(column.raw_bytes),
            _ratio_text(column.ratio),
        )
    stored, raw = sum(column.stored_bytes for column in columns), sum(column.raw_bytes for column in columns)
    ratio = raw / stored if stored else math.nan
    table.add_row("together", *([""] * (len(names) - 3)), size_text(stored), size_text(raw), _ratio_text(ratio))
    return table


def _in_lines(name: str) -> Text:
    """The path of a column. One that is long goes on in the next line behind a slash."""
    lines = [""]
    for part in re.split("(?<=/)", name):
        if lines[-1] and len(lines[-1]) + len(part) > _MAX_NAME:
            lines.append("  ")
        lines[-1] += part
    return Text("\n").join(map(safe_line, lines))


def _ratio_text(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:,.1f}"
