"""Atomic files: whole under their name, or not there."""

import os

import pytest

from gym_h5record.storage.hdf5.atomic import atomic_path, sync_directory
from tests.zoo import open_descriptors


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt."""


def check_untouched(directory, contents):
    """Fail unless the directory has exactly these files."""
    assert {path.name: path.read_text() for path in directory.iterdir()} == contents


def test_file_appears_whole_under_its_name(tmp_path):
    with atomic_path(tmp_path / "a") as partial:
        partial.write_text("all of it")
        assert not (tmp_path / "a").exists()
    check_untouched(tmp_path, {"a": "all of it"})


def test_path_may_be_text(tmp_path):
    with atomic_path(str(tmp_path / "a")) as partial:
        partial.write_text("x")
    check_untouched(tmp_path, {"a": "x"})


def test_temporary_file_lies_in_the_same_directory(tmp_path):
    with atomic_path(tmp_path / "a") as partial:
        partial.touch()
        assert partial.parent == tmp_path  # a rename across file systems would not be atomic


def test_existing_file_is_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    with atomic_path(tmp_path / "a") as partial:
        partial.write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    check_untouched(tmp_path, {"a": "new"})


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, Interrupted])
def test_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "a") as partial:
        partial.write_text("half of")
        raise error
    check_untouched(tmp_path, {"a": "old"})


def test_error_before_anything_is_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="early"), atomic_path(tmp_path / "a"):
        raise ValueError("early")
    check_untouched(tmp_path, {})


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass
    check_untouched(tmp_path, {})


def test_failing_rename_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def refuse(source, target):
        raise PermissionError("no rename")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match="no rename"), atomic_path(tmp_path / "a") as partial:
        partial.write_text("new")
    check_untouched(tmp_path, {"a": "old"})


def test_rest_of_an_earlier_attempt_is_overwritten(tmp_path):
    with pytest.raises(Interrupted), atomic_path(tmp_path / "a") as first:
        raise Interrupted
    first.write_text("left by a killed process")
    with atomic_path(tmp_path / "a") as partial:
        partial.write_text("new")
    check_untouched(tmp_path, {"a": "new"})


def test_data_is_synced_before_the_rename_and_the_name_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor):
        calls.append("directory" if os.path.samestat(os.fstat(descriptor), os.stat(tmp_path)) else "data")
        fsync(descriptor)

    def spy_replace(source, target):
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    with atomic_path(tmp_path / "a") as partial:
        partial.write_text("x")
    assert calls == ["data", "rename", "directory"]


def test_no_descriptor_stays_open(tmp_path):
    before = open_descriptors()
    for number in range(5):
        with atomic_path(tmp_path / str(number)) as partial:
            partial.touch()
    sync_directory(tmp_path)
    assert open_descriptors() <= before


def test_syncing_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "missing")
