"""The files that pictures are written to: checked before any work is done, and under their name only when complete."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gym_h5record.display import printable
from gym_h5record.errors import OptionError, RecordingExistsError, RecordingPathError, WriterError
from gym_h5record.options import check_one_of
from gym_h5record.storage.paths import given_path, partial_path

__all__ = ["check_target", "written_target"]

_MODES = ("x", "w")


def check_target(
    out: str | os.PathLike[str], endings: Collection[str], *, mode: str = "x", recording: Path | None = None
) -> Path:
    """The file to write. One that cannot be written is refused before any work is done.

    Args:
        out: The file.
        endings: The endings that its name may have, such as ``".png"``: they say which format it gets.
        mode: ``"x"`` for a new file, ``"w"`` to replace one.
        recording: The recording, which is never replaced.

    Raises:
        OptionError: If its name has another ending, or it is the recording itself.
        RecordingExistsError: If it exists, and the mode is ``"x"``.
        RecordingPathError: If its directory does not exist.
    """
    check_one_of("mode", mode, _MODES)
    target = given_path(out)
    if target.suffix.lower() not in endings:
        expected = " or ".join(endings)
        found = target.suffix or "no ending"
        raise OptionError(f"cannot write {target}: expected a name that ends with {expected}, got {found}.")
    if not target.parent.is_dir():
        raise RecordingPathError(f"cannot write {target}: the directory {target.parent} does not exist.")
    if target.exists():
        if recording is not None and recording.exists() and target.samefile(recording):
            raise OptionError(f"cannot write {target}: it is the recording itself.")
        if mode == "x":
            raise RecordingExistsError(f'{target} exists: choose another name, or replace it with mode="w".')
    return target


@contextmanager
def written_target(target: Path) -> Iterator[Path]:
    """Gives the name to write to, beside ``target``. At the end the file gets its own name; after an error it is gone.

    Raises:
        WriterError: If writing fails, for example because the disk is full.
    """
    partial = partial_path(target)
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or error
        raise WriterError(f"cannot write {printable(target)}: {reason}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
