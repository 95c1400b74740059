"""Every version of a folder's files since they were last synced, and the disks that a power cut may leave of them.

The model: a power cut keeps everything that a completed sync covers. Each page of 4 KiB, or each sector of 512
bytes, keeps any version it has had since the sync, independently of all others. The same holds for the size of a
file, and for each name in the folder. Real disks and file systems lose less.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["KILLED", "PAGE_BYTES", "STYLES", "FileHistory", "History", "Versions"]

PAGE_BYTES = 4096
_SECTOR_BYTES = 512
STYLES = ("nothing", "everything", "pages", "pages", "pages", "sectors", "sectors", "sectors")
"""How much of the unsynced writes survives a power cut: the style of a file is chosen from these."""

KILLED = ("everything",)
"""The only style if processes are killed and the power stays on."""

T = TypeVar("T")


@dataclass
class Versions(Generic[T]):
    """The values that a page, a size or a name has had, each with the moment when it began."""

    initial: T
    moments: list[int] = field(default_factory=list)
    values: list[T] = field(default_factory=list)

    def add(self, moment: int, value: T) -> None:
        """Note that the value is ``value`` from ``moment`` on."""
        self.moments.append(moment)
        self.values.append(value)

    def possible(self, synced: int, moment: int) -> list[T]:
        """The values that a power cut may leave: the one at the last sync, and all later ones."""
        first, stop = (bisect_right(self.moments, each) for each in (synced, moment))
        return [self.values[first - 1] if first else self.initial, *self.values[first:stop]]


class FileHistory:
    """The versions of a file, page by page."""

    def __init__(self) -> None:
        self.size = Versions(0)
        self.pages: dict[int, Versions[bytes]] = {}
        self._syncs: list[tuple[int, int, int]] = []  # moment, first page, page behind the last
        self._content = b""

    def see(self, moment: int, content: bytes) -> None:
        """Note the pages, and the size, that have changed since the last call."""
        before, self._content = self._content, content
        if len(content) != len(before):
            self.size.add(moment, len(content))
        for start in range(0, max(len(content), len(before)), PAGE_BYTES):
            page = content[start : start + PAGE_BYTES].ljust(PAGE_BYTES, b"\0")
            if page != before[start : start + PAGE_BYTES].ljust(PAGE_BYTES, b"\0"):
                self.pages.setdefault(start // PAGE_BYTES, Versions(bytes(PAGE_BYTES))).add(moment, page)

    def sync(self, moment: int, start: int = 0, stop: int = 1 << 62) -> None:
        """Note that the bytes from ``start`` to ``stop`` have been synced as ``see`` saw them last."""
        self._syncs.append((moment, start // PAGE_BYTES, -(-stop // PAGE_BYTES)))

    def survive(self, moment: int, chance: random.Random, style: str) -> bytes:
        """A content that the file may have after a power cut."""
        sizes = self.size.possible(self._synced(moment), moment)
        size = _pick(sizes, style, chance)
        if style in ("pages", "sectors") and len(sizes) > 1 and chance.random() < 0.3:
            size = chance.randint(min(sizes), max(sizes))
        content = bytearray(size)
        for number, versions in self.pages.items():
            start = number * PAGE_BYTES
            if start < size:
                possible = versions.possible(self._synced(moment, number), moment)
                page = _torn(possible, chance) if style == "sectors" else _pick(possible, style, chance)
                content[start : start + PAGE_BYTES] = page[: size - start]
        return bytes(content)

    def _synced(self, moment: int, page: int | None = None) -> int:
        """The moment when a page was synced last; for None, when the file's size was."""
        return max(
            (at for at, first, stop in self._syncs if at <= moment and (page is None or first <= page < stop)),
            default=-1,
        )


class History:
    """The versions of a folder's files, and of its names.

    Attributes:
        now: The current moment, a number that counts up with everything that happens.
        kinds: A word or two for each moment.
    """

    def __init__(self) -> None:
        self.now = 0
        self.kinds = ["the beginning"]
        self._files: list[FileHistory] = []
        self._names: dict[str, Versions[FileHistory | None]] = {}
        self._syncs: list[int] = []

    def happen(self, kind: str) -> int:
        """Begin the next moment, and return it."""
        self.now += 1
        self.kinds.append(kind)
        return self.now

    def new_file(self) -> FileHistory:
        """Add a file, which has no name yet."""
        self._files.append(FileHistory())
        return self._files[-1]

    def rename(self, name: str, file: FileHistory | None) -> None:
        """Note that from now on a name stands for a file, or for none."""
        self._names.setdefault(name, Versions(None)).add(self.now, file)

    def sync_names(self) -> None:
        """Note that the folder has been synced."""
        self._syncs.append(self.now)

    def sync_everything(self) -> None:
        """Note that everything so far is on the disk."""
        self.sync_names()
        for file in self._files:
            file.sync(self.now)

    def survive(self, moment: int, chance: random.Random, place: Path, styles: Sequence[str] = STYLES) -> None:
        """Make a folder as a power cut may leave it.

        Args:
            moment: When the power is cut.
            chance: Chooses among the versions.
            place: The folder to make.
            styles: The styles to choose from; ``KILLED`` if the power stays on.
        """
        place.mkdir()
        style = chance.choice(styles)
        synced = max((each for each in self._syncs if each <= moment), default=-1)
        contents: dict[int, bytes] = {}
        for name, versions in self._names.items():
            file = _pick(versions.possible(synced, moment), style, chance)
            if file is not None:
                if id(file) not in contents:
                    contents[id(file)] = file.survive(moment, chance, chance.choice(styles))
                (place / name).write_bytes(contents[id(file)])


def _pick(possible: list[T], style: str, chance: random.Random) -> T:
    if style == "nothing":
        return possible[0]
    return possible[-1] if style == "everything" else chance.choice(possible)


def _torn(possible: list[bytes], chance: random.Random) -> bytes:
    """A page that takes each of its sectors from any of the versions."""
    if len(possible) == 1:
        return possible[0]
    sectors = range(0, PAGE_BYTES, _SECTOR_BYTES)
    return b"".join(chance.choice(possible)[start : start + _SECTOR_BYTES] for start in sectors)
