"""The verbs of the command line, known before their modules are imported.

Importing the modules of all verbs takes 0.5 s; ``gym-h5record --help``, ``--version`` and
a mistyped verb need none of them. So the list of verbs is written here, and a verb's
module is imported when the verb is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

__all__ = ["HELP_BY_VERB", "LazyCommand"]

HELP_BY_VERB = {
    "record": "Step the environment ENV_ID and record it into one HDF5 file.",
    "info": "Show what the recording PATH holds, on one screen.",
    "replay": "Play one episode of the recording PATH without an environment.",
    "video": "Write an episode of the recording PATH as a video.",
    "stats": "Show statistics of the values of the recording PATH.",
    "verify": "Run the episodes of PATH again and compare them bit by bit.",
    "validate": "Check the recording PATH for errors, without changing it.",
    "diff": "Find the first difference between the recordings A and B.",
    "repair": "Complete the recording PATH after its recorder was killed.",
    "tail": "Follow the recording PATH while it is being written.",
}
"""The first sentence of each command's own help; a test compares the two."""


class LazyCommand(click.Command):
    """Stands for the command of a verb until the verb is called.

    The verb ``NAME`` is the function ``NAME_command`` of the module ``gym_h5record.cli.commands.NAME``.
    """

    def load(self) -> click.Command:
        """Import the command itself."""
        module = import_module(f"gym_h5record.cli.commands.{self.name}")
        command: click.Command = getattr(module, f"{self.name}_command")
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Let the command itself read its arguments; click then runs the command of this context."""
        return self.load().make_context(info_name, args, parent, **extra)
