"""Recordings that dead recorders leave, and files that bad disks and bad copies leave.

``INTERRUPTED`` has a maker for every state in which a recorder can leave a recording, ``DAMAGED`` has makers of
files that cannot be completed. A maker takes an empty directory and returns the path of the recording in it.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.format import names as fmt
from gym_h5record.storage.hdf5 import crash_safe_file, redo_log
from gym_h5record.storage.hdf5.superblock import SUPERBLOCK_BYTES, marked_live
from gym_h5record.storage.paths import journal_path, lock_path, redo_path, spare_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from tests.made_once import folder_made_once
from tests.reading import damage_chunk, record
from tests.writing import PICTURE, Pen, everything_env, make_schema, pair, small_journal, write_pairs

Maker = Callable[[Path], Path]


def snapshot(path: Path) -> Path:
    """Copy the files that a recording would leave if all its processes died now; the copy has its own directory."""
    left = path.parent / "left" / path.name
    left.parent.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        if each != lock_path(path):
            shutil.copy(each, left.with_name(each.name))
    return left


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The content of each file in a directory, and the time of its last change."""
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in sorted(folder.iterdir())}


def mark_torn(path: Path) -> None:
    """Mark a file as being written, as HDF5 does in its SWMR mode."""
    with path.open("r+b") as file:
        block = bytearray(file.read(SUPERBLOCK_BYTES))
        block[11] = 1
        file.seek(0)
        file.write(marked_live(bytes(block)))


# Interrupted -----------------------------------------------------------------------------------------


@folder_made_once
def left_pairs(folder: Path, committed: Iterable[int], left: Iterable[int], **options: Any) -> Path:
    """A recording of ``write_pairs`` with some episodes committed, and some in the journal only."""
    committed = list(committed)
    with Pen(folder / "run.h5", **options) as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, committed)
        if committed:
            pen.flush()
        write_pairs(pen, left, first_row=sum(committed) + len(committed))
        return snapshot(folder / "run.h5")


@folder_made_once
def left_open(folder: Path, *, is_committed: bool, steps: int = 2) -> Path:
    """An episode of three steps, and a second episode that is running."""
    with Pen(folder / "run.h5") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, [3])
        pen.flush()
        pen.begin(pair(4), seed=4)
        for row in range(4, 4 + steps):
            pen.step(pair(row + 1), action=row % 4, reward=float(row))
        if is_committed:
            pen.flush()
        return snapshot(folder / "run.h5")


@folder_made_once
def _released(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 16)
        return left_pairs(folder, [3, 40], [5, 2])


@folder_made_once
def closed(folder: Path, lengths: Iterable[int] = (3, 2), name: str = "run.h5") -> Path:
    """A closed recording."""
    with Pen(folder / name) as pen:
        write_pairs(pen, lengths)
    return folder / name


@folder_made_once
def left_appended(folder: Path, *, is_committed: bool) -> Path:
    """A closed recording of two episodes, to which two more are being appended."""
    path = closed(folder)
    with Pen(path, mode="a") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, [4, 1], first_row=7)
        if is_committed:
            pen.flush()
        return snapshot(path)


@folder_made_once
def left_discarded(folder: Path, *, is_committed: bool, more: bool = True) -> Path:
    """A recording of one episode, of another that was discarded after all of its 41 rows were committed, and a third.

    With ``is_committed`` the file knows of the discarded episode, else only the journal does. The third episode has two
    steps, of which the file has none; without ``more`` there is none.
    """
    with Pen(folder / "run.h5") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, [3])
        write_pairs(pen, [40], first_row=500)
        pen.flush()
        pen.rows.discard_episode()
        if is_committed:
            pen.flush()
        write_pairs(pen, [2] * more, first_row=4)
        return snapshot(folder / "run.h5")


@folder_made_once
def _appended_after_discards(folder: Path) -> Path:
    with Pen(folder / "run.h5") as pen:
        write_pairs(pen, [40])
        pen.rows.discard_episode()
        write_pairs(pen, [3, 2])
    with Pen(folder / "run.h5", mode="a") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, [4], first_row=7)
        return snapshot(folder / "run.h5")


@folder_made_once
def _twice(folder: Path) -> Path:
    path = left_pairs(folder, [3], [2])
    with Pen(path, mode="a") as pen:
        write_pairs(pen, [4], first_row=7)
        pen.begin(pair(12), seed=12)
        return snapshot(path)


def _torn(folder: Path, make: Callable[[Path], Path]) -> Path:
    path = make(folder)
    journal_path(path).unlink(missing_ok=True)
    mark_torn(path)
    return path


def _with_journal(folder: Path, content: bytes | None, *, beside: bool) -> Path:
    """A journal without a layout (``content`` is None), or a file that is only a part of a journal."""
    path = closed(folder) if beside else folder / "run.h5"
    if content is None:
        Journal.reserve(journal_path(path), 100, 1000)
    else:
        journal_path(path).write_bytes(content)
    return path


@folder_made_once
def left_everything(folder: Path) -> Path:
    """A recording with columns of every kind; only the journal has the newest rows."""
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 64, max_bytes=1 << 20)
        patch.setattr("gym_h5record.writing.session.Session.tick", lambda self: None)
        path = folder / "run.h5"

        def leave(env: Any) -> Path:
            env.flush()
            env.reset(seed=5)
            for _ in range(7):
                env.step(env.action_space.sample())
            return snapshot(path)

        found: list[Path] = []
        record_until(path, everything_env(length=30), [30, 4], lambda env: found.append(leave(env)))
        return found[0]


def record_until(path: Path, env: Any, lengths: Iterable[int], then: Callable[[Any], object], **options: Any) -> None:
    """Record episodes, call ``then`` with the recorder, and close it."""
    with pytest.MonkeyPatch.context() as patch:
        close = h5r.RecordToHDF5.close
        patch.setattr(h5r.RecordToHDF5, "close", lambda recorder: (then(recorder), close(recorder))[1])
        record(path, env, lengths, **options)


@folder_made_once
def _pictures(folder: Path) -> Path:
    with Pen(folder / "run.h5", make_schema(PICTURE), row_bytes=7056) as pen:
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1, 40):
            pen.step(np.full((84, 84), step, np.uint8))
            if step == 21:
                pen.flush()  # in the middle of a chunk
        return snapshot(folder / "run.h5")


@folder_made_once
def left_replacing(folder: Path, old: bytes | None = None) -> Path:
    """A recorder with mode "w" that has not yet replaced the old file."""
    path = closed(folder, [9, 1, 1])
    if old is not None:
        path.write_bytes(old)
    with Pen(path, mode="w") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, [3, 2])
        return snapshot(path)


def _reserved_over_torn(folder: Path) -> Path:
    path = _torn(folder, lambda folder: left_open(folder, is_committed=True))
    Journal.reserve(journal_path(path), 100, 1000)
    return path


@folder_made_once
def _amid_a_sync(folder: Path) -> Path:
    """A recorder killed when the redo log was complete and none of its changes was made."""
    found: list[Path] = []
    with Pen(folder / "run.h5") as pen, pytest.MonkeyPatch.context() as patch:
        write_pairs(pen, [3])
        pen.flush()
        write_pairs(pen, [2], first_row=4)
        apply = redo_log.apply_changes

        def applying(*arguments: Any) -> None:
            if not found and os.stat(redo_path(folder / "run.h5")).st_size:
                found.append(snapshot(folder / "run.h5"))
            apply(*arguments)

        patch.setattr(crash_safe_file, "apply_changes", applying)
        pen.flush()
    return found[0]


def _with_spare(folder: Path) -> Path:
    path = left_pairs(folder, [3], [2])
    spare_path(path).write_bytes(b"half a journal")
    return path


INTERRUPTED: dict[str, Maker] = {
    "nothing-committed": lambda folder: left_pairs(folder, [], [5, 0]),
    "one-reset": lambda folder: left_pairs(folder, [], [0]),
    "some-committed": lambda folder: left_pairs(folder, [3, 2], [5, 0]),
    "all-committed": lambda folder: left_pairs(folder, [3, 2], []),
    "many": lambda folder: left_pairs(folder, [100] * 9, [100] * 9),
    "released": _released,
    "open": lambda folder: left_open(folder, is_committed=False),
    "open-committed": lambda folder: left_open(folder, is_committed=True),
    "open-at-its-reset": lambda folder: left_open(folder, is_committed=False, steps=0),
    "appended": lambda folder: left_appended(folder, is_committed=False),
    "appended-committed": lambda folder: left_appended(folder, is_committed=True),
    "discarded": lambda folder: left_discarded(folder, is_committed=False),
    "discarded-committed": lambda folder: left_discarded(folder, is_committed=True),
    "discarded-at-last": lambda folder: left_discarded(folder, is_committed=False, more=False),
    "appended-after-discards": _appended_after_discards,
    "twice": _twice,
    "flags-alone": lambda folder: _torn(folder, closed),
    "flags-alone-open": lambda folder: _torn(folder, lambda folder: left_open(folder, is_committed=True)),
    "journal-reserved": lambda folder: _with_journal(folder, None, beside=False),
    "journal-reserved-beside": lambda folder: _with_journal(folder, None, beside=True),
    "journal-reserved-over-torn": _reserved_over_torn,
    "journal-unfinished": lambda folder: _with_journal(folder, bytes(1 << 16), beside=False),
    "journal-unfinished-beside": lambda folder: _with_journal(folder, b"", beside=True),
    "journal-without-rows": lambda folder: left_pairs(folder, [], []),
    "everything": left_everything,
    "pictures": _pictures,
    "replacing": left_replacing,
    "replacing-a-text": lambda folder: left_replacing(folder, b"something else"),
    "amid-a-sync": _amid_a_sync,
    "spare-journal": _with_spare,
}


# Damaged ---------------------------------------------------------------------------------------------


def edited(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """Change the open file; its path."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file)
    return path


def cut(path: Path, share: float) -> Path:
    """Cut the end off a file; its path."""
    os.truncate(path, int(path.stat().st_size * share))
    return path


def shorter(name: str, items: int) -> Callable[[h5py.File], object]:
    """A change that shortens a dataset to ``items``."""
    return lambda file: file[name].resize(items, axis=0)


def set_item(name: str, at: int, value: Any) -> Callable[[h5py.File], object]:
    """A change of one item of a dataset."""
    return lambda file: file[name].__setitem__(at, value)


def changed_journal(path: Path, change: Callable[[Journal], object]) -> Path:
    """Change the journal of a recording; the path of the recording."""
    change(Journal.open(journal_path(path)))
    return path


def set_word(word: Control, value: int) -> Callable[[Journal], object]:
    """A change of a control word."""
    return lambda journal: journal.control.__setitem__(word, value)


def spoil_segments(journal: Journal) -> None:
    """Give the first segment the number of a field that does not exist."""
    journal.write_blob(journal.blob_start(journal.control[Control.TAIL]), struct.pack("<I", 77))


def spoil_header(path: Path, old: bytes, new: bytes) -> Path:
    """Replace bytes in the header of a journal by as many others; the path of the recording."""
    data = journal_path(path).read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    journal_path(path).write_bytes(data.replace(old, new))
    return path


def in_its_place(folder: Path, lengths: Iterable[int], make: Maker) -> Path:
    """An interrupted recording whose file was replaced by another recording."""
    path = make(folder)
    shutil.copy(closed(folder, lengths, "other.h5"), path)
    return path


def copied_earlier(folder: Path) -> Path:
    """A file copied while it was recorded, beside a journal copied later."""
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 16)
        with Pen(folder / "run.h5") as pen:
            write_pairs(pen, [3])
            pen.flush()
            old = (folder / "run.h5").read_bytes()
            write_pairs(pen, [40], first_row=4)
            path = snapshot(folder / "run.h5")
    path.write_bytes(old)
    return path


def vanished(folder: Path) -> Path:
    """A journal that continues a missing file."""
    path = _released(folder)
    path.unlink()
    return path


@folder_made_once
def pictures(folder: Path, lengths: Iterable[int] = (40, 20), **options: Any) -> Path:
    """A closed recording of infos and compressed pictures, sixteen in a chunk. All pixels of row r are r."""
    schema = make_schema(PICTURE, infos=[{"row": 0}])
    row = 0
    with Pen(folder / "run.h5", schema, row_bytes=7056, **options) as pen:
        for length in lengths:
            for step in range(length + 1):
                picture, info = np.full((84, 84), row, np.uint8), {"row": row, "name": f"row {row}"}
                if step:
                    pen.step(picture, action=row % 4, reward=float(row), terminated=step == length, info=info)
                else:
                    pen.begin(picture, info, seed=row, options={"row": row})
                row += 1
    return folder / "run.h5"


def unreadable_chunk(path: Path, name: str = fmt.OBSERVATIONS, chunk: int = 1) -> Path:
    """Overwrite a chunk of a file with zeros; its path."""
    damage_chunk(path, name, lambda data: bytes(len(data)), chunk)
    return path


DAMAGED: dict[str, Maker] = {
    "cut-short-a-little": lambda folder: cut(closed(folder, [600]), 0.999),
    "cut-short-to-a-third": lambda folder: cut(closed(folder, [600]), 0.33),
    "rewards-short": lambda folder: edited(closed(folder), shorter(fmt.REWARDS, 5)),
    "rewards-missing": lambda folder: edited(closed(folder), lambda file: file.__delitem__(fmt.REWARDS)),
    "index-missing": lambda folder: edited(closed(folder), lambda file: file.__delitem__("episodes/starts")),
    "index-beyond-the-rows": lambda folder: edited(closed(folder), set_item("episodes/lengths", 1, 77)),
    "index-of-nothing": lambda folder: edited(closed(folder), set_item("episodes/starts", 1, -5)),
    "commit-missing": lambda folder: edited(closed(folder), lambda file: file.__delitem__(fmt.COMMIT)),
    "commit-of-too-much": lambda folder: edited(closed(folder), set_item(fmt.COMMIT, 0, 1 << 50)),
    "schema-missing": lambda folder: edited(closed(folder), lambda file: file[fmt.METADATA].attrs.pop("schema")),
    "last-chunk": lambda folder: unreadable_chunk(pictures(folder), chunk=3),
    "interrupted-with-a-column-missing": lambda folder: edited(
        left_pairs(folder, [3, 2], [5]), lambda file: file.__delitem__(fmt.ACTIONS)
    ),
    "journal-of-another-recording": lambda folder: in_its_place(
        folder, [9, 1], lambda folder: left_pairs(folder, [3], [2])
    ),
    "journal-of-a-longer-recording": lambda folder: in_its_place(
        folder, [1], lambda folder: left_appended(folder, is_committed=False)
    ),
    "journal-of-a-later-instant": copied_earlier,
    "journal-no-journal": lambda folder: _with_journal(folder, b"my diary" * 5000, beside=True),
    "journal-a-directory": lambda folder: (journal_path(closed(folder)).mkdir(), folder / "run.h5")[1],
    "journal-a-link": lambda folder: (journal_path(closed(folder)).symlink_to("away"), folder / "run.h5")[1],
    "journal-positions": lambda folder: changed_journal(left_pairs(folder, [3], [2]), set_word(Control.HEAD, 1 << 40)),
    "journal-header": lambda folder: spoil_header(left_pairs(folder, [3], [2]), b'"journal_id"', b'"journal_ix"'),
    "journal-schema": lambda folder: spoil_header(
        left_pairs(folder, [], [2]), b'\\"observation\\":', b'\\"abservation\\":'
    ),
    "journal-type": lambda folder: spoil_header(
        left_pairs(folder, [3], [2]), b'["rewards", "<f8"', b'["rewards", "<i8"'
    ),
    "journal-segments": lambda folder: changed_journal(left_pairs(folder, [3], [2]), spoil_segments),
    "file-vanished": vanished,
    "file-vanished-while-appended": lambda folder: (
        path := left_appended(folder, is_committed=False),
        path.unlink(),
        path,
    )[2],
}
