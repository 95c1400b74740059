"""Items of any run of rows, from any filter, or a clear error."""

from __future__ import annotations

import random
import resource
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.claims import Commit
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5 import codecs
from gym_h5record.storage.hdf5 import filters as module
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.recording_file import RecordingFile, create_file
from tests.reading import PICTURE, damage_chunk
from tests.writing import Pen, make_schema, run_script, write_pairs

COMPRESSIONS = ["gzip", "zstd", "lz4", "lzf", "szip", None]
each_compression = pytest.mark.parametrize("compression", COMPRESSIONS, ids=str)

ROWS = 70  # four chunks of pictures, and a part of a fifth


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (ROWS, 84, 84), np.uint8)


def write(path: Path, compression: str | None = "gzip", rows: int = ROWS) -> Path:
    create_file(path, make_schema(PICTURE), make_codec(compression), fps=1.0, metadata={}, journal_id="0" * 36)
    file = RecordingFile(path)
    file.write("observations", 0, pictures()[:rows])
    file.write("rewards", 0, np.arange(5000.0))
    file.commit(Commit(rows, 0))
    file.close()
    return path


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, Path]:
    """A file of each compression; do not change them."""
    directory = tmp_path_factory.mktemp("storage")
    return {compression: write(directory / f"{compression}.h5", compression) for compression in COMPRESSIONS}


@each_compression
def test_any_run_of_rows_is_read(compression: str | None, paths: dict[str | None, Path]) -> None:
    reader, expected, chance = ColumnReader(Handle(paths[compression])), pictures(), random.Random(0)
    edges = [0, 1, 15, 16, 17, 31, 32, 48, 64, 69, 70]
    runs = [(low, high) for low in edges for high in edges if low <= high]
    chance.shuffle(runs)  # whatever chunk was read last
    for low, high in runs:
        found = reader.items("observations", low, high)
        assert (found.dtype, found.shape) == (np.uint8, (high - low, 84, 84))
        assert np.array_equal(found, expected[low:high]), (low, high)


@each_compression
def test_rows_are_read_one_by_one_in_any_order(compression: str | None, paths: dict[str | None, Path]) -> None:
    reader, expected = ColumnReader(Handle(paths[compression])), pictures()
    for row in (0, 69, 16, 15, 17, 3, 64, 63, 3):
        assert np.array_equal(reader.item("observations", row), expected[row])


def test_small_columns_are_read_over_many_chunks(paths: dict[str | None, Path]) -> None:
    reader = ColumnReader(Handle(paths["gzip"]))
    for low, high in ((0, 5000), (4999, 5000), (1023, 1025), (2000, 2000), (5000, 5000), (0, 0)):
        assert reader.items("rewards", low, high).tolist() == list(range(low, high))
    assert [reader.item("rewards", row) for row in (0, 4999, 1024, 1023)] == [0, 4999, 1024, 1023]


@each_compression
def test_the_items_are_the_callers_own(compression: str | None, paths: dict[str | None, Path]) -> None:
    reader, expected = ColumnReader(Handle(paths[compression])), pictures()
    for low, high in ((0, 1), (3, 9), (0, 16), (10, 40)):
        found = reader.items("observations", low, high)
        assert found.flags.writeable
        found[:] = 255
        assert np.array_equal(reader.items("observations", low, high), expected[low:high])


@each_compression
def test_threads_read_what_each_asked_for(compression: str | None, paths: dict[str | None, Path]) -> None:
    reader, expected = ColumnReader(Handle(paths[compression])), pictures()
    wrong: list[int] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            row = chance.randrange(ROWS)
            if not np.array_equal(reader.items("observations", row, row + 1)[0], expected[row]):
                wrong.append(row)
            if not np.array_equal(reader.item("observations", row), expected[row]):
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_no_plugin_is_needed(compression: str, paths: dict[str | None, Path], tmp_path: Path) -> None:
    script = """
        import sys
        sys.modules["hdf5plugin"] = None
        import h5py, numpy as np
        from pathlib import Path
        from gym_h5record.storage.handle import Access
        from gym_h5record.storage.handle import Handle
        from gym_h5record.storage.column_reader import ColumnReader
        assert not any(map(h5py.h5z.filter_avail, (32004, 32015)))
        np.save(sys.argv[2], ColumnReader(Handle(Path(sys.argv[1]))).items("observations", 0, 70))
    """
    run_script(script, paths[compression], tmp_path / "found.npy")
    assert np.array_equal(np.load(tmp_path / "found.npy"), pictures())


def test_a_chunk_is_decoded_once_for_all_its_rows(
    paths: dict[str | None, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, decode = [], codecs.decode_chunk
    monkeypatch.setattr(module, "decode_chunk", lambda *each: (decoded.append(1), decode(*each))[1])
    reader = ColumnReader(Handle(paths["gzip"]))
    for row in range(ROWS):
        reader.item("observations", row)
        reader.items("observations", row, row + 1)
    assert len(decoded) == 5


def test_a_window_that_moves_over_the_edge_of_a_chunk_decodes_each_chunk_once(
    paths: dict[str | None, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, decode = [], codecs.decode_chunk
    monkeypatch.setattr(module, "decode_chunk", lambda *each: (decoded.append(1), decode(*each))[1])
    reader, expected = ColumnReader(Handle(paths["gzip"])), pictures()
    for start in (12, 13, 14, 15):
        assert np.array_equal(reader.items("observations", start, start + 4), expected[start : start + 4])
    assert len(decoded) == 2


# Again and again ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("effort_s", "looks"), [(0.0, 8), (0.15, 2)], ids=["soon-found-out", "laborious"])
def test_a_live_file_that_cannot_be_read_is_looked_at_again_but_not_at_any_cost(
    effort_s: float, looks: int, paths: dict[str | None, Path]
) -> None:
    begun_s: list[float] = []

    def read() -> None:
        begun_s.append(time.thread_time())
        while time.thread_time() - begun_s[-1] < effort_s:
            pass
        raise OSError("half there")

    with pytest.raises(CorruptRecordingError, match="half there"):
        ColumnReader(Handle(paths["gzip"], Access.LIVE)).reading("rewards", read)
    assert len(begun_s) == looks


# What is not there -------------------------------------------------------------------------------


@each_compression
@pytest.mark.parametrize("run", [(0, 71), (70, 71), (-1, 3), (5, 4), (1000, 1001)], ids=str)
def test_rows_that_are_not_there_are_corruption_with_the_facts(
    run: tuple[int, int], compression: str | None, paths: dict[str | None, Path]
) -> None:
    with pytest.raises(CorruptRecordingError, match=rf"{compression}\.h5.*observations.*70 items.*{run[1]}"):
        ColumnReader(Handle(paths[compression])).items("observations", *run)


def test_a_single_row_that_is_not_there_is_corruption(paths: dict[str | None, Path]) -> None:
    reader = ColumnReader(Handle(paths["gzip"]))
    for row in (-1, 70, 80):  # the last two are in a chunk that exists, and in one that does not
        with pytest.raises(CorruptRecordingError, match="70 items"):
            reader.item("observations", row)
    reader.item("observations", 69)
    with pytest.raises(CorruptRecordingError, match="70 items"):
        reader.item("observations", 70)


@pytest.mark.parametrize("name", ["missing", "infos/missing", "infos", "metadata"])
def test_a_dataset_that_is_not_there_is_corruption(name: str, paths: dict[str | None, Path]) -> None:
    with pytest.raises(CorruptRecordingError, match=rf"gzip\.h5.*/{name}"):
        ColumnReader(Handle(paths["gzip"])).items(name, 0, 0)


@pytest.mark.parametrize("rows", [0, 16, 32], ids=lambda rows: f"{rows}-rows")
@each_compression
def test_no_rows_can_be_read_behind_the_last_chunk(compression: str | None, rows: int, tmp_path: Path) -> None:
    reader = ColumnReader(Handle(write(tmp_path / "run.h5", compression, rows)))
    assert reader.items("observations", rows, rows).shape == (0, 84, 84)


@each_compression
def test_a_chunk_that_was_never_written_is_corruption_or_zero(compression: str | None, tmp_path: Path) -> None:
    write(tmp_path / "run.h5", compression)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["observations"].resize(200, axis=0)
    reader = ColumnReader(Handle(tmp_path / "run.h5"))
    with suppress(CorruptRecordingError):
        assert not reader.items("observations", 150, 160).any()


# Damage ------------------------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda data: bytes(len(data)),
    "noise": lambda data: random.Random(0).randbytes(len(data)),
    "first-half": lambda data: data[: len(data) // 2],
    "first-bytes-changed": lambda data: b"\xff\xff\xff\xff" + data[4:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4"])
def test_a_damaged_chunk_is_corruption_and_the_others_can_be_read(
    compression: str, damage: Callable[[bytes], bytes], paths: dict[str | None, Path], tmp_path: Path
) -> None:
    shutil.copy(paths[compression], tmp_path / "run.h5")
    damage_chunk(tmp_path / "run.h5", "observations", damage, chunk=1)
    reader = ColumnReader(Handle(tmp_path / "run.h5"))
    for _ in range(2):
        with pytest.raises(CorruptRecordingError):
            reader.items("observations", 16, 17)
        with pytest.raises(CorruptRecordingError):
            reader.item("observations", 20)
        with pytest.raises(CorruptRecordingError):
            reader.items("observations", 0, ROWS)
    assert np.array_equal(reader.items("observations", 0, 16), pictures()[:16])
    assert np.array_equal(reader.items("observations", 32, ROWS), pictures()[32:])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_chunk_that_hdf5_decodes_is_never_an_error_of_hdf5(
    damage: Callable[[bytes], bytes], paths: dict[str | None, Path], tmp_path: Path
) -> None:
    shutil.copy(paths["lzf"], tmp_path / "run.h5")
    damage_chunk(tmp_path / "run.h5", "observations", damage, chunk=1)
    with suppress(CorruptRecordingError):  # LZF does not notice everything
        assert len(ColumnReader(Handle(tmp_path / "run.h5")).items("observations", 0, ROWS)) == ROWS


def test_one_flipped_bit_in_a_gzip_chunk_is_noticed(paths: dict[str | None, Path], tmp_path: Path) -> None:
    chance = random.Random(1)
    for attempt in range(20):
        shutil.copy(paths["gzip"], tmp_path / f"{attempt}.h5")

        def flip(data: bytes) -> bytes:
            at = chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]

        damage_chunk(tmp_path / f"{attempt}.h5", "observations", flip, chunk=2)
        try:
            found = ColumnReader(Handle(tmp_path / f"{attempt}.h5")).items("observations", 32, 48)
        except CorruptRecordingError:
            continue
        assert np.array_equal(found, pictures()[32:48])  # a bit that means nothing


@pytest.mark.parametrize("size", [0, 1, 84 * 84 * 16 - 1, 84 * 84 * 16 + 1, 84 * 84 * 17])
def test_a_chunk_of_another_size_is_corruption(size: int, paths: dict[str | None, Path], tmp_path: Path) -> None:
    shutil.copy(paths["gzip"], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["observations"].id.write_direct_chunk((16, 0, 0), zlib.compress(bytes(size)))
    with pytest.raises(CorruptRecordingError, match="chunk"):
        ColumnReader(Handle(tmp_path / "run.h5")).items("observations", 16, 17)


def test_a_chunk_that_announces_a_terabyte_is_not_believed(paths: dict[str | None, Path], tmp_path: Path) -> None:
    shutil.copy(paths["lz4"], tmp_path / "run.h5")
    damage_chunk(tmp_path / "run.h5", "observations", lambda data: struct.pack(">Q", 1 << 40) + data[8:])
    with pytest.raises(CorruptRecordingError):
        ColumnReader(Handle(tmp_path / "run.h5")).items("observations", 0, 1)


def test_a_bomb_is_not_inflated(tmp_path: Path, paths: dict[str | None, Path]) -> None:
    shutil.copy(paths["gzip"], tmp_path / "run.h5")
    bomb = zlib.compress(bytes(100 << 20), 1)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["observations"].id.write_direct_chunk((0, 0, 0), bomb)
    before = memory_peak()
    with pytest.raises(CorruptRecordingError):
        ColumnReader(Handle(tmp_path / "run.h5")).items("observations", 0, 1)
    assert memory_peak() - before < 50 << 20


def memory_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_a_chunk_stored_without_its_filter_is_read(paths: dict[str | None, Path], tmp_path: Path) -> None:
    shutil.copy(paths["gzip"], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:  # HDF5 does so with what an optional filter cannot shrink
        file["observations"].id.write_direct_chunk((0, 0, 0), pictures()[:16].tobytes(), filter_mask=1)
    assert np.array_equal(ColumnReader(Handle(tmp_path / "run.h5")).items("observations", 0, ROWS), pictures())


def test_filters_and_layouts_of_other_tools_are_read(tmp_path: Path) -> None:
    write(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file["observations"], file["rewards"]
        chunks = {"chunks": (8, 84, 84), "maxshape": (None, 84, 84)}
        file.create_dataset("observations", data=pictures(), fletcher32=True, compression="gzip", **chunks)
        file["rewards"] = np.arange(10.0)
    reader = ColumnReader(Handle(tmp_path / "run.h5"))
    assert np.array_equal(reader.items("observations", 5, 60), pictures()[5:60])
    assert reader.item("rewards", 7) == 7.0


def test_filters_that_cannot_be_undone_and_data_in_other_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file["observations"], file["rewards"]
        file.create_dataset("observations", data=pictures(), scaleoffset=4, chunks=(8, 84, 84))
        file.create_dataset("rewards", (10,), np.float64, external=[(str(tmp_path / "run.h5"), 0, 80)])
    reader = ColumnReader(Handle(tmp_path / "run.h5"))
    with pytest.raises(CorruptRecordingError, match=r"run\.h5.*/observations has the filters \[6\]"):
        reader.items("observations", 5, 60)
    with pytest.raises(CorruptRecordingError, match=r"run\.h5.*/rewards has its items in another file"):
        reader.item("rewards", 7)


def test_a_file_cannot_have_more_rows_than_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    with closing(Handle(path)) as handle:
        reader = ColumnReader(handle)
        reader.check_rows(path.stat().st_size)
        with pytest.raises(CorruptRecordingError, match=r"run\.h5.*claims \d+ rows, more than \d+ bytes can hold"):
            reader.check_rows(path.stat().st_size + 1)


def test_a_closed_file_is_an_error(tmp_path: Path) -> None:
    recording = h5r.Recording(record_rewards(tmp_path / "run.h5"))
    rewards = recording.rows.rewards
    assert rewards[0] == 0.0
    recording.close()
    with pytest.raises((ValueError, RuntimeError, OSError)):
        rewards[0]  # although it has been read before
    with pytest.raises((ValueError, RuntimeError, OSError)):
        rewards[:]


def record_rewards(path: Path) -> Path:
    with Pen(path) as pen:
        write_pairs(pen, [5])
    return path
