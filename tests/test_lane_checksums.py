"""Checksums of vector recordings: of every block of every lane, from the first commit to a salvage."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.lanes import address
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.repairs.salvaging import salvage
from gym_h5record.storage import column_layout
from gym_h5record.storage.checksummed_reader import ChecksummedReader
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_layout import create_column, recording_layout
from gym_h5record.storage.compaction import compact
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.lane_writer import LaneColumnWriter
from tests.lane_recordings import LENGTHS, Pictures, record_lanes
from tests.leftovers import edited, set_item, shorter, snapshot
from tests.reading import damage_chunk
from tests.scripted import drive, functions

NUM_STEPS = 26
SAME = AutoresetMode.SAME_STEP


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Chunks of few rows, so that short recordings have several blocks: 8 rows of numbers, 4 of pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_layout, "_SMALL_CHUNK_BYTES", 256)
        patch.setattr(column_layout, "_LARGE_CHUNK_BYTES", 8 << 10)
        yield


def lanes(path: Path, kind: str = "tuple", mode: str = "SAME_STEP", **options: Any) -> Path:
    """A vector recording with checksums, whose lanes have different numbers of rows."""
    return record_lanes(path, kind, mode, NUM_STEPS, **{"checksum": True, **options})


def committed(file: h5py.File) -> dict[str, list[int]]:
    """How many items of each lane count, of every dataset with lanes."""
    *rows, _ = file["commit"][:].tolist()
    counts: dict[str, list[int]] = {}
    for field in all_fields(schema_from_json(file["metadata"].attrs["schema"])):
        if field.num_lanes is not None and field.parent is None:
            counts[field.name] = rows
        elif field.num_lanes is not None:
            ends = file[field.parent]
            lists = enumerate(counts[str(field.parent)])
            counts[field.name] = [int(ends[count - 1, lane]) if count else 0 for lane, count in lists]
    return counts


def check(path: Path, *, is_exact: bool = False) -> None:
    """Compare every checksum of every lane with plain h5py and zlib; ``is_exact`` if only committed items count."""
    num_blocks = 0
    with h5py.File(path) as file:
        for name, counts in committed(file).items():
            items, checksums = file[name][:], file[f"checksums/{name}"][:]
            size = file[name].chunks[0]
            assert checksums.shape[1:] == (len(counts), 2)
            assert file[f"checksums/{name}"].dtype == np.uint32
            for lane, count in enumerate(counts):
                assert len(checksums) * size >= count
                for first, (covered, checksum) in zip(range(0, count, size), checksums[:, lane].tolist(), strict=False):
                    needed = min(count - first, size)
                    assert covered == needed if is_exact else needed <= covered <= size, (name, lane, first)
                    assert checksum == zlib.crc32(items[first : first + covered, lane].tobytes()), (name, lane, first)
                    num_blocks += 1
    assert num_blocks >= 30


def append(path: Path, kind: str, num_steps: int, discarded: list[int] | None = None) -> None:
    envs = SyncVectorEnv(functions(kind, list(LENGTHS)), autoreset_mode=SAME)
    recorded = h5r.vector.RecordToHDF5(envs, path, mode="a", writer="inline")
    drive(recorded, SAME, num_steps)
    recorded.flush()
    if discarded is not None:
        recorded.discard_episode(discarded)
    drive(recorded, SAME, 3, start=num_steps)
    recorded.close()


# Written ------------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("kind", "compression", "mode"),
    [
        ("tuple", "gzip", "NEXT_STEP"),
        ("tuple", None, "SAME_STEP"),
        ("stacks", "gzip", "SAME_STEP"),
        ("stacks", None, "NEXT_STEP"),
    ],
    ids=lambda each: str(each),
)
def test_every_block_of_every_lane_has_its_checksum(
    kind: str, compression: str | None, mode: str, tmp_path: Path
) -> None:
    path = lanes(tmp_path / "run.h5", kind, mode, compression=compression)
    check(path)
    assert not h5r.validate(path, deep=True)
    assert compact(path) is (compression is not None)
    check(path, is_exact=compression is not None)
    assert not h5r.validate(path, deep=True)


def test_the_writer_process_keeps_them(tmp_path: Path) -> None:
    path = lanes(tmp_path / "run.h5", writer="process", flush_interval_s=0.001)  # compacted as it is closed
    check(path, is_exact=True)
    assert not h5r.validate(path, deep=True)


def test_checksums_are_renewed_with_every_commit(tmp_path: Path) -> None:
    envs = SyncVectorEnv(functions("tuple", list(LENGTHS)), autoreset_mode=SAME)
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "run.h5", writer="inline", checksum=True)
    for start in range(0, 24, 3):
        drive(recorded, SAME, 3, start)
        recorded.flush()
    check(snapshot(tmp_path / "run.h5"))
    recorded.close()
    check(tmp_path / "run.h5", is_exact=True)


def test_a_recording_without_checksums_has_none(tmp_path: Path) -> None:
    with h5py.File(lanes(tmp_path / "run.h5", checksum=False)) as file:
        assert "checksums" not in file


def test_datasets_of_checksums_say_what_they_are(tmp_path: Path) -> None:
    with h5py.File(lanes(tmp_path / "run.h5")) as file:
        for name in ("checksums/rewards", "checksums/observations/1/values", "checksums/dones"):
            assert [axis.label for axis in file[name].dims] == ["chunk", "lane", ""]
            assert file[name].compression is None
        assert [axis.label for axis in file["checksums/episodes/starts"].dims] == ["chunk", ""]
        assert [axis.label for axis in file["types"].dims] == ["row", "lane", "value"]


@pytest.mark.parametrize("shape", [(), (40, 40)], ids=["shared-chunks", "chunks-of-a-lane"])
@pytest.mark.parametrize("seed", range(3))
def test_they_keep_up_however_lanes_are_written(seed: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    """Runs of rows that go on where each lane stopped, or a little before; some of them are of all lanes."""
    chance, codec = np.random.default_rng(seed), make_codec("gzip")
    field = Field("x", np.dtype(np.uint8 if shape else np.float64), shape, num_lanes=3)
    checks, rows = checksum_field(field), np.zeros(3, np.int64)
    items = np.zeros((80, 3, *shape), field.dtype)
    with h5py.File(tmp_path / "run.h5", "w", libver="v110") as file:
        for each in (field, checks):
            create_column(file, each, recording_layout(each, codec))
        for opening in range(3):
            column = LaneColumnWriter(file["x"], field, codec, LaneColumnWriter(file[checks.name], checks, codec))
            for _ in range(4):
                starts = np.maximum(rows - (chance.integers(0, 3, 3) if opening == 0 else 0), 0)
                is_block = len(set(starts.tolist())) == 1
                counts = np.full(3, 5) if is_block else rows - starts + chance.integers(1, 7, 3)
                for lane in range(3):
                    column.forget(lane, int(starts[lane]))
                rows = starts + counts
                lanes_of, rows_of = np.repeat(range(3), counts), np.concatenate([*map(np.arange, starts, rows)])
                items[rows_of, lanes_of] = chance.integers(1, 200, (len(rows_of), *shape))
                if is_block:
                    column.write_block(int(starts[0]), items[starts[0] : rows[0]])
                else:
                    column.write(lanes_of, rows_of, lambda at, lanes=lanes_of, rows=rows_of: items[rows[at], lanes[at]])
                size = file["x"].chunks[0]
                for lane, count in enumerate(rows.tolist()):
                    np.testing.assert_array_equal(file["x"][:count, lane], items[:count, lane])
                    blocks = [items[low : min(low + size, count), lane] for low in range(0, count, size)]
                    found = file[checks.name][: len(blocks), lane].tolist()
                    assert found == [[len(block), zlib.crc32(block.tobytes())] for block in blocks]


# Compacted, appended to, discarded ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("packed_bytes", "discarded"), [(32 << 10, [2, 0]), (256, None)], ids=["one-chunk", "chunks-of-lanes"]
)
def test_a_compacted_recording_is_appended_to_and_compacted_anew(
    packed_bytes: int, discarded: list[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_layout, "_PACKED_CHUNK_BYTES", packed_bytes)
    path = lanes(tmp_path / "run.h5")
    for _ in range(2):
        assert compact(path)
        check(path, is_exact=discarded is None)
        append(path, "tuple", 16, discarded)
        check(path)
        assert not h5r.validate(path, deep=True)


@pytest.mark.parametrize(("kind", "compression"), [("tuple", None), ("pictures", "gzip")], ids=["small", "large"])
def test_discarded_rows_are_covered_until_others_take_their_place(
    kind: str, compression: str | None, tmp_path: Path
) -> None:
    lengths = [(30,), (3, 50), (9,)]
    pictures = [partial(Pictures, lane, each) for lane, each in enumerate(lengths)]
    makers = pictures if kind == "pictures" else functions(kind, lengths)
    path = tmp_path / "run.h5"
    envs = SyncVectorEnv(makers, autoreset_mode=SAME)
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline", compression=compression, checksum=True)
    drive(recorded, SAME, 25)
    recorded.flush()
    recorded.discard_episode([0, 1])
    recorded.flush()
    check(snapshot(path))
    drive(recorded, SAME, 12, start=25)
    recorded.discard_episode([2])
    recorded.close()
    check(path)
    assert compact(path)
    check(path)
    assert not h5r.validate(path, deep=True)


def test_an_interrupted_recording_is_repaired_with_its_checksums(tmp_path: Path) -> None:
    envs = SyncVectorEnv(functions("tuple", list(LENGTHS)), autoreset_mode=SAME)
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "run.h5", writer="inline", checksum=True, flush_interval_s=99)
    drive(recorded, SAME, 20)
    recorded.flush()
    drive(recorded, SAME, 9, start=20)
    path = snapshot(tmp_path / "run.h5")
    recorded.close()
    assert [each.code for each in h5r.validate(path, deep=True)] == ["interrupted"]
    h5r.repair(path)
    check(path)
    assert not h5r.validate(path, deep=True)


# Damaged ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uncompressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in which a wrong byte is a wrong value; do not change it."""
    return lanes(tmp_path_factory.mktemp("lanes") / "run.h5", compression=None)


@pytest.fixture
def path(uncompressed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(uncompressed, tmp_path / "run.h5"))


def checksum_places(path: Path) -> list[str]:
    return [each.place for each in h5r.validate(path, deep=True) if each.code == "checksum"]


def flip(at: int) -> Callable[[bytes], bytes]:
    """Change a bit of a byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def test_a_wrong_byte_is_found_in_every_dataset_of_its_lane_alone(path: Path, uncompressed: Path) -> None:
    expected = []
    with h5py.File(uncompressed) as file:
        for name, counts in committed(file).items():
            dataset, lane = file[name], len(expected) % len(LENGTHS)
            item_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[2:]))
            chunk, row = divmod(counts[lane] - 1, dataset.chunks[0])
            if counts[lane] and dataset.dtype != np.bool_ and not name.endswith("ends"):  # those are checked as read
                damage_chunk(path, name, flip((row * len(LENGTHS) + lane) * item_bytes), chunk)
                expected.append(
                    f"/{name} {'item' if 'values' in name else 'row'} {chunk * dataset.chunks[0]} lane {lane}"
                )
    assert sorted(checksum_places(path)) == sorted(expected)
    assert len(expected) >= 8


def test_the_rows_and_the_episodes_of_the_lane_are_named(path: Path) -> None:
    edited(path, set_item("rewards", (2, 1), 7.0))
    (problem,) = [each for each in h5r.validate(path, deep=True) if each.code == "checksum"]
    assert problem.place == "/rewards row 0 lane 1"
    assert problem.message.startswith("rows 0 to 7 of episodes 0 to 2: their CRC-32 is 0x")


def test_wrong_entries_of_episodes_are_found_once(path: Path) -> None:
    edited(path, set_item("episodes/ids", 3, 77))
    assert checksum_places(path) == ["/episodes/ids episode 0"]


def test_what_lies_behind_the_rows_of_a_lane_does_not_matter(path: Path) -> None:
    with h5py.File(path) as file:
        *rows, _ = file["commit"][:].tolist()
    assert rows[2] < max(rows)
    edited(path, set_item("rewards", (slice(rows[2], None), 2), 7.0))
    assert not h5r.validate(path, deep=True)


def test_salvage_takes_no_block_that_does_not_match(path: Path, tmp_path: Path) -> None:
    edited(path, set_item("rewards", (3, 1), 7.0))
    found = salvage(path, tmp_path / "saved.h5")
    with h5r.Recording(path) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        lost = [each for each in recording.lane(1) if each.start < 8]  # of the rows 0 to 7
        assert found.committed_episodes - found.whole_episodes == len(lost) > 1
        assert not any(7.0 in episode.rewards for episode in saved.lane(1))
        for lane in (0, 2, 3):
            for episode, twin in zip(recording.lane(lane), saved.lane(lane), strict=True):
                np.testing.assert_array_equal(episode.rewards[:], twin.rewards[:])
    check(tmp_path / "saved.h5")
    assert not h5r.validate(tmp_path / "saved.h5", deep=True)


def test_salvage_of_what_is_not_damaged_keeps_everything(uncompressed: Path, tmp_path: Path) -> None:
    found = salvage(uncompressed, tmp_path / "saved.h5")
    assert (found.rows, found.whole_episodes) == (found.committed_rows, found.committed_episodes)
    assert h5r.diff(uncompressed, tmp_path / "saved.h5").ok
    check(tmp_path / "saved.h5")


# Hostile ------------------------------------------------------------------------------------------


def check_not_read(path: Path, *, is_lost: bool) -> None:
    """Fail unless rewards of lane 1, and of no other lane, are refused; if ``is_lost``."""
    with closing(Handle(path)) as handle:
        reader = ChecksummedReader(handle)
        reader.expect(all_fields(schema_from_json(handle.metadata()["schema"])))
        assert reader.items("rewards", address(0, 0), address(0, 9)).size == 9
        if is_lost:
            with pytest.raises(CorruptRecordingError, match="/rewards items 0 to 8 of lane 1 do not match"):
                reader.item("rewards", address(1, 3))
        else:
            assert reader.item("rewards", address(1, 0)) == 1 + 1 / 64


@pytest.mark.parametrize("covered", [0, 7, 9, 2**32 - 1])
def test_numbers_that_no_block_can_have_are_contradictions(covered: int, path: Path) -> None:
    edited(path, set_item("checksums/rewards", (0, 1), (covered, 0)))
    (problem,) = h5r.validate(path, deep=True)
    assert (problem.code, problem.place) == ("checksum", "/rewards row 0 lane 1")
    assert f"the checksum is of {covered} items, 8 are committed" in problem.message
    check_not_read(path, is_lost=covered > 0)


def test_a_dataset_that_is_too_short_lacks_checksums_of_each_lane(path: Path) -> None:
    edited(path, shorter("checksums/rewards", 0))
    found = h5r.validate(path, deep=True)
    assert [each.place for each in found] == [f"/checksums/rewards lane {lane}" for lane in range(len(LENGTHS))]
    assert found[2].message == "4 checksums are needed, there are 0"
    check_not_read(path, is_lost=False)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "make",
    [
        lambda file: None,
        lambda file: file.create_dataset("checksums/rewards", (9, 2), "u4", chunks=(9, 2)),
        lambda file: file.create_dataset("checksums/rewards", (9, 5, 2), "u4", chunks=(9, 5, 2)),
        lambda file: file.create_dataset("checksums/rewards", (9, 4, 3), "u4", chunks=(9, 4, 3)),
        lambda file: file.create_dataset("checksums/rewards", (9, 4, 2), "f8", chunks=(9, 4, 2)),
        lambda file: file.create_group("checksums/rewards"),
    ],
    ids=["missing", "no-lanes", "other-lanes", "other-items", "other-type", "group"],
)
def test_a_dataset_that_has_no_checksums_of_lanes_is_a_problem(make: Callable[[h5py.File], Any], path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        del file["checksums/rewards"]
        make(file)

    edited(path, spoil)
    (problem,) = h5r.validate(path, deep=True)
    assert (problem.code, problem.place) == ("checksum", "/checksums/rewards")
    check_not_read(path, is_lost=False)  # there is nothing to compare them with
    before = path.read_bytes()
    assert not compact(path)
    assert path.read_bytes() == before
