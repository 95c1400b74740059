"""``validate``: recordings in every state, and what is none."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingInUseError, RecordingNotFoundError
from gym_h5record.maintenance.validation import validator
from gym_h5record.storage.hdf5 import filters as stored
from gym_h5record.storage.hdf5.codecs import decode_chunk
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing.journal import Journal
from tests.maintenance.validation import found, only_problem, record, spoiling, zoo_env
from tests.writing import EVERYTHING, Pen, elsewhere, everything_env, make_schema, write_pairs
from tests.zoo import SPACES, samples

each_depth = pytest.mark.parametrize("deep", [False, True], ids=["quick", "deep"])
TESTS = Path(__file__).parents[2]
GROUP = 12
GROUPS = [SPACES[start : start + GROUP] for start in range(0, len(SPACES), GROUP)]
INCOMPLETE = ("metadata-incomplete", "/metadata")  # a pen does not say what an environment would


@each_depth
def test_nothing_is_wrong_with_a_good_recording(deep: bool, path: Path) -> None:
    data = path.read_bytes()
    assert h5r.validate(path, deep=deep) == []
    assert h5r.validate(str(path), deep=deep) == []
    assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]


# What is no recording ------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"a text", bytes(5000), b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_what_is_no_hdf5_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    assert [each.severity for each in h5r.validate(tmp_path / "run.h5", deep=True)] == ["error"]
    assert found(tmp_path / "run.h5") in ([("not-a-recording", "/")], [("unreadable", "/")])


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = 1
    assert found(tmp_path / "run.h5") == [("not-a-recording", "/")]
    assert found(tmp_path) == [("not-a-recording", "/")]


@pytest.mark.parametrize("version", [2, 99, -1])
def test_a_version_that_we_do_not_know_is_said(version: int, path: Path) -> None:
    with spoiling(path) as file:
        file.attrs["format_version"] = np.int64(version)
    problem = only_problem(path)
    assert problem.code == "format-version"
    assert "Upgrade" in problem.remedy


def test_a_file_that_may_not_be_read_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(validator, "Handle", refuse)
    problem = only_problem(path)
    assert (problem.code, problem.severity) == ("unreadable", "error")
    assert "Permission denied" in problem.message


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError, match=r"run\.h5"):
        h5r.validate(tmp_path / "run.h5")


# States --------------------------------------------------------------------------------------------


@each_depth
def test_a_recording_that_is_being_made_is_left_alone(deep: bool, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        with pytest.raises(RecordingInUseError, match=r"run\.h5"):
            h5r.validate(tmp_path / "run.h5", deep=deep)
    assert found(tmp_path / "run.h5", deep=deep) == [INCOMPLETE]


def interrupted(tmp_path: Path, committed: int, left: int) -> Path:
    """Rows of every kind, of which the last ones are in the journal alone."""
    schema = make_schema(EVERYTHING, spaces.Text(9), infos=[{}])
    with Pen(tmp_path / "run.h5", schema, row_bytes=12_000) as pen:
        observations = samples(EVERYTHING, 8)
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        for row in range(committed + left):
            if row == committed:
                pen.flush()
            if row % 21 == 0:
                pen.begin(observations[row % 8], seed=row, options={"row": row})
            else:
                done = row % 21 == 20
                pen.step(observations[row % 8], action=f"{row}", terminated=done, info={"row": [row]})
        return elsewhere(tmp_path / "run.h5")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("committed", "deep"), [(0, True), (1, True), (5, True), (21, False), (40, True), (90, False), (90, True)]
)
def test_an_interrupted_recording_is_said_to_be_one_and_nothing_else(
    committed: int, deep: bool, tmp_path: Path
) -> None:
    path = interrupted(tmp_path, committed, 5)
    data = path.read_bytes() if path.exists() else b""
    problems = h5r.validate(path, deep=deep)
    assert ["interrupted", "metadata-incomplete"][: 1 + path.exists()] == [each.code for each in problems]
    assert problems[0].severity == "error"
    assert "gym-h5record repair FILE" in problems[0].remedy
    assert (path.read_bytes() if path.exists() else b"") == data
    h5r.repair(path)
    assert found(path, deep=deep) == [INCOMPLETE]


def test_what_is_committed_of_an_interrupted_recording_is_looked_at(tmp_path: Path) -> None:
    path = interrupted(tmp_path, 90, 5)
    with h5py.File(tmp_path / "run.h5") as file:
        at = file["rewards"].id.get_chunk_info(0).byte_offset + 8 * 3
    data = bytearray(path.read_bytes())
    data[at : at + 8] = np.float64(np.inf).tobytes()
    path.write_bytes(data)
    assert found(path) == [
        ("interrupted", "/"),
        INCOMPLETE,
        ("episode-return", "/episodes/returns episode 0"),
        ("not-finite", "/rewards row 3"),
    ]


def test_a_recording_of_which_only_the_journal_is_there_is_interrupted(tmp_path: Path) -> None:
    Journal.reserve(journal_path(tmp_path / "run.h5"), 100, 1000)
    assert found(tmp_path / "run.h5") == [("interrupted", "/")]


@each_depth
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_recording_that_was_cut_short_is_said_to_be_one(share: float, deep: bool, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    problem = h5r.validate(path, deep=deep)[0]
    assert (problem.code, problem.severity) == ("cut-short", "error")
    assert f"{len(data) - int(len(data) * share)} bytes are missing" in problem.message


@pytest.mark.parametrize("suffix", ["lock", "partial", "journal.new", "redo"])
def test_what_was_left_beside_a_closed_recording_is_a_warning(suffix: str, path: Path) -> None:
    path.with_name(f"run.h5.{suffix}").touch()
    problem = only_problem(path)
    assert (problem.code, problem.severity, problem.place) == ("left-behind", "warning", f"run.h5.{suffix}")


def test_a_lock_that_is_held_is_not_left_behind(path: Path) -> None:
    lock = RecordingLock(path)
    assert found(path) == []
    lock.release()


def test_a_recording_may_be_open_at_the_same_time(path: Path) -> None:
    with h5r.Recording(path):
        assert found(path) == []


def test_links_are_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.h5").symlink_to(path)
    path.with_name("run.h5.lock").touch()
    assert found(tmp_path / "link.h5") == [("left-behind", "run.h5.lock")]


def test_rows_of_no_episode_are_a_warning(path: Path) -> None:
    with spoiling(path) as file:
        file["commit"][1] = 4
        file["metadata"].attrs.modify("total_episodes", np.int64(4))
        file["metadata"].attrs.modify("total_steps", np.int64(29))
    problem = only_problem(path)
    assert (problem.code, problem.severity) == ("rows-left-over", "warning")


def test_problems_come_metadata_first_then_structure_then_contents(path: Path) -> None:
    with spoiling(path) as file:
        file["rewards"][0] = np.nan
        del file["truncations"]
        del file["metadata"].attrs["env_name"]
    path.with_name("run.h5.lock").touch()
    assert [code for code, _ in found(path)] == [
        "left-behind",
        "metadata-incomplete",
        "column-missing",
        "episode-return",
        "not-finite",
    ]


def test_a_recording_of_everything_is_good(tmp_path: Path) -> None:
    path = record(tmp_path / "run.h5", everything_env(), (9, 3, 0, 9))
    assert found(path) == [("not-finite", "/rewards row 7")]


def test_a_file_that_was_packed_anew_by_others_is_good(path: Path, tmp_path: Path) -> None:
    with h5py.File(path) as file, h5py.File(tmp_path / "packed.h5", "w", libver="earliest") as packed:
        for name in file:
            file.copy(name, packed)
        packed.attrs.update(file.attrs)
    shutil.move(tmp_path / "packed.h5", path)
    assert found(path) == []


# Contents: no false alarm, and memory that does not grow with the file --------------------------------


@pytest.mark.sampled(5)
@pytest.mark.parametrize("group", GROUPS, ids=[f"{group[0][0]}-to-{group[-1][0]}" for group in GROUPS])
def test_samples_of_every_space_give_no_false_alarm(group: list[tuple[str, spaces.Space]], tmp_path: Path) -> None:
    space = spaces.Dict(group)
    assert found(record(tmp_path / "run.h5", zoo_env(space, space), (1, 0, 2))) == []


@pytest.mark.parametrize("path", sorted((TESTS / "golden").glob("v*.h5")), ids=lambda path: path.stem)
def test_a_golden_recording_has_no_errors(path: Path) -> None:
    assert found(path) == [("not-finite", "/rewards row 2"), ("not-finite", "/observations/box row 3")]


def test_an_empty_recording_is_good(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5"):
        pass
    assert found(tmp_path / "run.h5") == [INCOMPLETE]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_memory_does_not_grow_with_the_file(compression: str | None, tmp_path: Path) -> None:
    space = spaces.Box(0, 1, (500, 200), np.float32)  # 400 kB
    rows = 100
    with Pen(tmp_path / "run.h5", make_schema(space, infos=None), row_bytes=400_000, compression=compression) as pen:
        observation = np.zeros(space.shape, np.float32)
        pen.begin(observation)
        for step in range(1, rows):
            pen.step(observation, terminated=step % 40 == 0)
            if step % 40 == 0:
                pen.begin(observation)
    tracemalloc.start()
    assert found(tmp_path / "run.h5") == [INCOMPLETE]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < rows * 400_000 / 3


def test_progress_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 16)
    told: list[tuple[int, int]] = []
    h5r.validate(path, deep=True, on_progress=lambda done, rows: told.append((done, rows)))
    assert told == [(16, 34), (32, 34), (34, 34)]
    h5r.validate(path, on_progress=lambda done, rows: told.append((done, rows)))
    assert len(told) == 3


def num_compressed_chunks(path: Path) -> int:
    """How many chunks a file has that have to be decoded."""
    found: list[int] = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.id.get_create_plist().get_nfilters():
            found.append(item.id.get_num_chunks())

    with h5py.File(path) as file:
        file.visititems(add)
    return sum(found)


def test_every_chunk_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def counting(filter_id: int, data: bytes, size_bytes: int) -> bytes:
        decoded.append(size_bytes)
        return decode_chunk(filter_id, data, size_bytes)

    monkeypatch.setattr(stored, "decode_chunk", counting)
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 4)
    assert found(path) == []
    assert decoded.count(16 * 84 * 84) == 3
    assert len(decoded) <= num_compressed_chunks(path)
