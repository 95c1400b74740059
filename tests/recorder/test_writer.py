"""``Writer``: a recording without an environment is as exact, as safe and as strict as one with it."""

from __future__ import annotations

import gc
import math
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.errors import RecordingWarning
from gym_h5record.recorder import writer as writer_module
from gym_h5record.writing.journal_rows import MAX_CAPACITY_ROWS
from tests.writing import (
    PICTURE,
    CountingClock,
    check_alone,
    check_nothing_left,
    check_same_content,
    committed,
    each_writer,
    run_script,
    small_journal,
)
from tests.zoo import ForeignArray, Played, ZooEnv, check_identical, check_recorded, play, some_spaces

PAIR = spaces.Box(-1e9, 1e9, (2,), np.float32)
ACTIONS = spaces.Discrete(4)
PLAIN = {"observation_space": PAIR, "action_space": ACTIONS}


def make(path: Path, **options: Any) -> h5r.Writer:
    return h5r.Writer(path, **{**PLAIN, "writer": "inline", **options})


def pair(number: float) -> np.ndarray:
    return np.array([number, -number], np.float32)


def arrays(length: int, first: int = 0, **more: Any) -> dict[str, Any]:
    """A whole episode: row r observes ``pair(first + r)``, and is rewarded with first + r."""
    numbers = np.arange(first, first + length + 1)
    given = {"actions": numbers[:-1] % 4, "rewards": numbers[:-1].astype(np.float64)}
    return {"observations": np.stack([numbers, -numbers], 1).astype(np.float32), **given, **more}


def check_arrays(episode: h5r.Episode, given: dict[str, Any]) -> None:
    """Fail unless an episode has exactly what ``append_episode`` got."""
    for name in ("observations", "actions", "rewards"):
        check_identical(getattr(episode, name)[:], given[name], name)
    assert episode.total_reward == given["rewards"].sum()


def no_problems(path: Path) -> bool:
    return not h5r.validate(path, deep=True)


# Step by step -------------------------------------------------------------------------------------


def write(writer: h5r.Writer, played: list[Played]) -> None:
    """Write episodes that were played, step by step."""
    for episode in played:
        writer.begin_episode(episode.observations[0], episode.infos[0], episode.seed, episode.options)
        for step, action in enumerate(episode.actions):
            writer.append(
                action,
                episode.observations[step + 1],
                episode.rewards[step],
                episode.terminations[step],
                episode.truncations[step],
                episode.infos[step + 1],
            )


@pytest.mark.sampled(5)
@some_spaces
def test_values_of_any_space_written_step_by_step_come_back_exactly(space: gym.Space[Any], tmp_path: Path) -> None:
    env = ZooEnv(space, length=6)
    played = play(env, [6, 2, 0, 6])
    with warnings.catch_warnings(), make(tmp_path / "run.h5", observation_space=space, action_space=space) as writer:
        warnings.simplefilter("ignore", RecordingWarning)  # some rewards do not fit
        write(writer, played)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, played)
        assert (recording.observation_space, recording.action_space) == (space, space)
    check_alone(tmp_path / "run.h5")


@each_writer
def test_frames_extras_and_the_absence_of_infos_come_back(writer: str, tmp_path: Path) -> None:
    frames = [np.full((4, 6, 3), number, np.uint8) for number in range(4)]
    with make(tmp_path / "run.h5", writer=writer, fps=12.5, env_name="an arm", metadata={"agent_id": "me"}) as file:
        file.begin_episode(pair(0), frame=frames[0])
        for step in range(3):
            file.append(step, pair(step + 1), 1.0, step == 2, False, frame=frames[step + 1], extras={"p": step / 2})
    with h5r.Recording(tmp_path / "run.h5") as recording:
        episode = recording.episodes[0]
        assert (np.stack(frames) == episode.frames[:]).all()
        assert episode.extras["p"][:].tolist() == [0, 0.5, 1]
        assert list(episode.infos) == [{}] * 4
        assert (episode.seed, episode.options, episode.terminated) == (None, None, True)
        assert (recording.fps, recording.metadata["env_name"], recording.metadata["agent_id"]) == (12.5, "an arm", "me")
        assert recording.metadata["frames"] == "render"
        assert recording.env_spec is None


def test_values_are_copied_when_they_are_given(tmp_path: Path) -> None:
    buffer, action, info = pair(0), np.array([0, 0]), {"x": np.zeros(2)}
    with make(tmp_path / "run.h5", action_space=spaces.MultiDiscrete([9, 9])) as writer:
        writer.begin_episode(buffer, info)
        for step in range(1, 4):
            buffer[:], info["x"][:], action[:] = step, step, step
            writer.append(action, buffer, 1.0, False, False, info)
    episode = h5r.Recording(tmp_path / "run.h5").episodes[0]
    assert episode.observations[:][:, 0].tolist() == [0, 1, 2, 3]
    assert [info["x"].tolist() for info in episode.infos] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert episode.actions[:][:, 0].tolist() == [1, 2, 3]


def test_an_episode_that_no_step_has_ended_is_incomplete_however_it_ends(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        for number in range(3):
            writer.begin_episode(pair(number), seed=number)
            writer.append(0, pair(9), 1.0, False, False)
            if number == 0:
                writer.end_episode()
                writer.end_episode()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(each.seed, each.length, each.complete) for each in episodes] == [(number, 1, False) for number in range(3)]


def test_episodes_without_steps_are_recorded_also_as_the_first_and_the_only_ones(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        writer.begin_episode(pair(0))
        writer.begin_episode(pair(1))
        writer.end_episode()
        writer.append_episode(**arrays(0, first=2))
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [each.observations[:].tolist() for each in episodes] == [[pair(number).tolist()] for number in range(3)]
    assert no_problems(tmp_path / "run.h5")


# Whole episodes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ring_rows", [16, MAX_CAPACITY_ROWS])
@each_writer
def test_arrays_come_back_exactly(writer: str, ring_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, ring_rows, max_bytes=4 << 20)
    given = [arrays(length, first=1000 * length) for length in (5, 0, 1, 2, 300, 7)]
    with make(tmp_path / "run.h5", writer=writer) as file:
        for number, each in enumerate(given):
            length = len(each["rewards"])
            ends = np.arange(length) == length - 1
            file.append_episode(**each, **{"terminations" if number % 2 else "truncations": ends}, seed=number)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_episodes == len(given)
        for number, (episode, each) in enumerate(zip(recording.episodes, given, strict=True)):
            check_arrays(episode, each)
            ended = episode.length > 0
            assert (episode.seed, episode.complete) == (number, ended)
            assert (episode.terminated, episode.truncated) == (ended and number % 2 == 1, ended and number % 2 == 0)
    assert no_problems(tmp_path / "run.h5")
    check_alone(tmp_path / "run.h5")


EPISODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "infos": {"infos": {"x": np.arange(41.0), "lives": np.arange(41), "grid": np.zeros((41, 2, 2), np.int8)}},
    "infos-that-come-and-go": {"infos": [{"x": 1.5} if row % 3 else {"note": "text"} for row in range(41)]},
    "text-infos": {"infos": {"words": [f"w{row}" for row in range(41)], "x": list(range(41))}},
    "extras": {"extras": {"p": np.linspace(0, 1, 40, dtype=np.float32), "logits": np.ones((40, 4))}},
    "text-extras": {"extras": {"prompt": [f"p{step}" for step in range(40)]}},
    "frames": {"frames": np.arange(41 * 24, dtype=np.uint8).reshape(41, 4, 6, 1)},
    "cameras": {"frames": {"a": np.zeros((41, 4, 6, 3), np.uint8), "b/c": [f"row {row}" for row in range(41)]}},
    "lists": {"actions": [step % 4 for step in range(40)], "rewards": [step / 2 for step in range(40)]},
    "odd-rewards": {"rewards": [1.5, 2**53 + 1, None, True] * 10},
    "vector-rewards": {"rewards": np.arange(80.0).reshape(40, 2)},
    "foreign": {"observations": ForeignArray(np.zeros((41, 2), np.float32)), "rewards": ForeignArray(np.zeros(40))},
    "outside-the-space": {"observations": np.zeros((41, 3))},
    "truncated": {"truncations": np.arange(40) == 39},
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("more", EPISODES.values(), ids=EPISODES.keys())
def test_whole_arrays_give_the_same_recording_as_row_after_row(
    more: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("at-once", "rows"):
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            CountingClock(patch)
            if name == "rows":
                patch.setattr(writer_module, "plan_batch", lambda *_: None)
            with make(tmp_path / f"{name}.h5") as writer:
                for first in (0, 100):
                    writer.append_episode(**{**arrays(40, first), "times": first + np.arange(41) / 30, **more})
        found.append(committed(tmp_path / f"{name}.h5"))
        assert {problem.code for problem in h5r.validate(tmp_path / f"{name}.h5", deep=True)} <= {"out-of-space"}
    check_same_content(*found)


def test_values_of_spaces_that_vary_in_size_may_be_lists(tmp_path: Path) -> None:
    space = spaces.Dict(words=spaces.Sequence(spaces.Text(9)), number=spaces.Discrete(9))
    observations = {"words": [("a",) * row for row in range(4)], "number": np.arange(4)}
    with make(tmp_path / "run.h5", observation_space=space, action_space=spaces.Text(9)) as writer:
        writer.append_episode(observations=observations, actions=["x", "", "y"], rewards=np.zeros(3))
    episode = h5r.Recording(tmp_path / "run.h5").episodes[0]
    check_identical(episode.observations[3], {"words": ("a",) * 3, "number": np.int64(3)}, "the last observation")
    assert list(episode.actions) == ["x", "", "y"]


def test_an_episode_that_does_not_fit_together_leaves_no_trace_and_no_file(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        with pytest.raises(errors.EpisodeDataError, match="actions: expected 5 entries"):
            writer.append_episode(**{**arrays(5), "actions": [0]})
        assert list(tmp_path.iterdir()) == []
        writer.append_episode(**arrays(5))
        with pytest.raises(errors.EpisodeDataError, match="extras/p"):
            writer.append_episode(**arrays(7), extras={"p": [0]})
        writer.append_episode(**arrays(2))
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [5, 2]


def test_an_open_episode_ends_as_incomplete_when_a_whole_one_is_appended(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        writer.begin_episode(pair(0))
        writer.append(0, pair(1), 1.0, False, False)
        writer.append_episode(**arrays(3))
        with pytest.raises(errors.StepBeforeResetError):
            writer.append(0, pair(1), 1.0, False, False)
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [1, 3]


# Times --------------------------------------------------------------------------------------------


def test_times_are_those_that_are_given_in_seconds_since_the_recording_began(tmp_path: Path) -> None:
    times = [np.arange(61) / 60, 5 + np.arange(3) / 7, np.array([3600.0])]  # an hour of data, written in an instant
    with make(tmp_path / "run.h5") as writer:
        for each in times:
            writer.append_episode(**arrays(len(each) - 1), times=each)
    for episode, each in zip(h5r.Recording(tmp_path / "run.h5").episodes, times, strict=True):
        assert np.abs(episode.times[:] - each).max() < 1e-9


def test_times_that_are_not_given_are_those_of_the_writing(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        writer.append_episode(**arrays(5))
        writer.begin_episode(pair(0))
        writer.append(0, pair(1), 1.0, False, False)
    whole, steps = (each.times[:] for each in h5r.Recording(tmp_path / "run.h5").episodes)
    assert (whole == whole[0]).all()
    assert 0 <= whole[0] <= steps[0] <= steps[1] < 60


def test_a_writer_without_times_refuses_them(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5", times=False) as writer:
        with pytest.raises(errors.EpisodeDataError, match="times: this writer has times=False"):
            writer.append_episode(**arrays(3), times=[0, 1, 2, 3])
        writer.append_episode(**arrays(3))
    assert h5r.Recording(tmp_path / "run.h5").episodes[0].times is None


# Frames -------------------------------------------------------------------------------------------

FRAME = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize("has_frames", [True, False])
def test_either_all_rows_have_a_frame_or_none(has_frames: bool, tmp_path: Path) -> None:
    first, other = (FRAME, None) if has_frames else (None, FRAME)
    whole = {"frames": np.zeros((4, *FRAME.shape), np.uint8)}
    message = "the rows before have frames" if has_frames else "a frame is given, but the rows before have none"
    with make(tmp_path / "run.h5") as writer:
        writer.begin_episode(pair(0), frame=first)
        with pytest.raises(errors.EpisodeDataError, match=message):
            writer.append(0, pair(1), 1.0, False, False, frame=other)
        writer.append(0, pair(1), 1.0, False, False, frame=first)
        with pytest.raises(errors.EpisodeDataError, match=message):
            writer.begin_episode(pair(0), frame=other)
        with pytest.raises(errors.EpisodeDataError, match=message):
            writer.append_episode(**arrays(3), **({} if has_frames else whole))
        writer.append(0, pair(2), 1.0, True, False, frame=first)  # the episode is still open
        writer.append_episode(**arrays(3), **(whole if has_frames else {}))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.length for each in recording.episodes] == [2, 3]
        assert (recording.rows.frames is not None) == has_frames
    assert no_problems(tmp_path / "run.h5")


# Discarding ---------------------------------------------------------------------------------------


@each_writer
def test_the_newest_episode_can_be_discarded_whether_it_is_open_or_has_ended(writer: str, tmp_path: Path) -> None:
    with make(tmp_path / "run.h5", writer=writer) as file:
        file.append_episode(**arrays(3), seed=0)
        file.begin_episode(pair(9), seed=1)
        file.append(0, pair(9), 9.0, False, False)
        file.discard_episode()
        with pytest.raises(errors.StepBeforeResetError):
            file.append(0, pair(9), 9.0, False, False)
        file.append_episode(**arrays(400), seed=2)
        file.flush()
        file.discard_episode()
        file.append_episode(**arrays(5, first=50), seed=3)
        file.begin_episode(pair(9), seed=4)
        file.discard_episode()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.seed for each in recording.episodes] == [0, 3]
        check_arrays(recording.episodes[1], arrays(5, first=50))
        assert (recording.metadata["discarded_episodes"], recording.metadata["discarded_steps"]) == (3, 401)
    assert no_problems(tmp_path / "run.h5")


@pytest.mark.compacted
@pytest.mark.parametrize("compression", ["gzip", None])
@pytest.mark.parametrize(("space", "length"), [(PAIR, 100_000), (PICTURE, 400)], ids=["small-rows", "pictures"])
def test_a_long_discarded_episode_takes_no_space_in_the_closed_file(
    space: spaces.Box, length: int, compression: str | None, tmp_path: Path
) -> None:
    def noise(count: int, seed: int) -> dict[str, Any]:
        numbers = np.random.default_rng(seed).integers(0, 256, (count + 1, *space.shape))
        steps = {"actions": np.zeros(count, np.int64), "rewards": np.arange(count, dtype=np.float64)}
        return {"observations": numbers.astype(space.dtype), **steps, "times": np.arange(count + 1) / 50}

    sizes = []
    for name in ("without", "with"):
        with make(
            tmp_path / name, observation_space=space, compression=compression, metadata={"run_id": "7"}
        ) as writer:
            writer.append_episode(**noise(60, 0))
            if name == "with":
                writer.append_episode(**noise(length, 1) | {"times": 2 + np.arange(length + 1)})
                writer.flush()
                writer.discard_episode()
            writer.append_episode(**noise(60, 2) | {"times": 2 + np.arange(61)})
        assert [each.length for each in h5r.Recording(tmp_path / name).episodes] == [60, 60]
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] <= 1.01 * sizes[0] + 500


def test_an_episode_is_discarded_once_and_the_one_before_stays(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        with pytest.raises(errors.StepBeforeResetError, match="no episode to discard"):
            writer.discard_episode()
        writer.append_episode(**arrays(3), seed=0)
        writer.append_episode(**arrays(4), seed=1)
        writer.discard_episode()
        with pytest.raises(errors.StepBeforeResetError, match="no episode to discard"):
            writer.discard_episode()
    assert [each.seed for each in h5r.Recording(tmp_path / "run.h5").episodes] == [0]


def test_the_first_episode_can_be_discarded_before_its_first_step(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        writer.begin_episode(pair(9), seed=0)
        writer.discard_episode()
        writer.append_episode(**arrays(3), seed=1)
    assert [each.seed for each in h5r.Recording(tmp_path / "run.h5").episodes] == [1]
    assert no_problems(tmp_path / "run.h5")


class Unwilling:
    """A value that cannot be copied."""

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise KeyboardInterrupt


def test_an_episode_that_could_not_begin_does_not_let_the_one_before_be_discarded(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        writer.append_episode(**arrays(3), seed=0)
        with pytest.raises(KeyboardInterrupt):
            writer.begin_episode(Unwilling())
        with pytest.raises(errors.StepBeforeResetError):
            writer.discard_episode()
    assert [each.seed for each in h5r.Recording(tmp_path / "run.h5").episodes] == [0]


# The file -----------------------------------------------------------------------------------------


def test_the_path_is_taken_from_the_first_episode_on_and_modes_are_those_of_the_recorder(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with make(path) as writer:
        writer.append_episode(**arrays(3), seed=0)
        for take in (make, lambda path: h5r.RecordToHDF5(gym.make("CartPole-v1"), path)):
            with pytest.raises(errors.RecordingInUseError):
                take(path)
    with pytest.raises(errors.RecordingExistsError):
        make(path)
    with make(path, mode="a") as writer:
        writer.append_episode(**arrays(4), seed=1)
    assert [each.seed for each in h5r.Recording(path).episodes] == [0, 1]
    assert no_problems(path)
    with make(path, mode="w") as writer:
        writer.append_episode(**arrays(5), seed=2)
    assert [each.seed for each in h5r.Recording(path).episodes] == [2]
    check_alone(path)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        ({}, {"action_space": spaces.Discrete(5)}, "its action_space is"),
        ({}, {"times": False}, "times=True, here times=False"),
        ({}, {"frames": True}, "its frames are 'none', here they would be 'render'"),
        ({"frames": True}, {}, "its frames are 'render', here they would be 'none'"),
    ],
)
def test_other_columns_cannot_be_appended(
    first: dict[str, Any], then: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def append(mode: str, frames: bool = False, **options: Any) -> None:
        with make(tmp_path / "run.h5", mode=mode, **options) as writer:
            writer.append_episode(**arrays(3), **({"frames": np.zeros((4, 4, 6, 3), np.uint8)} if frames else {}))

    append("x", **first)
    with pytest.raises(errors.SchemaMismatchError, match=message):
        append("a", **then)
    append("a", **first)
    assert h5r.Recording(tmp_path / "run.h5").num_episodes == 2


def test_a_recording_of_an_environment_goes_on_without_it(tmp_path: Path) -> None:
    with h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5") as env:
        env.reset(seed=0)
        env.step(0)
        given = {"observation_space": env.observation_space, "action_space": env.action_space}
    with (
        pytest.warns(RecordingWarning, match="keeps the env_spec"),
        make(tmp_path / "run.h5", mode="a", **given) as file,
    ):
        file.append_episode(
            observations=np.zeros((4, 4), np.float32), actions=np.zeros(3, np.int64), rewards=np.ones(3)
        )
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [each.length for each in recording.episodes] == [1, 3]
        assert recording.env_spec.id == "CartPole-v1"
    assert no_problems(tmp_path / "run.h5")


def test_a_writer_that_has_written_nothing_leaves_nothing(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5", writer="process") as writer:
        writer.flush()
        writer.end_episode()
    check_nothing_left(tmp_path)


@each_writer
def test_everything_is_in_the_file_after_flush(writer: str, tmp_path: Path) -> None:
    with make(tmp_path / "run.h5", writer=writer) as file:
        file.begin_episode(pair(0))
        file.flush()
        with h5r.Recording(tmp_path / "run.h5", live=True) as recording:
            assert (recording.num_rows, recording.num_steps) == (1, 0)
            file.append(0, pair(1), 1.0, False, False)
            file.append(0, pair(2), 1.0, True, False)
            file.append_episode(**arrays(40))
            file.flush()
            assert recording.refresh()
            assert [each.length for each in recording.episodes] == [2, 40]


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_pictures_fill_chunks_and_turns_of_the_ring(
    compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    pictures = np.random.default_rng(0).integers(0, 4, (101, 84, 84), np.uint8)
    with make(tmp_path / "run.h5", observation_space=PICTURE, compression=compression, checksum=True) as writer:
        for _ in range(2):
            writer.append_episode(observations=pictures, actions=np.zeros(100, np.int64), rewards=np.zeros(100))
    for episode in h5r.Recording(tmp_path / "run.h5").episodes:
        assert (episode.observations[:] == pictures).all()
    assert no_problems(tmp_path / "run.h5")


def test_the_recording_is_completed_where_the_writer_is_dropped(tmp_path: Path) -> None:
    writer = make(tmp_path / "run.h5")
    writer.append_episode(**arrays(3))
    del writer
    gc.collect()
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 3
    check_alone(tmp_path / "run.h5")


@each_writer
def test_the_recording_is_completed_where_the_program_ends(writer: str, tmp_path: Path) -> None:
    script = """
        import sys
        import numpy as np
        from tests.recorder.test_writer import arrays, make
        from pathlib import Path
        writer = make(Path(sys.argv[1]), writer=sys.argv[2])
        writer.append_episode(**arrays(3))
        writer.begin_episode(np.zeros(2, np.float32))
    """
    assert run_script(script, tmp_path / "run.h5", writer).stderr == ""
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [3, 0]
    check_alone(tmp_path / "run.h5")


def test_no_step_is_lost_where_the_program_is_killed(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        import numpy as np
        from tests.recorder.test_writer import arrays, make
        from pathlib import Path
        writer = make(Path(sys.argv[1]), flush_interval_s=3600)
        for number in range(9):
            writer.append_episode(**arrays(100, first=number))
        writer.discard_episode()
        writer.begin_episode(np.zeros(2, np.float32))
        writer.append(0, np.zeros(2, np.float32), 1.0, False, False)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(script, tmp_path / "run.h5", check=False)
    report = h5r.repair(tmp_path / "run.h5")
    assert (report.num_episodes, report.num_steps) == (9, 801)
    for number, episode in enumerate(h5r.Recording(tmp_path / "run.h5").episodes[:8]):
        check_arrays(episode, arrays(100, first=number))


def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    script = """
        import os, sys
        from tests.recorder.test_writer import arrays, make
        from gym_h5record.errors import RecordingClosedError
        from pathlib import Path
        writer = make(Path(sys.argv[1]))
        writer.append_episode(**arrays(3))
        if not os.fork():
            try:
                writer.append_episode(**arrays(3))
            except RecordingClosedError:
                sys.exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        writer.append_episode(**arrays(4))
    """
    assert run_script(script, tmp_path / "run.h5").stdout == "7\n"
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [3, 4]


@pytest.mark.parametrize(
    "call",
    [
        lambda writer: writer.begin_episode(pair(0)),
        lambda writer: writer.append(0, pair(0), 1.0, False, False),
        lambda writer: writer.append_episode(**arrays(3)),
        lambda writer: writer.discard_episode(),
        lambda writer: writer.flush(),
    ],
    ids=["begin_episode", "append", "append_episode", "discard_episode", "flush"],
)
def test_a_closed_writer_says_so(call: Any, tmp_path: Path) -> None:
    writer = make(tmp_path / "run.h5")
    writer.begin_episode(pair(0))
    for _ in range(2):
        writer.close()
        with pytest.raises(errors.RecordingClosedError):
            call(writer)
    assert h5r.Recording(tmp_path / "run.h5").num_rows == 1


def test_a_step_needs_an_open_episode(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        with pytest.raises(errors.StepBeforeResetError, match=r"call begin_episode\(\) before append\(\)"):
            writer.append(0, pair(0), 1.0, False, False)
        writer.begin_episode(pair(0))
        writer.append(0, pair(1), 1.0, False, True)
        with pytest.raises(errors.StepBeforeResetError):
            writer.append(0, pair(2), 1.0, False, False)
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 1


def test_the_options_are_checked_and_the_defaults_are_those_of_the_recorder(tmp_path: Path) -> None:
    for option in (
        {"num_envs": 2},
        {"mode": "r"},
        {"writer": "thread"},
        {"compression": "zip"},
        {"durability": "disk"},
    ):
        with pytest.raises(errors.OptionError, match=next(iter(option))):
            make(tmp_path / "run.h5", **option)
    with pytest.raises(errors.MetadataError):
        make(tmp_path / "run.h5", metadata={"x": object()})
    with make(tmp_path / "run.h5") as writer:
        writer.append_episode(**arrays(3))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert math.isnan(recording.fps)
        assert (recording.metadata["env_name"], recording.metadata["frames"]) == ("", "none")


def test_the_repr_has_the_path_and_counts_episodes(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as writer:
        assert repr(writer) == f"<Writer {str(tmp_path / 'run.h5')!r}: 0 episodes>"
        writer.append_episode(**arrays(3))
        assert repr(writer).endswith(": 1 episode>")
