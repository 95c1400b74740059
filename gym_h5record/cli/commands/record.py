"""``gym-h5record record``: step an environment and record it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import gymnasium as gym

from gym_h5record.cli.environments import default_path, make_environment
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.output import file_bytes, print_json, show_line, size_text
from gym_h5record.cli.parameters import GivenPath, parse_pairs
from gym_h5record.cli.program import EXIT_INTERRUPTED, CommandError
from gym_h5record.cli.progress import rollout_progress
from gym_h5record.cli.returns import mean_return, mean_return_text
from gym_h5record.cli.rollout import Limits, RolloutStats, roll_out
from gym_h5record.cli.user_code import (
    RANDOM,
    check_policy_name,
    import_from_current_directory,
    load_callable,
    random_policy,
)
from gym_h5record.display import counted
from gym_h5record.errors import RecordingExistsError
from gym_h5record.recorder.wrapper import RecordToHDF5

__all__ = ["record_command"]

_COMPRESSIONS = ("gzip", "zstd", "lz4", "lzf", "szip", "none")


@click.command("record")
@click.argument("env_id")
@click.option(
    "-o",
    "--output",
    type=GivenPath(),
    help="The file to write.  [default: ENV_ID without its namespace, with .h5]",
)
@click.option(
    "--episodes", type=click.IntRange(min=1), help="Stop after N episodes.  [default: 1, if no --steps]", metavar="N"
)
@click.option("--steps", type=click.IntRange(min=1), help="Stop after N steps.", metavar="N")
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the first reset and of the random policy."
)
@click.option(
    "--policy",
    default=RANDOM,
    show_default=True,
    callback=check_policy_name,
    metavar="random|MODULE:CALLABLE",
    help="Chooses the actions. A callable is called with the observation.",
)
@click.option(
    "--env-kwargs",
    multiple=True,
    callback=parse_pairs,
    metavar="KEY=VALUE",
    help="An argument of the environment: a Python literal, or else a string. May be repeated.",
)
@click.option(
    "--render-mode",
    metavar="MODE",
    help='Passed to the environment.  [default: "rgb_array" with --frames render]',
)
@click.option(
    "--frames",
    type=click.Choice(["auto", "render", "observation", "none"]),
    default="auto",
    show_default=True,
    help="The pictures to store. auto: the observations if they are the pictures of an Atari game, "
    "else what --render-mode rgb_array, ansi, depth_array or rgbd_tuple renders, else none.",
)
@click.option("--atari-preprocessing", is_flag=True, help="Frame skip 4, grayscale, 84x84.")
@click.option("--frame-stack", type=click.IntRange(min=1), metavar="N", help="Stack the last N observations.")
@click.option("--compression", type=click.Choice(_COMPRESSIONS), default="gzip", show_default=True)
@click.option("--compression-opts", type=int, metavar="N", help="Level of gzip (0 to 9) or zstd (-7 to 22).")
@click.option(
    "--writer",
    type=click.Choice(["process", "inline"]),
    default="process",
    show_default=True,
    help="Write the file in a second process, or in the recording process.",
)
@click.option(
    "--durability",
    type=click.Choice(["process", "power"]),
    default="process",
    show_default=True,
    help="Recorded steps survive the death of any process, or also a power cut.",
)
@click.option("--checksum", is_flag=True, help="Store checksums, which `validate --deep` compares.")
@click.option("--append", is_flag=True, help="Add episodes to a recording of the same environment.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--metadata",
    multiple=True,
    callback=parse_pairs,
    metavar="KEY=VALUE",
    help="Stored with the recording. The keys run_id and agent_id have places of their own. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and no progress.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def record_command(
    *,
    env_id: str,
    output: Path | None,
    episodes: int | None,
    steps: int | None,
    seed: int | None,
    policy: str,
    env_kwargs: dict[str, Any],
    render_mode: str | None,
    frames: str,
    atari_preprocessing: bool,
    frame_stack: int | None,
    compression: str,
    compression_opts: int | None,
    writer: str,
    durability: str,
    checksum: bool,
    append: bool,
    overwrite: bool,
    metadata: dict[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    """Step the environment ENV_ID and record it into one HDF5 file.

    Ctrl-C ends the recording after the current step, and the file is complete.

    \b
    Examples:
      gym-h5record record CartPole-v1 --episodes 10 --seed 0
      gym-h5record record ALE/Breakout-v5 -o run.h5 --steps 10000
      gym-h5record record FrozenLake-v1 --env-kwargs is_slippery=False \\
          --frames render --policy my_agent:act
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    if append and overwrite:
        raise click.UsageError("--append and --overwrite exclude each other.")
    path = default_path(env_id) if output is None else output
    limits, stats = Limits(1 if episodes is None and steps is None else episodes, steps), RolloutStats()
    import_from_current_directory()
    try:
        with ExitStack() as unless_recorded:
            env = make_environment(
                env_id,
                env_kwargs,
                render_mode="rgb_array" if render_mode is None and frames == "render" else render_mode,
                atari_preprocessing=atari_preprocessing,
                frame_stack=frame_stack,
            )
            unless_recorded.callback(env.close)
            act = random_policy(env.action_space, seed) if policy == RANDOM else load_callable(policy, "policy")
            recorder: RecordToHDF5[Any, Any] = RecordToHDF5(
                env,
                path,
                mode="a" if append else "w" if overwrite else "x",
                frames=False if frames == "none" else frames,
                compression=None if compression == "none" else compression,
                compression_opts=compression_opts,
                writer=writer,
                durability=durability,
                checksum=checksum,
                metadata=metadata,
            )
            unless_recorded.pop_all()  # from here on recorder.close() closes the environment
        interrupted = _record(recorder, act, path, limits, stats, seed=seed, silent=as_json or quiet)
    except RecordingExistsError as error:
        raise CommandError(
            f"{path} exists already, whole or interrupted: choose another name with --output, "
            "go on with it with --append, or replace it with --overwrite."
        ) from error
    if as_json:
        print_json(_as_json(path, stats, interrupted=interrupted))
    elif not quiet:
        show_line(f"{'interrupted: ' if interrupted else ''}{_as_line(path, stats, append=append)}")
    if interrupted:
        click.get_current_context().exit(EXIT_INTERRUPTED)


def _record(
    recorder: gym.Env[Any, Any],
    policy: Callable[[Any], Any],
    path: Path,
    limits: Limits,
    stats: RolloutStats,
    *,
    seed: int | None,
    silent: bool,
) -> bool:
    """Record up to the limits and close the recorder; whether a signal ended the recording before."""
    with Interrupts() as interrupts:
        try:
            with rollout_progress(path, limits, is_shown=not silent) as on_step:
                roll_out(recorder, policy, limits, stats, seed=seed, stop=interrupts, on_step=on_step)
        except KeyboardInterrupt:  # the second signal
            interrupts.requested = True
        finally:
            recorder.close()
        return interrupts.requested and limits.fraction(stats) < 1


def _as_json(path: Path, stats: RolloutStats, *, interrupted: bool) -> dict[str, Any]:
    speed = stats.steps_per_second
    return {
        "path": str(path),
        "steps": stats.steps,
        "episodes": len(stats.returns),
        "incomplete_episodes": stats.incomplete,
        "returns": stats.returns,
        "mean_return": mean_return(stats.complete_returns),
        "seconds": round(stats.seconds, 6),
        "steps_per_second": None if speed is None else round(speed, 3),
        "bytes": file_bytes(path),
        "interrupted": interrupted,
    }


def _as_line(path: Path, stats: RolloutStats, *, append: bool) -> str:
    """What was recorded now, and the size of the file, which may have more episodes."""
    if not stats.returns:
        return "nothing was recorded"
    facts = [
        counted(len(stats.returns), "episode") + (f" ({stats.incomplete} incomplete)" if stats.incomplete else ""),
        counted(stats.steps, "step"),
        mean_return_text(stats.complete_returns, stats.incomplete),
        size_text(file_bytes(path)) + (" in all" if append else ""),
    ]
    if stats.steps_per_second is not None:
        facts.append(f"{stats.steps_per_second:,.0f} steps/s")
    return f"{path}: {', '.join(facts)}"
