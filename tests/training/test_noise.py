"""Noise has the standard deviation and the bounds that were asked for, on the leaves that were named."""

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import Noise, Window
from tests.training.numbered import check_equal, record_numbered


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with h5r.Recording(record_numbered(tmp_path_factory.mktemp("noise") / "a.h5", [500, 500])) as recording:
        yield recording


def test_noise_is_normal_and_of_the_standard_deviation_of_each_element(recording):
    plain, noisy = (
        recording.sampler(1000, transforms=each).batch(0)["observations"]["at"]
        for each in ((), (Noise("observations/at", [0.0, 2.0]),))
    )
    assert noisy.dtype == plain.dtype == np.float32
    check_equal(noisy[:, 0], plain[:, 0])
    noise = noisy[:, 1] - plain[:, 1]
    assert noise.mean() == pytest.approx(0, abs=0.3)
    assert noise.std() == pytest.approx(2, rel=0.1)


def test_noise_of_leaves_steps_and_elements_differs(recording):
    window = Window(observations=(0, 3))
    names = ["observations/at", "next_observations/at"]
    plain, noisy = (
        recording.sampler(50, window=window, pad="drop", transforms=each).batch(0)
        for each in ((), (Noise(names, 1000.0),))
    )
    noise = [noisy[name]["at"] - plain[name]["at"] for name in ("observations", "next_observations")]
    assert len(np.unique(np.round(np.stack(noise), 1))) > 580  # of 600 numbers


def test_clip_bounds_the_values(recording):
    rewards = recording.sampler(1000, transforms=[Noise("rewards", 3.0, clip=(-1, 0.5))]).batch(0)["rewards"]
    assert (rewards.min(), rewards.max()) == (-1, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rewards", -1), "std expects finite numbers from 0 on, got"),
        (("rewards", np.nan), "std expects finite numbers from 0 on"),
        (("rewards", "much"), "std expects a number or an array of numbers, got 'much'"),
        (("rewards", 1, 3), r"clip expects a pair such as \(-1, 1\), got 3"),
        (("rewards", 1, ("a", 1)), "clip expects a number or an array of numbers"),
        ((1, 1), "expected the name of a leaf"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_one_clear_error(arguments, message):
    with pytest.raises(OptionError, match=f"Noise: {message}"):
        Noise(*arguments)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (Noise("actions", 1), "actions has values of int64, and noise is for floating point numbers"),
        (Noise("observations", 1), "there is no leaf 'observations' in a batch. Its leaves are observations/at, obs"),
        (Noise("observations/at", [1, 1, 1]), r"std of shape \(3,\) does not fit .* observations/at, .*\(2,\)"),
        (Noise("rewards", [1]), r"std of shape \(1,\) does not fit the values of rewards, whose shape is \(\)"),
        (Noise("rewards", 1, clip=([0, 0], 1)), r"clip of shape \(2,\) does not fit"),
    ],
    ids=["dtype", "tree", "shape", "scalar", "clip"],
)  # fmt: skip
def test_a_leaf_that_does_not_fit_is_an_error_when_the_sampler_is_made(recording, noise, message):
    with pytest.raises(OptionError, match=f"Noise: {message}"):
        recording.sampler(4, transforms=[noise])
