"""A stream: the first step fixes the columns, there is one session, and it is closed once."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.format import column_planning
from gym_h5record.format.names import Origin
from gym_h5record.recorder import episode_stream
from gym_h5record.recorder.episode_stream import EpisodeStream
from gym_h5record.recorder.provenance import describe_environment, user_metadata
from gym_h5record.recorder.recorded_env import RecordedEnv
from gym_h5record.storage.lock import is_locked
from gym_h5record.writing import claim, session
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.options import make_options
from gym_h5record.writing.row_writer import begin_json
from gym_h5record.writing.session import Session
from tests.writing import CountingClock
from tests.zoo import ForeignArray

ENV = gym.make("CartPole-v1")
START = np.zeros(4, np.float32)


def make_stream(
    path: Path, mode: str = "x", metadata: dict[str, Any] | None = None, *, times: bool = True
) -> EpisodeStream:
    recorded = RecordedEnv(
        attributes={**describe_environment(ENV), **user_metadata(metadata), "frames": "none"},
        spaces=(ENV.observation_space, ENV.action_space),
        fps=50.0,
        frames="none",
        infos=True,
        times=times,
        has_user_metadata=bool(metadata),
    )
    options = make_options(path, mode, "gzip", None, "inline", 1.0, "process", checksum=False)
    return EpisodeStream(Session(options), recorded)


def begin(stream: EpisodeStream, number: int = 0) -> Any:
    return stream.begin_episode(START, {}, None, begin_json(None, None, Origin.RESET, number))


def take_first_step(stream: EpisodeStream) -> Any:
    return stream.record_first_step(1, {}, (START + 1, 1.0, False, False, {}), None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def test_the_file_is_opened_with_the_first_episode_and_laid_out_with_the_first_step(path: Path) -> None:
    stream = make_stream(path)
    assert not is_locked(path)
    assert begin(stream) is None
    assert stream.has_first_row
    assert is_locked(path)
    assert stream.rows is None
    rows = take_first_step(stream)
    assert rows is stream.rows
    assert not stream.has_first_row
    assert begin(stream, 1) is rows
    stream.close()
    assert stream.session.is_closed
    with h5r.Recording(path) as recording:
        assert [each.length for each in recording.episodes] == [1, 0]
        assert recording.fps == 50.0


def test_the_row_that_waits_for_the_first_step_is_a_copy(path: Path) -> None:
    stream, observation, info = make_stream(path), START.copy(), {"kept": [1]}
    stream.begin_episode(observation, info, None, begin_json(None, None, Origin.RESET, 0))
    observation[:] = 9
    info["kept"].append(2)
    take_first_step(stream)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.episodes[0].observations[0].tolist() == [0, 0, 0, 0]
        assert recording.episodes[0].infos[0] == {"kept": [1]}  # type: ignore[index]


def test_the_row_that_waits_has_the_time_of_the_reset(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = CountingClock(monkeypatch)
    stream = make_stream(path)
    begin(stream)  # 1 when it is opened, 2 for the row
    clock()
    take_first_step(stream)
    stream.close()
    with h5py.File(path) as file:
        assert file["times"][:2].tolist() == [1, 3]


def test_rows_may_have_times_of_their_own(path: Path) -> None:
    stream = make_stream(path)
    stream.open()
    began_ns = stream.session.began_ns
    stream.begin_episode(START, {}, None, begin_json(None, None, Origin.RESET, 0), began_ns + 7)
    stream.record_first_step(1, {}, (START + 1, 1.0, False, False, {}), None, began_ns + 8)
    stream.begin_episode(START, {}, None, begin_json(None, None, Origin.RESET, 1), began_ns + 9)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.rows.times.tolist() == [7e-9, 8e-9, 9e-9]  # type: ignore[union-attr]


def test_a_stream_without_times_has_no_column_of_them(path: Path) -> None:
    stream = make_stream(path, times=False)
    begin(stream)
    take_first_step(stream)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.rows.times is None


def test_a_recording_says_when_it_was_created(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    created_at = stream.session.began_at
    take_first_step(stream)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.metadata["created_at"] == created_at


def test_extras_of_the_first_step_are_recorded_with_it(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    rows = stream.record_first_step(1, {"value": 0.5}, (START + 1, 1.0, False, False, {}), None)
    rows.put_action(0, {"value": 1.5, "late": 2})
    rows.put_step(START + 2, 1.0, False, False, {}, None)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.episodes[0].extras[:] == [{"value": 0.5}, {"value": 1.5, "late": 2}]  # type: ignore[index]
        assert [column.key for column in recording.schema.extras or ()] == ["value"]


def test_a_value_that_cannot_be_copied_is_kept_in_its_recorded_form(path: Path) -> None:
    class Gradient(ForeignArray):
        def __deepcopy__(self, memo: Any) -> Any:
            raise RuntimeError("only leaves of a graph can be copied")

    stream = make_stream(path)
    with pytest.warns(errors.RecordingWarning, match="its NumPy array"):
        stream.begin_episode(Gradient(START), {}, None, begin_json(None, None, Origin.RESET, 0))
    take_first_step(stream)
    stream.close()
    with h5r.Recording(path) as recording:
        assert recording.episodes[0].observations[0].tolist() == START.tolist()


def test_a_first_row_without_a_step_is_recorded_when_the_stream_is_closed(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    stream.close()
    stream.close()
    with h5r.Recording(path) as recording:
        assert [each.length for each in recording.episodes] == [0]


def test_a_step_after_the_end_begins_an_episode_with_the_newest_row(path: Path) -> None:
    stream = make_stream(path)
    assert stream.step_on(0) is None
    begin(stream)
    assert stream.step_on(0) is None  # the first step shows the columns
    rows = take_first_step(stream)
    assert stream.step_on(0) is rows
    stream.close()
    with h5r.Recording(path) as recording:
        assert [each.origin for each in recording.episodes] == [Origin.RESET, Origin.AFTER_DONE]
        assert recording.episodes[1].observations[0].tolist() == [1, 1, 1, 1]


def test_a_stream_without_an_episode_leaves_nothing(path: Path) -> None:
    stream = make_stream(path)
    stream.session.tick()
    stream.session.flush()
    stream.close()
    assert stream.session.is_closed
    assert not [*path.parent.iterdir()]


def test_an_abandoned_stream_lets_go_without_closing(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    take_first_step(stream)
    stream.abandon()
    assert stream.session.is_closed
    assert not is_locked(path)
    with pytest.raises(errors.InterruptedRecordingError):
        h5r.Recording(path)
    assert h5r.repair(path).num_steps == 1


def test_a_thread_that_records_while_the_stream_is_closed_is_refused_and_nothing_is_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make_stream(path)
    begin(stream)
    rows = take_first_step(stream)
    finish = InlineWorker.finish
    finished: list[InlineWorker] = []

    def finish_late(worker: InlineWorker) -> None:
        for go_on in (
            lambda: begin(stream, 1),
            lambda: take_first_step(stream),
            lambda: stream.step_on(0),
            lambda: rows.begin_episode(START, {}, None, begin_json(None, None, Origin.RESET, 1)),
            lambda: rows.put_action(0),
            lambda: rows.put_step(START, 1.0, False, False, {}, None),
            rows.end_episode,
            stream.session.flush,
            stream.session.tick,
        ):
            with pytest.raises(errors.RecordingClosedError, match="closed: nothing is recorded any more"):
                go_on()
        finish(worker)
        finished.append(worker)

    monkeypatch.setattr(InlineWorker, "finish", finish_late)
    stream.close()
    assert len(finished) == 1
    with h5r.Recording(path) as recording:
        assert [each.length for each in recording.episodes] == [1]


@pytest.mark.parametrize("when", ["the columns are planned", "the session is opened"])
def test_a_stream_that_another_thread_closes_in_its_first_step_leaves_nothing_open(
    when: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make_stream(path)

    def then_close(function: Any) -> Any:
        def closing(*arguments: Any, **options: Any) -> Any:
            found = function(*arguments, **options)
            thread = threading.Thread(target=stream.close)
            thread.start()
            thread.join()
            return found

        return closing

    if when == "the columns are planned":
        begin(stream)
        monkeypatch.setattr(episode_stream, "plan_columns", then_close(column_planning.plan_columns))
    else:
        monkeypatch.setattr(session, "claim_path", then_close(claim.claim_path))
    with pytest.raises(errors.RecordingClosedError):
        begin(stream)
        take_first_step(stream)
    assert stream.session.is_closed
    assert not is_locked(path)
    assert [*path.parent.iterdir()] == []


def test_other_columns_cannot_be_appended_and_leave_the_file_as_it_was(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    take_first_step(stream)
    stream.close()
    before = path.read_bytes()
    other = make_stream(path, "a")
    other.recorded.attributes["frames"] = "render"  # type: ignore[index]
    with pytest.raises(errors.SchemaMismatchError, match="its frames are 'none', here they would be 'render'"):
        begin(other)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]


def test_metadata_given_while_appending_is_not_recorded_and_is_warned_of(path: Path) -> None:
    stream = make_stream(path)
    begin(stream)
    stream.close()
    stream = make_stream(path, "a", {"note": "more"})
    with pytest.warns(errors.RecordingWarning, match="keeps the metadata it began with"):
        begin(stream)
    stream.close()


def test_appending_from_an_environment_with_another_spec_is_warned_of(path: Path) -> None:
    for mode, options in (("x", {}), ("a", {}), ("a", {"sutton_barto_reward": True})):
        env = gym.make("CartPole-v1", **options)
        recorder = h5r.RecordToHDF5(env, path, mode=mode, writer="inline")
        if options:
            with pytest.warns(errors.RecordingWarning, match="this environment has another one"):
                recorder.reset()
        else:
            recorder.reset()
        recorder.step(0)
        recorder.close()


# What cannot begin --------------------------------------------------------------------------------


@pytest.fixture
def closed(path: Path) -> bytes:
    """The bytes of a recording at the path, closed."""
    stream = make_stream(path)
    begin(stream)
    take_first_step(stream)
    stream.close()
    return path.read_bytes()


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, KeyboardInterrupt])
def test_any_error_while_it_compares_leaves_neither_lock_nor_journal(
    error: type[BaseException], path: Path, closed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error("while it compares")

    with monkeypatch.context() as patched:
        patched.setattr(episode_stream, "check_same", fail)
        with pytest.raises(error):
            begin(make_stream(path, "a"))
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
    assert path.read_bytes() == closed
    stream = make_stream(path, "a")  # the lock is free
    begin(stream)
    stream.close()


@pytest.mark.usefixtures("closed")
def test_a_warning_that_is_an_error_leaves_neither_lock_nor_journal(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.RecordingWarning)
        with pytest.raises(errors.RecordingWarning, match="keeps the metadata"):
            begin(make_stream(path, "a", {"note": "more"}))
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
