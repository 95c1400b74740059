"""The options of ``gym-h5record replay --policy``, which evaluates a policy instead of playing an episode.

``evaluation_tables`` prints the report.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import gym_h5record as h5r
from gym_h5record.cli.evaluation_tables import report_json, show_report
from gym_h5record.cli.output import print_json
from gym_h5record.cli.parameters import parse_episodes
from gym_h5record.cli.user_code import check_callable_name, load_callable, running_episodes

__all__ = ["or_evaluate"]

_OF_CLOSED_LOOP = ("make_env", "max_steps", "ignore", "seed")
_OF_EVALUATION = ("closed_loop", *_OF_CLOSED_LOOP, "episodes")


def or_evaluate(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of an evaluation to a command; with ``--policy`` the evaluation runs instead of the command.

    The command's own options, except ``path`` and ``as_json``, cannot be combined with ``--policy``.
    """

    @click.option(
        "--policy",
        callback=check_callable_name,
        metavar="MODULE:CALLABLE",
        help="Call this with each recorded observation, and compare its actions with the recorded ones.",
    )
    @click.option(
        "--closed-loop",
        is_flag=True,
        help="Let the policy act from where each episode began, and compare returns.",
    )
    @click.option(
        "--env",
        "make_env",
        callback=check_callable_name,
        metavar="MODULE:CALLABLE",
        help="With --closed-loop: makes the environment. Needed if the file does not name one.",
    )
    @click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --closed-loop: cut an episode after N steps.",
    )
    @click.option(
        "--ignore",
        multiple=True,
        metavar="KEY/KEY",
        help="With --closed-loop: do not compare this path in the infos of the reset. May be repeated.",
    )
    @click.option(
        "--episodes",
        callback=parse_episodes,
        metavar="0,3-5",
        help="With --policy: only these episodes.  [default: all]",
    )
    @click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="With --closed-loop: seed of the bootstrap that gives the 95 % intervals.",
    )
    @functools.wraps(command)
    def either(*, path: Path, as_json: bool, policy: str | None, **options: Any) -> None:
        ctx = click.get_current_context()
        evaluation = {name: options.pop(name) for name in _OF_EVALUATION}
        if policy is None:
            _refuse(ctx, evaluation, "needs --policy.")
            command(path=path, as_json=as_json, **options)
            return
        _refuse(ctx, options, "cannot be combined with --policy.")
        if not evaluation["closed_loop"]:
            _refuse(ctx, _OF_CLOSED_LOOP, "needs --closed-loop.")
        _evaluate(path, policy, as_json=as_json, **evaluation)

    return either


def _refuse(ctx: click.Context, names: Collection[str], why: str) -> None:
    """Refuse the first of these options that was given on the command line."""
    for parameter in ctx.command.params:
        is_given = ctx.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        if parameter.name in names and is_given:
            raise click.UsageError(f"{parameter.opts[0]} {why}", ctx)


def _evaluate(
    path: Path, policy: str, *, episodes: list[int] | None, make_env: str | None, as_json: bool, **options: Any
) -> None:
    with running_episodes(path, as_json=as_json) as on_progress:
        act = load_callable(policy, "policy")
        env = None if make_env is None else load_callable(make_env, "environment")
        report = h5r.evaluate(act, path, episodes, env=env, on_progress=on_progress, **options)
    if as_json:
        print_json(report_json(report))
    else:
        show_report(report)
