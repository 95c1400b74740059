"""The files that pictures are written to."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from gym_h5record.errors import OptionError, RecordingExistsError, RecordingPathError, WriterError
from gym_h5record.media.targets import check_target, written_target


@pytest.mark.parametrize("name", ["run.png", "run.PNG"])
def test_a_name_with_the_ending_of_the_format_is_a_target(tmp_path: Path, name: str) -> None:
    assert check_target(str(tmp_path / name), (".png",)) == tmp_path / name


@pytest.mark.parametrize(("name", "found"), [("run.mp4", ".mp4"), ("run", "no ending"), ("run.png.txt", ".txt")])
def test_a_name_that_does_not_fit_the_format_is_refused(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(OptionError, match=f"ends with .png or .gif, got {found}"):
        check_target(tmp_path / name, (".png", ".gif"))


def test_a_file_that_exists_is_a_target_only_to_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "run.png"
    target.touch()
    with pytest.raises(RecordingExistsError, match='run.png exists: choose another name, or replace it with mode="w"'):
        check_target(target, (".png",))
    assert check_target(target, (".png",), mode="w") == target


def test_the_recording_is_no_target_even_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "run.h5").touch()
    (tmp_path / "link.png").symlink_to("run.h5")
    with pytest.raises(OptionError, match="link.png: it is the recording itself"):
        check_target(tmp_path / "link.png", (".png",), mode="w", recording=tmp_path / "run.h5")


def test_a_target_without_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingPathError, match="the directory .*nowhere does not exist"):
        check_target(tmp_path / "nowhere" / "run.png", (".png",))


@pytest.mark.parametrize("mode", ["a", "", None], ids=repr)
def test_a_mode_is_x_or_w(tmp_path: Path, mode: Any) -> None:
    with pytest.raises(OptionError, match="mode: expected one of 'x', 'w'"):
        check_target(tmp_path / "run.png", (".png",), mode=mode)


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "run.png"
    with written_target(target) as partial:
        partial.write_bytes(b"picture")
        assert not target.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["run.png"]
    assert target.read_bytes() == b"picture"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")], ids=repr)
def test_after_an_error_nothing_is_left_and_the_old_file_stays(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "run.png"
    target.write_bytes(b"old")
    with pytest.raises(type(error)), written_target(target) as partial:
        partial.write_bytes(b"half")
        raise error
    assert [each.name for each in tmp_path.iterdir()] == ["run.png"]
    assert target.read_bytes() == b"old"


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(WriterError, match="cannot write .*run.png: No space left"),
        written_target(tmp_path / "run.png"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
