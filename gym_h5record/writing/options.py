"""The options of a recording, checked before any file is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.errors import OptionError, RecordingExistsError, RecordingPathError
from gym_h5record.format.schema import Schema
from gym_h5record.options import check_one_of
from gym_h5record.storage.hdf5.codecs import Codec, make_codec
from gym_h5record.storage.paths import given_path

__all__ = ["Existing", "Options", "exists_error", "make_options"]

_MODES = ("x", "w", "a")
_WRITERS = ("process", "inline")
_DURABILITIES = ("process", "power")


@dataclass(frozen=True)
class Options:
    """The options of ``RecordToHDF5`` that concern files.

    Attributes:
        path: The recording; absolute, links resolved.
        mode: ``"x"``, ``"w"`` or ``"a"``.
        codec: Compression of a new file.
        in_process: Whether the stepping process drains the journal itself.
        flush_interval_s: Seconds until a reader sees a step.
        durability: What a completed step survives: the death of a ``"process"``, or a ``"power"`` cut.
        checksum: Whether a new file gets checksums.
    """

    path: Path
    mode: str
    codec: Codec
    in_process: bool
    flush_interval_s: float
    durability: str = "process"
    checksum: bool = False


@dataclass(frozen=True)
class Existing:
    """A recording that is appended to.

    Attributes:
        schema: Its columns.
        rows: Its committed rows.
        metadata: The attributes of its ``/metadata``.
        elapsed_ns: The time of the next row, if it were appended now.
    """

    schema: Schema
    rows: int
    metadata: Mapping[str, Any]
    elapsed_ns: int = 0


def make_options(
    path: str | os.PathLike[str],
    mode: str,
    compression: str | None,
    compression_opts: Any,
    writer: str,
    flush_interval_s: float,
    durability: str = "process",
    *,
    checksum: bool = False,
) -> Options:
    """Check the arguments of ``RecordToHDF5``.

    Raises:
        OptionError: If one has an unknown value.
        RecordingPathError: If no recording can be made at the path.
        RecordingExistsError: If the file exists and the mode is ``"x"``.
        MissingDependencyError: If the compression needs a library that is not installed.
    """
    check_one_of("mode", mode, _MODES)
    check_one_of("writer", writer, _WRITERS)
    check_one_of("durability", durability, _DURABILITIES)
    if not flush_interval_s > 0:
        raise OptionError(f"flush_interval_s: expected a positive number, got {flush_interval_s!r}")
    codec = make_codec(compression, compression_opts)
    return Options(
        path=_checked_path(path, mode),
        mode=mode,
        codec=codec,
        in_process=writer == "inline",
        flush_interval_s=float(flush_interval_s),
        durability=durability,
        checksum=bool(checksum),
    )


def exists_error(path: Path) -> RecordingExistsError:
    """The error for a file that exists when the mode is ``"x"``."""
    return RecordingExistsError(
        f'{path} exists and mode is "x". Choose another path, or mode="w" to replace it, or mode="a" to append.'
    )


def _checked_path(path: str | os.PathLike[str], mode: str) -> Path:
    try:
        # Resolve links: two recorders that reach the file by different links must find the same lock and journal.
        target = Path(os.path.realpath(given_path(path)))
    except FileNotFoundError as error:
        raise RecordingPathError(f"cannot record to {path}: the working directory has been deleted.") from error
    folder = target.parent
    if not folder.is_dir():
        raise RecordingPathError(f"cannot record to {target}: the directory {folder} does not exist. Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RecordingPathError(f"cannot record to {target}: no permission to write in {folder}.")
    if target.is_dir():
        raise RecordingPathError(f"cannot record to {target}: it is a directory.")
    if target.exists() and not target.is_file():  # as root, mode "w" would replace a device
        raise RecordingPathError(f"cannot record to {target}: it is not a regular file.")
    if mode == "x" and target.exists():
        raise exists_error(target)
    return target
