"""The HDF5 file: what is in it, how it is stored, and in which order it becomes valid."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.format.claims import Commit
from gym_h5record.format.schema import Schema
from gym_h5record.storage import empty_recording
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.format_checks import check_format
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.recording_file import RecordingFile, create_file
from tests.writing import EVERYTHING, make_schema, run_script

PICTURE = spaces.Box(0, 255, (84, 84), np.uint8)
PICTURE_BYTES = 84 * 84


def create(path: Path, schema: Schema | None = None, compression: str | None = "gzip", **more: Any) -> Path:
    given = {"fps": 30.0, "metadata": {}, "journal_id": "0" * 36, **more}
    create_file(path, make_schema() if schema is None else schema, make_codec(compression), **given)
    return path


def pictures(count: int, seed: int = 0, colours: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, colours, (count, 84, 84), np.uint8)


def superblock_version(path: Path) -> int:
    return path.read_bytes()[8]


# What is in a new file ---------------------------------------------------------------------------


def test_every_hdf5_since_1_10_may_open_it(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", make_schema(EVERYTHING))
    assert superblock_version(tmp_path / "run.h5") == 3  # that of 1.10
    with h5py.File(tmp_path / "run.h5", "r+", libver=("v110", "v110")) as file:
        assert file.libver == ("v110", "v110")
    file = RecordingFile(tmp_path / "run.h5")
    assert file._file.libver == ("v110", "v110")
    file.close()


def test_tree_has_exactly_the_datasets_of_the_format(tmp_path: Path) -> None:
    schema = make_schema(infos=[{"x": 1.5, "a/b": 3, "name": "text"}], frame=np.zeros((4, 6, 3), np.uint8))
    create(tmp_path / "run.h5", schema)
    with h5py.File(tmp_path / "run.h5") as file:
        found: dict[str, tuple[str, tuple[int, ...]]] = {}
        file.visititems(
            lambda name, each: (
                found.update({name: (each.dtype.str, each.shape)}) if isinstance(each, h5py.Dataset) else None
            )
        )
    assert found == {
        "observations": ("<f8", (0, 2)),
        "actions": ("<i8", (0,)),
        "rewards": ("<f8", (0,)),
        "terminations": ("|b1", (0,)),
        "truncations": ("|b1", (0,)),
        "dones": ("|b1", (0,)),
        "frames": ("|u1", (0, 4, 6, 3)),
        "infos/x": ("<f8", (0,)),
        "infos/a%2Fb": ("<i8", (0,)),
        "infos/json/ends": ("<i8", (0,)),
        "infos/json/values": ("|u1", (0,)),
        "extras/json/ends": ("<i8", (0,)),
        "extras/json/values": ("|u1", (0,)),
        "times": ("<i8", (0,)),
        "types": ("|u1", (0, 8)),
        "exceptions/ends": ("<i8", (0,)),
        "exceptions/values": ("|u1", (0,)),
        "episodes/starts": ("<i8", (0,)),
        "episodes/lengths": ("<i8", (0,)),
        "episodes/returns": ("<f8", (0,)),
        "episodes/seeds": ("<i8", (0,)),
        "episodes/ids": ("<i8", (0,)),
        "episodes/terminated": ("|b1", (0,)),
        "episodes/truncated": ("|b1", (0,)),
        "episodes/complete": ("|b1", (0,)),
        "episodes/origins": ("|u1", (0,)),
        "episodes/json/ends": ("<i8", (0,)),
        "episodes/json/values": ("|u1", (0,)),
        "commit": ("<i8", (2,)),
        "positions": ("<i8", (5,)),
    }


def test_attributes_are_those_of_the_format(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", fps=25.0, metadata={"run_id": "7", "text": "ключ"}, compression="gzip")
    with h5py.File(tmp_path / "run.h5") as file:
        assert dict(file.attrs) == {"format": "gym_h5record", "format_version": 1, "fps": 25.0}
        assert file.attrs["format_version"].dtype == np.int64
        assert file.attrs["fps"].dtype == np.float64
        metadata = dict(file["metadata"].attrs)
    assert (metadata["run_id"], metadata["text"]) == ("7", "ключ")
    assert (metadata["total_steps"], metadata["total_episodes"]) == (0, 0)
    assert metadata["compression"] == '["gzip", null]'
    assert (metadata["discarded_episodes"], metadata["discarded_steps"]) == (0, 0)
    assert metadata.keys() == {
        *("run_id", "text", "total_steps", "total_episodes", "discarded_episodes", "discarded_steps"),
        *("schema", "compression", "journal_id"),
    }


def test_an_unknown_frame_rate_is_nan(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", fps=math.nan)
    with h5py.File(tmp_path / "run.h5") as file:
        assert math.isnan(file.attrs["fps"])


def test_every_dataset_is_chunked_and_grows_along_its_first_axis_only(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", make_schema(EVERYTHING, infos=[{"array": np.zeros((2, 3))}]))

    def check(name: str, each: h5py.Group | h5py.Dataset) -> None:
        if isinstance(each, h5py.Dataset):
            assert each.maxshape == (None, *each.shape[1:]), name
            assert each.chunks is not None, name
            assert each.chunks[1:] == each.shape[1:], name
            assert name == "positions" or each.chunks[0] & (each.chunks[0] - 1) == 0, name  # a power of two
            assert each.id.get_type().get_class() not in (h5py.h5t.VLEN, h5py.h5t.REFERENCE), name
            assert not each.external, name
            assert not each.is_virtual, name

    with h5py.File(tmp_path / "run.h5") as file:
        file.visititems(check)


def test_truth_values_are_the_enumeration_that_h5py_writes(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        kind = file["terminations"].id.get_type()
        assert kind.get_class() == h5py.h5t.ENUM
        assert kind.get_size() == 1
        assert [kind.get_member_name(index) for index in range(kind.get_nmembers())] == [b"FALSE", b"TRUE"]


def test_byte_order_is_kept(tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (3,), np.dtype(">f4"))  # type: ignore[arg-type]
    create(tmp_path / "run.h5", make_schema(space, first_observation=np.zeros(3, ">f4")))
    file = RecordingFile(tmp_path / "run.h5")
    file.write("observations", 0, np.array([[1, 2, 3]], ">f4"))
    file.commit(Commit(1, 0))
    file.close()
    with h5py.File(tmp_path / "run.h5") as plain:
        assert plain["observations"].dtype == np.dtype(">f4")
        assert plain["observations"][0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("key", ["ключ 键 😀", "x/y", ".", "..", "", "tab\t", "%", "json"])
def test_keys_of_any_kind_become_one_link_each(key: str, tmp_path: Path) -> None:
    schema = make_schema(infos=[{key: 1.5}])
    create(tmp_path / "run.h5", schema)
    with h5py.File(tmp_path / "run.h5") as file:
        (name,) = set(file["infos"]) - {"json"}
        assert f"infos/{name}" == schema.infos[0].node.name
        assert file["infos"][name].shape == (0,)


def test_linked_frames_are_the_observations_themselves(tmp_path: Path) -> None:
    plain = make_schema(spaces.Box(0, 255, (8, 8, 3), np.uint8))
    schema = Schema(plain.observation, plain.action, None, plain.infos, linked_frames=True)
    create(tmp_path / "run.h5", schema)
    file = RecordingFile(tmp_path / "run.h5")
    file.write("observations", 0, np.full((1, 8, 8, 3), 7, np.uint8))
    file.commit(Commit(1, 0))
    file.close()
    with h5py.File(tmp_path / "run.h5") as plain_file:
        assert plain_file["frames"].id.__eq__(plain_file["observations"].id)
        assert isinstance(plain_file.get("frames", getlink=True), h5py.HardLink)
        assert (plain_file["frames"][:] == 7).all()


# Chunks ------------------------------------------------------------------------------------------


def test_chunks_of_all_compressed_columns_nest(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", make_schema(EVERYTHING))
    file = RecordingFile(tmp_path / "run.h5")
    held = [column.held_rows for column in file._columns.values()]
    file.close()
    assert file.held_rows == max(held)
    assert all(file.held_rows % rows == 0 for rows in held)


# Filters -----------------------------------------------------------------------------------------

FILTERS = {"gzip": 1, "zstd": 32015, "lz4": 32004, "lzf": 32000, "szip": 4, None: None}


def filter_numbers(dataset: h5py.Dataset) -> list[int]:
    create = dataset.id.get_create_plist()
    return [create.get_filter(index)[0] for index in range(create.get_nfilters())]


def write_pictures(path: Path, items: np.ndarray, compression: str | None) -> None:
    create(path, make_schema(PICTURE), compression)
    file = RecordingFile(path)
    file.write("observations", 0, items)
    file.write("rewards", 0, np.arange(len(items), dtype=np.float64))
    file.commit(Commit(len(items), 0))
    file.close()


def can_encode_szip() -> bool:
    return bool(h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED)


@pytest.mark.parametrize("compression", FILTERS, ids=str)
def test_large_columns_have_one_filter_and_small_ones_none(compression: str | None, tmp_path: Path) -> None:
    if compression == "szip" and not can_encode_szip():
        pytest.skip("this HDF5 cannot write szip")
    create(tmp_path / "run.h5", make_schema(PICTURE), compression)
    with h5py.File(tmp_path / "run.h5") as file:
        number = FILTERS[compression]
        assert filter_numbers(file["observations"]) == ([] if number is None else [number])
        assert filter_numbers(file["rewards"]) == filter_numbers(file["types"]) == []


@pytest.mark.parametrize(("compression", "items"), [("gzip", 40), ("gzip", 48), ("lzf", 40), (None, 40)])
def test_plain_h5py_reads_it(compression: str | None, items: int, tmp_path: Path) -> None:
    expected = pictures(items)
    write_pictures(tmp_path / "run.h5", expected, compression)
    script = """
        import sys, h5py, numpy as np
        assert "hdf5plugin" not in sys.modules and "isal" not in sys.modules
        np.save(sys.argv[2], h5py.File(sys.argv[1])["observations"][:])
    """
    run_script(script, tmp_path / "run.h5", tmp_path / "found.npy")
    assert np.array_equal(np.load(tmp_path / "found.npy"), expected)


@pytest.mark.skipif(importlib.util.find_spec("hdf5plugin") is None, reason="needs hdf5plugin")
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_h5py_with_hdf5plugin_reads_it(compression: str, tmp_path: Path) -> None:
    expected = np.concatenate([pictures(20, colours=256), np.zeros((20, 84, 84), np.uint8)])
    write_pictures(tmp_path / "run.h5", expected, compression)
    script = """
        import sys, h5py, hdf5plugin, numpy as np
        np.save(sys.argv[2], h5py.File(sys.argv[1])["observations"][:])
    """
    run_script(script, tmp_path / "run.h5", tmp_path / "found.npy")
    assert np.array_equal(np.load(tmp_path / "found.npy"), expected)


@pytest.mark.parametrize("compression", ["lzf", "szip"])  # the others do not depend on HDF5
def test_data_that_no_filter_can_shrink_is_stored_all_the_same(compression: str | None, tmp_path: Path) -> None:
    if compression == "szip" and not can_encode_szip():
        pytest.skip("this HDF5 cannot write szip")
    create(tmp_path / "run.h5", make_schema(PICTURE), compression)
    np.save(tmp_path / "items.npy", pictures(40, colours=256))
    write = """
        import sys, numpy as np
        from pathlib import Path
        from gym_h5record.format.claims import Commit
        from gym_h5record.storage.recording_file import RecordingFile
        file = RecordingFile(Path(sys.argv[1]))
        file.write("observations", 0, np.load(sys.argv[2]))
        file.commit(Commit(40, 0))
        file.close()
    """
    read = """
        import sys, hdf5plugin, h5py, numpy as np
        assert np.array_equal(h5py.File(sys.argv[1])["observations"][:], np.load(sys.argv[2]))
    """
    for script in (write, read):  # in processes of their own: HDF5 may crash when a filter fails
        done = run_script(script, tmp_path / "run.h5", tmp_path / "items.npy", check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_codec_that_hdf5_lacks_is_no_hindrance_to_writing(tmp_path: Path) -> None:
    write_pictures(tmp_path / "run.h5", pictures(20), "zstd")
    script = """
        import sys
        sys.modules["hdf5plugin"] = None
        import h5py, numpy as np
        assert not h5py.h5z.filter_avail(32015)
        from pathlib import Path
        from gym_h5record.format.claims import Commit
        from gym_h5record.storage.recording_file import RecordingFile
        file = RecordingFile(Path(sys.argv[1]))
        file.write("observations", 20, np.ones((5, 84, 84), np.uint8))
        file.commit(Commit(25, 0))
        file.close()
    """
    run_script(script, tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    assert file.rows == 25
    file.close()


# Creation ----------------------------------------------------------------------------------------


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt."""


@pytest.mark.parametrize("old", [None, b"an old file"], ids=["nothing-there", "old-file-there"])
@pytest.mark.parametrize("column", [0, 3, 9])
def test_creation_interrupted_half_way_leaves_things_as_they_were(
    old: bytes | None, column: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old is not None:
        (tmp_path / "run.h5").write_bytes(old)
    create_column, calls = empty_recording.create_column, []

    def interrupt(*arguments: Any) -> h5py.Dataset:
        calls.append(arguments)
        if len(calls) > column:
            raise Interrupted
        return create_column(*arguments)

    monkeypatch.setattr(empty_recording, "create_column", interrupt)
    with pytest.raises(Interrupted):
        create(tmp_path / "run.h5")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({} if old is None else {"run.h5": old})


def test_a_new_file_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(b"an old file")
    create(tmp_path / "run.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]
    with h5py.File(tmp_path / "run.h5") as file:
        check_format(file, tmp_path / "run.h5")


def test_nothing_is_created_once_rows_are_written(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    names: list[set[str]] = [set(), set()]
    with h5py.File(tmp_path / "run.h5") as opened:
        opened.visit(names[0].add)
    file = RecordingFile(tmp_path / "run.h5")
    file.start("1" * 36)
    file.write("rewards", 0, np.ones(1000))
    file.commit(Commit(1000, 0))
    assert file.journal_id == "1" * 36
    file.close()
    with h5py.File(tmp_path / "run.h5") as opened:
        opened.visit(names[1].add)
    assert names[0] == names[1]


def test_readers_of_hdf5s_own_kind_are_let_in_while_it_is_written(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    file.start("1" * 36)
    script = """
        import sys, h5py
        with h5py.File(sys.argv[1], swmr=True) as file:
            print(file["commit"][:].tolist())
    """
    assert run_script(script, tmp_path / "run.h5").stdout.strip() == "[0, 0]"
    file.close()


# Commit ------------------------------------------------------------------------------------------


def test_commit_flushes_data_then_the_index_then_itself_then_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "run.h5", make_schema(EVERYTHING))
    file = RecordingFile(tmp_path / "run.h5")
    events: list[str] = []

    class Numbers:
        """Stands for a dataset of numbers of a commit."""

        def __init__(self, name: str) -> None:
            self.name = name

        def __setitem__(self, key: Any, value: Any) -> None:
            events.append(f"{self.name} = {tuple(value)}")

        def flush(self) -> None:
            events.append(f"flush {self.name}")

    class File:
        """Stands for the HDF5 file."""

        def flush(self) -> None:
            events.append("flush file")

    flush = ColumnWriter.flush
    monkeypatch.setattr(ColumnWriter, "flush", lambda self: (events.append(self.field.name), flush(self))[0])
    with monkeypatch.context() as patch:
        patch.setattr(file, "_numbers", {name: Numbers(name) for name in ("commit", "positions")})
        patch.setattr(file, "_file", File())
        file.commit(Commit(3, 1, 0, 0, head=5, tail=4, tail_row=2))
    file.close()
    columns, rest = events[:-5], events[-5:]
    assert sorted(rest[:4]) == ["commit = (3, 1)", "flush commit", "flush positions", "positions = (0, 0, 5, 4, 2)"]
    assert rest[4] == "flush file"
    assert sorted(columns) == sorted(file._columns)  # each one, once
    is_index = [name.startswith("episodes/") for name in columns]
    assert is_index == sorted(is_index)  # the index is the last of them


def test_a_commit_of_nothing_new_still_flushes_what_was_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    file.commit(Commit(0, 0))
    file.write("rewards", 0, np.ones(4))
    flushed: list[str] = []
    monkeypatch.setattr(ColumnWriter, "flush", lambda self: flushed.append(self.field.name))
    file.commit(Commit(0, 0))
    assert "rewards" in flushed
    file.close()


def test_close_writes_the_totals(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    file.write("rewards", 0, np.ones(10))
    file.commit(Commit(10, 3))
    file.close()
    with h5py.File(tmp_path / "run.h5") as plain:
        assert (plain["metadata"].attrs["total_steps"], plain["metadata"].attrs["total_episodes"]) == (7, 3)
        assert plain["commit"][:2].tolist() == [10, 3]


def test_rows_and_episodes_are_known_when_it_is_opened_again(tmp_path: Path) -> None:
    schema = make_schema(EVERYTHING)
    create(tmp_path / "run.h5", schema, compression="lz4", metadata={"run_id": "7"})
    file = RecordingFile(tmp_path / "run.h5")
    file.commit(Commit(10, 3))
    file.close()
    file = RecordingFile(tmp_path / "run.h5")
    assert (file.rows, file.episodes) == (10, 3)
    assert file.codec.name == "lz4"
    assert file.schema == schema
    assert file.metadata()["run_id"] == "7"
    file.close()


def test_the_numbers_of_the_writer_are_known_when_it_is_opened_again_and_discards_are_in_the_metadata(
    tmp_path: Path,
) -> None:
    commit = Commit(10, 3, discarded_episodes=2, discarded_steps=45, head=57, tail=50, tail_row=8)
    create(tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    file.commit(commit)
    file.close()
    file = RecordingFile(tmp_path / "run.h5")
    assert file.committed == commit
    assert (file.metadata()["discarded_episodes"], file.metadata()["discarded_steps"]) == (2, 45)
    file.close()


def test_another_journal_begins_with_the_position_of_the_next_row_and_the_same_one_goes_on(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    file = RecordingFile(tmp_path / "run.h5")
    commit = Commit(10, 3, discarded_episodes=2, discarded_steps=45, head=57, tail=50, tail_row=8)
    file.commit(commit)
    file.start("0" * 36)  # the one that it was made for
    assert file.committed == commit
    file.start("1" * 36)
    assert file.committed == commit._replace(head=10, tail=10, tail_row=10)
    file.close()


def test_the_commit_may_go_back(tmp_path: Path) -> None:
    create(tmp_path / "run.h5", make_schema(PICTURE))
    file = RecordingFile(tmp_path / "run.h5")
    items = pictures(40)
    file.write("observations", 0, items)
    file.commit(Commit(40, 2))
    file.write("observations", 20, items[:7])
    file.commit(Commit(27, 1, discarded_episodes=1, discarded_steps=19))
    file.close()
    with h5py.File(tmp_path / "run.h5") as plain:
        assert plain["commit"][:2].tolist() == [27, 1]
        assert (plain["observations"][:27] == np.concatenate([items[:20], items[:7]])).all()


CONTRADICTIONS = [
    Commit(2, 3),
    Commit(-1, 0),
    Commit(2, 1, discarded_episodes=-1),
    Commit(2, 1, discarded_steps=-1),
    Commit(2, 1, head=4, tail=5),
    Commit(2, 1, head=4, tail=4, tail_row=3),
    Commit(2, 1, head=-1, tail=-1),
]


@pytest.mark.parametrize("commit", CONTRADICTIONS, ids=lambda commit: str(tuple(commit)))
def test_a_commit_that_contradicts_itself_is_corrupt(commit: Commit, tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as plain:
        for name, numbers in commit.parts.items():
            plain[name][:] = numbers
    with pytest.raises(CorruptRecordingError, match="commit"):
        RecordingFile(tmp_path / "run.h5")


def test_a_commit_of_an_earlier_version_is_named_as_the_reason_why_it_cannot_be_appended_to(tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as plain:
        del plain["positions"]
    with pytest.raises(CorruptRecordingError, match="earlier version.*read, but not appended to"):
        RecordingFile(tmp_path / "run.h5")


# Files that are something else -------------------------------------------------------------------


def test_another_hdf5_file_is_not_a_recording_and_the_difference_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.attrs["format"] = "something"
    with (
        h5py.File(tmp_path / "run.h5") as file,
        pytest.raises(NotARecordingError, match="expected.*gym_h5record.*something"),
    ):
        check_format(file, tmp_path / "run.h5")
    with pytest.raises(NotARecordingError, match=r"run\.h5"):
        RecordingFile(tmp_path / "run.h5")
    (tmp_path / "run.h5").replace(tmp_path / "elsewhere")  # no process holds it open
    with h5py.File(tmp_path / "elsewhere", "r+") as file:
        file.attrs["format"] = "anything"


@pytest.mark.parametrize("version", [2, 10**6, "1", 1.0, None], ids=repr)
def test_an_unknown_version_is_refused_and_upgrading_proposed(version: Any, tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file.attrs["format_version"]
        if version is not None:
            file.attrs["format_version"] = version
    with h5py.File(tmp_path / "run.h5") as file, pytest.raises(FormatVersionError, match="pip install --upgrade"):
        check_format(file, tmp_path / "run.h5")


@pytest.mark.parametrize("part", ["rewards", "episodes/starts", "commit", "metadata", "types", "episodes"])
def test_a_file_that_lacks_a_part_is_corrupt(part: str, tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file[part]
    with pytest.raises(CorruptRecordingError, match=r"run\.h5 lacks"):
        RecordingFile(tmp_path / "run.h5")


@pytest.mark.parametrize("attribute", ["schema", "compression"])
@pytest.mark.parametrize("text", [None, "", "{}", "[]"], ids=repr)
def test_metadata_that_cannot_be_read_is_corrupt(attribute: str, text: str | None, tmp_path: Path) -> None:
    create(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file["metadata"].attrs[attribute]
        if text is not None:
            file["metadata"].attrs[attribute] = text
    with pytest.raises(CorruptRecordingError):
        RecordingFile(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+"):  # no process holds it open
        pass


# Abandoning --------------------------------------------------------------------------------------


def test_a_discarded_file_is_as_its_last_commit_left_it(tmp_path: Path) -> None:
    write_pictures(tmp_path / "run.h5", pictures(20), "gzip")
    file = RecordingFile(tmp_path / "run.h5")
    file.start("1" * 36)
    file.write("rewards", 20, np.ones(5))
    before = (tmp_path / "run.h5").read_bytes()
    file.discard()
    del file
    assert (tmp_path / "run.h5").read_bytes() == before
