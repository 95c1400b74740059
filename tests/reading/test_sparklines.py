"""Sparklines: points in the picture, for any number of any values."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from gym_h5record.reading.sparklines import MAX_LINES, MAX_POINTS, sparkline_svg

NAN, INF = float("nan"), float("inf")


def lines_of(values: Any) -> list[list[tuple[float, float]]]:
    """The points of each line; all of them are in the picture."""
    root = ElementTree.fromstring(sparkline_svg(np.asarray(values)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    lines = []
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        points = [(float(x), float(y)) for x, y in (each.split(",") for each in line.attrib["points"].split())]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        lines.append(points)
    return lines


def test_higher_values_are_higher_points() -> None:
    (line,) = lines_of([1.0, 3.0, 2.0, -5.0])
    assert np.argsort([-y for _, y in line]).tolist() == [3, 0, 2, 1]


@pytest.mark.parametrize(
    "values",
    [[0.0, 1e308, -1e308], [5e-324, 0.0], [1, 2, 3], np.array([True, False]), np.float16([1, 2])],
    ids=["huge", "tiny", "integers", "booleans", "float16"],
)
def test_any_finite_values_are_a_line(values: Any) -> None:
    (line,) = lines_of(values)
    assert len({y for _, y in line}) == len(values)


def test_equal_values_are_a_level_line_in_the_middle() -> None:
    (line,) = lines_of([7.0, 7.0, 7.0])
    assert {y for _, y in line} == {24.0}


def test_values_that_are_not_finite_are_no_points() -> None:
    (line,) = lines_of([1.0, NAN, 2.0, INF, -INF, 0.0])
    assert len(line) == 3


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [NAN, NAN, 1.0], [INF] * 500, np.empty((0, 3)), np.empty((5, 0))],
    ids=["none", "one", "one finite", "infinite", "none of three components", "no component"],
)
def test_fewer_than_two_points_are_no_line(values: Any) -> None:
    assert sparkline_svg(np.asarray(values, np.float64)) == ""


@pytest.mark.parametrize("count", [MAX_POINTS + 1, 1000, 123_457])
def test_many_values_become_means_of_neighbours(count: int) -> None:
    (line,) = lines_of(np.arange(count))
    assert len(line) == MAX_POINTS
    heights = [y for _, y in line]
    assert heights == sorted(heights, reverse=True)
    assert len(sparkline_svg(np.arange(count))) < 4000


def test_each_component_has_a_line_up_to_four() -> None:
    values = np.arange(30.0).reshape(3, 10)
    assert len(lines_of(values)) == MAX_LINES
    assert len(lines_of(values[:, :2])) == 2
    assert len(lines_of(values.reshape(3, 2, 5))) == MAX_LINES


def test_it_is_nothing_but_numbers_and_a_line() -> None:
    svg = sparkline_svg(np.array([1.0, 2.0]))
    assert not re.search(r"script|href|on\w+=", svg)
