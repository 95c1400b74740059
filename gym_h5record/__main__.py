"""``python -m gym_h5record``: the command line, where the script is not on the path."""

from __future__ import annotations

from gym_h5record.cli import main

if __name__ == "__main__":
    main(prog_name="gym-h5record")
