"""Checksums find and locate whatever is not as it was written, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.checksums import (
    checksum_problems,
    first_journal_row,
    lane_checksum_problems,
)
from gym_h5record.maintenance.validation.lanes import open_lanes
from gym_h5record.maintenance.validation.problems import Problem
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.paths import journal_path, redo_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from tests.lane_recordings import LENGTHS as LANES
from tests.lane_recordings import Pictures
from tests.leftovers import (
    INTERRUPTED,
    changed_journal,
    closed,
    edited,
    left_pairs,
    mark_torn,
    set_word,
    shorter,
    snapshot,
)
from tests.maintenance.validation import LENGTHS, record, spoiling, zoo_env
from tests.reading import damage_chunk
from tests.scripted import actions_at
from tests.writing import PICTURE, Pen, make_schema

CODECS = ("gzip", "zstd", "lz4", "lzf", "szip", None)
NUM_ROWS = sum(LENGTHS) + len(LENGTHS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with checksums, not to be changed."""
    return record(tmp_path_factory.mktemp("whole") / "run.h5", zoo_env(), checksum=True)


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copy(whole, tmp_path / "run.h5"))


@pytest.fixture(scope="module")
def uncompressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without compression, so that a wrong byte is a wrong value; not to be changed."""
    return record(tmp_path_factory.mktemp("uncompressed") / "run.h5", zoo_env(), checksum=True, compression=None)


@pytest.fixture
def plain(uncompressed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copy(uncompressed, tmp_path / "plain.h5"))


def problems(path: Path, *, is_sound: bool = True) -> list[Problem]:
    """What checksums find, and nothing but them."""
    with closing(Handle(path)) as handle:
        structure = Structure(handle)
        before = structure.problems
        assert not (before and is_sound)
        assert structure.target is not None
        found = [*checksum_problems(structure, structure.target)]
    assert {each.code for each in found} <= {"checksum"}
    return before + found


def only(path: Path) -> Problem:
    (problem,) = problems(path)
    return problem


def flip(at: int) -> Callable[[bytes], bytes]:
    """Change a bit of a byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def committed(path: Path) -> dict[str, int]:
    """How many items of each dataset count."""
    with h5py.File(path) as file:
        rows, episodes = file[fmt.COMMIT][:2].tolist()
        counts: dict[str, int] = {}
        for field in all_fields(schema_from_json(file[fmt.METADATA].attrs["schema"])):
            if field.parent is not None:
                lists = counts[field.parent]
                counts[field.name] = int(file[field.parent][lists - 1]) if lists else 0
            else:
                counts[field.name] = episodes if field.name.startswith(f"{fmt.EPISODES}/") else rows
    return counts


# Nothing wrong -----------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("compression", CODECS, ids=str)
def test_a_good_recording_has_no_problems(compression: str | None, tmp_path: Path) -> None:
    if compression == "szip" and not h5py.h5z.get_filter_info(4) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
        pytest.skip("this HDF5 cannot write szip")
    path = record(tmp_path / "run.h5", zoo_env(), checksum=True, compression=compression)
    assert problems(path) == []
    assert h5r.validate(path, deep=True) == []


def test_a_recording_without_checksums_is_not_missing_anything(tmp_path: Path) -> None:
    path = record(tmp_path / "run.h5", zoo_env())
    with h5py.File(path) as file:
        assert fmt.CHECKSUMS not in file
    assert problems(path) == []


def test_an_empty_recording_has_no_problems(tmp_path: Path) -> None:
    assert problems(record(tmp_path / "run.h5", zoo_env(), [0], checksum=True)) == []


# Something wrong ---------------------------------------------------------------------------------


def test_a_wrong_byte_is_found_in_every_dataset(plain: Path, uncompressed: Path) -> None:
    expected = []
    for name, count in committed(uncompressed).items():
        with h5py.File(uncompressed) as file:
            dataset = file[name]
            item_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))
            chunk, at = divmod(count - 1, dataset.chunks[0])
            is_checked = dataset.dtype == np.bool_  # a byte that is no boolean is found when it is read
        where_things_are = name.endswith((fmt.ENDS, "starts", "lengths"))  # found before checksums are looked at
        if count and not is_checked and not where_things_are:
            damage_chunk(plain, name, flip(at * item_bytes), chunk)
            expected.append(name)
    assert [each.place.split()[0] for each in problems(plain)] == [f"/{name}" for name in expected]
    assert len(expected) > 15


@pytest.mark.parametrize("name", ["episodes/starts", "infos/json/ends"])
def test_a_wrong_byte_in_what_says_where_things_are_is_found(name: str, path: Path) -> None:
    damage_chunk(path, name, flip(8))
    found = problems(path, is_sound=False)
    assert found
    assert found[0].place.startswith(("/episodes", f"/{name}"))


def test_deep_validation_says_so_and_quick_validation_does_not(plain: Path) -> None:
    damage_chunk(plain, "observations/vector", flip(12))
    assert h5r.validate(plain) == []
    (problem,) = [each for each in h5r.validate(plain, deep=True) if each.code == "checksum"]
    assert problem.severity is h5r.Severity.ERROR
    assert problem.place == "/observations/vector row 0"


def test_the_rows_and_their_episodes_are_named(plain: Path) -> None:
    damage_chunk(plain, "observations/vector", flip(12))
    problem = only(plain)
    assert problem.place == "/observations/vector row 0"
    assert f"rows 0 to {NUM_ROWS - 1} of episodes 0 to {len(LENGTHS) - 1}: their CRC-32 is 0x" in problem.message


def test_items_and_episodes_are_named_as_such(plain: Path, uncompressed: Path) -> None:
    damage_chunk(plain, "observations/words/values/values", flip(1))
    assert only(plain).place == "/observations/words/values/values item 0"
    shutil.copy(uncompressed, plain)
    damage_chunk(plain, "episodes/seeds", flip(1))
    problem = only(plain)
    assert problem.place == "/episodes/seeds episode 0"
    assert problem.message.startswith(f"episodes 0 to {len(LENGTHS) - 1}: ")


def test_a_compressed_chunk_in_the_place_of_another_is_found(path: Path) -> None:
    with spoiling(path) as file:
        dataset = file["observations/picture"]
        _, data = dataset.id.read_direct_chunk((0, 0, 0))
        dataset.id.write_direct_chunk((16, 0, 0), data)
    problem = only(path)
    assert problem.place == "/observations/picture row 16"
    assert "rows 16 to 31 of episodes 3 to 4: " in problem.message


def test_a_compressed_chunk_that_cannot_be_read_is_found(path: Path) -> None:
    damage_chunk(path, "observations/picture", lambda data: data[:9] + bytes(9) + data[18:], chunk=1)
    problem = only(path)
    assert problem.place == "/observations/picture row 16"
    assert "they cannot be read" in problem.message


def test_wrong_items_that_make_sense_are_found(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/number"][5] = file["observations/number"][5] % 5 + 1
    assert only(path).place == "/observations/number row 0"


def test_the_first_of_many_is_shown(tmp_path: Path) -> None:
    path = record(tmp_path / "run.h5", zoo_env(), [9] * 8, checksum=True)
    with spoiling(path) as file:
        file["observations/picture"][20:60] += 1
    problem = only(path)
    assert problem.place == "/observations/picture row 16"
    assert problem.message.endswith("; likewise 2 more blocks")


def test_the_last_chunk_is_looked_at_as_it_is_in_the_file(plain: Path) -> None:
    damage_chunk(plain, "rewards", flip(8 * (NUM_ROWS - 2)))
    assert only(plain).place == "/rewards row 0"


def test_what_lies_behind_the_committed_items_does_not_matter(plain: Path) -> None:
    damage_chunk(plain, "rewards", lambda data: data[: 8 * NUM_ROWS] + b"\xff" * (len(data) - 8 * NUM_ROWS))
    damage_chunk(plain, "checksums/rewards", lambda data: data[:8] + b"\xff" * (len(data) - 8))
    assert problems(plain) == []


# Something wrong with the checksums ----------------------------------------------------------------


def test_a_missing_dataset_of_checksums_is_an_error(path: Path) -> None:
    with spoiling(path) as file:
        del file["checksums/rewards"]
    problem = only(path)
    assert problem.place == "/checksums/rewards"
    assert "there is no /checksums/rewards" in problem.message


def test_too_few_checksums_are_an_error(path: Path) -> None:
    with spoiling(path) as file:
        file["checksums/observations/picture"].resize(1, axis=0)
    problem = only(path)
    assert problem.place == "/checksums/observations/picture"
    assert problem.message == "3 checksums are needed, there are 1"


@pytest.mark.parametrize("covered", [0, NUM_ROWS - 1, 513, 2**32 - 1])
def test_committed_items_that_are_not_covered_are_an_error(covered: int, path: Path) -> None:
    with spoiling(path) as file:
        file["checksums/rewards"][0, 0] = covered
    assert f"the checksum is of {covered} items, {NUM_ROWS} are committed" in only(path).message


def test_a_checksum_of_more_items_than_there_are_is_an_error(path: Path) -> None:
    with spoiling(path) as file:
        file["checksums/rewards"][0, 0] = NUM_ROWS + 1
    assert f"{NUM_ROWS} are committed, {NUM_ROWS} there" in only(path).message


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.__setitem__("checksums/rewards", 5), id="contiguous"),
        pytest.param(lambda file: file.create_group("checksums/rewards"), id="group"),
        pytest.param(lambda file: file.__setitem__("checksums/rewards", h5py.SoftLink("/rewards")), id="link"),
        pytest.param(
            lambda file: file.create_dataset("checksums/rewards", (9, 2), "f8", chunks=(9, 2)), id="another-type"
        ),
    ],
)
def test_checksums_that_are_none_are_an_error(spoil: Callable[[h5py.File], Any], path: Path) -> None:
    with spoiling(path) as file:
        del file["checksums/rewards"]
        spoil(file)
    assert only(path).place == "/checksums/rewards"


# What a repair writes once more ----------------------------------------------------------------------


def left(folder: Path, steps: int = 25, **options: Any) -> Path:
    """An interrupted recording of pictures, sixteen in a chunk, all of them committed, with its journal alone."""
    with Pen(folder / "run.h5", make_schema(PICTURE), row_bytes=7056, checksum=True, **options) as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1, steps + 1):
            pen.step(np.full((84, 84), step, np.uint8), action=step % 4, reward=float(step))
            if step in (steps - 3, steps):
                pen.flush()
        path = snapshot(folder / "run.h5")
    redo_path(path).unlink()  # it would mend some of what is spoiled here
    return path


def use_chunk(at: int, of: int) -> Callable[[Path], None]:
    """Put pictures in the place of others."""

    def change(path: Path) -> None:
        with spoiling(path) as file:
            dataset = file["observations"].id
            dataset.write_direct_chunk((at, 0, 0), dataset.read_direct_chunk((of, 0, 0))[1])

    return change


def checksum_places(path: Path) -> list[str]:
    return [each.place for each in h5r.validate(path, deep=True) if each.code == "checksum"]


def test_an_interrupted_recording_has_no_wrong_checksums(tmp_path: Path) -> None:
    assert checksum_places(left(tmp_path)) == []


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "spoil",
    [
        use_chunk(16, 0),
        lambda path: damage_chunk(path, "observations", flip(9), 1),
        lambda path: damage_chunk(path, "checksums/observations", flip(9)),
        lambda path: damage_chunk(path, "checksums/observations", flip(13)),
        lambda path: edited(path, shorter("checksums/observations", 1)),
    ],
    ids=["other-items", "no-items", "covered", "checksum", "no-checksum"],
)
def test_a_block_whose_rows_the_journal_still_has_may_be_anything(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    """As in a copy of a file that was being written: the chunk is older or newer than its checksum."""
    path = left(tmp_path)
    spoil(path)
    assert checksum_places(path) == []
    h5r.repair(path)
    assert checksum_places(path) == []
    with h5r.Recording(path) as recording:
        assert [int(each.flat[0]) for each in recording.rows.observations] == list(range(26))


def test_a_block_with_rows_that_the_journal_has_let_go_is_looked_at(tmp_path: Path) -> None:
    path = left(tmp_path)
    use_chunk(at=0, of=16)(path)
    assert checksum_places(path) == ["/observations row 0"]
    damage_chunk(path, "rewards", flip(8 * 3), 0)  # all rows in a block, of which the first are in the file alone
    assert sorted(checksum_places(path)) == ["/observations row 0", "/rewards row 0"]


def without_journal(path: Path) -> None:
    journal_path(path).unlink()
    mark_torn(path)


def of_another_recording(path: Path) -> None:
    (path.parent / "other").mkdir()
    shutil.copy(journal_path(left_pairs(path.parent / "other", [3], [2])), journal_path(path))


@pytest.mark.parametrize(
    "change",
    [
        without_journal,
        of_another_recording,
        lambda path: journal_path(path).write_bytes(b"my diary" * 5000),
        lambda path: journal_path(path).write_bytes(b""),
        lambda path: changed_journal(path, set_word(Control.TAIL, 1 << 40)),
    ],
    ids=["no-journal", "another-recording", "no-journal-at-all", "unfinished", "positions"],
)
def test_without_a_journal_that_fits_every_block_is_looked_at(change: Callable[[Path], Any], tmp_path: Path) -> None:
    path = left(tmp_path)
    use_chunk(16, 0)(path)
    change(path)
    assert checksum_places(path) == ["/observations row 16"]


def journal_row_of(path: Path) -> tuple[int, int]:
    """The first row that a repair would write again, and how many rows are committed."""
    with closing(Handle(path, Access.DAMAGED)) as handle:
        structure = Structure(handle)
        assert structure.problems == []
        assert structure.target is not None
        return first_journal_row(structure.target), structure.target.num_rows


@pytest.mark.parametrize("name", ["some-committed", "released", "open-committed", "pictures", "everything"])
def test_a_repair_writes_again_from_the_first_row_of_the_journal(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    tail = Journal.open(journal_path(path)).control[Control.TAIL]
    first, rows = journal_row_of(path)
    assert first == tail <= rows


@pytest.mark.parametrize("name", ["journal-reserved-beside", "journal-unfinished-beside", "flags-alone", "appended"])
def test_a_journal_without_committed_rows_writes_none_again(name: str, tmp_path: Path) -> None:
    first, rows = journal_row_of(INTERRUPTED[name](tmp_path))
    assert first == rows > 0


def test_without_a_journal_no_row_is_written_again(tmp_path: Path) -> None:
    path = closed(tmp_path)
    assert journal_row_of(path) == (7, 7)
    mark_torn(path)
    assert journal_row_of(path) == (7, 7)


# Lanes -------------------------------------------------------------------------------------------


def left_lanes(folder: Path, num_steps: int = 90) -> Path:
    """An interrupted recording of pictures in four lanes, 64 in a chunk, all of them committed, with its journal."""
    envs = SyncVectorEnv([partial(Pictures, 0, (10**9,)) for _ in LANES])
    recorder = h5r.vector.RecordToHDF5(
        envs, folder / "run.h5", writer="inline", flush_interval_s=1e9, checksum=True, compression=None, infos=False
    )
    recorder.reset()
    for step in range(num_steps):
        recorder.step(actions_at(step, len(LANES)))
        if step >= num_steps - 2:
            recorder.flush()
    path = snapshot(folder / "run.h5")
    recorder.close()
    redo_path(path).unlink()  # it would mend some of what is spoiled here
    return path


def lane_places(path: Path) -> list[str]:
    with closing(Handle(path, Access.DAMAGED)) as handle:
        found = [*lane_checksum_problems(handle, open_lanes(handle))]
    assert {each.code for each in found} <= {"checksum"}
    return [each.place for each in found]


def test_blocks_of_lanes_whose_rows_the_journal_still_has_are_not_compared(tmp_path: Path) -> None:
    path = left_lanes(tmp_path)
    assert lane_places(path) == []
    edited(path, lambda file: file["observations"].__setitem__((70, 2), 1))  # its block is written again
    edited(path, lambda file: file["checksums/observations"].__setitem__((1, 1), (9999, 7)))
    assert lane_places(path) == []
    edited(path, lambda file: file["observations"].__setitem__((60, 3), 1))
    assert lane_places(path) == ["/observations row 0 lane 3"]
    h5r.repair(path)
    assert lane_places(path) == ["/observations row 0 lane 3"]


def test_without_a_journal_every_block_of_every_lane_is_compared(tmp_path: Path) -> None:
    path = edited(left_lanes(tmp_path), lambda file: file["observations"].__setitem__((70, 2), 1))
    without_journal(path)
    assert lane_places(path) == ["/observations row 64 lane 2"]


def test_columns_of_lanes_that_cannot_be_read_are_not_compared(tmp_path: Path) -> None:
    path = edited(left_lanes(tmp_path), lambda file: file.__delitem__("rewards"))
    assert lane_places(path) == []
    edited(path, lambda file: file.__delitem__(fmt.COMMIT))
    assert lane_places(path) == []


# Memory ------------------------------------------------------------------------------------------


def test_no_more_than_a_chunk_is_read_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    items = ColumnReader.items

    def measured(self: ColumnReader, field: str, start: int, stop: int) -> np.ndarray:
        found = items(self, field, start, stop)
        sizes.append(found.nbytes)
        return found

    monkeypatch.setattr(ColumnReader, "items", measured)
    assert problems(path) == []
    assert max(sizes) <= 16 * 84 * 84
