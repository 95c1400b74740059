"""``DamagedRecording``: rows, spans and numbers of what is left; the tests of ``salvage`` prove more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording
from gym_h5record.storage.handle import Access, Handle
from tests.leftovers import closed, cut, edited, pictures, set_item, shorter, unreadable_chunk
from tests.treasures import extras, record_treasures
from tests.zoo import check_identical


@contextmanager
def opened(path: Path) -> Iterator[DamagedRecording]:
    with closing(Handle(path, Access.DAMAGED)) as handle:
        yield DamagedRecording(handle)


def spans(found: DamagedRecording) -> list[tuple[int, int, bool]]:
    return [(each.rows.start, each.rows.stop, each.episode is not None) for each in found.spans()]


def test_a_whole_recording_is_all_there(tmp_path: Path) -> None:
    with opened(closed(tmp_path)) as found:
        assert (found.num_rows, found.num_episodes, found.fps) == (7, 2, 30.0)
        assert spans(found) == [(0, 4, True), (4, 7, True)]
        rows = [found.row(row) for row in range(7)]
        assert [row.is_last for row in rows if row] == [False] * 3 + [True] + [False] * 2 + [True]
        assert rows[1] is not None
        assert rows[3] is not None
        assert (rows[1].action, rows[1].outcome) == (1, (1.0, False, False))
        assert (rows[3].action, rows[3].outcome) == (None, (None, None, None))
        assert rows[1].observation.tolist() == [1.0, -1.0]
        assert (rows[1].frame, rows[1].info, rows[1].extras) == (None, {}, {})


def test_a_row_knows_its_extras_and_its_time(tmp_path: Path) -> None:
    path = edited(record_treasures(tmp_path / "run.h5"), set_item(fmt.TIMES, 1, 7))
    with opened(path) as found:
        rows = [found.row(row) for row in (1, 5)]
        assert next(each.time_ns for each in rows if each) == 7
        check_identical([each.extras for each in rows if each], [extras(1), {}], "extras")
    with opened(record_treasures(tmp_path / "b.h5", times=False)) as found:
        row = found.row(1)
        assert row is not None
        assert row.time_ns is None


def test_rows_of_a_damaged_chunk_are_none(tmp_path: Path) -> None:
    with opened(unreadable_chunk(pictures(tmp_path))) as found:
        assert [row for row in range(62) if found.row(row) is None] == list(range(16, 32))
        assert spans(found) == [(0, 41, True), (41, 62, True)]


@pytest.mark.parametrize(("at", "expected"), [(0, [(0, 7, False)]), (1, [(0, 4, True), (4, 7, False)])])
def test_episodes_behind_a_damaged_entry_are_not_told_apart(
    at: int, expected: list[tuple[int, int, bool]], tmp_path: Path
) -> None:
    with opened(edited(closed(tmp_path), set_item("episodes/starts", at, 5))) as found:
        assert spans(found) == expected


def test_claims_cost_nothing(tmp_path: Path) -> None:
    path = edited(closed(tmp_path), set_item(fmt.COMMIT, 0, 1 << 60))
    with opened(edited(path, shorter(fmt.REWARDS, 1 << 55))) as found:
        assert (found.num_rows, found.num_episodes) == (7, 2)
        assert spans(found) == [(0, 4, True), (4, 7, True)]
    with opened(edited(path, lambda file: file[fmt.METADATA].attrs.pop("total_steps"))) as found:
        assert found.num_rows == 1 << 60  # that is what it says
        assert spans(found)[-1][1] <= 512


def test_the_totals_stand_in_for_the_commit(tmp_path: Path) -> None:
    path = edited(closed(tmp_path), lambda file: file.__delitem__(fmt.COMMIT))
    with opened(path) as found:
        assert (found.num_rows, found.num_episodes) == (7, 2)
    edited(path, lambda file: file[fmt.METADATA].attrs.__setitem__("total_episodes", -1))
    with pytest.raises(CorruptRecordingError, match="/commit cannot be read"), opened(path):
        pass


def test_a_file_that_lacks_rows_says_how_many_it_had(tmp_path: Path) -> None:
    with opened(cut(closed(tmp_path, [600]), 0.6)) as found:
        assert (found.num_rows, found.num_episodes) == (601, 1)


def test_without_fps_it_is_nan(tmp_path: Path) -> None:
    with opened(edited(closed(tmp_path), lambda file: file.attrs.pop("fps"))) as found:
        assert np.isnan(found.fps)
