"""A step, a reset or a close may be cut short: earlier rows are kept, and recording goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.format.names import Origin
from gym_h5record.storage.lock import RecordingLock, is_locked
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.options import make_options
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session
from tests.writing import (
    NEVER_S,
    Pen,
    check_alone,
    check_pairs,
    each_writer,
    make_schema,
    pair,
    run_script,
    small_journal,
    write_pairs,
)

pytestmark = pytest.mark.timeout(60)


class Unwritable:
    def __repr__(self) -> str:
        raise KeyboardInterrupt("no repr")  # what an environment raises itself does not end a row


# Rows ---------------------------------------------------------------------------------------------


@each_writer
@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_a_row_that_raised_leaves_nothing_to_those_after_it(writer: str, tmp_path: Path) -> None:
    schema = make_schema(spaces.Dict(a=spaces.Text(20), b=spaces.Box(-1, 1, (2,), np.float32)), infos=[{"x": 1}])
    good = {"a": "text", "b": np.zeros(2, np.float32)}
    with Pen(tmp_path / "run.h5", schema, writer=writer) as pen:
        for begin in (pen.begin, lambda row, info: pen.rows.repeat_last_row(begin_json(None, None, Origin.RESET, 0))):
            pen.begin(good, {"x": 1, "rest": "first"})
            pen.step(good, info={"x": 1, "rest": "second"})
            with pytest.raises(KeyboardInterrupt, match="no repr"):
                pen.step({**good, "b": 1.5}, reward="odd", info={"x": 2, "rest": Unwritable()})
            begin(good, {"x": 3})
            pen.step(good, info={"x": 4})
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.length for each in recording.episodes] == [1, 1, 1, 1]
        assert [dict(info) for info in recording.rows.infos] == [  # type: ignore[union-attr]
            *({"x": 1, "rest": "first"}, {"x": 1, "rest": "second"}, {"x": 3}, {"x": 4}),
            *({"x": 1, "rest": "first"}, {"x": 1, "rest": "second"}, {"x": 1, "rest": "second"}, {"x": 4}),
        ]
        assert [row["a"] for row in recording.rows.observations] == ["text"] * 8
        assert list(recording.rows.rewards) == [1.0, None] * 4


def test_a_row_that_was_interrupted_when_its_segments_were_written_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_blob = Journal.write_blob

    def interrupted(journal: Journal, at: int, data: bytes) -> None:
        write_blob(journal, at, data)
        monkeypatch.undo()
        raise KeyboardInterrupt

    with Pen(tmp_path / "run.h5", make_schema(spaces.Text(20))) as pen:
        pen.begin("one")
        monkeypatch.setattr(Journal, "write_blob", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pen.step("two")
        pen.begin("three")
        pen.step("four")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.length for each in recording.episodes] == [0, 1]
        assert list(recording.rows.observations) == ["one", "three", "four"]


def test_a_row_without_texts_of_its_own_is_repeated_without_those_of_the_row_before(tmp_path: Path) -> None:
    schema = make_schema(action=spaces.Text(5), infos=[{}])
    with Pen(tmp_path / "run.h5", schema) as pen:
        pen.begin(pair(0), {"note": "begin"})
        pen.step(pair(1), action="a", terminated=True)  # the action is a text of the step, the info has none
        pen.rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, 0))
        pen.rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, 0))
    assert list(h5r.Recording(tmp_path / "run.h5").rows.infos or ()) == [{"note": "begin"}, {}, {}, {}]


# Growth -------------------------------------------------------------------------------------------


@pytest.mark.long
@each_writer
def test_a_journal_that_grows_has_room_for_all_rows_that_it_had_room_for(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 1 << 12, max_bytes=1 << 22)
    picture = spaces.Box(0, 255, (40, 40), np.uint8)
    with Pen(tmp_path / "run.h5", make_schema(picture), writer=writer, row_bytes=1 << 18) as pen:
        before = pen.session.journal
        monkeypatch.setattr(pen.session.journal.__class__, "blob_is_crowded", False)
        pen.begin(np.zeros((40, 40), np.uint8))
        for row in range(1, 700):
            pen.step(np.full((40, 40), row % 251, np.uint8), info={"text": "x" * (30 << 20)} if row == 600 else {})
        assert pen.session.journal is not before
        assert pen.session.journal.capacity_rows >= before.capacity_rows
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [int(each[0, 0]) for each in recording.rows.observations] == [row % 251 for row in range(700)]
    check_alone(tmp_path / "run.h5")


def test_rows_are_not_copied_into_a_journal_with_fewer_slots(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", row_bytes=1 << 14) as pen:
        write_pairs(pen, [50])
        small = Journal.reserve(tmp_path / "small", 1, 1 << 16, blob_bytes=pen.session.journal.blob_bytes)
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr("gym_h5record.writing.journal._MAX_CAPACITY_ROWS", 8)
            with pytest.raises(errors.CorruptRecordingError, match="has no room for the rows of"):
                small.copy_rows(pen.session.journal)
        (tmp_path / "small").unlink()


@each_writer
def test_after_an_interrupt_while_the_journal_was_replaced_rows_go_into_the_new_one(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    take_place = Journal.take_place

    def interrupted(journal: Journal, path: Path) -> None:
        take_place(journal, path)
        signal.raise_signal(signal.SIGINT)

    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        write_pairs(pen, [3])
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "take_place", interrupted)
            pen.begin(pair(0))
            with pytest.raises(KeyboardInterrupt):
                pen.step(pair(1), info={"text": "x" * (4 << 20)})
        for number in range(2, 300):
            pen.begin(pair(number))
            pen.step(pair(-number))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.length for each in recording.episodes] == [3, 0, *[1] * 298]
        assert recording.rows.observations[-1].tolist() == pair(-299).tolist()
    check_alone(tmp_path / "run.h5")


# Sessions -----------------------------------------------------------------------------------------


def test_a_journal_is_laid_out_once(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        with pytest.raises(RuntimeError, match="laid out already"):
            pen.session.lay_out(pen.schema, 30.0, {})
    check_pairs(tmp_path / "run.h5", [3])


@pytest.mark.parametrize(
    ("where", "writer"),
    [
        ((RecordingLock, "_acquire"), "inline"),
        ((Journal, "reserve"), "inline"),
        ((RecordingLock, "_acquire"), "process"),
        ((Journal, "reserve"), "process"),
        ((ProcessWorker, "_started"), "process"),
    ],
)
def test_a_session_that_is_interrupted_while_it_opens_leaves_nothing(
    where: tuple[type, str], writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make_options(tmp_path / "run.h5", "x", "gzip", None, writer, NEVER_S, "process", checksum=False)
    with monkeypatch.context() as patch:
        patch.setattr(*where, _then_interrupt(getattr(*where)))
        session = Session(options)
        with pytest.raises(KeyboardInterrupt):
            open_session(session)
    assert [*tmp_path.iterdir()] == []
    assert not is_locked(tmp_path / "run.h5")


def open_session(session: Session) -> None:
    session.open()
    session.reserve(100, 1000)


def _then_interrupt(function: Callable[..., Any]) -> Callable[..., Any]:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        found = function(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return found

    return interrupted


@each_writer
def test_a_handler_of_a_signal_may_close_what_is_being_closed(writer: str, tmp_path: Path) -> None:
    script = """
        import os, signal, sys, threading, time
        import numpy as np, gymnasium as gym, gym_h5record as h5r
        from tests.zoo import ZooEnv
        rng = np.random.default_rng(0)
        class Noise(gym.Env):
            observation_space = gym.spaces.Box(0, 255, (210, 160, 3), np.uint8)
            action_space = gym.spaces.Discrete(2)
            def reset(self, *, seed=None, options=None):
                return rng.integers(0, 255, (210, 160, 3), np.uint8), {}
            def step(self, action):
                return rng.integers(0, 255, (210, 160, 3), np.uint8), 1.0, False, False, {}
        env = h5r.RecordToHDF5(Noise(), sys.argv[1], writer=sys.argv[2], flush_interval_s=1000)
        signal.signal(signal.SIGTERM, lambda *_: (env.close(), print("closed by the handler")))
        env.reset()
        for _ in range(60):
            env.step(1)
        threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGTERM)).start()
        env.close()
        time.sleep(0.1)
        print("closed")
    """
    done = run_script(script, tmp_path / "run.h5", writer)
    assert done.stdout.split("\n")[:2] == ["closed by the handler", "closed"]
    assert done.stderr == ""
    check_alone(tmp_path / "run.h5")
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 60


# Threads ------------------------------------------------------------------------------------------


def test_a_row_in_the_making_when_another_thread_closes_raises(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4))
        pen.rows.put_action(0)
        rows: Any = pen.rows
        rows._encode_reward = lambda *_: rows.release()  # as if another thread closed in the middle of the row
        with pytest.raises(errors.RecordingClosedError, match="nothing is recorded any more"):
            pen.rows.put_step(pair(5), 1.0, False, False, {}, None)
        assert isinstance(pen.rows, RowWriter)


@each_writer
def test_a_closed_session_drains_no_more(writer: str, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer=writer)
    write_pairs(pen, [3])
    worker, journal = pen.session._worker, pen.session.journal
    pen.close()
    journal.control[Control.HEAD] += 1  # as if a thread still recorded
    with pytest.raises((errors.RecordingClosedError, errors.WriterError)):
        worker.urge()
    check_alone(tmp_path / "run.h5")
    check_pairs(tmp_path / "run.h5", [3])


class Counter(gym.Env[Any, Any]):
    observation_space = spaces.Discrete(1 << 40)
    action_space = spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return np.int64(self.steps), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.int64(self.steps), 1.0, False, False, {}


def test_steps_that_are_not_recorded_drain_when_it_is_time_and_not_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drains: list[int] = []
    path = tmp_path / "run.h5"
    env = h5r.RecordToHDF5(
        Counter(), path, writer="inline", flush_interval_s=NEVER_S, episode_trigger=lambda number: number == 0
    )
    env.reset()
    env.step(0)
    env.reset()
    monkeypatch.setattr(InlineWorker, "watch", lambda _: drains.append(os.getpid()))
    for _ in range(100):
        env.step(0)
    assert drains == []
    monkeypatch.undo()
    env.close()
    assert h5r.Recording(path).num_steps == 1
