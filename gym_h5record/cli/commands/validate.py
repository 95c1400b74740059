"""``gym-h5record validate``: what is wrong with a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

import gym_h5record as h5r
from gym_h5record.cli.output import print_json, safe, show
from gym_h5record.cli.program import PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import printable

__all__ = ["validate"]


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--deep", is_flag=True, help="Read every row: chunks, types, flags, returns, NaN, values outside spaces.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def validate(ctx: click.Context, *, path: Path, deep: bool, as_json: bool) -> None:
    """Find out what is wrong with the recording PATH, without changing it.

    The exit code is 1 if there is an error; warnings are only shown.
    """
    if deep and not as_json:
        with row_progress(path.name) as on_progress:
            problems = h5r.validate(path, deep=True, on_progress=on_progress)
    else:
        problems = h5r.validate(path, deep=deep)
    errors = sum(each.severity is h5r.Severity.ERROR for each in problems)
    warnings = len(problems) - errors
    if as_json:
        found = [{**asdict(each), "severity": each.severity.value} for each in problems]
        print_json({"path": str(path), "deep": deep, "errors": errors, "warnings": warnings, "problems": found})
    else:
        if problems:
            show(_table(problems))
            click.echo()
        click.echo(f"{printable(path)}: {_verdict(errors, warnings, deep=deep)}")
    if errors:
        ctx.exit(PROBLEM)


def _table(problems: Sequence[h5r.Problem]) -> Table:
    """One entry per problem, its remedy below what is wrong."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("severity", no_wrap=True)
    table.add_column("place", overflow="fold", max_width=30)
    table.add_column("problem and remedy", overflow="fold")
    for each in problems:
        text = safe(f"{each.code}: {each.message}")
        if each.remedy:
            text.append("\n").append_text(safe(f"-> {each.remedy}"))
        table.add_row(each.severity.value, safe(each.place), text)
    return table


def _verdict(errors: int, warnings: int, *, deep: bool) -> str:
    counts = [
        f"{count} {name}{'s' if count > 1 else ''}"
        for count, name in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    verdict = ", ".join(counts) or "nothing is wrong"
    return verdict if deep or errors else f"{verdict}; its rows have not been read, which --deep does"
