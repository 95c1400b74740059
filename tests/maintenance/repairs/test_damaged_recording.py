"""``DamagedRecording``: rows, spans and numbers of what is left; the tests of ``salvage`` prove more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import address, row_of
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording
from gym_h5record.storage.handle import Access, Handle
from tests.lane_recordings import record_lanes
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


# Lanes ------------------------------------------------------------------------------------------------


def lane_spans(found: DamagedRecording) -> list[tuple[int, int, int, bool]]:
    """Lane, first row, row behind the last, and whether there is an episode, of each span."""
    return [
        (each.lane, int(row_of(each.rows.start)), int(row_of(each.rows.stop)), each.episode is not None)
        for each in found.spans()
    ]


def test_spans_of_lanes_are_in_the_order_of_their_episodes(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", lengths=((1, 3), (4,)), num_steps=6)
    with opened(path) as found:
        assert lane_spans(found) == [
            (0, 0, 2, True),
            (1, 0, 5, True),
            (0, 2, 6, True),
            (0, 6, 7, True),
            (1, 5, 7, True),
        ]
        assert [each.before for each in found.spans()] == [0, 2, 7, 11, 12]
        assert (found.num_lanes, found.num_rows, found.num_episodes) == (2, 14, 5)
        rows = [found.row(address(1, row)) for row in range(7)]
        assert [each.observation["at"].tolist() for each in rows if each] == [
            [1, episode, step] for episode, step in ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1))
        ]
        assert [each.is_last for each in rows if each] == [False] * 4 + [True, False, True]


def test_an_unsound_entry_of_a_lane_leaves_other_lanes_alone(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", lengths=((1, 3), (4,)), num_steps=6)
    for start in (1, 3, 1 << 40):
        with opened(edited(path, set_item("episodes/starts", 1, start))) as found:
            assert lane_spans(found) == [(0, 0, 2, True), (0, 2, 6, True), (0, 6, 7, True), (1, 0, 7, False)]


def test_entries_from_one_with_a_lane_that_is_not_there_are_not_used(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", lengths=((1, 3), (4,)), num_steps=6)
    with opened(edited(path, set_item("episodes/envs", 2, 2))) as found:
        assert lane_spans(found) == [(0, 0, 2, True), (1, 0, 5, True), (0, 2, 7, False), (1, 5, 7, False)]


def test_the_totals_say_nothing_of_lanes(tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5"), lambda file: file.__delitem__(fmt.COMMIT))
    with pytest.raises(CorruptRecordingError, match="/commit cannot be read"), opened(path):
        pass


def test_a_schema_of_another_number_of_lanes_is_refused(tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5"), lambda file: file.attrs.__setitem__("num_envs", 3))
    with pytest.raises(CorruptRecordingError, match="num_envs is 3, the schema says 4"), opened(path):
        pass
