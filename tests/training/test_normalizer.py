"""``Normalizer``: batches, observations and actions normalised and brought back; its JSON text."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training.scaling import MODES
from gym_h5record.training.statistics import Statistics
from tests.reading import record
from tests.zoo import ODD_KEYS, ZooEnv

each_mode = pytest.mark.parametrize("mode", MODES)

ARM = spaces.Dict(
    arm=spaces.Dict(pos=spaces.Box(-3, 9, (3,), np.float32), grip=spaces.Box(-1, 1, (), np.float64)),
    pair=spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float64), spaces.Discrete(4))),
    picture=spaces.Box(0, 255, (5, 4, 3), np.uint8),
    text=spaces.Text(3),
)
FLOATS = ("observations/arm/grip", "observations/arm/pos", "observations/pair/0", "actions")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes of a Dict space with actions of floats; do not change the file."""
    path = tmp_path_factory.mktemp("normalizer") / "run.h5"
    record(path, ZooEnv(ARM, spaces.Box(-2, 2, (2,), np.float32), rewards=(0.5, 2.0), length=30), (30, 30, 4))
    return path


@pytest.fixture(scope="module")
def stats(path: Path) -> Statistics:
    with h5r.Recording(path) as recording:
        return recording.stats()


@pytest.fixture(scope="module")
def batch(path: Path) -> dict[str, Any]:
    with h5r.Recording(path) as recording:
        return next(recording.iter_batches(64))


# Which leaves -------------------------------------------------------------------------------------


def test_observations_and_actions_of_floats_are_normalised_by_default(stats: Statistics) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    assert sorted(normalizer.leaves) == sorted(FLOATS)
    assert (normalizer.mode, normalizer.dtype) == ("mean_std", np.float32)
    assert repr(normalizer).startswith("<Normalizer mean_std: observations/arm")


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        ("rewards", ["rewards"]),
        (["rewards", "actions", "rewards"], ["rewards", "actions"]),
        ("observations/pair", ["observations/pair/0", "observations/pair/1"]),
        (["observations/picture"], ["observations/picture"]),
    ],
    ids=["one", "several", "tree", "picture"],
)
def test_leaves_are_chosen_by_name_or_by_what_they_are_in(stats: Statistics, leaves: Any, expected: list[str]) -> None:
    assert [*h5r.Normalizer.from_stats(stats, leaves=leaves).leaves] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"leaves": ["observations/leg"]},
            "there is no leaf 'observations/leg' to normalise: there are observations/arm",
        ),
        ({"leaves": "observation"}, "there is no leaf 'observation' to normalise"),
        ({"leaves": "observations/text"}, "no leaf 'observations/text' to normalise: values that vary in size"),
        ({"leaves": []}, "leaves: expected the name of at least one leaf"),
        ({"mode": "mean"}, "mode: expected one of 'mean_std', 'min_max', 'quantile', got 'mean'"),
        ({"quantiles": (0.9, 0.1)}, "quantiles: expected two numbers in ascending order"),
        ({"quantiles": (0.1,)}, "quantiles: expected two numbers in ascending order"),
        ({"dtype": np.int32}, "dtype: expected one of floats"),
    ],
    ids=["leaf", "root", "skipped", "none", "mode", "quantiles", "one-quantile", "dtype"],
)
def test_what_cannot_be_is_one_clear_error(stats: Statistics, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        h5r.Normalizer.from_stats(stats, **options)


def test_without_floats_leaves_must_be_named(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(3), infos=lambda step: {}))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        stats = recording.stats()
    with pytest.raises(OptionError, match="consists of floats; name leaves of observations, actions, rewards"):
        h5r.Normalizer.from_stats(stats)


# Batches ------------------------------------------------------------------------------------------


def test_a_batch_has_mean_0_and_deviation_1_in_every_normalised_leaf(stats: Statistics, batch: dict[str, Any]) -> None:
    normal = h5r.Normalizer.from_stats(stats, dtype=np.float64).normalize(batch)
    observations = normal["observations"]
    for leaf in (observations["arm"]["pos"], observations["arm"]["grip"], observations["pair"][0], normal["actions"]):
        np.testing.assert_allclose(leaf.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(leaf.std(axis=0), 1, rtol=1e-6)


def test_next_observations_are_normalised_like_observations(stats: Statistics, batch: dict[str, Any]) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    found = normalizer.normalize(batch)["next_observations"]["arm"]["pos"]
    assert np.array_equal(found, normalizer.normalize(batch["next_observations"], "observations")["arm"]["pos"])
    assert not np.array_equal(found, batch["next_observations"]["arm"]["pos"])


def test_what_is_no_leaf_of_the_normalizer_is_passed_on(stats: Statistics, batch: dict[str, Any]) -> None:
    masks = {"observations": np.ones((64, 4), np.bool_)}
    normal = h5r.Normalizer.from_stats(stats).normalize({**batch, "mask": masks, 5: "x"})
    assert normal["mask"]["observations"] is masks["observations"]
    for name in ("rewards", "terminations", "dones", "episodes"):
        assert normal[name] is batch[name]
    assert normal["observations"]["picture"] is batch["observations"]["picture"]
    assert normal["observations"]["text"] == batch["observations"]["text"]
    assert normal["observations"]["pair"][1] is batch["observations"]["pair"][1]
    assert normal[5] == "x"


@each_mode
def test_the_inverse_gives_the_batch_back(stats: Statistics, batch: dict[str, Any], mode: str) -> None:
    before = pickle.dumps(batch)
    normalizer = h5r.Normalizer.from_stats(stats, mode=mode, leaves=["observations", "actions", "rewards"])
    normal = normalizer.normalize(batch)
    assert normal["observations"]["picture"].dtype == normal["actions"].dtype == np.float32
    found = normalizer.inverse(normal)
    assert pickle.dumps(batch) == before
    for mine, theirs in (
        (found["observations"]["arm"]["pos"], batch["observations"]["arm"]["pos"]),
        (found["next_observations"]["pair"][0], batch["next_observations"]["pair"][0]),
        (found["actions"], batch["actions"]),
        (found["rewards"], batch["rewards"]),
    ):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    for mine, theirs in (
        (found["observations"]["picture"], batch["observations"]["picture"]),
        (found["observations"]["pair"][1], batch["observations"]["pair"][1]),
    ):
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs)


def test_windows_of_a_batch_are_normalised_step_by_step(stats: Statistics, batch: dict[str, Any]) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    windows = np.stack([batch["actions"], batch["actions"] + 1], axis=1)
    found = normalizer.normalize({"actions": windows})["actions"]
    assert found.shape == (64, 2, 2)
    assert np.array_equal(found[:, 0], normalizer.normalize(batch["actions"], "actions"))


# Single values ------------------------------------------------------------------------------------


def test_a_single_observation_and_a_single_action(path: Path, stats: Statistics) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    with h5r.Recording(path) as recording:
        observation, action = recording[0].observations[0], recording[0].actions[0]
        space = recording.action_space
    normal = normalizer.normalize(observation, "observations")
    expected = (observation["arm"]["pos"] - stats["observations/arm/pos"].mean) / stats["observations/arm/pos"].std
    np.testing.assert_allclose(normal["arm"]["pos"], expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(normalizer.normalize(observation["arm"]["pos"], "observations/arm/pos"), normal["arm"]["pos"])
    back = normalizer.inverse(normalizer.normalize(action, "actions"), "actions")
    np.testing.assert_allclose(back, action, rtol=1e-5, atol=1e-6)
    assert back.dtype == space.dtype


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        (np.zeros(2), "action", "the normalizer has no leaf 'action'; it has observations/arm"),
        (np.zeros(2), "rewards", "the normalizer has no leaf 'rewards'"),
        (np.zeros(5), "actions", r"actions: expected an array of shape \(\.\.\., 2\), got \(5,\)"),
        (np.zeros(5), "observations", "observations: expected a dict or a tuple, got an array"),
        (
            {"arm": {"pos": np.zeros(4)}},
            "observations",
            r"observations/arm/pos: expected an array of shape \(\.\.\., 3\)",
        ),
        (np.zeros(2), None, "expected a batch, got an array of float64"),
        ({"actions": [None, np.zeros(2)]}, None, "actions: expected an array of numbers, got"),
    ],
    ids=["unknown", "not-chosen", "shape", "tree", "nested", "no-name", "misfits"],
)
def test_other_values_are_one_clear_error(stats: Statistics, values: Any, name: str | None, message: str) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    with pytest.raises(OptionError, match=message):
        normalizer.normalize(values, name)
    with pytest.raises(OptionError, match=message):
        normalizer.inverse(values, name)


def test_odd_keys_of_a_dict_space_are_found(tmp_path: Path) -> None:
    space = spaces.Dict([(key, spaces.Box(-1, 1, (2,), np.float32)) for key in ODD_KEYS])
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2), infos=lambda step: {}))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        normalizer = h5r.Normalizer.from_stats(recording.stats())
        batch = next(recording.iter_batches(1000))
    assert len(normalizer.leaves) == len(ODD_KEYS)
    for key, leaf in normalizer.normalize(batch)["observations"].items():
        np.testing.assert_allclose(leaf.mean(axis=0), 0, atol=1e-6, err_msg=repr(key))


# JSON and equality --------------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_json_gives_an_equal_normalizer(stats: Statistics, mode: str, dtype: Any) -> None:
    normalizer = h5r.Normalizer.from_stats(stats, mode=mode, leaves=["observations", "actions"], dtype=dtype)
    again = h5r.Normalizer.from_json(normalizer.to_json())
    assert again == normalizer
    assert again.to_json() == normalizer.to_json()
    random = np.random.default_rng(0).normal(size=(9, 2))
    assert np.array_equal(again.normalize(random, "actions"), normalizer.normalize(random, "actions"))
    assert pickle.loads(pickle.dumps(normalizer)) == normalizer


def test_normalizers_of_other_modes_leaves_or_dtypes_differ(stats: Statistics) -> None:
    normalizer = h5r.Normalizer.from_stats(stats)
    assert normalizer == h5r.Normalizer.from_stats(stats)
    for options in ({"mode": "min_max"}, {"leaves": "actions"}, {"dtype": np.float64}):
        assert normalizer != h5r.Normalizer.from_stats(stats, **options)
    assert normalizer != "normalizer"
    with pytest.raises(TypeError, match="unhashable"):
        hash(normalizer)


def changed(text: str, change: Any) -> str:
    """A JSON text with a change."""
    content = json.loads(text)
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("normalizer"),
        lambda content: content.update(normalizer=2),
        lambda content: content.update(mode="mean"),
        lambda content: content.update(dtype="int8"),
        lambda content: content.update(dtype="no dtype"),
        lambda content: content.update(leaves=[1]),
        lambda content: content["leaves"]["actions"].pop("scale"),
        lambda content: content["leaves"]["actions"].update(scale=[1.0]),
        lambda content: content["leaves"]["actions"].update(scale=[1.0, 0.0]),
        lambda content: content["leaves"]["actions"].update(offset=[float("nan"), 0.0]),
        lambda content: content["leaves"]["actions"].update(offset=["a", "b"]),
        lambda content: content["leaves"]["actions"].update(shape=[-2]),
        lambda content: content["leaves"]["actions"].update(shape=3),
        lambda content: content["leaves"]["actions"].update(dtype="object"),
        lambda content: content["leaves"].update(actions=None),
    ],
    ids=[
        "no-version",
        "version",
        "mode",
        "dtype",
        "no-dtype",
        "leaves",
        "no-scale",
        "few-scales",
        "zero-scale",
        "nan",
        "text",
        "negative-shape",
        "shape",
        "object",
        "no-leaf",
    ],
)
def test_a_text_that_is_no_normalizer_is_one_clear_error(stats: Statistics, change: Any) -> None:
    text = changed(h5r.Normalizer.from_stats(stats).to_json(), change)
    with pytest.raises(OptionError, match="this is not the JSON text of a Normalizer"):
        h5r.Normalizer.from_json(text)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "3", "{}", "[" * 100_000], ids=["empty", "null", "list", "number", "dict", "deep"]
)
def test_any_other_text_is_one_clear_error(text: str) -> None:
    with pytest.raises(OptionError, match="this is not the JSON text of a Normalizer"):
        h5r.Normalizer.from_json(text)


def test_a_tuple_without_some_of_its_values_is_an_error_and_not_scaled_by_their_neighbours(tmp_path: Path) -> None:
    box = spaces.Box(-1, 1, (2,), np.float32)
    record(tmp_path / "run.h5", ZooEnv(spaces.Tuple((box, box)), spaces.Discrete(2), length=9), (9,))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        normalizer = h5r.Normalizer.from_stats(recording.stats())
        part = recording.sampler(4, columns=["observations/1"]).batch(0)
    with pytest.raises(OptionError, match=r"a tuple of 1 value has no observations/1: .*'observations/1'\)"):
        normalizer.normalize(part)
    assert normalizer.normalize(part["observations"][0], "observations/1").shape == (4, 2)
