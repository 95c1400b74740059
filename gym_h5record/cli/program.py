"""How the program ends: exit codes, and errors as one line instead of a traceback.

Only errors whose message says what to do become one line. An exception that an
environment or a policy raises keeps its traceback: its author has to find the place.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from typing import IO, Any, TextIO

import click

from gym_h5record.display import printable_lines

__all__ = ["EXIT_INTERRUPTED", "EXIT_PROBLEM", "CommandError", "Program"]

EXIT_PROBLEM = 1  # of the file or the run; click itself ends wrong usage with 2
EXIT_INTERRUPTED = 3
_JSON = "--json"


class CommandError(click.ClickException):
    """The file or the run has a problem; the message says what to do."""

    exit_code = EXIT_PROBLEM

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"error: {printable_lines(self.format_message())}", file=file, err=file is None)


class Program(click.Group):
    """A group of commands that ends with the exit codes of this module.

    If the arguments have ``--json``, an error is a JSON object on stdout.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Note whether errors are JSON, before the arguments are parsed."""
        wants_json = _JSON in args
        ctx = super().make_context(info_name, args, parent, **extra)
        ctx.meta[_JSON] = wants_json
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return self._run(ctx)
        except click.ClickException as error:
            if not ctx.meta[_JSON]:
                raise
            told = {"type": type(error.__cause__ or error).__name__, "message": printable_lines(error.format_message())}
            click.echo(json.dumps({"error": told}))
            ctx.exit(error.exit_code)

    def _run(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are not UTF-8
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(EXIT_INTERRUPTED)
            except (click.ClickException, click.exceptions.Exit):
                raise
            except _explained_errors() as error:
                raise CommandError(str(error)) from error


def _explained_errors() -> tuple[type[Exception], ...]:
    """The errors whose message says what to do.

    Python calls this only after a command has raised. Importing both modules loads
    Gymnasium and NumPy, 0.2 s that the help and a mistyped verb do not need.
    """
    from gymnasium.error import DependencyNotInstalled

    from gym_h5record.errors import RecordingError

    return RecordingError, DependencyNotInstalled


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line, without the colours that Gymnasium adds even in a pipe."""
    text = click.unstyle(str(message)).removeprefix("WARN: ")
    click.echo(f"warning: {printable_lines(text)}", file=file, err=file is None)
