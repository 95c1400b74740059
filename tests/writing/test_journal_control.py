"""The first pages of a journal: numbers that never change, the error, and a journal judged without mapping it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.paths import open_regular
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import (
    HEADER_AT,
    PAGE_BYTES,
    Control,
    RecorderState,
    WriterState,
    has_rows,
    is_unfinished,
    pack_error,
    unpack_error,
)
from tests.writing import Pen

# Numbers and layouts that stand in files ----------------------------------------------------------


def test_control_words_never_change_their_place() -> None:
    assert {word.name: int(word) for word in Control} == {
        **{"MAGIC": 0, "HEADER_BYTES": 1},
        **{"HEAD": 16, "EVENTS": 17, "RECORDER": 18, "FLUSH": 19, "MOVED": 20},
        **{"TAIL": 32, "BLOB_TAIL": 33, "WRITER": 34, "COMMITTED_HEAD": 35, "COMMITTED_EVENTS": 36},
    }


def test_states_never_change() -> None:
    assert {state.name: int(state) for state in RecorderState} == {"RECORDING": 0, "CLOSING": 1}
    assert {state.name: int(state) for state in WriterState} == {"STARTING": 0, "READY": 1, "FAILED": 2, "DONE": 3}


def test_words_of_recorder_and_writer_lie_in_different_cache_lines() -> None:
    recorder = {word // 8 for word in Control if 16 <= word < 32}
    writer = {word // 8 for word in Control if word >= 32}
    assert not recorder & writer


@pytest.mark.parametrize("text", ["", "disk full", "ñ" * 100_000], ids=["empty", "plain", "long"])
def test_an_error_fills_one_page(text: str) -> None:
    page = pack_error(text)
    assert len(page) == PAGE_BYTES
    assert unpack_error(memoryview(page)) == text[: (PAGE_BYTES - 8) // 2]
    assert len(unpack_error(memoryview(b"\xff" * PAGE_BYTES))) == PAGE_BYTES - 8  # a damaged size


# A journal that is not mapped ---------------------------------------------------------------------


def test_only_a_journal_that_was_laid_out_can_have_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.h5.journal"
    assert not has_rows(path)
    Journal.reserve(path, 100, 1000)
    assert (has_rows(path), is_unfinished(path)) == (False, False)
    path.unlink()
    with Pen(tmp_path / "run.h5"):
        assert (has_rows(path), is_unfinished(path)) == (True, False)


@pytest.mark.parametrize("size_bytes", [0, 1, HEADER_AT, 3 * HEADER_AT])
def test_a_blank_file_is_left_by_a_recorder_that_died_while_it_made_the_journal(
    size_bytes: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5.journal"
    path.write_bytes(bytes(size_bytes))
    assert (has_rows(path), is_unfinished(path)) == (False, True)


@pytest.mark.parametrize("content", [b"x", b"x" * HEADER_AT, bytes(HEADER_AT - 1) + b"x", b"GH5RJRN1"], ids=len)
def test_another_file_in_its_place_may_have_rows(content: bytes, tmp_path: Path) -> None:
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
