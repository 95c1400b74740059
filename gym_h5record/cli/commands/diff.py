"""``gym-h5record diff``: where two recordings differ first."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

import gym_h5record as h5r
from gym_h5record.cli.output import json_value, print_json, show_line
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.program import EXIT_PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import short_repr

__all__ = ["diff_command"]

_MAX_ELEMENTS = 100  # of a value in the JSON; a picture has 100,000


@click.command("diff")
@click.argument("a", type=GivenPath())
@click.argument("b", type=GivenPath())
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="Floating numbers may differ by up to X.  [default: every bit must be equal]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def diff_command(ctx: click.Context, *, a: Path, b: Path, atol: float, as_json: bool) -> None:
    """Find the first difference between the recordings A and B.

    The exit code is 1 if their episodes differ. Differences in metadata are shown, and
    do not change the exit code.
    """
    if math.isnan(atol):
        raise click.BadParameter("expected a number, got nan", ctx, param_hint="--atol")
    with row_progress(f"{a.name}, {b.name}", is_shown=not as_json) as on_progress:
        report = h5r.diff(a, b, atol=atol, on_progress=on_progress)
    if as_json:
        values = {"a": _json(report.a), "b": _json(report.b)}
        print_json({"paths": [str(a), str(b)], "atol": atol, **asdict(report), **values})
    else:
        show_line(report.message)
        for sentence in report.metadata:
            show_line(f"metadata: {sentence}")
    if not report.ok:
        ctx.exit(EXIT_PROBLEM)


def _json(value: Any) -> Any:
    """A small value itself, a large one as a short text: it may be a picture."""
    size = value.size if isinstance(value, np.ndarray) else len(value) if hasattr(value, "__len__") else 1
    return json_value(value) if size <= _MAX_ELEMENTS else short_repr(value)
