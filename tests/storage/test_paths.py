"""Paths that users give, and the files beside a recording: their names, and that no link in their place is followed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.paths import (
    given_path,
    has_journal,
    journal_path,
    lock_path,
    open_regular,
    open_unlinked,
    partial_path,
    redo_path,
    spare_path,
)

pytestmark = pytest.mark.timeout(10)  # opening a FIFO would wait for its other end

OTHERS: dict[str, tuple[Callable[[Path], Any], int]] = {
    "link": (lambda path: path.symlink_to(path.parent / "target"), errno.ELOOP),
    "broken-link": (lambda path: path.symlink_to(path.parent / "nothing"), errno.ELOOP),
    "fifo": (os.mkfifo, errno.EINVAL),
    "directory": (Path.mkdir, errno.EINVAL),
}


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("~/run.h5", "/home/me/run.h5"),
        ("~", "/home/me"),
        ("folder/~/run.h5", "folder/~/run.h5"),
        ("~nobody_at_all/run.h5", "~nobody_at_all/run.h5"),
        ("/folder/run.h5", "/folder/run.h5"),
    ],
)
def test_a_path_may_begin_with_the_home_directory(
    given: str, found: str, kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert given_path(kind(given)) == Path(found)


@pytest.mark.parametrize("path", [b"run.h5", 3, None, [], ["run.h5"]])
def test_a_path_of_another_kind_is_refused_with_its_value(path: Any) -> None:
    with pytest.raises(TypeError, match=rf"a path is a str or a pathlib.Path, not {re.escape(repr(path))}") as caught:
        given_path(path)
    assert ("os.fsdecode(path)" in str(caught.value)) == isinstance(path, bytes)


@pytest.mark.parametrize(
    ("of", "ending"),
    [
        (journal_path, "journal"),
        (spare_path, "journal.new"),
        (redo_path, "redo"),
        (lock_path, "lock"),
        (partial_path, "partial"),
    ],
)
def test_they_lie_beside_the_recording(of: Callable[[Path], Path], ending: str) -> None:
    assert of(Path("folder/run.h5")) == Path(f"folder/run.h5.{ending}")


@pytest.mark.parametrize("kind", ["file", *OTHERS])
def test_a_journal_is_there_whatever_has_its_name(kind: str, tmp_path: Path) -> None:
    assert not has_journal(tmp_path / "run.h5")
    make = Path.touch if kind == "file" else OTHERS[kind][0]
    make(journal_path(tmp_path / "run.h5"))
    assert has_journal(tmp_path / "run.h5")


def test_a_regular_file_is_opened_and_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    for descriptor in (open_unlinked(tmp_path / "a", os.O_RDONLY), open_regular(tmp_path / "a", os.O_RDWR)):
        assert os.read(descriptor, 10) == b"text"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_a_file_that_is_made_cannot_be_run_or_written_by_others(tmp_path: Path) -> None:
    os.close(open_unlinked(tmp_path / "a", os.O_RDWR | os.O_CREAT))
    assert not (tmp_path / "a").stat().st_mode & 0o133


@pytest.mark.parametrize("kind", OTHERS)
def test_nothing_but_a_regular_file_is_opened(kind: str, tmp_path: Path) -> None:
    make, number = OTHERS[kind]
    (tmp_path / "target").write_bytes(b"not ours")
    make(tmp_path / "a")
    with pytest.raises(OSError, match="a") as caught:
        open_unlinked(tmp_path / "a", os.O_RDONLY)
    assert caught.value.errno == number
    with pytest.raises(CorruptRecordingError, match="a is no log: it is (a symbolic link|not a regular file)"):
        open_regular(tmp_path / "a", os.O_RDONLY, "log")
    assert (tmp_path / "target").read_bytes() == b"not ours"


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    for opening in (open_unlinked, open_regular):
        with pytest.raises(FileNotFoundError):
            opening(tmp_path / "a", os.O_RDONLY)
