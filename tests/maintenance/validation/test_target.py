"""``Target``: how much of a recording is settled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.handle import Access, Handle
from tests.maintenance.validation import spoiling
from tests.writing import PAIR, Pen, elsewhere, make_schema

PICTURE = spaces.Box(0, 255, (84, 84), np.uint8)  # sixteen in a chunk


@contextmanager
def target_of(path: Path) -> Iterator[Target]:
    handle = Handle(path, Access.DAMAGED)
    structure = Structure(handle)
    assert structure.target is not None
    yield structure.target
    handle.close()


def interrupted(tmp_path: Path, space: spaces.Box, *, is_open: bool) -> Path:
    """40 rows in the file and more in the journal, and whether the last episode goes on."""
    with Pen(tmp_path / "run.h5", make_schema(space, infos=None), row_bytes=7100) as pen:
        observation = np.zeros(space.shape, space.dtype)
        pen.begin(observation)
        for step in range(39):
            pen.step(observation, terminated=step == 38 and not is_open)
        pen.flush()
        return elsewhere(tmp_path / "run.h5")


def test_all_rows_of_a_closed_recording_are_whole(path: Path) -> None:
    with target_of(path) as target:
        assert target.is_settled
        assert not target.is_open
        assert (target.whole_rows, target.sound_rows) == (34, 34)


@pytest.mark.parametrize(
    ("space", "is_open", "whole"), [(PAIR, False, 40), (PAIR, True, 39), (PICTURE, False, 32), (PICTURE, True, 32)]
)
def test_rows_that_the_journal_still_has_are_not_whole(
    space: spaces.Box, is_open: bool, whole: int, tmp_path: Path
) -> None:
    with target_of(interrupted(tmp_path, space, is_open=is_open)) as target:
        assert not target.is_settled
        assert target.is_open == is_open
        assert (target.num_rows, target.whole_rows, target.sound_rows) == (40, whole, whole)


def test_without_a_journal_all_rows_have_to_be_there(tmp_path: Path) -> None:
    path = interrupted(tmp_path, PICTURE, is_open=True)
    (tmp_path / "copy" / "run.h5.journal").unlink()
    with target_of(path) as target:
        assert (target.num_rows, target.whole_rows) == (40, 39)


def test_an_index_that_cannot_be_read_leaves_it_open(path: Path) -> None:
    with spoiling(path) as file:
        del file["episodes/lengths"]
    with target_of(path) as target:
        assert target.is_open


def test_an_empty_recording_has_no_rows(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5"):
        pass
    with target_of(tmp_path / "run.h5") as target:
        assert (target.num_rows, target.whole_rows, target.is_open) == (0, 0, False)
