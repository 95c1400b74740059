"""The drain of a recording: that of a single environment, or that of lanes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.drains import close_running, ends_with_episodes, make_drain
from gym_h5record.writing.lane_commit import LaneDrain
from tests.writing import Pen, pair
from tests.writing.lane_pen import LanePen


def write(path: Path, num_lanes: int | None) -> Any:
    """A recording of an episode that goes on, in every lane if there are any; returns what it was written with."""
    if num_lanes is None:
        pen = Pen(path)
        pen.begin(pair(0))
        pen.step(pair(1))
    else:
        pen = LanePen(path, num_lanes)
        pen.begin(np.zeros((num_lanes, 2)))
        pen.step(np.ones((num_lanes, 2)))
    pen.flush()
    return pen


def drain_of(pen: Any) -> Any:
    return pen.session._worker._drain


@pytest.mark.parametrize(("num_lanes", "kind"), [(None, Drain), (1, LaneDrain), (3, LaneDrain)])
def test_a_recording_with_lanes_has_a_drain_of_lanes_even_with_a_single_one(
    num_lanes: int | None, kind: type, tmp_path: Path
) -> None:
    pen = write(tmp_path / "run.h5", num_lanes)
    drain = drain_of(pen)
    assert type(drain) is type(make_drain(pen.session.journal, drain._file)) is kind
    pen.close()


@pytest.mark.parametrize(("num_lanes", "running"), [(None, 1), (3, 3)])
def test_the_running_episodes_become_incomplete_ones(num_lanes: int | None, running: int, tmp_path: Path) -> None:
    pen = write(tmp_path / "run.h5", num_lanes)
    drain = drain_of(pen)
    file: RecordingFile = drain._file
    drain.run(is_last=True)
    assert drain.num_running == running
    assert not ends_with_episodes(file)
    close_running(file)
    assert ends_with_episodes(file)
    assert (file.episodes, file.rows) == (running, 2 * running)
    assert file.read("episodes/complete", 0, running).tolist() == [False] * running
    close_running(file)  # there is none any more
    assert file.episodes == running
    file.close()


def test_lanes_that_ended_at_different_rows_end_with_episodes(tmp_path: Path) -> None:
    with LanePen(tmp_path / "run.h5") as pen:
        pen.begin(np.zeros((2, 2)))
        pen.step(np.ones((2, 2)), ended=[0])
        pen.step(np.ones((2, 2)), ended=[1], stepped=[1])
        pen.flush()
        file = drain_of(pen)._file
        assert file.committed.lane_rows == (2, 3)
        assert ends_with_episodes(file)


def test_the_journal_of_lanes_is_not_drained_into_a_recording_without_them(tmp_path: Path) -> None:
    single, lanes = write(tmp_path / "single.h5", None), write(tmp_path / "lanes.h5", 2)
    with pytest.raises(CorruptRecordingError, match="the journal has lanes, the recording has none"):
        LaneDrain(lanes.session.journal, drain_of(single)._file)
    single.close()
    lanes.close()
