"""Options: bad ones are refused before any file is made, and the message says what would be right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gym_h5record.errors import OptionError, RecordingExistsError, RecordingPathError
from gym_h5record.writing.options import Options, make_options


def make(path: Any, mode: str = "x", **changes: Any) -> Options:
    arguments = {"compression": "gzip", "compression_opts": None, "writer": "process", "flush_interval_s": 1}
    return make_options(path, mode, **{**arguments, **changes})


def test_good_options_are_taken(tmp_path: Path) -> None:
    options = make(str(tmp_path / "run.h5"), "a", writer="inline", durability="power", checksum=1)
    assert (options.path, options.mode, options.in_process) == (tmp_path / "run.h5", "a", True)
    assert (options.flush_interval_s, options.durability, options.checksum) == (1.0, "power", True)
    assert options.codec.name == "gzip"
    assert not make(tmp_path / "run.h5").in_process


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "r"}, "mode: expected one of 'x', 'w', 'a', got 'r'"),
        ({"writer": "thread"}, "writer: expected one of 'process', 'inline', got 'thread'"),
        ({"durability": "always"}, "durability: expected one of 'process', 'power', got 'always'"),
        ({"compression": "rar"}, "compression: expected one of"),
        ({"flush_interval_s": 0}, "flush_interval_s: expected a positive number, got 0"),
        ({"flush_interval_s": float("nan")}, "flush_interval_s: expected a positive number, got nan"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else None,
)
def test_an_unknown_value_is_named_with_the_known_ones(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        make(tmp_path / "run.h5", **changes)


# The path -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_links_are_resolved(kind: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    if kind == "file":
        (tmp_path / "link.h5").symlink_to(tmp_path / "real" / "run.h5")
        found = make(tmp_path / "link.h5").path
    else:
        (tmp_path / "link").symlink_to(tmp_path / "real")
        found = make(tmp_path / "link" / "run.h5").path
    assert found == tmp_path / "real" / "run.h5"


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert make("run.h5").path == tmp_path / "run.h5"


def test_the_home_directory_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make("~/run.h5").path == make(Path("~/run.h5")).path == tmp_path / "run.h5"
    (tmp_path / "~").mkdir()
    monkeypatch.chdir(tmp_path)
    assert make("./~/run.h5").path == tmp_path / "~" / "run.h5"


def test_a_working_directory_that_has_been_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(RecordingPathError, match=r"cannot record to run\.h5: the working directory has been deleted"):
        make("run.h5")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingPathError, match="the directory .*nowhere does not exist. Create it first"):
        make(tmp_path / "nowhere" / "run.h5")


def test_a_directory_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RecordingPathError, match=f"no permission to write in {tmp_path}"):
        make(tmp_path / "run.h5")


@pytest.mark.parametrize(("kind", "words"), [(Path.mkdir, "it is a directory"), (os.mkfifo, "not a regular file")])
def test_something_else_than_a_file_is_never_replaced(kind: Any, words: str, tmp_path: Path) -> None:
    kind(tmp_path / "run.h5")
    for mode in ("x", "w", "a"):
        with pytest.raises(RecordingPathError, match=words):
            make(tmp_path / "run.h5", mode)


def test_an_existing_file_is_refused_by_mode_x_only(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(b"mine")
    with pytest.raises(RecordingExistsError, match='exists and mode is "x".*mode="w" to replace it, or mode="a"'):
        make(tmp_path / "run.h5")
    assert {make(tmp_path / "run.h5", mode).mode for mode in ("w", "a")} == {"w", "a"}
    assert (tmp_path / "run.h5").read_bytes() == b"mine"
