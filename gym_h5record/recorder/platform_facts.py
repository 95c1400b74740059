"""What this process runs on: libraries, machine, ROMs.

A recording keeps it, and whoever runs the environment again compares. Nothing
is imported but ``ale_py``, and that only where a ROM of it is asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import platform
from collections.abc import Iterable
from importlib import metadata as importlib_metadata
from pathlib import Path

__all__ = ["library_versions", "platform_names", "rom_md5"]


_LIBRARIES = (
    "gym_h5record",
    "gymnasium",
    "numpy",
    "h5py",
    "ale_py",
    "mujoco",
    "box2d",
    "box2d-py",
    "pygame",
    "pygame-ce",
    "opencv-python",
    "opencv-python-headless",
)


def library_versions(others: Iterable[str] = ()) -> dict[str, str]:
    """The versions of Python and of those libraries that results may depend on, if they are installed.

    Args:
        others: More libraries to look for, such as the one that an environment is from.
    """
    found = {name: _version(name) for name in dict.fromkeys((*_LIBRARIES, *others))}
    return {"python": platform.python_version()} | {name: found[name] for name in found if found[name]}


def platform_names() -> dict[str, str]:
    """The operating system and the kind of processor."""
    return {"system": platform.platform(), "machine": platform.machine()}


def rom_md5(game: str) -> str | None:
    """MD5 of the ROM of an Atari game, None if there is none: the names of ROMs do not tell their version.

    Args:
        game: As ``ale_py`` calls it; it may come from a stranger's file.

    Raises:
        OSError: If the ROM cannot be read, or is not the one that ``ale_py`` expects.
    """
    try:
        roms = importlib.import_module("ale_py.roms")
    except ImportError:
        return None
    if game not in roms.get_all_rom_ids():
        return None
    return hashlib.md5(Path(roms.get_rom_path(game)).read_bytes(), usedforsecurity=False).hexdigest()


def _version(library: str) -> str:
    try:
        return importlib_metadata.version(library)
    except (importlib_metadata.PackageNotFoundError, ValueError):  # the latter of no name at all
        return ""
