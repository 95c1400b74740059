"""Warnings point at the line of the user's program that they are about."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record import notices
from gym_h5record.errors import RecordingWarning, WriterError
from tests.zoo import ZooEnv


def line_of(code: str) -> int:
    """The number of the only line of this file that is this."""
    lines = [line.strip() for line in Path(__file__).read_text().splitlines()]
    assert lines.count(code) == 1
    return lines.index(code) + 1


def as_in(module: str) -> Callable[..., None]:
    """A function of a module, which calls the first of its arguments with the others, or warns if there is none."""
    scope: dict[str, Any] = {"__name__": module, "warn": notices.warn}
    exec("def call(*calls):\n    calls[0](*calls[1:]) if calls else warn('odd')", scope)
    call: Callable[..., None] = scope["call"]
    return call


@pytest.mark.parametrize(
    "modules",
    [
        ["gym_h5record"],
        ["gym_h5record.recorder.wrapper", "gym_h5record.writing.row_writer"],
        ["gymnasium.core", "gymnasium.wrappers.common", "gym_h5record.recorder.wrapper"],
        ["gym_h5record.recorder.wrapper", "contextlib", "gym_h5record.recorder.on_error"],
    ],
    ids=len,
)
def test_a_warning_points_behind_the_package_and_gymnasium(modules: list[str]) -> None:
    first, *rest = map(as_in, modules)
    with pytest.warns(RecordingWarning, match="^odd$") as caught:
        first(*rest)
    assert (caught[0].filename, caught[0].lineno) == (__file__, line_of("first(*rest)"))


@pytest.mark.parametrize("module", ["gym_h5record_of_mine", "gymnasium_robotics.envs", "__main__"])
def test_a_module_with_a_name_like_theirs_is_the_users(module: str) -> None:
    with pytest.warns(RecordingWarning) as caught:
        as_in("gym_h5record.x")(as_in(module), as_in("gym_h5record.y"))
    assert (caught[0].filename, caught[0].lineno) == ("<string>", 2)


def test_a_warning_from_the_outermost_frame_is_given_too() -> None:
    """Exit functions have no caller."""
    scope = {"__name__": "gym_h5record.recorder.living"}
    with pytest.warns(RecordingWarning, match="odd"):
        exec("import threading, gym_h5record.notices as n\nn.warn('odd')", scope)


# What the recorder warns of -----------------------------------------------------------------------


class Page:
    """Cannot be copied, and has no exact form."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("no copy")


class Strange(ZooEnv):
    """Renders in a mode of its own; its third reward is none."""

    render_mode = "tactile"

    def __init__(self) -> None:
        super().__init__(spaces.Discrete(3), rewards=(1.0, 2.0, None), infos=lambda _: {})


def test_what_the_recorder_warns_of_is_told_at_the_users_own_call(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorder = h5r.RecordToHDF5(gym.wrappers.TimeLimit(Strange(), 50), tmp_path / "run.h5", writer="inline")
        env = gym.wrappers.OrderEnforcing(recorder)
        recorder.reset(options={"page": Page()})
        recorder.add_extras(page=Page())
        recorder.add_extras(lost=1)
        env.reset()
        env.step(np.int64(0))
        env.step(np.int64(1))
        env.step(np.int64(2))
        env.close()
        recorder.reset()
    assert {(each.filename, each.category) for each in caught} == {(__file__, RecordingWarning)}
    lines = [
        'recorder = h5r.RecordToHDF5(gym.wrappers.TimeLimit(Strange(), 50), tmp_path / "run.h5", writer="inline")',
        'recorder.reset(options={"page": Page()})',
        "recorder.add_extras(page=Page())",
        "env.reset()",
        "env.step(np.int64(2))",
        "recorder.reset()",
    ]
    assert [each.lineno for each in caught] == [*map(line_of, lines)], [str(each.message) for each in caught]


FAILURES: dict[str, Callable[[Any], Any]] = {
    "gym_h5record.writing.row_writer.RowWriter.put_action": lambda env: env.step(np.int64(1)),
    "gym_h5record.writing.row_writer.RowWriter.put_step": lambda env: env.step(np.int64(1)),
    "gym_h5record.writing.row_writer.RowWriter.begin_episode": lambda env: env.reset(),
    "gym_h5record.writing.session.Session.flush": lambda env: env.flush(),
    "gym_h5record.writing.session.Session.close": lambda env: env.close(),
}


@pytest.mark.parametrize(("failing", "call"), FAILURES.items(), ids=[name.rpartition(".")[2] for name in FAILURES])
def test_a_failure_that_is_a_warning_is_told_at_the_users_own_call(
    failing: str, call: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise WriterError("the disk is full")

    env = ZooEnv(spaces.Discrete(3), rewards=(1.0,))
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline", on_error="warn")
    recorder.reset(seed=0)
    recorder.step(np.int64(0))
    with monkeypatch.context() as patch, pytest.warns(RecordingWarning, match="the disk is full") as caught:
        patch.setattr(failing, fail)
        call(recorder)
    recorder.close()
    assert [each.filename for each in caught] == [__file__]
