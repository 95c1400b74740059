"""The options of ``gym-h5record replay --policy``. What comes out is printed in ``evaluation_tables``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import gym_h5record as h5r
from gym_h5record.cli.evaluation_tables import report_json, show_report
from gym_h5record.cli.output import print_json
from gym_h5record.cli.parameters import parse_episodes
from gym_h5record.cli.progress import row_progress
from gym_h5record.cli.user_code import check_callable_name, load_callable, load_policy

__all__ = ["or_evaluate"]


Command = Callable[..., None]

_OPTIONS = (
    click.option(
        "--policy",
        callback=check_callable_name,
        metavar="MODULE:CALLABLE",
        help="Compare what this chooses, called with each observation, with what was recorded.",
    ),
    click.option("--closed-loop", is_flag=True, help="Let the policy act where the episodes began; compare returns."),
    click.option(
        "--env",
        "make_env",
        callback=check_callable_name,
        metavar="MODULE:CALLABLE",
        help="For --closed-loop, what makes the environment, if the file cannot say it.",
    ),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        metavar="N",
        help="For --closed-loop, when to stop an episode that does not end.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        metavar="KEY/KEY",
        help="For --closed-loop, a path into infos that is not compared with the recording's; repeatable.",
    ),
    click.option(
        "--episodes", callback=parse_episodes, metavar="0,3-5", help="For --policy, only these.  [default: all]"
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Of the intervals of --closed-loop."
    ),
)
_OF_CLOSED_LOOP = ("make_env", "max_steps", "ignore", "seed")
_OF_EVALUATION = ("closed_loop", *_OF_CLOSED_LOOP, "episodes")


def or_evaluate(command: Command) -> Command:
    """Give a command the options of an evaluation, which is done in its place if there is ``--policy``.

    Everything else that the command takes, ``path`` and ``as_json`` excepted, excludes ``--policy``.
    """

    @functools.wraps(command)
    def either(
        *,
        path: Path,
        as_json: bool,
        policy: str | None,
        closed_loop: bool,
        make_env: str | None,
        max_steps: int | None,
        ignore: tuple[str, ...],
        episodes: list[int] | None,
        seed: int,
        **of_command: Any,
    ) -> None:
        ctx = click.get_current_context()
        if policy is None:
            _refuse(ctx, _OF_EVALUATION, "needs --policy.")
            command(path=path, as_json=as_json, **of_command)
            return
        _refuse(ctx, of_command, "cannot be combined with --policy.")
        if not closed_loop:
            _refuse(ctx, _OF_CLOSED_LOOP, "needs --closed-loop.")
        options = {"closed_loop": closed_loop, "seed": seed, "max_steps": max_steps, "ignore": ignore}
        _evaluate(path, policy, make_env, episodes, options, as_json=as_json)

    for option in reversed(_OPTIONS):
        either = option(either)
    return either


def _refuse(ctx: click.Context, names: Any, why: str) -> None:
    """Complain about the first of these options that was given."""
    for parameter in ctx.command.params:
        is_given = ctx.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        if parameter.name in names and is_given:
            raise click.UsageError(f"{parameter.opts[0]} {why}", ctx)


def _evaluate(
    path: Path, name: str, make_env: str | None, episodes: list[int] | None, options: dict[str, Any], *, as_json: bool
) -> None:
    sys.path.insert(0, str(Path.cwd()))  # policies and environments of the user's own
    policy = load_policy(name)
    env = None if make_env is None else load_callable(make_env, "environment")
    if as_json:
        with redirect_stdout(sys.stderr):  # what the policy and the environment print is not JSON
            report = h5r.evaluate(policy, path, episodes, env=env, **options)
        print_json(report_json(report))
        return
    with row_progress(path.name, "episodes") as on_progress:
        report = h5r.evaluate(policy, path, episodes, env=env, on_progress=on_progress, **options)
    show_report(report)
