"""What is said of a journal that nobody has mapped, or of something else in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.paths import journal_path, open_regular, spare_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import HEADER_AT, has_rows, is_unfinished
from tests.writing import Pen


def test_journals_lie_beside_their_recordings(tmp_path: Path) -> None:
    assert journal_path(tmp_path / "run.h5") == tmp_path / "run.h5.journal"
    assert spare_path(tmp_path / "run.h5") == tmp_path / "run.h5.journal.new"


def test_only_a_journal_that_was_laid_out_can_have_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.h5.journal"
    assert not has_rows(path)
    Journal.reserve(path, 100, 1000)
    assert (has_rows(path), is_unfinished(path)) == (False, False)
    path.unlink()
    with Pen(tmp_path / "run.h5"):
        assert (has_rows(path), is_unfinished(path)) == (True, False)


@pytest.mark.parametrize("size_bytes", [0, 1, HEADER_AT, 3 * HEADER_AT])
def test_a_blank_file_is_what_a_recorder_leaves_that_dies_while_it_makes_one(size_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "run.h5.journal"
    path.write_bytes(bytes(size_bytes))
    assert (has_rows(path), is_unfinished(path)) == (False, True)


@pytest.mark.parametrize("content", [b"x", b"x" * HEADER_AT, bytes(HEADER_AT - 1) + b"x", b"GH5RJRN1"], ids=len)
def test_what_else_lies_there_may_be_somebodys(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5.journal").write_bytes(content)
    assert has_rows(tmp_path / "run.h5.journal")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["link", "broken link", "FIFO", "directory"])
def test_neither_links_nor_devices_are_followed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5.journal"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "target")
        if kind == "link":
            (tmp_path / "target").write_bytes(bytes(HEADER_AT))
    with pytest.raises((CorruptRecordingError, IsADirectoryError)):
        open_regular(path, os.O_RDWR)
    assert has_rows(path)
