"""``python -m gym_h5record``: the command line, for shells that do not find the script ``gym-h5record``."""

from __future__ import annotations

from gym_h5record.cli import main

if __name__ == "__main__":
    main(prog_name="gym-h5record")
