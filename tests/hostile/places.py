"""Links, FIFOs, directories and other things in the place of the recording, or beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import good_files
from tests.hostile.cases import Cases, fill_outside, plant

__all__ = ["CASES"]

CASES = Cases()

Put = Callable[[Site, Path], None]


def _loop(site: Site, path: Path) -> None:
    path.symlink_to(path.name)


def _sparse(site: Site, path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)


PLACES: dict[str, Put] = {
    "a FIFO": lambda site, path: os.mkfifo(path),
    "a directory": lambda site, path: path.mkdir(),
    "a directory that is not empty": lambda site, path: (path / "file").mkdir(parents=True),
    "a link to a file outside": lambda site, path: path.symlink_to(site.secret_file),
    "a link to a recording outside": lambda site, path: path.symlink_to(fill_outside(site)),
    "a link to nothing": lambda site, path: path.symlink_to(site.outside / "nothing"),
    "a link to a directory": lambda site, path: path.symlink_to(site.outside),
    "a link to a FIFO": lambda site, path: (os.mkfifo(site.outside / "fifo"), path.symlink_to(site.outside / "fifo"))[
        1
    ],
    "a link to /dev/zero": lambda site, path: path.symlink_to("/dev/zero"),
    "a link to /dev/full": lambda site, path: path.symlink_to("/dev/full"),
    "a link to /proc/self/mem": lambda site, path: path.symlink_to("/proc/self/mem"),
    "a link to itself": _loop,
    "empty": lambda site, path: path.write_bytes(b"") and None,
    "zeros": lambda site, path: path.write_bytes(bytes(100_000)) and None,
    "1 TiB of nothing": _sparse,
    "noise": lambda site, path: path.write_bytes(os.urandom(50_000)) and None,
    "a recording": lambda site, path: path.write_bytes(good_files()[""]) and None,
    "text": lambda site, path: path.write_text("\x1b[2J" * 3000) and None,
}
ALLOWED = ("a link to a recording outside",)
ALSO = ("overwrite",)

for _kind, _put in PLACES.items():
    if _kind not in (*ALLOWED, "a recording"):

        @CASES.case(f"in the place of the recording is {_kind}")
        def _(site: Site, put: Put = _put) -> None:
            put(site, site.path)

    for _suffix in (".journal", ".journal.new", ".lock", ".partial", ".redo"):
        for _state in ("closed", "interrupted"):

            @CASES.case(f"in the place of the {_suffix} of a recording that was {_state} is {_kind}", "any", ALSO)
            def _(site: Site, put: Put = _put, suffix: str = _suffix, state: str = _state) -> None:
                plant(site, interrupted=state == "interrupted")
                site.beside(suffix).unlink(missing_ok=True)
                put(site, site.beside(suffix))

    @CASES.case(f"there is no recording, but in the place of its journal is {_kind}", also=ALSO)
    def _(site: Site, put: Put = _put) -> None:
        put(site, site.beside(".journal"))
