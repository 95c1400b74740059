"""``gym-h5record diff``: where two recordings differ first."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

import gym_h5record as h5r
from gym_h5record.cli.output import json_value, print_json
from gym_h5record.cli.program import PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import printable, short_repr

__all__ = ["diff"]


_MAX_ELEMENTS = 100


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="How far floating numbers may be apart.  [default: not a bit]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def diff(ctx: click.Context, *, a: Path, b: Path, atol: float, as_json: bool) -> None:
    """Find the first place where the recordings A and B differ.

    The exit code is 1 if their episodes differ; metadata that differs is only shown.
    """
    if math.isnan(atol):
        raise click.BadParameter("nan is no distance", ctx, param_hint="--atol")
    if as_json:
        report = h5r.diff(a, b, atol=atol)
        values = {"a": _json(report.a), "b": _json(report.b)}
        print_json({"paths": [str(a), str(b)], "atol": atol, **asdict(report), **values})
    else:
        with row_progress(f"{a.name}, {b.name}") as on_progress:
            report = h5r.diff(a, b, atol=atol, on_progress=on_progress)
        click.echo(printable(report.message))
        for sentence in report.metadata:
            click.echo(printable(f"metadata: {sentence}"))
    if not report.same:
        ctx.exit(PROBLEM)


def _json(value: Any) -> Any:
    """The value itself as long as it is small; a picture of another shape is not."""
    size = value.size if isinstance(value, np.ndarray) else len(value) if hasattr(value, "__len__") else 1
    return json_value(value) if size <= _MAX_ELEMENTS else short_repr(value)
