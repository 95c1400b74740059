"""How the program ends: exit codes, and errors as one line instead of a traceback.

Only errors that say what to do become a line. What an environment or a policy
raises keeps its traceback: whoever wrote it needs it.
"""

from __future__ import annotations

import io
import sys
import warnings
from typing import IO, Any, TextIO

import click
from gymnasium.error import DependencyNotInstalled

from gym_h5record.display import printable_lines
from gym_h5record.errors import RecordingError

__all__ = ["INTERRUPTED", "PROBLEM", "CommandError", "Program"]


PROBLEM = 1  # the file or the run; wrong usage is click's own 2
INTERRUPTED = 3


class CommandError(click.ClickException):
    """Something is wrong with the file or the run; the message says what to do."""

    exit_code = PROBLEM

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"error: {printable_lines(self.format_message())}", file=file, err=file is None)


class Program(click.Group):
    """A group of commands that ends with the exit codes of this module."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name from a file must not end the program
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except (RecordingError, DependencyNotInstalled) as error:
                raise CommandError(str(error)) from error
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(INTERRUPTED)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line; Gymnasium colours its own even where nobody sees colours."""
    text = click.unstyle(str(message)).removeprefix("WARN: ")
    click.echo(f"warning: {printable_lines(text)}", file=file, err=file is None)
