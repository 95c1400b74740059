"""Everything that takes a recording takes one of lanes: each lane gives what a recording of that environment would."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import NotReplayableError, SelectionError, UnbuildableEnvError
from gym_h5record.training import Window
from gym_h5record.values.exact import identical
from tests.lane_recordings import LENGTHS, record_cart_poles, record_lanes, record_with_extras
from tests.scripted import Expected, drive, expected_episodes, functions, info, reward, value

pytestmark = pytest.mark.compacted

NUM_STEPS = 20
EXPECTED = expected_episodes(list(LENGTHS), AutoresetMode.NEXT_STEP, NUM_STEPS)
STEPS = [(each, step) for each in EXPECTED for step in range(each.length)]
"""Every step that the recording of ``lanes`` must have, in its order."""
ALL_STEPS = {(each.lane, each.number, step) for each, step in STEPS}


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripted environments of four lanes, with Dict observations; do not change it."""
    return record_lanes(tmp_path_factory.mktemp("lanes") / "run.h5")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with arrays that tell lane, episode and step."""
    return record_lanes(tmp_path_factory.mktemp("boxes") / "run.h5", "box")


@pytest.fixture(scope="module")
def cart_poles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CartPole of three lanes; do not change it."""
    return record_cart_poles(tmp_path_factory.mktemp("cart-poles") / "run.h5")


@pytest.fixture
def recording(lanes: Path) -> Iterator[h5r.Recording]:
    with h5r.Recording(lanes) as recording:
        yield recording


def observation(each: Expected, step: int) -> Any:
    return value("dict", each.lane, each.number, step)


# Read ---------------------------------------------------------------------------------------------


def test_batches_in_order_have_the_steps_of_all_lanes(recording: h5r.Recording) -> None:
    batches = list(recording.iter_batches(7))
    at = np.concatenate([each["observations"]["at"] for each in batches])
    following = np.concatenate([each["next_observations"]["at"] for each in batches])
    np.testing.assert_array_equal(at, [observation(*each)["at"] for each in STEPS])
    np.testing.assert_array_equal(following, at + np.array([0, 0, 1]))


def test_conditions_masks_and_parts_know_lanes(lanes: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(lanes, tmp_path / "run.h5"))
    h5r.add_mask(path, "left", [0, 3])
    h5r.add_mask(path, "lane_one", "env == 1")
    in_lane = [number for number, each in enumerate(EXPECTED) if each.lane == 1]
    with h5r.Recording(path) as recording:
        assert recording.masks["left"].tolist() == [0, 3]
        assert recording.select("lane_one").numbers.tolist() == in_lane == recording.lane(1).numbers.tolist()
        ended = recording.select("env >= 1 and complete and length > 1")
        assert {each.env for each in ended} == {1, 3}
        parts = recording.lane(1).split({"a": 0.5, "b": 0.5})
        assert sorted([*parts["a"].numbers, *parts["b"].numbers]) == in_lane
        assert recording.lane(1).select("left").num_episodes == recording.select("left").lane(1).num_episodes
        with pytest.raises(SelectionError, match="there is no lane 4"):
            recording.lane(4)


def test_an_episode_is_a_dict_of_its_columns(recording: h5r.Recording) -> None:
    for episode, its in zip(recording, EXPECTED, strict=True):
        columns = episode.to_dict()
        np.testing.assert_array_equal(columns["observations"]["at"], [value("dict", *p)["at"] for p in its.places()])
        assert columns["actions"].tolist() == its.actions
        np.testing.assert_array_equal(columns["infos"]["place"], its.places())


def test_tables_have_the_steps_of_all_lanes(recording: h5r.Recording) -> None:
    pytest.importorskip("pandas")
    frame = recording.to_pandas()
    assert len(frame) == len(STEPS)
    assert frame["observations/number"].tolist() == [observation(*each)["number"] for each in STEPS]
    assert frame["rewards"].tolist() == [reward(e.lane, e.number, step + 1) for e, step in STEPS]
    odd = [info(each.lane, each.number, step).get("odd") for each, step in STEPS]
    is_missing = frame["infos/odd"].isna().tolist()
    assert is_missing == [each is None for each in odd]
    assert frame["infos/odd"].dropna().tolist() == [each for each in odd if each is not None]
    episode = recording.lane(3)[1]
    assert episode.to_pandas()["step"].tolist() == [0, 1]
    assert recording.lane(2).to_pandas()["actions"].tolist() == recording.lane(2)[0].actions[:].tolist()


def test_arrow_tables_have_the_steps_of_all_lanes(recording: h5r.Recording) -> None:
    pytest.importorskip("pyarrow")
    table = recording.to_arrow()
    assert table["observations/at"].to_pylist() == [observation(*each)["at"].tolist() for each in STEPS]


def test_statistics_are_those_of_the_steps(boxes: Path) -> None:
    at = np.array([(each.lane, each.number, step) for each, step in STEPS], np.float64)
    with h5r.Recording(boxes) as recording:
        stats = recording.stats()
        np.testing.assert_allclose(stats["observations"].mean, at.mean(axis=0))
        np.testing.assert_array_equal(stats["observations"].max, at.max(axis=0))
        np.testing.assert_allclose(recording.lane(1).stats()["observations"].mean, at[at[:, 0] == 1].mean(axis=0))


def test_notebooks_show_recordings_selections_and_episodes(recording: h5r.Recording) -> None:
    assert "23 episodes" in recording._repr_html_()
    assert "Episode 1 of lane 3: 2 steps" in recording[1]._repr_html_()
    assert repr(recording[1]).startswith("<Episode 1 of lane 3: 2 steps")
    assert "7 episodes" in recording.lane(1)._repr_html_()


@pytest.mark.parametrize(
    "twin_of", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"]
)
def test_copies_read_their_lane_in_another_process(twin_of: Any, recording: h5r.Recording) -> None:
    expected = observation(EXPECTED[1], 1)
    assert EXPECTED[1].lane == 3
    episode = recording[1]
    assert identical(twin_of(recording)[1].observations[1], expected)
    assert identical(twin_of(recording.lane(3))[0].observations[1], expected)
    assert identical(twin_of(episode).observations[1], expected)
    assert identical(twin_of(episode.observations)[1], expected)
    assert identical(twin_of(episode.infos)[1], info(3, 0, 1))
    steps = twin_of(recording.steps)
    assert identical(steps.observations[len(STEPS) - 1], observation(*STEPS[-1]))


def test_rows_are_refused_with_what_to_take_instead(recording: h5r.Recording) -> None:
    with pytest.raises(
        h5r.errors.OptionError, match=r"each with rows of its own: take recording\.steps, or .*lane\(0\)"
    ):
        recording.rows  # noqa: B018  # a property that raises


def test_a_recording_is_followed_while_it_is_written(tmp_path: Path) -> None:
    mode, path = AutoresetMode.SAME_STEP, tmp_path / "run.h5"
    inner = SyncVectorEnv(functions("dict", list(LENGTHS)), autoreset_mode=mode)
    envs = h5r.vector.RecordToHDF5(inner, path, writer="inline")
    drive(envs, mode, 5)
    envs.flush()
    with h5r.Recording(path, live=True) as recording:
        for done, num_steps in ((0, 5), (5, 12), (12, 13)):
            if done:
                drive(envs, mode, num_steps - done, start=done)
                envs.flush()
                assert recording.refresh()
            expected = expected_episodes(list(LENGTHS), mode, num_steps)
            ended = [(each.lane, each.length) for each in expected if each.is_over]
            assert [(each.env, each.length) for each in recording] == ended
            assert recording.num_steps == len(recording.steps) == 4 * num_steps
            found = recording.steps.observations[:]["at"].tolist()
            assert found == [observation(each, step)["at"].tolist() for each in expected for step in range(each.length)]
        envs.close()
        assert not recording.refresh()
        assert recording.num_episodes == len(expected)


def test_a_copy_by_h5repack_reads_the_same(lanes: Path, tmp_path: Path) -> None:
    if shutil.which("h5repack") is None:
        pytest.skip("h5repack is not installed")
    subprocess.run(["h5repack", "-f", "GZIP=1", lanes, tmp_path / "b.h5"], check=True)
    assert h5r.diff(lanes, tmp_path / "b.h5").ok


def test_a_copy_by_h5py_reads_the_same(lanes: Path, tmp_path: Path) -> None:
    """Other programs lay out datasets in other ways: without chunks here."""
    path = Path(shutil.copy(lanes, tmp_path / "b.h5"))
    with h5py.File(path, "r+") as file:
        for name in ("observations/at", "rewards", "types", "infos/json/ends"):
            items = file[name][:]
            del file[name]
            file[name] = items
    assert h5r.diff(lanes, path).ok
    assert not h5r.validate(path, deep=True)


# Train --------------------------------------------------------------------------------------------


def steps_of(batch: dict[str, Any]) -> set[tuple[int, ...]]:
    return set(map(tuple, batch["observations"].astype(int).tolist()))


@pytest.mark.parametrize(
    "options",
    [{"order": "chunk"}, {"cache": "all"}, {"cache": "compressed"}, {"cache": "low_dim", "order": "chunk"}],
    ids=str,
)
def test_an_epoch_has_every_step_of_every_lane_once(options: dict[str, Any], boxes: Path) -> None:
    with h5r.Recording(boxes) as recording:
        sampler = recording.sampler(batch_size=8, seed=3, **options)
        batches = [sampler.batch(number) for number in range(len(sampler))]
    found = np.concatenate([each["observations"] for each in batches])
    assert sorted(map(tuple, found.tolist())) == sorted(ALL_STEPS)
    for batch in batches:
        np.testing.assert_array_equal(batch["next_observations"], batch["observations"] + [0, 0, 1])


@pytest.mark.parametrize("order", ["uniform", "chunk"])
def test_windows_stay_in_their_episode_and_lane(order: Any, boxes: Path) -> None:
    with h5r.Recording(boxes) as recording:
        window = Window(observations=(-2, 1), actions=(0, 2))
        sampler = recording.sampler(batch_size=61, seed=0, window=window, order=order)
        batch = sampler.batch(0)
        for observations, actions, number, step in zip(
            batch["observations"], batch["actions"], batch["episodes"], batch["steps"], strict=True
        ):
            its = EXPECTED[number]
            at = [max(step + offset, 0) for offset in (-2, -1, 0)]
            assert observations.tolist() == [[its.lane, its.number, each] for each in at]
            assert actions[0] == its.actions[step]


def test_returns_over_several_steps_end_with_the_episode(boxes: Path) -> None:
    with h5r.Recording(boxes) as recording:
        batch = recording.sampler(batch_size=61, seed=0, n_step=3, gamma=0.5).batch(0)
    for found, following, number, step in zip(
        batch["rewards"], batch["next_observations"], batch["episodes"], batch["steps"], strict=True
    ):
        its = EXPECTED[number]
        rewards = [reward(its.lane, its.number, at) for at in range(step + 1, min(step + 3, its.length) + 1)]
        assert found == pytest.approx(sum(each * 0.5**at for at, each in enumerate(rewards)))
        assert following.tolist() == [its.lane, its.number, step + len(rewards)]


def test_whole_episodes_are_those_of_the_lanes(boxes: Path) -> None:
    with h5r.Recording(boxes) as recording:
        batch = recording.lane(1).sampler(batch_size=4, seed=0, whole_episodes=True).batch(0)
        numbers = batch["episodes"].reshape(4, -1)[:, 0]
        assert {EXPECTED[number].lane for number in numbers} == {1}
        assert batch["lengths"].tolist() == [EXPECTED[number].length for number in numbers]


def test_a_replay_buffer_samples_all_lanes(boxes: Path) -> None:
    with h5r.ReplayBuffer(boxes, seed=0) as buffer:
        batch = buffer.sample(200)
    assert steps_of(batch) <= ALL_STEPS
    assert {lane for lane, _, _ in steps_of(batch)} == {0, 1, 2, 3}


def test_torch_gets_the_transitions_of_all_lanes(boxes: Path) -> None:
    pytest.importorskip("torch")
    from gym_h5record.torch import SamplerDataset, TransitionDataset

    with h5r.Recording(boxes) as recording:
        found = TransitionDataset(recording)
        assert len(found) == len(STEPS)
        for at in (0, 5, len(STEPS) - 1):
            each, step = STEPS[at]
            assert found[at]["observations"].tolist() == [each.lane, each.number, step]
            assert found[at]["next_observations"].tolist() == [each.lane, each.number, step + 1]
        batch = next(iter(SamplerDataset(recording.sampler(batch_size=16, seed=0))))
        assert steps_of({"observations": batch["observations"].numpy()}) <= {
            (e.lane, e.number, step) for e, step in STEPS
        }


# Play again ---------------------------------------------------------------------------------------


def test_a_policy_is_compared_with_every_lane(lanes: Path) -> None:
    told: dict[tuple[int, int], Iterator[int]] = {}

    def policy(seen: Any) -> np.int64:
        lane, number, step = (int(each) for each in seen["at"])
        its = next(each for each in EXPECTED if (each.lane, each.number) == (lane, number))
        told[lane, number] = told.get((lane, number), iter(its.actions))
        return np.int64(its.actions[step])

    report = h5r.evaluate(policy, lanes)
    assert report.agreement is not None
    assert (report.agreement.num_steps, report.agreement.equal) == (len(STEPS), len(STEPS))
    assert len(told) == sum(each.length > 0 for each in EXPECTED)


def test_a_policy_acts_where_episodes_of_lanes_began(cart_poles: Path) -> None:
    report = h5r.evaluate(lambda seen: int(seen[2] > 0), cart_poles, closed_loop=True, max_steps=5)
    assert [each.reason for each in report.episodes] == [""] * report.num_episodes
    assert all(each.live is not None and each.live.num_steps == 5 for each in report.episodes)


def test_every_episode_of_every_lane_can_be_branched_off(cart_poles: Path) -> None:
    with h5r.Recording(cart_poles) as recording:
        assert {each.env for each in recording} == {0, 1, 2}
        for episode in recording:
            env, seen, _ = h5r.branch(cart_poles, episode.number, episode.length // 2)
            assert identical(seen, episode.observations[episode.length // 2])
            env.close()


def test_a_single_environment_is_made_for_a_lane(cart_poles: Path, lanes: Path) -> None:
    with h5r.Recording(cart_poles) as recording, recording.make_env() as env:
        assert env.spec is not None
        assert env.spec.id == "CartPole-v1"
        assert env.observation_space == recording.observation_space
    with h5r.Recording(lanes) as recording, pytest.raises(UnbuildableEnvError, match="Scripted cannot be made again"):
        recording.make_env()


def test_lanes_that_were_stepped_together_are_run_together_only(tmp_path: Path) -> None:
    path = record_cart_poles(tmp_path / "run.h5", vectorization_mode="vector_entry_point")
    together = "CartPoleVectorEnv steps 3 environments together"
    with pytest.raises(NotReplayableError, match=together):
        h5r.branch(path, 0, 1)
    with (
        h5r.Recording(path) as recording,
        pytest.raises(UnbuildableEnvError, match="CartPoleVectorEnv steps its envir"),
    ):
        recording.make_env()
    report = h5r.evaluate(lambda seen: 0, path, closed_loop=True, max_steps=2)
    assert all(together in each.reason for each in report.episodes)
    assert h5r.evaluate(lambda seen: 0, path).num_steps == report.num_steps
    assert h5r.verify(path).ok


def test_the_command_line_takes_lanes(cart_poles: Path) -> None:
    def told(*arguments: str) -> str:
        from click.testing import CliRunner

        from gym_h5record.cli import main

        result = CliRunner().invoke(main, [*arguments, str(cart_poles)])
        assert result.exit_code == 0, result.output
        return result.output

    assert "3 environments side by side, autoreset NEXT_STEP" in told("info")
    assert "episode 0, lane 2: " in told("tail")
    assert json.loads(told("tail", "--json").splitlines()[1])["env"] == 2
    assert "episode 4: " in told("replay", "--episode", "4", "--limit", "2")
    assert "nothing to repair" in told("repair")
    assert "the same in both" in told("diff", str(cart_poles))
    assert "no problem found" in told("validate", "--deep")
    assert "exact" in told("verify")
    assert "episode  return  steps" in told("stats")


def test_extras_are_read_by_lane(tmp_path: Path) -> None:
    with h5r.Recording(record_with_extras(tmp_path / "run.h5")) as recording:
        found = [(episode.env, each) for episode in recording for each in episode.extras or ()]
    assert len(found) == 6 * 4 - 5  # five times, a step resets a lane instead
    for lane, each in found:
        step = int(each["pair"][0])
        assert (float(each["value"]), each["words"]) == (lane + step / 8, f"{lane} {step}")
