"""Compaction: a closed file becomes small, keeps everything, and is never harmed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.maintenance.comparing import diff
from gym_h5record.maintenance.validation.problems import Severity
from gym_h5record.maintenance.validation.validator import validate
from gym_h5record.storage import compaction, lane_reader
from gym_h5record.storage.compaction import compact
from gym_h5record.storage.hdf5 import new_file
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader
from gym_h5record.storage.hdf5.objects import filter_ids
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import partial_path
from gym_h5record.storage.state import State, recording_state
from tests.lane_recordings import LENGTHS, record_lanes
from tests.reading import record
from tests.writing import everything_env, recover
from tests.zoo import Played, ZooEnv, check_recorded, play

pytestmark = pytest.mark.compacted

CODECS = ["gzip", "zstd", "lz4", "lzf"]
SMALL = ("rewards", "actions/0", "types", "episodes/starts", "infos/json/ends")


@contextmanager
def uncompacted() -> Iterator[None]:
    """Recordings that are closed in this block stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("inline_worker", "writer_process", "recovery"):
            patch.setattr(f"gym_h5record.writing.{module}.compact", lambda path: False)
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with columns of every kind, checksums included, that was not compacted; do not change it."""
    path = tmp_path_factory.mktemp("compaction") / "run.h5"
    with uncompacted():
        record(path, everything_env(length=30), [30, 9, 0, 12], checksum=True)
    return path


@pytest.fixture
def path(plain: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(plain, tmp_path / "run.h5"))


def check_sound(path: Path) -> None:
    assert [each for each in validate(path, deep=True) if each.severity is Severity.ERROR] == []


def check_same(path: Path, other: Path) -> None:
    """Fail unless a recording is sound and has the values and the metadata of the other one."""
    check_sound(path)
    report = diff(path, other)
    assert (report.ok, report.metadata) == (True, ()), report.message


def cartpole(path: Path, steps: int, **options: Any) -> Path:
    """A recording of CartPole with random actions."""
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path, writer="inline", **options)
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    env.close()
    return path


def append(path: Path, *parts: list[int], **options: Any) -> list[Played]:
    """Append episodes, with a flush behind each part; close the file unless there is ``leave``."""
    leave = options.pop("leave", None)
    env: Any = h5r.RecordToHDF5(everything_env(length=30), path, **{"writer": "inline", "mode": "a", **options})
    played = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        for lengths in parts:
            played += play(env, lengths)
            env.flush()
        if leave is not None:
            leave()
        env.close()
    return played


# Size --------------------------------------------------------------------------------------------


def test_a_step_of_cartpole_takes_few_bytes(tmp_path: Path) -> None:
    short, long = (cartpole(tmp_path / f"{steps}.h5", steps).stat().st_size for steps in (1000, 9000))
    assert (long - short) / 8000 < 24  # an episode has some 22 steps, and a snapshot of two generators
    assert short < 70_000


def test_a_recording_of_ten_steps_is_a_small_file(tmp_path: Path) -> None:
    assert cartpole(tmp_path / "run.h5", 10).stat().st_size < 45_000


def test_space_that_rewritten_chunks_have_lost_is_given_back(tmp_path: Path) -> None:
    env = ZooEnv(spaces.Box(0, 255, (84, 84), np.uint8), rewards=[1.0], length=64, infos=lambda step: {})
    for name, is_flushed in (("flushed.h5", True), ("at-once.h5", False)):
        recorder: Any = h5r.RecordToHDF5(env, tmp_path / name, writer="inline")
        recorder.reset(seed=0)
        for _ in range(63):
            recorder.step(recorder.action_space.sample())
            if is_flushed:
                recorder.flush()
        recorder.close()
    flushed, at_once = ((tmp_path / name).stat().st_size for name in ("flushed.h5", "at-once.h5"))
    assert flushed < at_once * 1.01


def test_the_file_is_as_long_as_its_superblock_says(path: Path) -> None:
    assert compact(path)
    assert recording_state(path) is State.CLOSED


# Content -----------------------------------------------------------------------------------------


def test_everything_is_as_before(path: Path, plain: Path) -> None:
    assert compact(path)
    assert path.stat().st_size < plain.stat().st_size
    check_same(path, plain)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("compression", CODECS)
def test_whatever_the_codec_plain_h5py_reads_the_small_items(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    played = record(path, everything_env(length=30), [20, 10], compression=compression)
    with h5py.File(path) as file:
        for name in SMALL:
            assert filter_ids(file[name].id)[-1] == 1, name
        assert filter_ids(file["observations/picture"].id) != [1] or compression == "gzip"
        assert file["episodes/lengths"][:].tolist() == [20, 10]
        assert file["rewards"].shape == (32,)
    with h5r.Recording(path) as recording:
        check_recorded(recording, played)


def test_large_chunks_are_copied_as_they_are(path: Path, plain: Path) -> None:
    assert compact(path)
    with h5py.File(path) as new, h5py.File(plain) as old:
        name = "observations/picture"
        assert new[name].chunks == old[name].chunks
        for first in range(0, len(old[name]), old[name].chunks[0]):
            assert new[name].id.read_direct_chunk((first, 0, 0)) == old[name].id.read_direct_chunk((first, 0, 0))


def test_a_recording_without_compression_stays_as_it_is(tmp_path: Path) -> None:
    path = cartpole(tmp_path / "run.h5", 500, compression=None)
    before = path.read_bytes()
    assert not compact(path)
    assert path.read_bytes() == before
    with h5py.File(path) as file:
        assert filter_ids(file["rewards"].id) == []


def test_frames_that_are_observations_still_are(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env = ZooEnv(spaces.Box(0, 255, (4, 5, 3), np.uint8), length=300)
    with uncompacted():
        record(path, env, [300], frames="observation")
    assert compact(path)
    with h5py.File(path) as file:
        assert file["frames"] == file["observations"]
        assert filter_ids(file["frames"].id) == [1]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("compression", ["gzip", None], ids=str)
@pytest.mark.parametrize("space", [spaces.Discrete(5), spaces.Box(0, 255, (84, 84), np.uint8)], ids=["small", "large"])
def test_rows_of_a_discarded_episode_are_left_behind(
    space: spaces.Space[Any], compression: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    env: Any = h5r.RecordToHDF5(
        ZooEnv(space, rewards=[1.0], length=50, infos=lambda step: {}),
        path,
        writer="inline",
        compression=compression,
        checksum=True,
    )
    played = play(env, [20, 20])
    env.reset()
    for _ in range(30):
        env.step(env.action_space.sample())
    env.flush()
    env.discard_episode()
    env.close()
    check_sound(path)
    with h5r.Recording(path) as recording:
        check_recorded(recording, played)
    with h5py.File(path) as file:
        assert len(file["observations"]) == 42


def test_dones_are_never_compressed(path: Path) -> None:
    assert compact(path)
    with h5py.File(path) as file:
        assert filter_ids(file["dones"].id) == []


def test_attributes_and_labels_that_a_user_has_changed_are_kept(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["rewards"].attrs["description"] = "Points"
        file["rewards"].dims[0].label = "time"
        file["metadata"].attrs["agent_id"] = "other"
        file.attrs["fps"] = 7.0
    assert compact(path)
    with h5py.File(path) as file:
        assert (file["rewards"].attrs["description"], file["rewards"].dims[0].label) == ("Points", "time")
        assert (file["metadata"].attrs["agent_id"], file.attrs["fps"]) == ("other", 7.0)


def test_owner_and_permissions_are_kept(path: Path) -> None:
    path.chmod(0o640)
    before = path.stat()
    assert compact(path)
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)


# What is left alone ------------------------------------------------------------------------------

ADDED: dict[str, Callable[[h5py.File], object]] = {
    "a-dataset": lambda file: file.create_dataset("mine", data=np.arange(5)),
    "a-dataset-in-a-group": lambda file: file.create_dataset("episodes/mine", data=np.arange(5)),
    "a-group": lambda file: file.create_group("mine"),
    "a-link": lambda file: file.__setitem__("mine", h5py.ExternalLink("other.h5", "/")),
    "an-attribute-of-the-root": lambda file: file.attrs.update(note="by hand"),
    "an-attribute-of-a-group": lambda file: file["episodes"].attrs.update(note="by hand"),
    "an-attribute-of-the-metadata": lambda file: file["metadata"].attrs.update(note="by hand"),
    "an-attribute-of-a-dataset": lambda file: file["rewards"].attrs.update(note="by hand"),
}


@pytest.mark.parametrize("add", ADDED.values(), ids=ADDED)
def test_a_file_to_which_something_was_added_stays_as_it_is(add: Callable[[h5py.File], object], path: Path) -> None:
    with h5py.File(path, "r+") as file:
        add(file)
    before = path.read_bytes()
    assert not compact(path)
    assert path.read_bytes() == before


def test_a_file_with_another_name_stays_as_it_is(path: Path) -> None:
    (path.parent / "other.h5").hardlink_to(path)
    assert not compact(path)
    assert path.samefile(path.parent / "other.h5")


def test_a_file_of_which_little_would_be_saved_is_not_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with uncompacted():
        record(path, ZooEnv(spaces.Box(0, 255, (200, 200, 3), np.uint8), length=100), [100])
    inode = path.stat().st_ino
    assert not compact(path)
    assert path.stat().st_ino == inode
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_of_many_bytes_that_are_only_copied_a_quarter_must_be_saved(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_FREE_COPY_BYTES", 1000)
    monkeypatch.setattr(compaction, "_LEAST_SAVING_OF_COPY", 100)
    assert not compact(path)
    monkeypatch.setattr(compaction, "_LEAST_SAVING_OF_COPY", 0.01)
    assert compact(path)


def test_a_compacted_file_is_not_written_anew(path: Path) -> None:
    assert compact(path)
    assert not compact(path)


@pytest.mark.parametrize("name", ["rewards", "observations/picture", "episodes/json/ends", "metadata"])
def test_a_damaged_file_stays_as_it_is(name: str, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
    before = path.read_bytes()
    assert not compact(path)
    assert path.read_bytes() == before


# Kills, and a full disk --------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_kill_at_any_write_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, instants = tmp_path / "run.h5", tmp_path / "instants"
    with uncompacted():
        record(path, ZooEnv(spaces.Box(0, 255, (99, 9), np.uint8), length=40), [40, 40], times=False)
    before, write_all = path.read_bytes(), new_file.write_all

    def photographed(*arguments: Any) -> None:
        copy = instants / str(len([*instants.iterdir()])) / path.name
        copy.parent.mkdir()
        for each in (path, partial_path(path)):
            shutil.copy(each, copy.with_name(each.name))
        write_all(*arguments)

    instants.mkdir()
    monkeypatch.setattr(new_file, "write_all", photographed)
    assert compact(path)
    monkeypatch.undo()
    killed = [each / path.name for each in instants.iterdir()]
    assert len(killed) > 50
    for each in killed:
        assert each.read_bytes() == before
        assert recording_state(each) is State.CLOSED
    for each in killed[::20]:
        assert h5r.repair(each).found == "closed"
        assert [left.name for left in each.parent.iterdir()] == [path.name]


def test_a_kill_before_or_after_the_new_file_gets_its_name_leaves_a_whole_file(
    path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, states = Path.replace, []

    def photographed(self: Path, target: Path) -> Path:
        states.append(path.read_bytes())
        result = replace(self, target)
        states.append(path.read_bytes())
        return result

    monkeypatch.setattr(Path, "replace", photographed)
    assert compact(path)
    (path.parent / "copy.h5").write_bytes(states[-1])
    check_same(path.parent / "copy.h5", plain)


@pytest.mark.parametrize("allowed", [0, 1, 20, 60])
def test_a_full_disk_leaves_the_old_file_alone(
    allowed: int, path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all, calls = new_file.write_all, []

    def write(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) > allowed:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(*arguments)

    monkeypatch.setattr(new_file, "write_all", write)
    assert not compact(path)
    assert path.read_bytes() == plain.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_full_disk_does_not_fail_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(new_file, "write_all", write)
    played = record(tmp_path / "run.h5", lengths=[20, 3])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, played)
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.skipif(sys.platform != "linux" or not os.geteuid(), reason="root may write everywhere")
def test_a_directory_that_nothing_can_be_made_in_leaves_the_file_alone(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        assert not compact(path)
    finally:
        path.parent.chmod(0o700)


# Afterwards --------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("compression", "writer"),
    [("gzip", "process"), *((each, "inline") for each in ("gzip", "zstd", "lzf", None))],
    ids=str,
)
def test_a_compacted_file_is_appended_to_again_and_again(compression: str | None, writer: str, tmp_path: Path) -> None:
    path, played = tmp_path / "run.h5", []
    for _ in range(3):
        played += append(path, [9, 4], [5], writer=writer, compression=compression, checksum=True)
    check_sound(path)
    with h5r.Recording(path) as recording:
        check_recorded(recording, played)
    if compression is not None:
        with h5py.File(path) as file:
            assert {file[name].id.get_chunk_info(0).filter_mask for name in SMALL} == {0}  # compressed again


def test_appending_keeps_what_a_user_has_added(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    played = record(path, everything_env(length=30), [12, 3])
    with h5py.File(path, "r+") as file:
        file["mine"] = np.arange(5)
        file["rewards"].attrs["note"] = "by hand"
        file["rewards"].dims[0].attach_scale(file["mine"])
    played += append(path, [9, 2])
    with h5r.Recording(path) as recording:
        check_recorded(recording, played)
    with h5py.File(path) as file:
        assert file["mine"][:].tolist() == [0, 1, 2, 3, 4]
        assert file["rewards"].attrs["note"] == "by hand"
        assert file["rewards"].dims[0][0] == file["mine"]


def test_an_append_that_was_killed_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    (tmp_path / "killed").mkdir()

    def kill() -> None:
        for each in tmp_path.glob("run.h5*"):
            shutil.copy(each, tmp_path / "killed" / each.name)

    played = record(path, everything_env(length=30), [12, 9])
    played += append(path, [8], [9, 2], leave=kill)
    recover(tmp_path / "killed" / "run.h5")
    check_sound(tmp_path / "killed" / "run.h5")
    for found in (path, tmp_path / "killed" / "run.h5"):
        with h5r.Recording(found) as recording:
            check_recorded(recording, played)


def test_a_reader_that_follows_the_recording_sees_its_end_in_the_old_file_and_in_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env: Any = h5r.RecordToHDF5(
        ZooEnv(spaces.Discrete(5), rewards=[1.0], length=600, infos=lambda step: {}), path, writer="inline"
    )
    play(env, [500])
    env.flush()
    follower = h5r.Recording(path, live=True)
    assert follower.refresh()
    inode = path.stat().st_ino
    rows = follower.num_rows
    play(env, [600])
    env.close()
    assert path.stat().st_ino != inode
    assert follower.rows.actions[:].tolist() == h5r.Recording(path).rows.actions[:rows].tolist()  # the old file
    assert follower.refresh() is False  # the new one
    assert follower.num_rows == h5r.Recording(path).num_rows == rows + 601
    assert follower.returns.tolist() == h5r.Recording(path).returns.tolist()
    assert not follower.refresh()


def test_a_reader_of_the_closed_file_keeps_the_old_file(path: Path, plain: Path) -> None:
    with h5r.Recording(path) as recording:
        assert compact(path)
        assert recording.num_rows == h5r.Recording(plain).num_rows
        assert str(recording.rows.observations[:]) == str(h5r.Recording(plain).rows.observations[:])


def test_a_file_left_by_a_compaction_that_was_killed_is_removed_by_repair(path: Path) -> None:
    partial_path(path).write_bytes(b"half")
    with closing_lock(path):
        h5r.repair(path)
        assert partial_path(path).exists()  # the compaction may still run
    h5r.repair(path, dry_run=True)
    assert partial_path(path).exists()
    assert h5r.repair(path).found == "closed"
    assert not partial_path(path).exists()


def test_a_file_left_by_a_compaction_that_was_killed_is_removed_by_appending(path: Path) -> None:
    partial_path(path).write_bytes(b"half")
    append(path, [3])
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@contextmanager
def closing_lock(path: Path) -> Iterator[None]:
    lock = RecordingLock(path)
    try:
        yield
    finally:
        lock.release()


# Lanes ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_lanes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vector recording of 16 lanes with different numbers of rows, not compacted; do not change it."""
    path = tmp_path_factory.mktemp("lanes") / "run.h5"
    with uncompacted():
        return record_lanes(path, "tuple", "SAME_STEP", 120, [*LENGTHS] * 4, checksum=True)


@pytest.mark.long
def test_lanes_are_packed_the_same_however_many_are_read_together(
    plain_lanes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for band_bytes in (1, 1 << 12, 32 << 20):
        monkeypatch.setattr(compaction, "_BAND_BYTES", band_bytes)
        path = Path(shutil.copy(plain_lanes, tmp_path / f"{band_bytes}.h5"))
        assert compact(path)
        check_sound(path)
        check_same(path, plain_lanes)
        found.append(stored_chunks(path))
    assert found[0] == found[1] == found[2]
    assert len([name for name, *_ in found[0] if name == "types"]) > 1  # so that there is a choice


def stored_chunks(path: Path) -> dict[tuple[Any, ...], bytes]:
    """The bytes of every chunk of a file, by the name of its dataset and its place."""
    found: dict[tuple[Any, ...], bytes] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            node.id.chunk_iter(lambda chunk: places.append(chunk.chunk_offset))
            found.update({(name, *place): bytes(node.id.read_direct_chunk(place)[1]) for place in places})
            places.clear()

    places: list[tuple[int, ...]] = []
    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def test_a_chunk_of_lanes_is_read_once(plain_lanes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It was read for every chunk of the new file: 52 s after 20,000 steps of 256 CartPoles.
    read: Counter[tuple[str, int]] = Counter()
    original = ChunkReader.read

    def counting(reader: ChunkReader, number: int) -> np.ndarray:
        read[reader._name, number] += 1
        return original(reader, number)

    monkeypatch.setattr(ChunkReader, "read", counting)
    monkeypatch.setattr(lane_reader, "_KEPT_BYTES", 0)  # else few chunks would stay in memory
    assert compact(Path(shutil.copy(plain_lanes, tmp_path / "run.h5")))
    types = [count for (name, _), count in read.items() if name == "/types"]
    assert len(types) > 1
    assert set(types) == {1}
