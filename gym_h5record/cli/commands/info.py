"""``gym-h5record info``: what a recording holds, told without reading its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import JustifyMethod
from rich.table import Table

from gym_h5record.cli.output import file_bytes, name_table, plain_table, print_json, safe, show, size_text, summary
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.returns import mean_return
from gym_h5record.display import counted, printable, reward_text
from gym_h5record.format import names as fmt
from gym_h5record.reading.recording import Recording
from gym_h5record.storage.usage import ColumnUsage, column_usage

__all__ = ["info_command"]

_FRAMES = {"render": "rendered", "cameras": "of cameras", "observation": "the observations", "none": "none"}


@click.command("info")
@click.argument("path", type=GivenPath())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info_command(*, path: Path, as_json: bool) -> None:
    """Show what the recording PATH holds, and the size of each column."""
    with Recording(path) as recording:
        spaces = (str(recording.observation_space), str(recording.action_space))
        facts = _describe(recording)
    columns = column_usage(path)
    if as_json:
        print_json({**facts, "columns": [{**asdict(column), "ratio": column.ratio} for column in columns]})
        return
    show(_fact_table(facts, *spaces, columns))
    click.echo()
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
        "episodes": recording.num_episodes,
        "incomplete_episodes": recording.num_episodes - complete.num_episodes,
        "masks": {name: len(numbers) for name, numbers in recording.masks.items()},
        "steps": recording.num_steps,
        "rows": recording.num_rows,
        "returns": _spread(complete.returns),
        "lengths": _spread(complete.lengths),
    }


def _spread(values: np.ndarray) -> dict[str, Any] | None:
    """The least, mean and largest value; of arrays, those of each element."""
    if not len(values):
        return None
    return {"min": values.min(axis=0), "mean": mean_return(values), "max": values.max(axis=0)}


def _fact_table(
    facts: Mapping[str, Any], observation_space: str, action_space: str, columns: Sequence[ColumnUsage]
) -> Table:
    environment, incomplete = facts["environment"], facts["incomplete_episodes"]
    frames, fps = str(facts["frames"]), facts["fps"]
    wrappers = [str(each).rpartition(":")[2] for each in environment["wrappers"]]  # without their modules
    speed = f", {fps:g} per second" if frames != "none" and fps > 0 else ""
    rows = [
        ("recording", f"{facts['path']}  ({size_text(facts['bytes'])})"),
        ("environment", f"{environment['name']}  ({environment['class']})"),
        ("no spec", (environment["spec_problem"] or "").partition(". ")[0] or None),
        ("wrappers", ", ".join(wrappers) or "none"),
        ("observations", " ".join(observation_space.split())),
        ("actions", " ".join(action_space.split())),
        ("frames", f"{_FRAMES.get(frames, frames)}{speed}"),
        ("extras", _extras_text(facts["extras"], columns)),
        ("times", "one for each row" if facts["times"] else "none"),
        ("created", facts["created_at"]),
        ("run id", facts["run_id"]),
        ("agent id", facts["agent_id"]),
        ("metadata", summary(facts["metadata"]) or None),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
        ("platform", facts["platform"].get("system")),
        ("", ""),
        ("episodes", f"{facts['episodes']:,}" + (f", {incomplete:,} of them incomplete" if incomplete else "")),
        ("steps", f"{facts['steps']:,}, in {facts['rows']:,} rows"),
        ("returns", _spread_text(facts["returns"], incomplete)),
        ("lengths", _spread_text(facts["lengths"], incomplete)),
        ("left out", f"{counted(incomplete, 'incomplete episode')}, of returns and lengths" if incomplete else None),
        ("masks", ", ".join(f"{name} {counted(count, 'episode')}" for name, count in facts["masks"].items()) or None),
    ]
    return name_table(rows)


def _extras_text(keys: Sequence[str] | None, columns: Sequence[ColumnUsage]) -> str:
    """The keys that have columns, and whether there are others."""
    shown = list(keys or ())
    if any(column.name == f"{fmt.EXTRAS_JSON}/{fmt.VALUES}" and column.shape[0] for column in columns):
        shown.append("others as JSON text" if shown else "as JSON text")
    return ", ".join(shown) or "none"


def _spread_text(spread: Mapping[str, Any] | None, num_incomplete: int) -> str | None:
    if spread is None:
        return "no complete episode" if num_incomplete else None
    texts = {name: reward_text(value) if np.ndim(value) else f"{value:,.6g}" for name, value in spread.items()}
    return "  ".join(f"{name} {text}" for name, text in texts.items())


def _column_table(columns: Sequence[ColumnUsage]) -> Table:
    table = plain_table(gap=1)  # eight columns have to fit into 80 characters
    table.add_column("column", overflow="fold", min_width=16)
    for name in ("shape", "dtype", "chunk", "filter", "stored", "raw", "ratio"):
        justify: JustifyMethod = "left" if name in ("dtype", "filter") else "right"
        table.add_column(name, justify=justify, no_wrap=name != "shape")
    for column in sorted(columns, key=lambda column: -column.raw_bytes):
        table.add_row(
            safe(column.name),
            "x".join(map(str, column.shape)),
            safe(column.dtype),
            str(column.chunk_rows),
            safe(column.filter or ""),
            size_text(column.stored_bytes),
            size_text(column.raw_bytes),
            _ratio_text(column.ratio),
        )
    stored, raw = sum(column.stored_bytes for column in columns), sum(column.raw_bytes for column in columns)
    ratio = raw / stored if stored else math.nan
    table.add_row("together", "", "", "", "", size_text(stored), size_text(raw), _ratio_text(ratio))
    return table


def _ratio_text(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:,.1f}"
