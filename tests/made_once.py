"""Makers of recordings that make each one once: from then on it is copied, which takes 1 ms, not 100.

A copy has the ``journal_id`` and the times of the first one. A test of two recordings that were made one by one calls
``maker.__wrapped__``.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from gym_h5record.writing import inline_worker

P = ParamSpec("P")
Maker = Callable[Concatenate[Path, P], Path]


def made_once(make: Maker[P]) -> Maker[P]:
    """Have a maker, whose first argument is the path of the file, make it once for each choice of the other ones."""
    kept: dict[Any, bytes] = {}

    @functools.wraps(make)
    def copied(path: Path, *arguments: P.args, **options: P.kwargs) -> Path:
        key = _key((arguments, options))
        if key is None or path.exists():  # it may go on with the file
            return make(path, *arguments, **options)
        if key in kept:
            path.write_bytes(kept[key])
        else:
            make(path, *arguments, **options)
            kept[key] = path.read_bytes()
        return path

    return copied


def folder_made_once(make: Maker[P]) -> Maker[P]:
    """Have a maker, whose first argument is a folder, fill one once for each choice of the other arguments.

    The maker returns a path in the folder, and may leave other files there.
    """
    kept: dict[Any, tuple[Path, Path]] = {}

    @functools.wraps(make)
    def copied(folder: Path, *arguments: P.args, **options: P.kwargs) -> Path:
        key = _key((arguments, options))
        if key is None or any(folder.iterdir()):
            return make(folder, *arguments, **options)
        if key not in kept:
            own = _drawer()
            kept[key] = own, make(own, *arguments, **options).relative_to(own)
        own, found = kept[key]
        shutil.copytree(own, folder, dirs_exist_ok=True)
        return folder / found

    return copied


@functools.cache
def _cupboard() -> Path:
    """A directory that lives as long as this process; a fork of it that ends leaves the directory alone."""
    cupboard, owner = Path(tempfile.mkdtemp(prefix="made_once")), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(cupboard))
    return cupboard


_numbers = itertools.count()


def _drawer() -> Path:
    drawer = _cupboard() / str(next(_numbers))
    drawer.mkdir()
    return drawer


def _key(value: Any) -> Any:
    """The value in hashable form, with how recordings are compacted; None if it has none."""
    frozen = _frozen(value), inline_worker.compact
    try:
        hash(frozen)
    except TypeError:
        return None
    return frozen


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return dict, tuple((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(_frozen, value))
    return type(value), value
