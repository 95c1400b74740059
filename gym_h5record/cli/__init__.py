"""The command line, ``gym-h5record``: a thin shell over the package's public functions.

One module per command. A command reads its options, calls what the package
offers to everybody, and prints; it knows neither HDF5 nor the format.
"""

from __future__ import annotations

import click

from gym_h5record.cli.commands.diff import diff
from gym_h5record.cli.commands.info import info
from gym_h5record.cli.commands.record import record
from gym_h5record.cli.commands.repair import repair
from gym_h5record.cli.commands.replay import replay
from gym_h5record.cli.commands.tail import tail
from gym_h5record.cli.commands.validate import validate
from gym_h5record.cli.commands.verify import verify
from gym_h5record.cli.program import Program
from gym_h5record.version import __version__

__all__ = ["main"]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gym-h5record")
def main() -> None:
    """Record Gymnasium environments into HDF5 files, look into them, compare, replay and repair them.

    Exit codes: 0 done, 1 the file or run has a problem, 2 wrong usage, 3 interrupted.
    """


for _command in (record, info, validate, verify, diff, replay, repair, tail):
    main.add_command(_command)
