"""The stream of lanes: the first rows wait for the first step, which fixes the columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import RecordingClosedError
from gym_h5record.format.names import Origin, RowFlag
from gym_h5record.recorder.lane_stream import LaneStream, VectorStep
from gym_h5record.recorder.vector_facts import describe_vector
from gym_h5record.storage.lock import is_locked
from gym_h5record.values.exact import identical
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.options import make_options
from gym_h5record.writing.row_writer import begin_json
from gym_h5record.writing.session import Session
from tests.scripted import functions

ENVS = SyncVectorEnv(functions("box", [(9,), (9,)]))
ACTIONS = np.array([3, 4])


def o(number: float) -> np.ndarray:
    return np.full((2, 3), number, np.float32)


def stream(path: Path, *, infos: bool = True) -> LaneStream:
    options = make_options(path, "x", "gzip", None, "inline", 1.0, "process", checksum=False)
    return LaneStream(Session(options), describe_vector(ENVS, [0, 1], "none", None, infos=infos, times=True), 2)


def begin(found: LaneStream, observations: Any, *lanes: int, infos: Any = None) -> None:
    begins = {lane: begin_json(5 + lane, None, Origin.RESET, 0) for lane in lanes}
    found.begin_episodes(BatchRows(observations, {} if infos is None else infos), begins)


def step(
    observations: Any, *, infos: Any = None, flags: Any = (0, 0), finals: Any = None, begins: Any = None
) -> VectorStep:
    marks = np.array(flags, np.uint8)
    stepped = [lane for lane in (0, 1) if not marks[lane] & (RowFlag.FIRST | RowFlag.ABSENT)]
    present = None if not (marks & RowFlag.ABSENT).any() else np.flatnonzero(~(marks & RowFlag.ABSENT)).tolist()
    rows, none = BatchRows(observations, {} if infos is None else infos), np.zeros(2, np.bool_)
    return VectorStep(np.array([0.5, 1.5]), none, none, rows, marks, stepped, present, finals or {}, begins or {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def observations(path: Path) -> list[list[float]]:
    with h5r.Recording(path) as recording:
        return [each.observations[:][:, 0].tolist() for each in recording]


def test_the_first_rows_open_the_session_and_wait_for_the_first_step(path: Path) -> None:
    found = stream(path)
    assert not is_locked(path)
    begin(found, o(0), 0, 1)
    assert is_locked(path)
    assert (found.has_first_rows, found.rows) == (True, None)
    found.put_first_step(ACTIONS, {}, step(o(1)))
    assert not found.has_first_rows
    assert found.rows is not None
    found.rows.put_actions(ACTIONS, {}, [0, 1])
    found.put_step(step(o(2)))
    found.close()
    assert observations(path) == [[0, 1, 2], [0, 1, 2]]
    with h5r.Recording(path) as recording:
        assert [list(each.actions) for each in recording] == [[3, 3], [4, 4]]
        assert [each.seed for each in recording] == [5, 6]


def test_the_first_rows_are_copies(path: Path) -> None:
    found, first = stream(path), o(0)
    infos = {"n": np.array([1, 2])}
    begin(found, first, 0, 1, infos=infos)
    first += 9
    infos["n"] += 9
    found.close()
    assert observations(path) == [[0], [0]]
    with h5r.Recording(path) as recording:
        assert identical([each.infos[0] for each in recording], [{"n": np.int64(1)}, {"n": np.int64(2)}])


def test_another_reset_before_the_first_step_lays_the_columns_out(path: Path) -> None:
    found = stream(path)
    begin(found, o(0), 0, 1)
    begin(found, o(1), 1)
    assert found.rows is not None
    found.close()
    with h5r.Recording(path) as recording:
        assert [(each.env, each.observations[0][0]) for each in recording] == [(1, 0), (0, 0), (1, 1)]


def test_infos_of_every_lane_and_of_finals_get_columns(path: Path) -> None:
    found = stream(path)
    mask = np.array([False, True])
    begin(found, o(0), 0, 1, infos={"second": np.array([0, 2]), "_second": mask})
    finals = {0: (np.zeros(3, np.float32), {"final": np.float64(3)})}
    after = step(o(1), infos={"both": np.array([4, 5])}, flags=(RowFlag.LAST, 0), finals=finals)
    found.put_first_step(ACTIONS, {}, after)
    assert found.rows is not None
    assert {each.key for each in found.rows.schema.infos or ()} == {"second", "final", "both"}
    assert found.rows.schema.num_envs == 2
    found.close()


def test_columns_are_planned_by_the_first_lane_that_has_a_row(path: Path) -> None:
    found = stream(path)
    values = [None, np.zeros(3, np.float32)]  # nothing is recorded of lane 0
    begin(found, values, 1)
    extras = {"value": np.array([0.5, 1.5])}
    found.put_first_step(ACTIONS, extras, step(o(1), flags=(RowFlag.ABSENT, 0)))
    assert found.rows is not None
    assert [each.key for each in found.rows.schema.extras or ()] == ["value"]
    found.close()
    with h5r.Recording(path) as recording:
        assert [(each.env, each.length) for each in recording] == [(1, 1)]
        assert identical(recording[0].extras[0], {"value": np.float64(1.5)})


def test_infos_have_no_columns_where_they_are_not_wanted(path: Path) -> None:
    found = stream(path, infos=False)
    begin(found, o(0), 0, 1, infos={"n": np.array([1, 2])})
    found.put_first_step(ACTIONS, {}, step(o(1)))
    assert found.rows is not None
    assert found.rows.schema.infos is None
    found.close()


def test_closing_without_a_step_keeps_the_first_rows_and_may_be_done_twice(path: Path) -> None:
    found = stream(path)
    begin(found, o(7), 0, 1)
    found.close()
    found.close()
    assert observations(path) == [[7], [7]]


def test_closing_what_was_never_opened_leaves_no_file(path: Path) -> None:
    stream(path).close()
    assert list(path.parent.iterdir()) == []


def test_a_step_after_closing_says_that_the_recording_is_closed(path: Path) -> None:
    found = stream(path)
    begin(found, o(0), 0, 1)
    found.put_first_step(ACTIONS, {}, step(o(1)))
    rows = found.rows
    found.close()
    with pytest.raises(RecordingClosedError):
        found.put_step(step(o(2)))
    with pytest.raises(RecordingClosedError):
        rows.put_actions(ACTIONS, {}, [0, 1])  # type: ignore[union-attr]


def test_a_forked_child_drops_the_stream_and_leaves_the_file(path: Path) -> None:
    found = stream(path)
    begin(found, o(0), 0, 1)
    found.put_first_step(ACTIONS, {}, step(o(1)))
    lock = found.session._lock
    found.abandon()
    assert found.rows is None
    assert path.with_name("run.h5.journal").exists()
    assert lock is not None
