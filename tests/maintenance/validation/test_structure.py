"""Structure: columns that are missing, short, of another kind or damaged, and episodes out of place."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.storage.handle import Access, Handle
from tests.maintenance.validation import found, only_problem, record, spoiling, zoo_env
from tests.stacking import START, record_stacks
from tests.writing import Pen, elsewhere, make_schema


def replaced(path: Path, name: str, items: np.ndarray, chunk: tuple[int, ...]) -> None:
    """Put another dataset into the place of a column."""
    with spoiling(path) as file:
        del file[name]
        file.create_dataset(name, data=items, chunks=chunk, maxshape=(None, *items.shape[1:]))


def damaged_chunk(path: Path, name: str, first: int) -> None:
    """Put bytes that cannot be decompressed into the place of a chunk."""
    with spoiling(path) as file:
        dataset = file[name]
        dataset.id.write_direct_chunk((first, *(0 for _ in dataset.shape[1:])), b"no gzip at all")


# Stacks --------------------------------------------------------------------------------------------


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Stacks of four frames in 85 rows, the last of which has earlier frames of its own."""
    record_stacks(tmp_path / "stacks.h5", (*START, *["slide"] * 82, "jump"), writer="inline")
    assert found(tmp_path / "stacks.h5", deep=False) == []
    return tmp_path / "stacks.h5"


@pytest.mark.parametrize("name", ["newest", "earlier/ends", "earlier/values"])
def test_a_part_of_the_stacks_that_is_missing_or_short_is_found(name: str, stacks: Path) -> None:
    with spoiling(stacks) as file:
        file[f"observations/{name}"].resize(4, 0)
    assert found(stacks, deep=False) == [("column-short", f"/observations/{name}")]
    with spoiling(stacks) as file:
        del file[f"observations/{name}"]
    assert found(stacks, deep=False) == [("column-missing", f"/observations/{name}")]


@pytest.mark.compacted
@pytest.mark.parametrize(("name", "first"), [("newest", 64), ("earlier/values", 0)])
def test_newest_frames_that_are_damaged_are_found(name: str, first: int, stacks: Path) -> None:
    damaged_chunk(stacks, f"observations/{name}", first)
    assert found(stacks, deep=False) == [("column-unreadable", f"/observations/{name}")]


def test_a_last_end_of_earlier_frames_beyond_the_frames_is_found(stacks: Path) -> None:
    with spoiling(stacks) as file:
        file["observations/earlier/ends"][-1] += 3
    problem = only_problem(stacks, deep=False)
    assert (problem.code, problem.place) == ("column-short", "/observations/earlier/values")
    assert problem.message == "9 items are committed, it has 6"


# Any column ----------------------------------------------------------------------------------------


def test_a_good_recording_has_a_good_structure(path: Path) -> None:
    assert found(path, deep=False) == []


@pytest.mark.parametrize(
    "name", ["terminations", "rewards", "observations/words/values/values", "types", "episodes/returns", "dones"]
)
def test_a_column_that_is_missing_is_found(name: str, path: Path) -> None:
    with spoiling(path) as file:
        del file[name]
    code = "commit" if name == "terminations" else "column-missing"  # without flags /commit cannot be believed
    place = "/commit" if name == "terminations" else f"/{name}"
    assert found(path, deep=False) == [(code, place)]


def test_a_group_that_is_missing_is_found_column_by_column(path: Path) -> None:
    with spoiling(path) as file:
        del file["observations/choice/0"]
    assert found(path, deep=False) == [("column-missing", "/observations/choice/0/ends")]


@pytest.mark.parametrize("name", ["observations/vector", "dones", "episodes/complete", "observations/picture"])
def test_a_column_that_is_short_is_found(name: str, path: Path) -> None:
    with spoiling(path) as file:
        file[name].resize(len(file[name]) - 1, 0)
    problem = only_problem(path, deep=False)
    assert (problem.code, problem.place) == ("column-short", f"/{name}")
    assert "are committed, it has" in problem.message


def test_items_of_lists_that_are_missing_are_found(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/graph/nodes/values"].resize(5, 0)
    assert found(path, deep=False) == [("column-short", "/observations/graph/nodes/values")]


@pytest.mark.parametrize(
    "items",
    [np.zeros((34, 3), np.float64), np.zeros((34, 4), np.float32), np.zeros(34, np.float32), np.zeros((34, 3), "<i4")],
    ids=["dtype", "shape", "rank", "kind"],
)
def test_a_column_of_another_type_is_found(items: np.ndarray, path: Path) -> None:
    replaced(path, "observations/vector", items, (8, *items.shape[1:]))
    assert found(path, deep=False) == [("column-type", "/observations/vector")]


def test_a_column_that_is_no_dataset_is_found(path: Path) -> None:
    with spoiling(path) as file:
        del file["dones"]
        file.create_group("dones")
    assert found(path, deep=False) == [("column-unreadable", "/dones")]


def test_a_column_that_is_in_another_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dones"] = np.zeros(34, bool)
    with spoiling(path) as file:
        del file["dones"]
        file["dones"] = h5py.ExternalLink(tmp_path / "other.h5", "dones")
    assert found(path, deep=False) == [("column-unreadable", "/dones")]


def test_a_last_chunk_that_is_damaged_is_found(path: Path) -> None:
    damaged_chunk(path, "observations/picture", 32)
    problem = only_problem(path, deep=False)
    assert (problem.code, problem.place) == ("column-unreadable", "/observations/picture")
    assert "decompress" in problem.message


def test_a_chunk_in_the_middle_is_left_to_the_deep_look(path: Path) -> None:
    damaged_chunk(path, "observations/picture", 16)
    assert found(path, deep=False) == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\x1b[31m", '{"observation": 1}'])
def test_a_schema_that_cannot_be_read_is_found(text: str, path: Path) -> None:
    with spoiling(path) as file:
        file["metadata"].attrs["schema"] = text
    assert found(path, deep=False) == [("schema", "/metadata")]


def test_a_schema_that_is_missing_is_found(path: Path) -> None:
    with spoiling(path) as file:
        del file["metadata"].attrs["schema"]
    assert found(path, deep=False) == [("schema", "/metadata")]


@pytest.mark.parametrize("commit", [(-1, 0), (34, 35), (35, 5), (1 << 60, 5), (34, 6)])
def test_a_commit_that_claims_too_much_is_found(commit: tuple[int, int], path: Path) -> None:
    with spoiling(path) as file:
        file["commit"][:2] = commit
    assert found(path, deep=False) == [("commit", "/commit")]


@pytest.mark.parametrize(
    ("name", "episode", "value", "place"),
    [
        ("starts", 0, 1, 0),
        ("starts", 2, 14, 2),
        ("starts", 2, -1, 2),
        ("starts", 4, 1 << 62, 4),
        ("lengths", 1, 5, 2),
        ("lengths", 1, -1, 1),
        ("lengths", 3, 1 << 62, 3),
        ("lengths", 4, 8, 4),
    ],
)
def test_an_episode_that_is_not_where_it_should_be_is_found(
    name: str, episode: int, value: int, place: int, path: Path
) -> None:
    with spoiling(path) as file:
        file[f"episodes/{name}"][episode] = value
    assert ("episode-span", f"/episodes episode {place}") in found(path, deep=False)


def test_frames_that_are_no_link_to_the_observations_are_found(tmp_path: Path) -> None:
    space = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    path = record(tmp_path / "run.h5", zoo_env(space, spaces.Discrete(2)), (3,), frames="observation")
    assert found(path) == []
    with spoiling(path) as file:
        del file["frames"]
        file["frames"] = h5py.SoftLink("/observations")
    assert found(path, deep=False) == [("frames-link", "/frames")]


def test_what_depends_on_a_broken_column_is_not_complained_about(path: Path) -> None:
    with spoiling(path) as file:
        del file["observations/words/ends"]
    assert found(path, deep=False) == [("column-missing", "/observations/words/ends")]


def test_it_is_known_what_can_be_relied_on(path: Path) -> None:
    with spoiling(path) as file:
        del file["observations/words/ends"]
    handle = Handle(path, Access.DAMAGED)
    structure = Structure(handle)
    assert len(structure.problems) == 1
    words = "observations/words"
    assert structure.broken == {f"{words}/ends", f"{words}/values/ends", f"{words}/values/values"}
    assert structure.is_indexed
    assert structure.target is not None
    assert (structure.target.num_rows, structure.target.num_episodes) == (34, 5)
    handle.close()


def test_a_quotation_from_the_file_is_short(path: Path) -> None:
    with spoiling(path) as file:
        file["metadata"].attrs["schema"] = '{"observation": {"kind": "' + "x" * 30_000 + '"}, "infos": null}'
    assert len(only_problem(path).message) < 200


# What a dead writer may leave ----------------------------------------------------------------------


def left(tmp_path: Path) -> Path:
    """A recording whose recorder died in its second episode, with the journal beside it."""
    schema = make_schema(
        spaces.Dict(picture=spaces.Box(0, 255, (84, 84), np.uint8)), spaces.Dict(word=spaces.Text(9)), infos=None
    )
    with Pen(tmp_path / "run.h5", schema, row_bytes=7100) as pen:
        observation = {"picture": np.zeros((84, 84), np.uint8)}
        for length in (5, 20):
            pen.begin(observation)
            for step in range(length):
                pen.step(observation, action={"word": f"{step}"}, terminated=step == 4 and length == 5)
        pen.flush()
        return elsewhere(tmp_path / "run.h5")


def problems_of(path: Path) -> list[h5r.Problem]:
    """What ``repair`` sees."""
    handle = Handle(path, Access.DAMAGED)
    try:
        return Structure(handle).problems
    finally:
        handle.close()


def test_a_half_written_chunk_is_no_problem_as_long_as_the_journal_has_its_rows(tmp_path: Path) -> None:
    path = left(tmp_path)
    data = path.read_bytes()
    with h5py.File(tmp_path / "run.h5") as file:
        place = file["observations/picture"].id.get_chunk_info(1)  # rows 16 to 32, of which 27 are there
    assert place.chunk_offset[0] == 16
    torn = bytearray(data)
    torn[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
    path.write_bytes(torn)
    assert problems_of(path) == []
    (tmp_path / "copy" / "run.h5.journal").unlink()
    assert [(each.code, each.place) for each in problems_of(path)] == [("column-unreadable", "/observations/picture")]


def test_the_step_of_the_last_row_may_be_half_there(tmp_path: Path) -> None:
    path = left(tmp_path)
    (rows,) = np.frombuffer(data := path.read_bytes(), "<i8", 1, _address(tmp_path / "run.h5", "commit"))
    assert rows == 27
    ends = _address(tmp_path / "run.h5", "actions/word/ends") + 8 * (int(rows) - 1)
    torn = bytearray(data)
    torn[ends : ends + 8] = (10_000).to_bytes(8, "little")  # of text that has not been written
    path.write_bytes(torn)
    assert problems_of(path) == []
    h5r.repair(path)
    assert found(path) == [("metadata-incomplete", "/metadata")]


def _address(path: Path, name: str) -> int:
    """Where the first chunk of an uncompressed column lies in the file."""
    with h5py.File(path) as file:
        return int(file[name].id.get_chunk_info(0).byte_offset)
