"""``gym-h5record validate``: a table of the problems of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

import gym_h5record as h5r
from gym_h5record.cli.output import plain_table, print_json, safe, show, show_line
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.program import EXIT_PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import counted

__all__ = ["validate_command"]


@click.command("validate")
@click.argument("path", type=GivenPath())
@click.option(
    "--deep",
    is_flag=True,
    help="Also read every row: chunks, types, flags, returns, NaN, times, values outside spaces.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def validate_command(ctx: click.Context, *, path: Path, deep: bool, as_json: bool) -> None:
    """Check the recording PATH for errors, without changing it.

    The exit code is 1 if there is an error. Warnings are shown, and do not change the exit code.
    """
    with row_progress(path.name, is_shown=deep and not as_json) as on_progress:
        problems = h5r.validate(path, deep=deep, on_progress=on_progress)
    errors = sum(each.severity is h5r.Severity.ERROR for each in problems)
    warnings = len(problems) - errors
    if as_json:
        found = [{**asdict(each), "severity": each.severity.value} for each in problems]
        print_json({"path": str(path), "deep": deep, "errors": errors, "warnings": warnings, "problems": found})
    else:
        if problems:
            show(_table(problems))
            click.echo()
        show_line(f"{path}: {_verdict(errors, warnings, deep=deep)}")
    if errors:
        ctx.exit(EXIT_PROBLEM)


def _table(problems: Sequence[h5r.Problem]) -> Table:
    """One row per problem, with the remedy below the message."""
    table = plain_table()
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
    counts = [counted(count, name) for count, name in ((errors, "error"), (warnings, "warning")) if count]
    verdict = ", ".join(counts) or "no problem found"
    return verdict if deep or errors else f"{verdict}; the rows were not read, --deep reads them"
