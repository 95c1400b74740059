"""The handle: opens what can be read, in every process anew, and says why it cannot."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    FormatVersionError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingClosedError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.paths import journal_path
from tests.leftovers import mark_torn
from tests.reading import record, write_ones
from tests.writing import Pen, each_writer, elsewhere, run_script, write_pairs
from tests.zoo import ZooEnv, open_descriptors, play


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording; do not change it."""
    where = tmp_path_factory.mktemp("handle") / "run.h5"
    record(where)
    return where


def check_refused(path: Path, error: type[Exception], words: str) -> None:
    """Fail unless both opening and the front door refuse, naming the path."""
    for opening in (Handle, h5r.Recording):
        with pytest.raises(error, match=words) as caught:
            opening(path)
        assert type(caught.value) is error
        assert str(path) in str(caught.value)


# What cannot be read -----------------------------------------------------------------------------


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    check_refused(tmp_path / "run.h5", RecordingNotFoundError, "no recording")
    check_refused(tmp_path / "missing" / "run.h5", RecordingNotFoundError, "no recording")
    with pytest.raises(FileNotFoundError):
        h5r.Recording(tmp_path / "run.h5")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n", b"some text", bytes(10_000), b"PK\x03\x04" + bytes(500)],
    ids=["empty", "signature", "text", "zeros", "zip"],
)
def test_a_file_that_is_no_hdf5_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    check_refused(tmp_path / "run.h5", NotARecordingError, "not an HDF5 file")


@pytest.mark.parametrize(
    "tail",
    [bytes(100), bytes([2, 8, 8, 0]) + bytes(100), bytes([0, 0, 0, 0]) + b"\xff" * 100],
    ids=["zeros", "v2", "v0"],
)
def test_a_file_that_only_begins_like_hdf5_is_one_of_our_errors(tail: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + tail)
    with pytest.raises(RecordingError, match=r"run\.h5"):
        h5r.Recording(tmp_path / "run.h5")


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_another_hdf5_file_is_said(libver: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w", libver=libver) as file:
        file["data/demo_0/obs"] = np.zeros(3)
    check_refused(tmp_path / "run.h5", NotARecordingError, "not a recording.*format='gym_h5record'")
    with h5py.File(tmp_path / "run.h5", "r+"):  # and is not kept open
        pass


def test_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.h5").mkdir()
    check_refused(tmp_path / "run.h5", NotARecordingError, "not a regular file")


def test_a_device_is_said_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.h5")
    check_refused(tmp_path / "run.h5", NotARecordingError, "not a regular file")


def test_a_newer_version_is_said_and_upgrading_proposed(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file.attrs["format_version"] = np.int64(2)
    check_refused(tmp_path / "run.h5", FormatVersionError, "format_version.*2.*pip install --upgrade")


@each_writer
def test_a_recording_in_the_making_is_said(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        check_refused(tmp_path / "run.h5", RecordingInUseError, r"being recorded.*close\(\)")
        write_pairs(pen, [3])
        pen.flush()
        check_refused(tmp_path / "run.h5", RecordingInUseError, r"being recorded.*close\(\)")
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 3


@pytest.mark.parametrize("left", ["both", "journal", "file"])
def test_an_interrupted_recording_is_said_and_repair_proposed(left: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        copy = elsewhere(tmp_path / "run.h5")
    if left == "journal":
        copy.unlink()
    if left == "file":
        journal_path(copy).unlink()
        mark_torn(copy)
    check_refused(copy, InterruptedRecordingError, r"repair\('.*run\.h5'\).*mode=\"a\"")


def test_a_file_that_was_cut_off_is_corrupt(path: Path, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(path.read_bytes()[:-100])
    check_refused(tmp_path / "run.h5", CorruptRecordingError, "cut|short|bytes")


def test_a_damaged_file_is_one_of_our_errors(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[48:1000] = bytes(952)
    (tmp_path / "run.h5").write_bytes(data)
    with pytest.raises(RecordingError, match=r"run\.h5"):
        h5r.Recording(tmp_path / "run.h5").episodes  # noqa: B018  # opens the schema


# What can be read --------------------------------------------------------------------------------


def test_a_file_without_permission_to_write_can_be_read(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    (tmp_path / "run.h5").chmod(0o444)
    assert h5r.Recording(tmp_path / "run.h5").num_episodes == 4


def test_a_symbolic_link_can_be_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.h5").symlink_to(path)
    assert h5r.Recording(tmp_path / "link.h5").num_episodes == 4


def test_a_relative_path_survives_a_change_of_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    recording = h5r.Recording(path.name)
    monkeypatch.chdir(tmp_path)
    assert recording.path == path
    assert pickle.loads(pickle.dumps(recording)).num_episodes == 4


def test_a_file_can_be_open_more_than_once(path: Path) -> None:
    first, second = h5r.Recording(path), h5r.Recording(path)
    with h5py.File(path) as plain:
        assert first.num_rows == second.num_rows == plain["commit"][0]
        first.close()
        assert second.rows.observations[0] is not None


def test_opening_changes_nothing_and_leaves_nothing(path: Path) -> None:
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir()))
    with h5r.Recording(path) as recording:
        recording.episodes[0].observations[:]
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir())) == before


def test_close_frees_the_file(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    recording = h5r.Recording(tmp_path / "run.h5")
    recording.close()
    recording.close()
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        assert file["commit"][0] > 0


# Processes ---------------------------------------------------------------------------------------


def read_in_child(recording: h5r.Recording, queue: Any) -> None:
    queue.put([float(recording.rows.observations[row][0]) for row in range(0, 4000, 37)])


def read_episode_in_child(episode: h5r.Episode, queue: Any) -> None:
    queue.put([float(observation[0]) for observation in episode.observations])


def run_child(method: str, target: Any, argument: Any) -> Any:
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=target, args=(argument, queue))
    child.start()
    result = queue.get(timeout=30)
    child.join(timeout=30)
    assert child.exitcode == 0
    return result


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_reads_the_right_values_and_so_does_its_parent(method: str, tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 2000)
    recording = h5r.Recording(tmp_path / "run.h5")
    expected = [float(row) for row in range(0, 4000, 37)]
    assert float(recording.rows.observations[17][0]) == 17  # something is cached before
    assert run_child(method, read_in_child, recording) == expected
    assert [float(recording.rows.observations[row][0]) for row in range(0, 4000, 37)] == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_episode_can_be_handed_to_a_child_process(method: str, tmp_path: Path) -> None:
    write_ones(tmp_path / "run.h5", 2000)
    recording = h5r.Recording(tmp_path / "run.h5")
    assert run_child(method, read_episode_in_child, recording.episodes[700]) == [1400, 1401]


def test_many_forked_children_read_at_once_each_with_a_handle_of_its_own(tmp_path: Path) -> None:
    script = """
        import os, sys
        import gym_h5record as h5r
        recording = h5r.Recording(sys.argv[1])
        recording.rows.observations[1999]
        of_parent, children = recording._handle.file, []
        for child in range(6):
            pid = os.fork()
            if not pid:
                rows = range(child, 4000, 6)
                good = all(recording.rows.observations[row][0] == row for row in rows)
                os._exit(0 if good and recording._handle.file is not of_parent else 1)
            children.append(pid)
        assert all(recording.rows.observations[row][0] == row for row in range(4000))
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 6
        recording.close()
    """
    write_ones(tmp_path / "run.h5", 2000)
    assert run_script(script, tmp_path / "run.h5").stderr == ""


def test_a_pickled_recording_opens_the_file_anew(path: Path) -> None:
    recording = h5r.Recording(path)
    twin = pickle.loads(pickle.dumps(recording))
    recording.close()
    assert twin.path == path
    assert twin.rows.observations[0]["text"] == h5r.Recording(path).rows.observations[0]["text"]


def test_a_pickled_recording_whose_file_is_gone_says_so(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    data = pickle.dumps(h5r.Recording(tmp_path / "run.h5"))
    (tmp_path / "run.h5").unlink()
    with pytest.raises(RecordingNotFoundError, match=r"run\.h5"):
        pickle.loads(data)


def test_a_pickled_handle_and_all_that_holds_it_open_the_file_anew(path: Path) -> None:
    recording = h5r.Recording(path)
    recording.episodes[0].observations[0]
    for each in (recording.rows.observations, recording.rows.infos, recording.episodes, recording.episodes[1]):
        twin = pickle.loads(pickle.dumps(each))
        assert len(twin) == len(each)
        assert str(twin) == str(each)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import builtins; builtins.kept = recording, episode",
        "import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(recording))",
        "os.fork() or sys.exit()",
        "os.fork() or (recording.rows.observations[7], sys.exit())",
        "raise SystemExit",
    ],
    ids=["plain", "kept", "leaked", "forked", "forked-and-read", "exit"],
)
def test_a_recording_that_is_still_open_when_the_process_ends_does_not_crash_it(ending: str, path: Path) -> None:
    """HDF5 calls what it reads from as late as then; without Python it would crash."""
    script = f"""
        import os, sys
        import gym_h5record as h5r
        followed = h5r.Recording(sys.argv[1], live=True)
        followed.rows.observations[3]
        recording = h5r.Recording(sys.argv[1])
        episode = recording.episodes[0]
        recording.rows.observations[3]
        {ending}
    """
    assert run_script(script, path).stderr == ""


def test_a_recording_without_references_is_closed(path: Path) -> None:
    before = open_descriptors()
    for _ in range(3):
        h5r.Recording(path).episodes[0].observations[0]
    assert open_descriptors() == before


def test_a_recording_takes_one_descriptor_for_reading(path: Path) -> None:
    before = open_descriptors()
    with h5r.Recording(path) as recording:
        recording.episodes[0].observations[0]
        assert open_descriptors() == before + 1


def test_threads_that_read_one_recording_at_once_get_the_right_values(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(ZooEnv(spaces.Box(0, 255, (64, 64), np.uint8)), tmp_path / "run.h5", writer="inline")
    play(env, [150])
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        expected = [recording.rows.observations[row] for row in range(recording.num_rows)]

        def read(seed: int) -> bool:
            rows = np.random.default_rng(seed).integers(len(expected), size=600)
            return all(np.array_equal(recording.rows.observations[row], expected[row]) for row in rows)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(read, range(4)))


# A file that is replaced -------------------------------------------------------------------------


def replaced(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """Put a changed copy in the place of a recording, as compaction does with the new file."""
    new = path.with_name("new.h5")
    shutil.copy(path, new)
    with h5py.File(new, "r+") as file:
        change(file)
    new.replace(path)
    return path


def test_a_file_that_was_written_anew_is_opened_in_the_place_of_the_old_one(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "run.h5"))
    with closing(Handle(copy)) as handle:
        replaced(copy, lambda file: file["rewards"].attrs.update(note="new"))
        assert "note" not in handle.file["rewards"].attrs
        handle.renew()
        assert handle.file["rewards"].attrs["note"] == "new"


@pytest.mark.parametrize("name", ["run_id", "created_at"])
@pytest.mark.parametrize("is_gone", [False, True], ids=["another", "gone"])
def test_the_file_of_another_recording_is_not_opened_in_its_place(
    name: str, is_gone: bool, path: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(path, tmp_path / "run.h5"))

    def change(file: h5py.File) -> None:
        attributes = file["metadata"].attrs
        attributes.pop(name) if is_gone else attributes.update({name: "another"})

    with closing(Handle(copy)) as handle:
        lengths = handle.file["episodes/lengths"][:].tolist()
        replaced(copy, change)
        with pytest.raises(RecordingNotFoundError, match="replaced by another recording"):
            handle.renew()
        assert handle.file["episodes/lengths"][:].tolist() == lengths  # the old one is still open


def test_recordings_without_an_identity_are_not_taken_for_each_other(path: Path, tmp_path: Path) -> None:
    copy = replaced(Path(shutil.copy(path, tmp_path / "run.h5")), lambda file: file["metadata"].attrs.pop("run_id"))
    with closing(Handle(copy)) as handle:
        replaced(copy, lambda file: file["rewards"].attrs.update(note="new"))
        with pytest.raises(RecordingNotFoundError, match="replaced by another recording"):
            handle.renew()


def test_the_size_is_that_of_the_file_that_is_open(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "run.h5"))
    size_bytes = copy.stat().st_size
    with closing(Handle(copy)) as handle:
        replaced(copy, lambda file: file.create_dataset("mine", data=np.zeros(10_000)))
        assert handle.size_bytes == size_bytes
        handle.renew()
        assert handle.size_bytes == copy.stat().st_size > size_bytes
    with pytest.raises(RecordingClosedError):
        _ = handle.size_bytes
