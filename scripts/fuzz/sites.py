"""A directory with a recording, the files beside it, and files outside that must not be touched."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Site"]

_SMALL_BYTES = 1 << 20


@dataclass(frozen=True)
class _Entry:
    """The facts about a name in a directory that show whether it was changed."""

    kind: int
    size_bytes: int
    mtime_ns: int
    inode: int
    target: str = ""


class Site:
    """The directories around a hostile file.

    Args:
        root: An empty directory.
        secret: Eight bytes; the files outside repeat them.

    Attributes:
        path: The path of the recording, or of the hostile thing in its place.
        outside: A directory whose files only the hostile recording names.
        secret_file: A file in ``outside``.
        scratch: A directory that entries may write to.
        secret: See above.
    """

    def __init__(self, root: Path, secret: bytes) -> None:
        self._root = root
        self._backup = root / "backup"
        self.path = root / "in" / "run.h5"
        self.outside = root / "outside"
        self.scratch = root / "scratch"
        self.secret = secret
        for directory in (self.path.parent, self.outside, self.scratch):
            directory.mkdir(parents=True)
        self.secret_file = self.outside / "secret"
        self.secret_file.write_bytes(secret * (64 << 10 >> 3))

    def beside(self, suffix: str) -> Path:
        """The path of the recording with a suffix, such as ``.journal``."""
        return self.path.with_name(f"{self.path.name}{suffix}")

    def keep(self) -> None:
        """Remember everything as it is now."""
        shutil.rmtree(self._backup, ignore_errors=True)
        _copy_tree(self.path.parent, self._backup)
        self._before = _manifest(self.path.parent)
        self._outside_before = self._outside()

    def changes(self) -> list[str]:
        """The names in the directory of the recording that have changed since ``keep``."""
        now = _manifest(self.path.parent)
        return sorted(name for name in {*now, *self._before} if now.get(name) != self._before.get(name))

    def changes_outside(self) -> list[str]:
        """The names outside that have changed since ``keep``."""
        now, before = self._outside(), self._outside_before
        return sorted(name for name in {*now, *before} if now.get(name) != before.get(name))

    def restore(self) -> None:
        """Restore the directory of the recording as ``keep`` saw it, and empty the scratch directory."""
        changed = self.changes()
        for name in changed:
            _remove(self.path.parent / name)
        for name in changed:
            if name in self._before:
                _copy(self._backup / name, self.path.parent / name)
        if changed:
            self._before = _manifest(self.path.parent)
        for each in self.scratch.iterdir():
            _remove(each)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._root)

    def _outside(self) -> dict[str, tuple[_Entry, str]]:
        return {
            name: (entry, _content(self.outside / name) if stat.S_ISREG(entry.kind) else "")
            for name, entry in _manifest(self.outside).items()
        }


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= _SMALL_BYTES else ""


def _manifest(directory: Path) -> dict[str, _Entry]:
    """The entries of a directory, by name."""
    found = {}
    for name in sorted(os.listdir(directory)):  # noqa: PTH208  # names, not paths
        status = os.lstat(directory / name)
        kind = stat.S_IFMT(status.st_mode)
        target = str((directory / name).readlink()) if stat.S_ISLNK(kind) else ""
        size_bytes, mtime_ns = (status.st_size, status.st_mtime_ns) if stat.S_ISREG(kind) else (0, 0)
        found[name] = _Entry(kind, size_bytes, mtime_ns, status.st_ino, target)
    return found


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    for each in source.iterdir():
        _copy(each, target / each.name)


def _copy(source: Path, target: Path) -> None:
    kind = stat.S_IFMT(os.lstat(source).st_mode)
    if stat.S_ISLNK(kind):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(kind):
        _copy_tree(source, target)
    elif stat.S_ISFIFO(kind):
        os.mkfifo(target)
    else:
        _copy_sparsely(source, target)


def _copy_sparsely(source: Path, target: Path) -> None:
    """Copy a file without filling its holes, which may have a TiB."""
    with source.open("rb") as stream, target.open("wb") as copy:
        size_bytes = os.fstat(stream.fileno()).st_size
        copy.truncate(size_bytes)
        at = 0
        while at < size_bytes:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                break  # the rest is a hole
            stop = os.lseek(stream.fileno(), at, os.SEEK_HOLE)
            while at < stop:
                at += os.copy_file_range(stream.fileno(), copy.fileno(), stop - at, at, at)
    shutil.copystat(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
