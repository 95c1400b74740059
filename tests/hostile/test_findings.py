"""Failures that hostile files have found in the package, each with a test that it stays mended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import gym_h5record as h5r
from gym_h5record.cli import main
from gym_h5record.errors import CorruptRecordingError, RecordingPathError, SchemaMismatchError
from gym_h5record.format.metadata import metadata_values
from gym_h5record.storage.hdf5.block_checks import check_block
from gym_h5record.storage.hdf5.superblock import read_superblock
from scripts.fuzz.subjects import make_scene, record

pytestmark = pytest.mark.compacted

Change = Callable[[h5py.File], object]


@pytest.fixture
def change(tmp_path: Path) -> Callable[[Change], Path]:
    path = record(tmp_path / "run.h5")

    def apply(edit: Change) -> Path:
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            edit(file)
        return path

    return apply


def append(path: Path) -> None:
    env = h5r.RecordToHDF5(make_scene(), path, mode="a", writer="inline")
    try:
        env.reset(seed=0)
        env.step(0)
    finally:
        env.close()


# A step without a reward ----------------------------------------------------------------------------


def _forget_types(file: h5py.File) -> None:
    file["types"][...] = 0


def test_a_missing_reward_within_an_episode_is_an_error(change: Callable[[Change], Path]) -> None:
    with h5r.Recording(change(_forget_types)) as recording:
        assert recording.rows.rewards[0] is None  # asked for by row, it may be the padding at the end of an episode
        with pytest.raises(CorruptRecordingError, match="/rewards row 0 has no value"):
            recording.episodes[0].rewards[0]


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_replay_of_a_step_without_a_reward_says_what_is_wrong(
    option: tuple[str, ...], change: Callable[[Change], Path]
) -> None:
    result = CliRunner().invoke(main, ["replay", str(change(_forget_types)), *option])
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]["message"] if option else result.stderr.removeprefix("error: ")
    assert "has no value" in message
    assert option or result.stderr.startswith("error: ")


# Appending to damaged recordings --------------------------------------------------------------------


def _swap(file: h5py.File) -> None:
    for name in ("starts", "lengths"):
        file[f"episodes/{name}"][:] = file[f"episodes/{name}"][:][::-1]


def _lengthen_commit(file: h5py.File) -> None:
    values = [*file["commit"][:], 0]
    del file["commit"]
    file.create_dataset("commit", data=np.array(values, np.int64), chunks=(2,), maxshape=(None,))


def _set(name: str, value: int) -> Change:
    def edit(file: h5py.File) -> None:
        file[name][len(file[name]) - 1] = value

    return edit


def _attribute(name: str, value: object) -> Change:
    def edit(file: h5py.File) -> None:
        del file["metadata"].attrs[name]
        if value is not None:
            file["metadata"].attrs[name] = value

    return edit


NOT_APPENDED: dict[str, Change] = {
    "episodes the wrong way round": _swap,
    "a commit of three numbers": _lengthen_commit,
    "an episode of a negative length": _set("episodes/lengths", -5),
    "texts that end before they begin": _set("infos/json/ends", -(1 << 63)),
    "texts that end behind the file": _set("infos/json/ends", 1 << 62),
    "an identity that is a number": _attribute("journal_id", 7.0),
    "an identity that is too short": _attribute("journal_id", np.bytes_(b"x")),
    "no identity": _attribute("journal_id", None),
    "a total that is text": _attribute("total_steps", "7"),
    "no space": _attribute("observation_space", None),
    "a space that is none": _attribute("observation_space", "[[]]"),
    "no word about frames": _attribute("frames", None),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("words", NOT_APPENDED)
def test_a_damaged_recording_is_not_appended_to_and_not_changed(words: str, change: Callable[[Change], Path]) -> None:
    path = change(NOT_APPENDED[words])
    before = path.read_bytes()
    with pytest.raises((CorruptRecordingError, SchemaMismatchError)):
        append(path)
    assert path.read_bytes() == before
    assert not [each.name for each in path.parent.iterdir() if "journal" in each.name or "redo" in each.name]


# Metadata -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("versions", '"text"'),
        ("versions", ""),
        ("versions", "[" * 5000),
        ("platform", "[]"),
        ("env_wrappers", "{}"),
        ("env_wrappers", f"{'[' * 200}{']' * 200}"),
        ("user", "[1]"),
        ("user", 7),
        ("run_id", 7),
        ("total_steps", "7"),
    ],
)
def test_an_attribute_of_a_wrong_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError):  # callers word the message
        metadata_values({name: value})


def test_attributes_are_decoded() -> None:
    given = {"run_id": "[1", "total_steps": 7, "user": "", "env_wrappers": '["a:B"]'}
    assert metadata_values(given) == {"run_id": "[1", "total_steps": 7, "user": {}, "env_wrappers": ["a:B"]}


@pytest.mark.parametrize("spec", ["\x1b[2J", "[" * 900 + "]" * 900, "7"], ids=["no JSON", "deep", "no spec"])
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_info_shows_a_recording_whose_env_spec_is_unreadable(
    spec: str, option: tuple[str, ...], change: Callable[[Change], Path]
) -> None:
    result = CliRunner().invoke(main, ["info", str(change(_attribute("env_spec", spec))), *option])
    assert result.exit_code == 0, result.output
    if option:
        assert json.loads(result.stdout)["environment"]["spec"] in (spec, 7)


def test_the_error_of_a_long_env_spec_is_short(change: Callable[[Change], Path]) -> None:
    with h5r.Recording(change(_attribute("env_spec", json.dumps({"id": "a-v" + "9" * 5000})))) as recording:
        with pytest.raises(CorruptRecordingError) as caught:
            _ = recording.env_spec
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("name", "value"), [("user", "[[1], 2]"), ("versions", "x"), ("env_wrappers", "7")])
def test_a_salvaged_recording_can_be_read(name: str, value: str, change: Callable[[Change], Path]) -> None:
    path = change(_attribute(name, value))
    saved = path.with_name("saved.h5")
    assert h5r.repair(path, salvage=saved).salvaged == saved
    with h5r.Recording(saved) as recording:
        assert recording.metadata["run_id"]
        assert len(recording.rows.frames[:]) == recording.num_rows


# Bytes ----------------------------------------------------------------------------------------------


def test_a_heap_that_is_too_large_is_not_read() -> None:
    head = b"GCOL\x01\0\0\0" + (1 << 30).to_bytes(8, "little")
    with pytest.raises(OSError, match="a heap of"):
        check_block(memoryview(head))


def test_a_file_that_the_system_does_not_let_us_read_is_a_path_error() -> None:
    with pytest.raises(RecordingPathError, match="cannot be read"):
        read_superblock("/proc/self/mem")


@pytest.mark.parametrize("mode", ["w", "a"])
def test_only_a_regular_file_is_replaced(mode: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "run.h5").symlink_to(tmp_path / "fifo")
    with pytest.raises(RecordingPathError, match="not a regular file"):
        h5r.RecordToHDF5(make_scene(), tmp_path / "run.h5", mode=mode)
    assert (tmp_path / "fifo").is_fifo()
