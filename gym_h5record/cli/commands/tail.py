"""``gym-h5record tail``: follow a recording while it is being written."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click

from gym_h5record.cli.follower import Follower
from gym_h5record.cli.follower_printers import make_printer
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.output import make_console
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.program import EXIT_PROBLEM, CommandError
from gym_h5record.errors import InterruptedRecordingError, RecordingError, RecordingNotFoundError

__all__ = ["tail_command"]


@click.command("tail")
@click.argument("path", type=GivenPath())
@click.option(
    "--interval",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the file.",
)
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show only the newest N episodes at first, and at most N at every look.",
)
@click.option("--wait", is_flag=True, help="Wait for a recording that does not exist yet.")
@click.option("--no-follow", is_flag=True, help="Look only once.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per line: for each look, each episode that has ended, and the end.",
)
def tail_command(*, path: Path, interval: float, last: int, wait: bool, no_follow: bool, as_json: bool) -> None:
    """Follow the recording PATH while it is being written.

    Shows the committed steps and episodes, and does not disturb the recorder. Ends when
    the recording ends: with exit code 0 if it is complete, with 1 and the command
    that repairs it if its recorder died. Ctrl-C ends tail, not the recording.

    \b
    Examples:
      gym-h5record tail run.h5
      gym-h5record tail run.h5 --wait --json | my_dashboard
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    with Interrupts() as interrupts, closing(make_printer(make_console(), last, as_json=as_json)) as printer:
        follower = Follower(Path(os.path.realpath(path)), printer, interrupts, interval_s=interval, last=last)
        try:
            follower.run(wait=wait, follow=not no_follow)
        except RecordingError as error:
            reason = "interrupted" if isinstance(error, InterruptedRecordingError) else "error"
            printer.end(reason, follower.recording, str(error))
            if as_json:  # the printer has told it
                click.get_current_context().exit(EXIT_PROBLEM)
            if isinstance(error, RecordingNotFoundError) and not wait:
                raise CommandError(f"{error} To wait until a recorder makes it, add --wait.") from error
            raise
        if interrupts.requested:
            printer.end("stopped", follower.recording)
            raise KeyboardInterrupt
