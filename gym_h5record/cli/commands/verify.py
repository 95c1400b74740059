"""``gym-h5record verify``: does the environment do again what was recorded?"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
from rich.table import Table

import gym_h5record as h5r
from gym_h5record.cli.output import print_json, safe, show
from gym_h5record.cli.parameters import parse_episodes
from gym_h5record.cli.program import PROBLEM
from gym_h5record.cli.progress import row_progress
from gym_h5record.cli.user_code import check_callable_name, load_callable
from gym_h5record.display import printable, short_repr

__all__ = ["verify"]


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--episodes", callback=parse_episodes, metavar="0,3-5", help="Only these episodes.  [default: all]")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes to run them in.")
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="How far floating numbers may be apart, for simulators that are not exact.  [default: not a bit]",
)
@click.option("--ignore", multiple=True, metavar="KEY/KEY", help="A path into infos that is not compared; repeatable.")
@click.option(
    "--env",
    "make_env",
    callback=check_callable_name,
    metavar="MODULE:CALLABLE",
    help="What makes the environment, if the file cannot say it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    path: Path,
    episodes: list[int] | None,
    workers: int,
    atol: float,
    ignore: tuple[str, ...],
    make_env: str | None,
    as_json: bool,
) -> None:
    r"""Run the episodes of the recording PATH again on the real environment, and compare every bit.

    The environment, and modules that the file names, are imported and run: verify
    recordings of people you trust. The exit code is 1 unless every episode is exact.

    \b
      gym-h5record verify run.h5 --workers 2
      gym-h5record verify run.h5 --episodes 0,3-5 --json
    """
    sys.path.insert(0, str(Path.cwd()))  # environments of the user's own
    options: dict[str, Any] = {"atol": atol, "ignore": ignore, "workers": workers}
    with redirect_stdout(sys.stderr if as_json else sys.stdout):  # what environments print is no JSON
        env = None if make_env is None else load_callable(make_env, "environment")
        with row_progress(path.name, "episodes", is_shown=not as_json) as on_progress:
            report = h5r.verify(path, env, episodes, on_progress=on_progress, **options)
    if as_json:
        print_json(_as_json(report))
    else:
        _show(report)
    if not report.ok:
        ctx.exit(PROBLEM)


def _show(report: h5r.VerifyReport) -> None:
    for sentence in report.differences:
        click.echo(printable(sentence))
    notable = [each for each in report.episodes if not each.ok or each.reason]
    if notable:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("episode", justify="right")
        table.add_column("verdict", no_wrap=True)
        table.add_column("why", overflow="fold")
        for each in notable:
            where = "" if each.divergence is None else f"step {each.divergence.step}, {each.divergence.message}"
            why = "; ".join(filter(None, (where, each.reason)))
            table.add_row(str(each.episode), each.verdict.value, safe(why))
        show(table)
        click.echo()
    counts = [f"{report.count(verdict):,} {verdict.value}" for verdict in h5r.Verdict if report.count(verdict)]
    summary = ", ".join(counts) or "no episodes"
    click.echo(f"{printable(report.path)}: {summary}; {report.num_steps:,} steps compared")


def _as_json(report: h5r.VerifyReport) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "ok": report.ok,
        "atol": report.atol,
        "steps": report.num_steps,
        "differences": list(report.differences),
        "episodes": [
            {
                "episode": each.episode,
                "verdict": each.verdict.value,
                "independent": each.independent,
                "steps": each.steps,
                "reason": each.reason,
                "divergence": _divergence(each.divergence),
            }
            for each in report.episodes
        ],
    }


def _divergence(found: h5r.Divergence | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "step": found.step,
        "leaf": found.leaf,
        "recorded": short_repr(found.recorded),
        "found": short_repr(found.found),
        "largest": found.largest,
        "message": found.message,
    }
