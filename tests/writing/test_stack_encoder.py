"""The encoder of stacks: what it stores, and that nothing but a published row is continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.format.nodes import DictOf, Scalar, Stack
from gym_h5record.format.schema import Schema
from gym_h5record.writing.row_writer import begin_json
from tests.stacking import MOVES, NESTS, START, StackingEnv, check_stacks, record_stacks
from tests.writing import Pen, each_writer, make_schema, recover, small_journal
from tests.zoo import NAN_WITH_PAYLOAD, ForeignArray, check_identical

DEPTH = 3


def stack_schema(dtype: Any = np.int64) -> Schema:
    """Stacks of three frames of two numbers."""
    return replace(make_schema(), observation=Stack("observations", np.dtype(dtype), (DEPTH, 2)))


def tree_schema() -> Schema:
    """Such a stack and a number."""
    parts = (
        ("n", Scalar("observations/n", np.dtype(np.int64))),
        ("s", replace(stack_schema().observation, name="observations/s")),
    )
    return replace(make_schema(), observation=DictOf("observations", parts))


def stack(*numbers: float, dtype: Any = np.int64) -> np.ndarray:
    return np.array([(number, number) for number in numbers], dtype)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def stored(path: Path, name: str = "observations") -> tuple[list[int], list[int]]:
    """The newest frame of each row, and how many earlier frames it has. Frames are named by their first number."""
    with h5py.File(path) as file:
        rows = int(file["commit"][0])
        ends = file[f"{name}/earlier/ends"][:rows]
        return file[f"{name}/newest"][:rows, 0].tolist(), np.diff(ends, prepend=0).tolist()


def observations(path: Path) -> list[Any]:
    with h5r.Recording(path) as recording:
        found = list(recording.rows.observations)
        check_identical([*recording.rows.observations[:]], found, "a slice")
        return found


# What is stored ---------------------------------------------------------------------------------------


def test_a_row_that_slides_stores_its_newest_frame(path: Path) -> None:
    values = [stack(1, 1, 1), stack(1, 1, 2), stack(1, 2, 3), stack(7, 8, 9), stack(8, 9, 9), stack(8, 9, 9)]
    with Pen(path, stack_schema()) as pen:
        pen.begin(values[0])
        for value in values[1:]:
            pen.step(value)
        pen.begin(values[-1])
        pen.step(stack(9, 9, 9))
    assert stored(path) == ([1, 2, 3, 9, 9, 9, 9, 9], [2, 0, 0, 2, 0, 2, 2, 0])
    check_identical(observations(path), [*values, values[-1], stack(9, 9, 9)], "observations")


def test_the_first_row_of_an_episode_stores_its_earlier_frames_even_if_it_would_slide(path: Path) -> None:
    with Pen(path, stack_schema()) as pen:
        pen.begin(stack(1, 1, 1))
        pen.step(stack(1, 1, 1), terminated=True)
        pen.begin(stack(1, 1, 1))
    assert stored(path) == ([1, 1, 1], [2, 0, 2])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_frames_slide_by_their_bits(dtype: Any, path: Path) -> None:
    nan, zero = NAN_WITH_PAYLOAD, 0.0
    values = [
        stack(nan, zero, 1, dtype=dtype),
        stack(zero, 1, nan, dtype=dtype),  # slides
        stack(-zero, 1, nan, dtype=dtype),
        stack(1, nan, -nan, dtype=dtype),  # slides
        stack(nan, nan, 5, dtype=dtype),
    ]
    with Pen(path, stack_schema(dtype)) as pen:
        pen.begin(values[0])
        for value in values[1:]:
            pen.step(value)
    assert stored(path)[1] == [2, 0, 2, 0, 2]
    check_identical(observations(path), values, "observations")


def test_the_value_may_change_later_and_may_be_a_view(path: Path) -> None:
    buffer = np.zeros((DEPTH, 4), np.int64)
    with Pen(path, stack_schema()) as pen:
        view = buffer[::-1, ::2]
        pen.begin(view)
        for number in range(1, 4):
            buffer[1:] = buffer[:-1].copy()
            buffer[0] = number
            pen.step(view)
    check_identical(observations(path), [stack(0, 0, 0), stack(0, 0, 1), stack(0, 1, 2), stack(1, 2, 3)], "views")
    assert stored(path)[1] == [2, 0, 0, 0]


def test_an_array_of_another_library_is_stored_as_one_of_numpy(path: Path) -> None:
    with Pen(path, stack_schema()) as pen:
        pen.begin(stack(1, 2, 3))
        with pytest.warns(RecordingWarning, match="values of type ForeignArray are recorded as NumPy arrays"):
            pen.step(ForeignArray(stack(2, 3, 4)))
        pen.step(stack(3, 4, 5))
    assert stored(path) == ([3, 4, 5], [2, 0, 0])
    check_identical(observations(path), [stack(1, 2, 3), stack(2, 3, 4), stack(3, 4, 5)], "observations")


# Rows that have no stack ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
@pytest.mark.parametrize("misfit", [stack(1, 2), stack(2, 3, 4, dtype=np.int32), None, [1], np.float32(1)], ids=repr)
def test_a_value_that_does_not_fit_is_continued_by_nothing(misfit: Any, path: Path) -> None:
    """The stack after it would slide on from the one before it, and from zeros."""
    values = [stack(1, 2, 3), misfit, stack(2, 3, 4), misfit, misfit, stack(0, 0, 1), stack(0, 1, 2)]
    with Pen(path, stack_schema()) as pen:
        pen.begin(values[0])
        for value in values[1:]:
            pen.step(value)
        pen.begin(misfit)
        pen.step(stack(0, 0, 1))
    assert stored(path)[1] == [2, 2, 2, 2, 2, 2, 0, 2, 2]
    with h5r.Recording(path) as recording:
        check_identical(list(recording.rows.observations), [*values, misfit, stack(0, 0, 1)], "observations")


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_a_tree_that_does_not_fit_is_continued_by_nothing(path: Path) -> None:
    values = [
        {"n": 1, "s": stack(1, 2, 3)},
        {"n": 1},
        {"n": 1, "s": stack(2, 3, 4)},
        None,
        {"n": 1, "s": stack(0, 0, 1)},
    ]
    with Pen(path, tree_schema()) as pen:
        pen.begin(values[0])
        for value in values[1:]:
            pen.step(value)
        pen.begin({})
        pen.step({"n": 1, "s": stack(0, 0, 2)})
    assert stored(path, "observations/s")[1] == [2, 2, 2, 2, 2, 2, 2]
    with h5r.Recording(path) as recording:
        found = list(recording.rows.observations)
    check_identical(found, [*values, {}, {"n": 1, "s": stack(0, 0, 2)}], "observations")


# An agent that steps on after the end -----------------------------------------------------------------


def step_on(pen: Pen) -> None:
    pen.rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, 1))


def test_a_repeated_row_gets_the_earlier_frames_of_its_stack(path: Path) -> None:
    with Pen(path, stack_schema()) as pen:
        pen.begin(stack(1, 2, 3))
        pen.step(stack(2, 3, 4), terminated=True)
        step_on(pen)
        pen.step(stack(3, 4, 5), terminated=True)
        step_on(pen)
        step_on(pen)
        pen.step(stack(5, 5, 5))
    assert stored(path) == ([3, 4, 4, 5, 5, 5, 5], [2, 0, 2, 0, 2, 2, 2])
    expected = [(1, 2, 3), (2, 3, 4), (2, 3, 4), (3, 4, 5), (3, 4, 5), (3, 4, 5), (5, 5, 5)]
    check_identical(observations(path), [stack(*each) for each in expected], "observations")


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_a_repeated_row_without_a_stack_is_continued_by_nothing(path: Path) -> None:
    with Pen(path, stack_schema()) as pen:
        pen.begin(stack(1, 2, 3))
        pen.step("none", terminated=True)
        step_on(pen)
        pen.step(stack(2, 3, 4))
    assert stored(path)[1] == [2, 2, 2, 2]
    with h5r.Recording(path) as recording:
        check_identical(
            list(recording.rows.observations), [stack(1, 2, 3), "none", "none", stack(2, 3, 4)], "observations"
        )


# Rows that are never published ------------------------------------------------------------------------


class Interrupted(BaseException):
    """Comes in the middle of a row."""


@pytest.fixture
def interrupted(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pen]:
    """An episode of (1, 2, 3) and (2, 3, 4), and a row of (3, 4, 5) that was encoded and not published."""
    with Pen(path, stack_schema()) as pen:
        pen.begin(stack(1, 2, 3))
        pen.step(stack(2, 3, 4))
        with monkeypatch.context() as patch:
            patch.setattr(pen.rows, "_publish", _raise)
            with pytest.raises(Interrupted):
                pen.step(stack(3, 4, 5))
            with pytest.raises(Interrupted):
                pen.begin(stack(7, 7, 7))
        yield pen


def _raise(*_: Any) -> None:
    raise Interrupted


def test_a_row_that_was_not_published_is_not_continued(interrupted: Pen, path: Path) -> None:
    interrupted.begin(stack(3, 4, 5))
    interrupted.step(stack(4, 5, 6))
    interrupted.close()
    expected = [(1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 6)]
    check_identical(observations(path), [stack(*each) for each in expected], "observations")
    assert stored(path)[1] == [2, 0, 2, 0]


def test_a_row_that_was_not_published_is_not_repeated(
    interrupted: Pen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(interrupted.rows, "_publish", _raise)
        for _ in range(2):
            with pytest.raises(Interrupted):
                step_on(interrupted)
    step_on(interrupted)
    interrupted.step(stack(3, 4, 6))
    interrupted.close()
    expected = [(1, 2, 3), (2, 3, 4), (2, 3, 4), (3, 4, 6)]
    check_identical(observations(path), [stack(*each) for each in expected], "observations")
    assert stored(path)[1] == [2, 0, 2, 0]


# Journals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["slide", "jump"])
def test_a_larger_journal_knows_the_row_before(last: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8, max_bytes=1 << 16)
    text = "x" * 20_000  # has no room in the journal
    value = stack(2, 3, 4) if last == "slide" else stack(7, 8, 9)
    with Pen(path, stack_schema(), journal_bytes=1 << 16) as pen:
        pen.begin(stack(1, 2, 3))
        before = pen.session.journal
        pen.step(value, terminated=True, info={"text": text})
        assert pen.session.journal is not before
        step_on(pen)
        pen.step(np.concatenate([value[1:], stack(5)]))
    assert stored(path)[1] == [2, 0 if last == "slide" else 2, 2, 0]
    check_identical(observations(path), [stack(1, 2, 3), value, value, np.concatenate([value[1:], stack(5)])], "all")


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("nest", NESTS)
def test_every_kind_of_row_comes_back(writer: str, nest: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 16)
    orders = [*START]
    for move in MOVES:
        orders += [move, "slide", f"reset {move}", "slide", move, move, f"end {move}", "slide", move, "discard"]
        orders += ["slide", "reset fill", f"end {move}", move, "end slide", "slide", "slide"]
    episodes = record_stacks(path, orders, StackingEnv(4, np.float32, nest), writer=writer)
    check_stacks(path, episodes)


def test_rows_of_a_killed_recorder_come_back(path: Path) -> None:
    source = """
        import os, signal, sys
        import gym_h5record as h5r
        from tests.stacking import Player, StackingEnv
        env = h5r.RecordToHDF5(StackingEnv(), sys.argv[1], writer="inline", flush_interval_s=1e6)
        Player(env).perform(sys.argv[2].split(","))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    orders = [*START, *["slide"] * 20, "jump", "repeat", "reset fill", *["slide"] * 9, "end slide", "slide", "slide"]
    dead = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), str(path), ",".join(orders)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL
    recover(path)
    check_stacks(path, record_stacks(path.with_name("twin.h5"), orders, writer="inline"))
