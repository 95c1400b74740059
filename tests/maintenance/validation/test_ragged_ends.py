"""Values of varying size whose ``ends``, ``parts`` or ``index`` make no sense."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.validation import validator
from tests.custom_spaces import Anything
from tests.maintenance.validation import found, only_problem, record, spoiling, zoo_env
from tests.stacking import START, record_stacks


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("observations/words/ends", 5, 1 << 62),
        ("observations/words/ends", 5, -1),
        ("observations/words/ends", 0, -(1 << 63)),
        ("observations/graph/nodes/ends", 7, 0),
        ("actions/1/ends", 3, 10_000),
        ("exceptions/ends", 2, 1 << 40),
        ("infos/json/ends", 4, -5),
        ("observations/graph/edge_links/ends", 3, 1 << 50),
    ],
)
def test_ends_that_go_back_or_too_far_are_found(name: str, at: int, value: int, path: Path) -> None:
    with spoiling(path) as file:
        file[name][at] = value
    code, place = found(path)[0]
    assert code == "ragged"
    assert place in {f"/{name} row {at}", f"/{name} row {at + 1}"}


def test_ends_inside_lists_are_looked_at(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/words/values/ends"][9] = -1
    assert ("ragged", "/observations/words/values/ends item 9") in found(path)


def test_a_graph_with_parts_that_there_are_not_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/graph/parts"][3] = 4
    assert found(path) == [("ragged", "/observations/graph/parts row 3")]


@pytest.mark.parametrize("index", [-1, 2, 1 << 62])
def test_a_choice_that_there_is_not_is_found(index: int, path: Path) -> None:
    with spoiling(path) as file:
        file["observations/choice/index"][3] = index
    assert found(path) == [("ragged", "/observations/choice/index row 3")]


def test_a_choice_of_a_branch_that_is_empty_is_found(path: Path) -> None:
    with spoiling(path) as file:
        index = file["observations/choice/index"]
        index[3] = 1 - index[3]
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("ragged", "/observations/choice/index row 3")
    assert "is chosen" in problem.message


def test_lists_of_nothing_have_a_limit(tmp_path: Path) -> None:
    space = spaces.Sequence(spaces.Box(0, 1, (0,)))  # nothing is stored of its items, whatever the ends say
    path = record(tmp_path / "run.h5", zoo_env(space, spaces.Discrete(2)), (3,))
    assert found(path) == []
    with spoiling(path) as file:
        file["observations/ends"][3] = 1 << 50
    assert found(path) == [("ragged", "/observations/ends row 3")]


@pytest.mark.parametrize("name", ["observations/own", "observations/many", "observations/many/values"])
def test_ends_of_json_texts_are_looked_at(name: str, tmp_path: Path) -> None:
    space = spaces.Dict(own=Anything([1], [2, 3]), many=spaces.Sequence(Anything()))
    path = record(tmp_path / "run.h5", zoo_env(space))
    assert found(path) == []
    with spoiling(path) as file:
        file[f"{name}/ends"][3] = 1 << 40
    code, place = found(path)[0]
    assert (code, place.rpartition(" ")[0].rpartition(" ")[0]) == ("ragged", f"/{name}/ends")


# Stacks -----------------------------------------------------------------------------------------------

STACK_SCRIPT = (*START, *["slide"] * 8, "jump", "slide", "reset fill", *["slide"] * 5, "end slide", "slide", "slide")
"""Episodes begin with rows 0, 12 and 19. Row 10 is a jump."""


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    record_stacks(tmp_path / "stacks.h5", STACK_SCRIPT, writer="inline")
    return tmp_path / "stacks.h5"


def move_earlier_frames(path: Path, row: int, other: int, count: int = 3) -> None:
    """Say that earlier frames of a row are those of another row."""
    with spoiling(path) as file:
        ends = file["observations/earlier/ends"]
        counts = np.diff(ends[:], prepend=0)
        counts[row] -= count
        counts[other] += count
        ends[:] = np.cumsum(counts)


def test_nothing_is_wrong_with_stacks(stacks: Path) -> None:
    assert found(stacks) == []
    with h5py.File(stacks) as file:
        ends = file["observations/earlier/ends"][:]
    assert np.flatnonzero(np.diff(ends, prepend=0)).tolist() == [0, 10, 12, 19]


@pytest.mark.parametrize(("row", "other", "count", "message"), [(10, 11, 1, "it has 2 earlier"), (10, 9, 3, "")])
def test_a_row_with_some_of_the_earlier_frames_is_found(
    row: int, other: int, count: int, message: str, stacks: Path
) -> None:
    move_earlier_frames(stacks, row, other, count)
    if not message:  # a row may store more than it needs to
        assert found(stacks) == []
        return
    problem = only_problem(stacks)
    assert (problem.code, problem.place) == ("ragged", f"/observations/earlier/ends row {row}")
    assert problem.message.startswith(f"{message} frames, expected 3 or none")


@pytest.mark.parametrize("row", [0, 12, 19])
def test_a_first_row_without_the_earlier_frames_is_found(row: int, stacks: Path) -> None:
    move_earlier_frames(stacks, row, row + 1)
    *others, problem = h5r.validate(stacks, deep=True)
    assert (problem.code, problem.place) == ("ragged", f"/observations/earlier/ends row {row}")
    assert [each.code for each in others] == ["episode-origin"] * (row == 19)  # it no longer repeats row 18
    assert problem.message == "it has 0 earlier frames, expected 3, as it begins an episode"


def test_a_first_row_of_a_block_is_compared_with_the_block_before(
    stacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 4)  # rows 12 and 16 begin blocks, row 19 is in the middle of one
    assert found(stacks) == []
    move_earlier_frames(stacks, 12, 13)
    assert found(stacks) == [("ragged", "/observations/earlier/ends row 12")]


@pytest.mark.parametrize(("at", "value"), [(4, -1), (0, -(1 << 63)), (20, 1 << 40), (11, 2)])
def test_ends_of_earlier_frames_that_go_back_or_too_far_are_found(at: int, value: int, stacks: Path) -> None:
    with spoiling(stacks) as file:
        file["observations/earlier/ends"][at] = value
    code, place = found(stacks)[0]
    assert code == "ragged"
    assert place in {f"/observations/earlier/ends row {at}", f"/observations/earlier/ends row {at + 1}"}
