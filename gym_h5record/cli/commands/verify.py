"""``gym-h5record verify``: run recorded episodes again on the real environment, and compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import gym_h5record as h5r
from gym_h5record.cli.output import plain_table, print_json, safe, show, show_line
from gym_h5record.cli.parameters import GivenPath, parse_episodes
from gym_h5record.cli.program import EXIT_PROBLEM, CommandError
from gym_h5record.cli.user_code import check_callable_name, load_callable, running_episodes
from gym_h5record.display import short_repr
from gym_h5record.errors import UnbuildableEnvError

__all__ = ["verify_command"]

_ADVICE = "pass a function that makes it, --env MODULE:CALLABLE."


@click.command("verify")
@click.argument("path", type=GivenPath())
@click.option("--episodes", callback=parse_episodes, metavar="0,3-5", help="Only these episodes.  [default: all]")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="Floating numbers may differ by up to X, for simulators that are not exact.  "
    "[default: every bit must be equal]",
)
@click.option(
    "--ignore", multiple=True, metavar="KEY/KEY", help="Do not compare this path in the infos. May be repeated."
)
@click.option(
    "--env",
    "make_env",
    callback=check_callable_name,
    metavar="MODULE:CALLABLE",
    help="A callable that makes the environment. Needed if the file does not name one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
@click.pass_context
def verify_command(
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
    """Run the episodes of PATH again and compare them bit by bit.

    The environment, and modules that the file names, are imported and run: verify
    only recordings of people you trust. The exit code is 1 unless every episode is
    exact, or within --atol.

    \b
    Examples:
      gym-h5record verify run.h5 --workers 2
      gym-h5record verify run.h5 --episodes 0,3-5 --json
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    with running_episodes(path, as_json=as_json, workers=workers) as on_progress:
        env = None if make_env is None else load_callable(make_env, "environment")
        with _unbuildable_explained():
            report = h5r.verify(
                path, episodes, env=env, atol=atol, ignore=ignore, workers=workers, on_progress=on_progress
            )
    if as_json:
        print_json(_as_json(path, report))
    else:
        _show(path, report)
    if not report.ok:
        ctx.exit(EXIT_PROBLEM)


@contextmanager
def _unbuildable_explained() -> Iterator[None]:
    """Say with which option the environment is given; the message of the error is for programs."""
    try:
        yield
    except UnbuildableEnvError as error:
        # Here: they load Gymnasium, which --help does not need.
        from gym_h5record.replay.rebuild import ADVICE
        from gym_h5record.replay.vector_making import VECTOR_ADVICE

        raise CommandError(str(error).removesuffix(ADVICE).removesuffix(VECTOR_ADVICE) + _ADVICE) from error


def _show(path: Path, report: h5r.VerifyReport) -> None:
    for sentence in (*report.differences, *report.not_compared):
        show_line(sentence)
    table = plain_table()
    table.add_column("episode", justify="right")
    table.add_column("verdict", no_wrap=True)
    table.add_column("why", overflow="fold")
    for each in report.episodes:
        where = "" if each.divergence is None else f"step {each.divergence.step}, {each.divergence.message}"
        if not each.ok or each.reason:
            why = "; ".join(filter(None, (where, each.reason)))
            table.add_row(str(each.episode), each.verdict.value, safe(why))
    if table.row_count:
        show(table)
        click.echo()
    counts = [f"{report.count(verdict):,} {verdict.value}" for verdict in h5r.Verdict if report.count(verdict)]
    summary = ", ".join(counts) or "no episodes"
    show_line(f"{path}: {summary}; {report.num_steps:,} steps compared")


def _as_json(path: Path, report: h5r.VerifyReport) -> dict[str, Any]:
    return {
        "path": str(path),
        "ok": report.ok,
        "atol": report.atol,
        "steps": report.num_steps,
        "differences": list(report.differences),
        "not_compared": list(report.not_compared),
        "episodes": [
            {
                "episode": each.episode,
                "verdict": each.verdict.value,
                "independent": each.independent,
                "steps": each.num_steps,
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
