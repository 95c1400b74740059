"""Values of varying size whose ``ends``, ``parts`` or ``index`` make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from gymnasium import spaces

from tests.maintenance.validation import found, only_problem, record, spoiling, zoo_env


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
