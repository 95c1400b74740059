"""The command line, ``gym-h5record``: a thin layer over the package's public functions.

Each verb has one module in ``commands/``. A command reads its options, calls the
public function, and prints the result. No module of this room knows HDF5 or the format.
"""

from __future__ import annotations

import click

from gym_h5record.cli.program import Program
from gym_h5record.cli.verbs import HELP_BY_VERB, LazyCommand
from gym_h5record.version import __version__

__all__ = ["main"]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gym-h5record")
def main() -> None:
    """Record Gymnasium environments into HDF5 files; look into, compare, replay and repair the files.

    Exit codes: 0 done, 1 the file or run has a problem, 2 wrong usage, 3 interrupted.
    """


for _verb, _help in HELP_BY_VERB.items():
    main.add_command(LazyCommand(_verb, help=_help))
