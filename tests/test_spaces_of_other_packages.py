"""Environments whose spaces Gymnasium does not have: recorded, read, and played again like all others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    EnvMismatchError,
    RecordingWarning,
    SchemaMismatchError,
    UnsupportedSpaceError,
)
from gym_h5record.format import nodes
from gym_h5record.maintenance.repairs.salvaging import salvage
from gym_h5record.values.tagged_json import TaggedText
from tests.custom_spaces import AnyBox, AnyDict, Anything, Grid, Unicode, every_custom_space, grids_registered
from tests.writing import run_script
from tests.zoo import Played, ZooEnv, check_identical, check_recorded, play

REWARDS = (1.5, 2, 0.25)


def browser(**others: gym.Space[Any]) -> spaces.Dict:
    """The observations of web pages, or others in some places."""
    usual = {
        "chat": spaces.Sequence(spaces.Dict(role=Unicode(), timestamp=Anything(0.5, 1.5), message=Unicode())),
        "goal": spaces.Sequence(AnyDict()),
        "screenshot": AnyBox(0, 255, (-1, -1, 3), np.uint8),
        "tree": AnyDict(),
        "page": Anything({"url": "about:blank", "number": 3}, {"url": "", "number": 4}),
        "elapsed": spaces.Box(0, np.inf, (1,), np.float64),
    }
    return spaces.Dict({**usual, **others})


def make_env(space: gym.Space[Any] | None = None, action_space: gym.Space[Any] | None = None) -> ZooEnv:
    space = browser() if space is None else space
    return ZooEnv(space, Unicode() if action_space is None else action_space, REWARDS, 5, lambda step: {"step": step})


def record(path: Path, env: gym.Env[Any, Any], lengths: tuple[int, ...] = (9, 3, 9), **options: Any) -> list[Played]:
    """Record episodes; values that are not like the first ones are kept with a warning, which is not of interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recorder = h5r.RecordToHDF5(env, path, writer="inline", **options)
        episodes = play(recorder, lengths)
        recorder.close()
    return episodes


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of web pages; do not change it."""
    path = tmp_path_factory.mktemp("pages") / "pages.h5"
    record(path, make_env())
    return path


# Exactness ----------------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@every_custom_space
def test_observations_and_actions_come_back_exactly(space: gym.Space[Any], tmp_path: Path) -> None:
    episodes = record(tmp_path / "run.h5", make_env(space, space))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, episodes)
    assert {each.code for each in h5r.validate(tmp_path / "run.h5", deep=True)} <= {"not-finite"}


def test_slices_are_dicts_of_lists_and_arrays(tmp_path: Path) -> None:
    env = make_env(browser(screenshot=AnyBox(0, 255, (2, 3), np.uint8)))
    (played,) = record(tmp_path / "run.h5", env, lengths=(5,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        batch = recording.episodes[0].observations[1:4]
        assert batch["screenshot"].shape == (3, 2, 3)
        assert batch["page"]["number"].dtype == np.int64
        for at in range(3):
            for name in ("tree", "chat", "goal"):
                check_identical(batch[name][at], played.observations[at + 1][name], f"{name} {at}")
            check_identical(batch["page"]["url"][at], played.observations[at + 1]["page"]["url"], f"url {at}")
        check_identical(recording.episodes[0].actions[:3], played.actions[:3], "actions")


def test_an_action_of_a_recording_without_a_step_has_a_column_all_the_same(tmp_path: Path) -> None:
    episodes = record(tmp_path / "run.h5", make_env(), lengths=(0,))
    episodes += record(tmp_path / "run.h5", make_env(), lengths=(4,), mode="a")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.schema.action == nodes.Json("actions")
        assert recording.num_steps == 4


class Page:
    """What has no form in the file."""

    def __repr__(self) -> str:
        return "<Page 'about:blank'>"


def test_an_object_without_a_form_is_kept_as_text_and_told_once_with_its_class_and_place(tmp_path: Path) -> None:
    env = make_env(spaces.Dict(page=Anything([Page()], [Page(), 1]), n=spaces.Discrete(3)), spaces.Discrete(2))
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    with pytest.warns(RecordingWarning) as told:
        play(recorder, [5, 5])
    recorder.close()
    (message,) = [str(each.message) for each in told]
    assert message.startswith(f"/observations/page: an object of type {Page.__module__}.Page has no exact form")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        page = recording.episodes[1].observations[0]["page"][0]
        check_identical(page, TaggedText("<Page 'about:blank'>"), "page")
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


# What stands on it --------------------------------------------------------------------------------


def test_a_recording_says_what_its_spaces_were(pages: Path) -> None:
    with h5r.Recording(pages) as recording:
        assert recording.action_space == h5r.OpaqueSpace(f"{Unicode.__module__}:Unicode", "Unicode()")
        assert recording.observation_space["elapsed"] == browser()["elapsed"]
        assert recording.observation_space["tree"].text == "AnyDict()"
        assert recording.episodes[0].observations[0] in recording.observation_space


def test_a_replay_gives_the_recorded_values(pages: Path) -> None:
    with h5r.Recording(pages) as recording, h5r.ReplayFromHDF5(pages, on_mismatch="raise") as env:
        episode = recording.episodes[0]
        observation, _ = env.reset(seed=1)
        check_identical(observation, episode.observations[0], "first observation")
        assert observation in env.observation_space
        for step, action in enumerate(episode.actions):
            observation, *_ = env.step(action)
            check_identical(observation, episode.observations[step + 1], f"observation {step + 1}")
        with pytest.raises(UnsupportedSpaceError, match="register_space"):
            env.action_space.sample()


def test_a_recording_of_a_replay_says_the_same_of_the_spaces(pages: Path, tmp_path: Path) -> None:
    with h5r.Recording(pages) as recording, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with h5r.RecordToHDF5(h5r.ReplayFromHDF5(pages), tmp_path / "again.h5", writer="inline") as recorder:
            recorder.reset()
            for action in recording.episodes[0].actions:
                recorder.step(action)
        with h5r.Recording(tmp_path / "again.h5") as again:
            assert again.observation_space == recording.observation_space
            assert again.schema == recording.schema


def test_verify_and_branch_run_the_environment_again(pages: Path) -> None:
    report = h5r.verify(pages, env=make_env)
    assert (report.ok, report.num_episodes) == (True, 3)
    env, observation, _ = h5r.branch(pages, episode=2, step=2, env=make_env)
    with h5r.Recording(pages) as recording:
        check_identical(observation, recording.episodes[2].observations[2], "observation")
        observation, *_ = env.step(recording.episodes[2].actions[2])
        check_identical(observation, recording.episodes[2].observations[3], "observation after a step")


def test_an_environment_with_another_custom_space_is_not_the_recorded_one(pages: Path) -> None:
    other = browser(screenshot=AnyBox(0, 1, (-1, -1, 3), np.uint8))
    with pytest.raises(EnvMismatchError, match=r"its observation_space\['screenshot'\] is AnyBox"):
        h5r.verify(pages, env=lambda: make_env(other))


def test_diff_finds_the_first_difference(pages: Path, tmp_path: Path) -> None:
    record(tmp_path / "same.h5", make_env())
    report = h5r.diff(pages, tmp_path / "same.h5")
    assert (report.ok, report.metadata) == (True, ())
    other = browser(page=Anything({"url": "elsewhere", "number": 3}, {"url": "elsewhere", "number": 4}))
    record(tmp_path / "other.h5", make_env(other))
    report = h5r.diff(pages, tmp_path / "other.h5")
    assert (report.leaf, report.b) == ("observations/page/url", "elsewhere")


def test_evaluate_compares_actions_of_a_custom_space(pages: Path) -> None:
    report = h5r.evaluate(lambda observation: "", pages)
    assert report.agreement is not None
    with h5r.Recording(pages) as recording:
        actions = [action for episode in recording.episodes for action in episode.actions]
    assert report.agreement.equal == actions.count("") > 0


def test_validate_finds_nothing_but_what_is_not_finite(pages: Path) -> None:
    assert {(each.code, each.place.split()[0]) for each in h5r.validate(pages, deep=True)} == {
        ("not-finite", "/observations/tree"),
        ("not-finite", "/observations/goal"),
    }


def test_a_salvaged_copy_has_the_same_rows_and_spaces(pages: Path, tmp_path: Path) -> None:
    salvaged = salvage(pages, tmp_path / "copy.h5")
    assert salvaged.rows == salvaged.committed_rows
    report = h5r.diff(pages, tmp_path / "copy.h5")
    assert (report.ok, report.metadata) == (True, ())


# Damage -------------------------------------------------------------------------------------------


def test_json_text_that_is_damaged_is_an_error_at_its_row_and_found_by_validate(pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(pages.read_bytes())
    with h5py.File(path, "r+") as file:
        start = int(file["observations/tree/ends"][2])
        file["observations/tree/values"][start] = ord("]")
    with h5r.Recording(path) as recording:
        _ = recording.rows.observations[2]["tree"]
        with pytest.raises(CorruptRecordingError, match="/observations/tree row 3 cannot be decoded"):
            _ = recording.rows.observations[3]["tree"]
    assert ("undecodable", "/observations/tree row 3") in {
        (each.code, each.place) for each in h5r.validate(path, deep=True)
    }


# Appending ----------------------------------------------------------------------------------------

APPENDING = """
import sys
import gym_h5record as h5r
from tests.test_spaces_of_other_packages import make_env
with h5r.RecordToHDF5(make_env(), sys.argv[1], mode="a", writer="inline") as env:
    env.reset(seed=1)
"""


def test_a_recorder_in_another_process_may_append(pages: Path, tmp_path: Path) -> None:
    """The repr of ``Anything`` has another address there."""
    path = tmp_path / "run.h5"
    path.write_bytes(pages.read_bytes())
    run_script(APPENDING, path)
    with h5r.Recording(path) as recording:
        assert recording.num_episodes == 4


def test_a_recorder_with_another_custom_space_may_not_append(pages: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(pages.read_bytes())
    with pytest.raises(SchemaMismatchError, match=r"its action_space is OpaqueSpace\(.*Unicode.*Anything"):
        record(path, make_env(action_space=Anything()), mode="a")


# Registered classes -------------------------------------------------------------------------------


@pytest.fixture
def grids() -> Iterator[None]:
    with grids_registered():
        yield


class GridEnv(ZooEnv):
    """Shows grids, now and then none."""

    def __init__(self) -> None:
        super().__init__(Grid(3), spaces.Discrete(2), REWARDS, 5)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[Any, Any]]:
        observation, *rest = super().step(action)
        return None if self._step == 3 else observation, *rest


def test_a_registered_class_comes_back_and_says_what_it_contains(grids: None, tmp_path: Path) -> None:
    episodes = record(tmp_path / "run.h5", GridEnv())
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert type(recording.observation_space) is Grid
        assert recording.observation_space == Grid(3)
        assert recording.schema.observation == nodes.Array("observations", np.dtype(np.uint8), (3, 3))
        check_recorded(recording, episodes)
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []
    assert h5r.verify(tmp_path / "run.h5", env=GridEnv).ok
    with h5r.ReplayFromHDF5(tmp_path / "run.h5") as env:
        assert env.observation_space.sample() in Grid(3)


def test_a_recording_of_a_registered_class_can_be_read_and_continued_without_it(tmp_path: Path) -> None:
    with grids_registered():
        episodes = record(tmp_path / "run.h5", GridEnv())
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert type(recording.observation_space) is h5r.OpaqueSpace
        check_recorded(recording, episodes)
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


def test_the_class_outside_of_its_space_is_found(grids: None, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", GridEnv())
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["observations"][1] = 99
    assert [(each.code, each.place) for each in h5r.validate(tmp_path / "run.h5", deep=True)] == [
        ("out-of-space", "/observations row 1")
    ]


def test_a_reader_whose_from_json_fails_is_told(grids: None, tmp_path: Path) -> None:
    record(tmp_path / "run.h5", GridEnv())
    h5r.register_space(Grid, lambda space: {}, lambda json: Grid(json["length"]))
    with (
        h5r.Recording(tmp_path / "run.h5") as recording,
        pytest.raises(CorruptRecordingError, match="its observation_space cannot be read: the from_json .* 'length'"),
    ):
        _ = recording.observation_space
    assert [each.code for each in h5r.validate(tmp_path / "run.h5")] == ["space-unreadable"]


# MiniGrid and BabyAI ------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["MiniGrid-Empty-5x5-v0", "BabyAI-GoToRedBall-v0"])
def test_the_missions_of_minigrid_are_text(id: str, tmp_path: Path) -> None:
    """What such a recording is good for: ``tests/test_everything.py``."""
    pytest.importorskip("minigrid")
    path = tmp_path / "run.h5"
    with h5r.RecordToHDF5(gym.make(id), path, writer="inline") as env:
        episodes = play(env, [12, 5])
        mission_space = env.observation_space["mission"]
    with h5r.Recording(path) as recording:
        kind = type(mission_space)
        assert recording.observation_space["mission"].class_name == f"{kind.__module__}:{kind.__qualname__}"
        observation = recording.episodes[1].observations[2]
        assert type(observation["mission"]) is str
        assert recording.schema.node("observations/mission") == nodes.Text("observations/mission")
        assert recording.episodes[0].observations[:3]["mission"] == [episodes[0].observations[0]["mission"]] * 3
    assert h5r.verify(path).ok  # which makes the environment by its spec
