"""Which steps are recorded, with which extras, and when ``keep`` is asked; malformed results are passed on."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_summary import EpisodeSummary
from gym_h5record.values.exact import identical
from tests.writing import each_writer
from tests.zoo import NAN_WITH_PAYLOAD


class Ladder(gym.Env[int, int]):
    """Shows how many steps the episode has; ends after ``length`` steps. An action of -1 raises."""

    action_space = spaces.Discrete(3)

    def __init__(self, length: int = 5) -> None:
        self.observation_space = spaces.Discrete(100)
        self.length = length
        self.rung = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.rung = 0
        return np.int64(0), {"rung": 0}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if action == -1:
            raise ZeroDivisionError("the simulator broke")
        self.rung += 1
        return np.int64(self.rung), 0.5, self.rung % self.length == 0, False, {"rung": self.rung}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def record(path: Path, length: int = 5, **options: Any) -> h5r.RecordToHDF5[Any, Any]:
    return h5r.RecordToHDF5(Ladder(length), path, **{"writer": "inline", **options})


def extras_in(path: Path) -> list[list[dict[str, Any]]]:
    """The extras of every episode."""
    with h5r.Recording(path) as recording:
        return [episode.extras[:] for episode in recording.episodes]  # type: ignore[index]


def columns_in(path: Path) -> list[str]:
    """The keys of extras that have columns."""
    with h5r.Recording(path) as recording:
        return [column.key for column in recording.schema.extras or ()]


# Extras -------------------------------------------------------------------------------------------

EXTRAS: dict[str, Any] = {
    "int": 1,
    "float": -0.7,
    "bool": True,
    "nan": NAN_WITH_PAYLOAD,
    "numpy": np.float32(0.1),
    "int8": np.int8(-3),
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "empty": np.empty((0, 2)),
    "scalar_array": np.array(2.5),
    "swapped": np.arange(3, dtype=">f4"),
    "large": 2**70,
    "text": "go left \ud800",
    "bytes": b"\0\xff",
    "none": None,
    "nested": {"a": (1, [np.arange(2), None]), 5: {2.5}},
    "complex": np.array([1j]),
}
"""Values that agents may add, and the types that must come back."""


@each_writer
def test_extras_come_back_exactly_with_their_types(writer: str, path: Path) -> None:
    env = record(path, writer=writer)
    env.reset()
    given = [
        EXTRAS,
        {key: EXTRAS[key] for key in reversed(EXTRAS)},
        {},
        dict(zip(EXTRAS, EXTRAS.values(), strict=True)),
    ]
    for each in given:
        env.add_extras(**each)
        env.step(0)
    env.close()
    assert identical(extras_in(path), [given])
    with h5r.Recording(path) as recording:
        for key, value in EXTRAS.items():
            assert identical([*recording.episodes[0].extras[key]], [value, value, None, value]), key  # type: ignore[index]


def test_numbers_and_arrays_of_the_first_step_get_columns(path: Path) -> None:
    env = record(path)
    env.reset()
    env.add_extras(**EXTRAS)
    env.step(0)
    env.close()
    without = {"text", "bytes", "none", "nested", "complex"}
    assert columns_in(path) == [key for key in EXTRAS if key not in without]
    with h5py.File(path) as file:
        assert file["extras/float"][:2].tolist() == [-0.7, 0]  # nothing follows the last row
        assert file["extras/array"].shape[1:] == (2, 3)


def test_what_is_changed_after_it_was_added_is_recorded_as_it_was(path: Path) -> None:
    array, nested = np.zeros(2), {"list": [1]}
    env = record(path)
    env.reset()
    for number in range(3):
        env.add_extras(array=array, nested=nested)
        array += 1
        nested["list"].append(number)
        env.step(0)
        array[:] = 100
        array[:] = number + 1
    env.close()
    (found,) = extras_in(path)
    assert [each["array"].tolist() for each in found] == [[0, 0], [1, 1], [2, 2]]
    assert [each["nested"] for each in found] == [{"list": [1]}, {"list": [1, 0]}, {"list": [1, 0, 1]}]


def test_several_calls_before_a_step_are_joined_and_the_last_value_of_a_key_counts(path: Path) -> None:
    env = record(path)
    env.reset()
    for _ in range(2):
        env.add_extras(a=1, b="x")
        env.add_extras(b="y", c=2.5)
        env.add_extras()
        env.add_extras(a=3)
        env.step(0)
    env.step(0)
    env.close()
    assert extras_in(path) == [[{"a": 3, "b": "y", "c": 2.5}] * 2 + [{}]]


def test_keys_and_values_that_come_later_or_fit_no_column_are_kept_without_a_warning(path: Path) -> None:
    given: list[dict[str, Any]] = [
        {"value": 0.5, "mask": np.zeros(3, np.int8)},
        {"value": 0.25, "mask": np.zeros((1, 3), np.int8), "late": 7},
        {"value": np.zeros(2), "mask": [0, 1, 0]},
        {"value": None, "mask": np.zeros(3, np.int16)},
        {"value": 2**53 + 1, "mask": np.ones(3, np.int8), "late": np.arange(2)},
    ]
    env = record(path)
    env.reset()
    for each in given:
        env.add_extras(**each)
        env.step(0)  # warnings are errors here
    env.close()
    assert identical(extras_in(path), [given])
    assert columns_in(path) == ["value", "mask"]


@pytest.mark.parametrize(
    "key", ["json", "json/ends", "a/b", "", ".", "..", "self", "extras", "ключ 😀", "\ud800", "~1"]
)
def test_a_key_may_be_any_text(key: str, path: Path) -> None:
    env = record(path)
    env.reset()
    for number in range(2):
        env.add_extras(**{key: number, "a%2Fb": 0.5, "text": "t"})
        env.step(0)
    env.close()
    assert extras_in(path) == [[{key: number, "a%2Fb": 0.5, "text": "t"} for number in range(2)]]
    with h5r.Recording(path) as recording:
        assert recording.episodes[0].extras[key][:].tolist() == [0, 1]  # type: ignore[index]


def test_a_value_without_an_exact_form_is_named_once_and_kept_as_text(path: Path) -> None:
    class Policy:
        def __repr__(self) -> str:
            return "<Policy>"

    env = record(path)
    env.reset()
    with pytest.warns(RecordingWarning, match=r"/extras: an object of type .*Policy has no exact form") as caught:
        for _ in range(2):
            env.add_extras(policy=Policy())
            env.step(0)
    env.close()
    assert len(caught) == 1
    assert extras_in(path) == [[{"policy": "<Policy>"}] * 2]


@pytest.mark.parametrize("steps_before", [0, 1])
def test_extras_of_a_step_that_raises_are_dropped(steps_before: int, path: Path) -> None:
    env = record(path)
    env.reset()
    for _ in range(steps_before):
        env.add_extras(value=0.0, prompt="before")
        env.step(0)
    env.add_extras(value=1.0, prompt="lost")
    with pytest.raises(ZeroDivisionError):
        env.step(-1)
    env.step(0)
    env.add_extras(value=2.0)
    env.step(0)
    env.close()
    assert extras_in(path) == [[{"value": 0.0, "prompt": "before"}] * steps_before + [{}, {"value": 2.0}]]


def test_extras_that_no_step_takes_are_warned_of_at_the_reset(path: Path) -> None:
    env = record(path)
    lost = r"reset\(\) came before the step that the last extras belong to: they are not recorded"
    for _ in range(2):  # also before the first reset
        env.add_extras(value=1.0)
        with pytest.warns(RecordingWarning, match=lost):
            env.reset()
        env.step(0)
    env.add_extras(value=2.0)
    env.close()
    assert extras_in(path) == [[{}], [{}]]


def test_extras_of_steps_that_are_not_recorded_are_dropped(path: Path) -> None:
    env = record(path, length=50, episode_trigger=lambda number: number == 1, step_trigger=lambda number: number == 7)
    step = 0
    for _ in range(4):
        env.reset()
        for _ in range(3):
            env.add_extras(step=step)
            env.step(0)
            step += 1
    env.close()
    # The third episode is recorded from the observation that step 7 led to.
    assert extras_in(path) == [[{"step": number} for number in numbers] for numbers in ((3, 4, 5), (8,))]


def test_extras_of_a_step_after_the_end_belong_to_the_episode_that_it_begins(path: Path) -> None:
    env = record(path, length=2)
    env.reset()
    for number in range(5):
        env.add_extras(number=number)
        env.step(0)
    env.close()
    assert extras_in(path) == [[{"number": number} for number in numbers] for numbers in ((0, 1), (2, 3), (4,))]
    with h5r.Recording(path) as recording:
        assert [each.origin for each in recording.episodes] == [Origin.RESET, Origin.AFTER_DONE, Origin.AFTER_DONE]


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_recording_may_have_no_extras_or_get_them_late(is_flushed: bool, path: Path) -> None:
    env = record(path)
    env.reset()
    if is_flushed:
        env.flush()  # this fixes the columns before the first step
        env.add_extras(value=0.5)
    env.step(0)
    env.add_extras(value=1.5)
    env.step(0)
    env.close()
    assert extras_in(path) == [[{"value": 0.5} if is_flushed else {}, {"value": 1.5}]]
    assert columns_in(path) == []
    with h5py.File(path) as file:
        assert [*file["extras"]] == ["json"]


def test_appended_extras_use_the_columns_of_the_recording(path: Path) -> None:
    for number in range(2):
        env = record(path, mode="a")
        env.reset()
        env.add_extras(**({"value": 0.5} if number == 0 else {"value": 1.5, "other": 3}))
        env.step(0)
        env.close()
    assert extras_in(path) == [[{"value": 0.5}], [{"value": 1.5, "other": 3}]]
    assert columns_in(path) == ["value"]


def test_extras_are_nothing_to_a_copy_and_to_a_recorder_that_is_closed(path: Path) -> None:
    env = record(path)
    env.reset()
    env.step(0)
    twin: Any = copy.deepcopy(env)
    twin.add_extras(value=1.0)
    twin.step(0)
    env.step(0)
    env.close()
    env.add_extras(value=1.0)
    env.step(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the recorder has been closed")
        env.reset()
    assert extras_in(path) == [[{}, {}]]


# Times --------------------------------------------------------------------------------------------


@each_writer
def test_times_never_go_back_and_the_first_is_that_of_the_reset(writer: str, path: Path) -> None:
    env = record(path, writer=writer)
    for _ in range(3):
        env.reset()
        for _ in range(4):
            env.step(0)
    env.close()
    with h5r.Recording(path) as recording, h5py.File(path) as file:
        times: Any = recording.rows.times
        assert (np.diff(times) > 0).all()
        assert 0 <= times[0] < times[-1] < 60
        assert file["times"].dtype == np.int64
        assert identical(times, file["times"][:15] / 1e9)
        assert identical(recording.episodes[1].times, times[5:10])


def test_without_times_there_is_no_column(path: Path) -> None:
    env = record(path, times=False)
    env.reset()
    env.step(0)
    env.close()
    with h5r.Recording(path) as recording, h5py.File(path) as file:
        assert recording.rows.times is recording.episodes[0].times is None
        assert "times" not in file


# keep ---------------------------------------------------------------------------------------------


def summaries_of(
    path: Path, play: Callable[[h5r.RecordToHDF5[Any, Any]], None], **options: Any
) -> list[EpisodeSummary]:
    """What ``keep`` was asked while an environment was played. It keeps everything."""
    asked: list[EpisodeSummary] = []
    env = record(path, keep=lambda summary: asked.append(summary) or True, **options)
    play(env)
    env.close()
    env.close()
    return asked


def told(summaries: list[EpisodeSummary]) -> list[tuple[Any, ...]]:
    return [(each.length, each.total_reward, each.complete, each.last_info, each.seed) for each in summaries]


def test_keep_is_asked_about_every_episode_when_it_ends(path: Path) -> None:
    asked: list[int] = []

    def play(env: gym.Env[Any, Any]) -> None:
        for seed, steps in ((3, 5), (None, 2), (4, 0), (5, 1)):  # ended, reset early, without a step, closed early
            env.reset(seed=seed)
            for _ in range(steps):
                env.step(0)
            asked.append(steps)

    assert told(summaries_of(path, play)) == [
        (5, 2.5, True, {"rung": 5}, 3),
        (2, 1.0, False, {"rung": 2}, None),
        (0, 0.0, False, {"rung": 0}, 4),
        (1, 0.5, False, {"rung": 1}, 5),
    ]
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [5, 2, 0, 1]


def test_keep_is_asked_at_once_when_the_environment_ends_an_episode(path: Path) -> None:
    asked: list[int] = []
    env = record(path, length=2, keep=lambda summary: asked.append(summary.length) or True)
    env.reset()
    for number in range(6):
        env.step(0)  # it steps on after the ends
        assert asked == [2] * ((number + 1) // 2)
    env.close()
    assert asked == [2, 2, 2]


def test_keep_is_not_asked_about_what_is_not_recorded(path: Path) -> None:
    def play(env: gym.Env[Any, Any]) -> None:
        for _ in range(4):
            env.reset()
            for _ in range(3):
                env.step(0)

    options = {"episode_trigger": lambda number: number == 1, "step_trigger": lambda number: number in (7, 10)}
    assert [each.length for each in summaries_of(path, play, **options)] == [3, 1, 1]
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [3, 1, 1]


def test_keep_is_asked_about_an_episode_that_the_step_trigger_ends(path: Path) -> None:
    def play(env: gym.Env[Any, Any]) -> None:
        env.reset(seed=9)
        for _ in range(4):
            env.step(0)

    found = told(summaries_of(path, play, step_trigger=lambda number: number in (0, 2)))
    assert found == [(2, 1.0, False, {"rung": 3}, None), (1, 0.5, False, {"rung": 4}, None)]


def test_an_error_of_keep_is_raised_and_leaves_the_recording_in_order(path: Path) -> None:
    answers = iter([True, ValueError("odd"), True])

    def keep(_: EpisodeSummary) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    env = record(path, length=2, keep=keep)
    for number in range(3):
        env.reset()
        env.step(0)
        if number == 1:
            with pytest.raises(ValueError, match="odd"):
                env.step(0)
        else:
            env.step(0)
    env.close()
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [2, 2, 2]
        assert all(episode.complete for episode in recording.episodes)


@pytest.mark.parametrize("moment", ["reset", "close"])
def test_an_error_of_keep_keeps_the_episode_that_it_was_asked_about(moment: str, path: Path) -> None:
    def keep(summary: EpisodeSummary) -> bool:
        if summary.length == 3:
            raise ValueError("odd")
        return True

    env = record(path, keep=keep)
    env.reset()
    for _ in range(3):
        env.step(0)
    with pytest.raises(ValueError, match="odd"):
        env.reset() if moment == "reset" else env.close()
    if moment == "reset":
        env.step(0)  # of the episode that the reset began
        env.close()
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == ([3, 1] if moment == "reset" else [3])
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]
    assert h5r.validate(path, deep=True) == []


@pytest.mark.long
@pytest.mark.sampled(2)
@pytest.mark.compacted
@pytest.mark.parametrize("how", ["discard_episode", "keep"])
@each_writer
def test_a_discarded_episode_of_100_000_steps_leaves_nothing_behind(how: str, writer: str, path: Path) -> None:
    def play(name: str, lengths: tuple[int, ...]) -> Path:
        keep = (lambda summary: summary.length < 100_000) if how == "keep" else None
        env = record(path.with_name(name), 10**9, writer=writer, keep=keep, times=False, metadata={"run_id": "r"})
        for length in lengths:
            env.reset()
            for _ in range(length):
                env.step(0)
            if length == 100_000 and how == "discard_episode":
                env.discard_episode()
        env.close()
        return path.with_name(name)

    found, expected = play("found.h5", (30, 100_000, 50)), play("expected.h5", (30, 50))
    assert h5r.diff(expected, found).ok
    assert (
        abs(found.stat().st_size - expected.stat().st_size) < 512
    )  # the numbers of the reset and of what was discarded
    with h5r.Recording(found) as recording:
        numbers = recording.metadata["discarded_episodes"], recording.metadata["discarded_steps"]
        assert (numbers, recording.num_rows) == ((1, 100_000), 82)
        assert [each.episode_id for each in recording.episodes] == [0, 2]
    assert h5r.validate(found, deep=True) == []


# Malformed results --------------------------------------------------------------------------------


class Old(Ladder):
    """Answers as environments did before Gymnasium, in the calls that are named."""

    def __init__(self, *calls: str) -> None:
        super().__init__()
        self.calls = calls

    def reset(self, **arguments: Any) -> Any:
        result = super().reset(**arguments)
        return result[0] if "reset" in self.calls else result

    def step(self, action: int) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        is_old = "step" in self.calls or f"step {self.rung}" in self.calls
        return (observation, reward, terminated, info) if is_old else (observation, reward, terminated, False, info)


def record_old(path: Path, *calls: str) -> Any:
    return h5r.RecordToHDF5(Old(*calls), path, writer="inline")


def test_a_reset_of_an_older_interface_is_passed_on_with_one_warning_and_nothing_is_recorded(path: Path) -> None:
    env = record_old(path, "reset", "step")
    with pytest.warns(RecordingWarning) as caught:
        for _ in range(3):
            assert env.reset() == 0
            assert [env.step(0) for _ in range(2)] == [(n, 0.5, False, {"rung": n}) for n in (1, 2)]
        env.close()
    messages = [str(each.message) for each in caught]
    assert len(messages) == 2
    assert messages[0].startswith("reset() of the environment returned")
    assert "expected (observation, info). It is passed on, and nothing is recorded until the next reset." in messages[0]
    assert messages[1].startswith("step() of the environment returned")
    assert "expected (observation, reward, terminated, truncated, info)" in messages[1]
    assert not [*path.parent.iterdir()]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_recording_of_an_episode_stops_at_a_step_of_an_older_interface(steps: int, path: Path) -> None:
    env = record_old(path, f"step {steps + 1}")
    with pytest.warns(RecordingWarning, match=r"step\(\) of the environment returned .* is recorded until") as caught:
        for _ in range(2):
            env.reset()
            results = [env.step(0) for _ in range(5)]
            assert [len(each) for each in results] == [5] * steps + [4] + [5] * (4 - steps)
        env.close()
    assert len(caught) == 1
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [steps, steps]
        assert not any(episode.complete for episode in recording.episodes)
        assert recording.rows.observations[:].tolist() == [*range(steps + 1)] * 2
    assert h5r.validate(path, deep=True) == []


@pytest.mark.parametrize("result", [None, 5, (), "abc", {"observation": 1}], ids=repr)
def test_anything_else_is_passed_on_as_well(result: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = record(path)
    env.reset()
    env.step(0)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: result)
    with pytest.warns(RecordingWarning, match=r"step\(\) of the environment returned") as caught:
        assert [env.step(0) for _ in range(3)] == [result] * 3
    monkeypatch.setattr(env.unwrapped, "reset", lambda **_: result)
    with pytest.warns(RecordingWarning, match=r"reset\(\) of the environment returned"):
        assert env.reset() == result
    env.close()
    assert len(caught) == 1
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [1]


class Ambiguous:
    """Neither true nor false, as a tensor of several flags."""

    def __bool__(self) -> bool:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("place", [2, 3], ids=["terminated", "truncated"])
@pytest.mark.parametrize("flag", [np.array([True, False]), Ambiguous()], ids=["array", "tensor"])
def test_a_flag_that_is_neither_true_nor_false_is_passed_on_and_not_recorded(
    flag: Any, place: int, steps: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result: list[Any] = [np.int64(1), 0.5, False, False, {}]
    result[place] = flag
    env = record(path)
    env.reset()
    for _ in range(steps):
        env.step(0)
    monkeypatch.setattr(env.unwrapped, "step", lambda action: result)
    with pytest.warns(RecordingWarning, match="expected .*, with flags that are true or false") as caught:
        assert all(env.step(0) is result for _ in range(2))
    assert len(caught) == 1
    monkeypatch.undo()
    env.reset()
    env.step(0)
    env.close()
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [steps, 1]
    assert h5r.validate(path, deep=True) == []


def test_a_list_in_the_place_of_a_tuple_is_recorded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = record(path)
    for name in ("reset", "step"):
        method = getattr(env.unwrapped, name)
        monkeypatch.setattr(env.unwrapped, name, lambda *given, _method=method, **more: [*_method(*given, **more)])
    assert env.reset() == [0, {"rung": 0}]  # type: ignore[comparison-overlap]
    for _ in range(3):
        assert isinstance(env.step(0), list)
    env.close()
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [3]


@pytest.mark.parametrize("flushed_step", [1, 2])
def test_a_flush_while_the_environment_steps_loses_no_step(flushed_step: int, path: Path) -> None:
    """The environment may have the recorder, or another thread flushes."""
    env = record(path)
    step = env.unwrapped.step

    def flushing(action: int) -> Any:
        if env.unwrapped.rung + 1 == flushed_step:
            env.flush()
        return step(action)

    env.unwrapped.step = flushing  # type: ignore[method-assign]
    for _ in range(2):
        env.reset()
        for action in (1, 2, 0, 1, 2):
            env.add_extras(chosen=action)
            env.step(action)
    env.close()
    with h5r.Recording(path) as recording:
        for episode in recording.episodes:
            assert episode.observations[:].tolist() == [0, 1, 2, 3, 4, 5]
            assert [*episode.actions] == [1, 2, 0, 1, 2]
            assert [each["chosen"] for each in episode.extras] == [1, 2, 0, 1, 2]
            assert episode.complete
    assert h5r.validate(path, deep=True) == []


# Life ---------------------------------------------------------------------------------------------


class Trainer:
    """Records, and decides what is recorded."""

    def __init__(self, path: Path) -> None:
        self.asked = 0
        self.env = record(path, keep=self.keeps, episode_trigger=self.keeps)

    def keeps(self, _: Any) -> bool:
        self.asked += 1
        return self.env is not None


def test_a_recorder_that_its_own_options_refer_to_is_completed_when_it_is_dropped(path: Path) -> None:
    """A finalizer that kept ``keep`` and the triggers alive would keep the recorder alive as well."""
    trainer = Trainer(path)
    trainer.env.reset()
    trainer.env.step(0)
    assert trainer.asked == 1
    del trainer
    gc.collect()
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [1]
    assert [each.name for each in path.parent.iterdir()] == ["run.h5"]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("options", [{}, {"on_error": "warn"}, {"keep": lambda _: True}], ids=["", "warn", "keep"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
@each_writer
def test_a_recorder_that_is_dropped_goes_with_its_environment_at_once(
    writer: str, is_closed: bool, options: dict[str, Any], path: Path
) -> None:
    """A cycle would keep them, and the pictures that the environment holds, until the garbage collector comes."""
    env = record(path, writer=writer, **options)
    env.reset()
    env.step(0)
    parts = [env, env.unwrapped, env._recorder, env._recorder.stream, env._recorder.rows]
    refs = [weakref.ref(each) for each in parts]
    gc.disable()
    try:
        if is_closed:
            env.close()
        del env, parts
        assert [each() for each in refs] == [None] * 5
    finally:
        gc.enable()


def test_keep_is_asked_about_the_running_episode_when_the_recorder_is_dropped(path: Path) -> None:
    asked: list[int] = []
    env = record(path, keep=lambda summary: asked.append(summary.length) or True)
    env.reset()
    env.step(0)
    del env
    assert asked == [1]
    with h5r.Recording(path) as recording:
        assert recording.lengths.tolist() == [1]
