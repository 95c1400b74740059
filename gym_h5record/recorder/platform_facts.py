"""Versions of libraries, the machine and the MD5 of a ROM.

A recording stores them; ``gym_h5record.replay.rebuild.version_differences`` compares them with the present ones.
This module imports no library that it looks up, except ``ale_py`` for ``rom_md5``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import platform
import re
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
    """Versions of Python, of the installed libraries that may change what an environment does, and of ``others``."""
    found = {name: _version(name) for name in dict.fromkeys((*_LIBRARIES, *others))}
    return {"python": platform.python_version()} | {name: found[name] for name in found if found[name]}


def platform_names() -> dict[str, str]:
    """The operating system and the type of processor."""
    return {"system": platform.platform(), "machine": platform.machine()}


def rom_md5(game: str) -> str | None:
    """MD5 of the ROM of an Atari game, None if the game or ``ale_py`` is not installed.

    The name of a ROM does not tell which version of the game it is; its MD5 does. ``game`` is the name that ``ale_py``
    uses. It may come from an untrusted file, so it is looked up, never opened as a path.

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


@functools.cache  # an installed library does not change while it runs
def _version(library: str) -> str:
    try:
        distribution = importlib_metadata.distribution(library)
    except (importlib_metadata.PackageNotFoundError, ValueError):  # ValueError: the name is empty
        return ""
    # ``distribution.version`` parses the whole file as an e-mail, in 0.8 ms; nine libraries took 7 ms at the start.
    found = re.search(r"^Version: *(\S+)", distribution.read_text("METADATA") or "", re.MULTILINE)
    return found[1] if found else distribution.version
