"""Lines of returns within text."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

from gym_h5record.cli.sparklines import bar, sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0, 7], "▁█"),
        (range(8), "▁▂▃▄▅▆▇█"),
        ([3, 3, 3], "▁▁▁"),
        ([0.0, np.nan, 7.0, np.inf], "▁ █ "),
        ([np.nan, np.nan], ""),
        ([1.0], ""),
        ([], ""),
        ([[1, 2], [3, 4]], ""),
        ([-1.7e308, 1.7e308], "▁█"),
    ],
    ids=str,
)
def test_numbers_are_blocks_of_eight_heights(values: Any, line: str) -> None:
    assert sparkline(np.array(values)) == line


def test_of_many_numbers_the_means_of_neighbours_are_shown() -> None:
    assert sparkline(np.repeat([0.0, 7.0], 50), width=4) == "▁▁██"
    assert len(sparkline(np.arange(1000.0), width=32)) == 32


def test_a_bar_is_as_long_as_its_fraction() -> None:
    assert [bar(each, 4) for each in (0, 0.5, 1)] == ["", "██", "████"]


def test_a_terminal_without_these_characters_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert sparkline(np.array([0.0, 1.0])) == ""
    assert bar(1, 3) == "###"
