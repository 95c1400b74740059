"""Writing pictures to where the user wants them, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gym_h5record.cli.exits import Problem

__all__ = ["check_targets", "write_picture"]


def check_targets(targets: Iterable[Path], recording: Path, *, overwrite: bool) -> None:
    """Find out before any work is done that a picture cannot be written.

    Args:
        targets: Where the pictures are to be written.
        recording: What must not be overwritten in any case.
        overwrite: Whether other files may be.

    Raises:
        Problem: If one exists, is the recording, or has no directory.
    """
    for target in targets:
        name = str(target)
        if not target.parent.is_dir():
            raise Problem(f"cannot write {name}: the directory {target.parent} does not exist.")
        if not target.exists():
            continue
        if recording.exists() and target.samefile(recording):
            raise Problem(f"cannot write {name}: it is the recording itself.")
        if not overwrite:
            raise Problem(f"{name} exists: choose another name, or replace it with --overwrite.")


def write_picture(target: Path, picture: bytes, *, overwrite: bool) -> None:
    """Write an encoded picture.

    Raises:
        Problem: If it cannot be written.
    """
    try:
        with target.open("wb" if overwrite else "xb") as file:
            file.write(picture)
    except OSError as error:
        raise Problem(f"cannot write {target}: {error.strerror}") from error
