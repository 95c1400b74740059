"""One recording being made: what is left of it when it cannot begin."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from gymnasium import spaces

from gym_h5record import Recording, RecordToHDF5, tape
from gym_h5record.errors import RecordingWarning
from tests.zoo import ZooEnv


def record(path: Path, **options: Any) -> Any:
    env = RecordToHDF5(ZooEnv(spaces.Discrete(3)), path, **options)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    return env


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("writer", ["inline", "process"])
def test_whatever_goes_wrong_as_an_appending_recorder_compares_leaves_neither_lock_nor_journal(
    error: type[BaseException], writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    record(path)
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise error("as it compares")

    with monkeypatch.context() as patched:
        patched.setattr(tape, "check_same", fail)
        env = RecordToHDF5(ZooEnv(spaces.Discrete(3)), path, mode="a", writer=writer)
        with pytest.raises(error):
            env.reset()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]
    assert path.read_bytes() == before
    record(path, mode="a")  # nobody holds the lock
    assert Recording(path).num_episodes == 2


def test_a_warning_that_is_an_error_leaves_neither_lock_nor_journal(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    record(path, metadata={"a": 1})
    env = RecordToHDF5(ZooEnv(spaces.Discrete(3)), path, mode="a", metadata={"a": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecordingWarning)
        with pytest.raises(RecordingWarning, match="keeps the metadata"):
            env.reset()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]
