"""Windows, masks and n-step rewards equal what is computed step by step."""

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import Window
from gym_h5record.training.sample_reader import Recipe
from gym_h5record.training.sampled_columns import choose_columns
from tests.properties.strategies import PROFILE
from tests.training.numbered import all_places, check_equal, check_transitions, places, record_numbered, values_at

LENGTHS = (7, 1, 4, 0, 9)
NAMES = ("observations", "actions", "dones", "next_observations")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with h5r.Recording(record_numbered(tmp_path_factory.mktemp("reader") / "a.h5", LENGTHS)) as recording:
        yield recording


def all_of(sampler):
    """The whole epoch as pairs of batch and position in it."""
    return [(batch, at) for batch in sampler for at in range(len(batch["steps"]))]


offsets = st.tuples(st.integers(-5, 4), st.integers(1, 5)).map(lambda each: (each[0], each[0] + each[1]))


@given(offsets, offsets, offsets, st.sampled_from(["repeat", "zero", "drop"]), st.integers(1, 3))
@settings(PROFILE, max_examples=40)
def test_windows_are_those_of_the_episode_and_the_mask_says_what_is_padding(
    recording, observations, actions, dones, pad, n_step
):
    window = Window(observations=observations, actions=actions, dones=dones)

    def wanted(name, number, step):
        """The steps in the window of a column, and the last one that the episode has."""
        low, high = window.offsets(name.removeprefix("next_"))
        length = LENGTHS[number]
        start = step + (min(n_step, length - step) if name.startswith("next_") else 0)
        return range(start + low, start + high), length if name.endswith("observations") else length - 1

    def is_whole(number, step):
        return all(
            steps[0] >= 0 and steps[-1] <= last for steps, last in (wanted(name, number, step) for name in NAMES)
        )

    valid = {place for place in all_places(LENGTHS) if pad != "drop" or is_whole(*place)}
    if not valid:
        with pytest.raises(OptionError, match="nothing to sample"):
            recording.sampler(1, window=window, pad=pad, n_step=n_step)
        return
    found = set()
    for batch, at in all_of(recording.sampler(1, window=window, pad=pad, n_step=n_step)):
        (number, step) = places(batch)[at]
        found.add((number, step))
        for name in NAMES:
            steps, last = wanted(name, number, step)
            assert batch["mask"][name][at].tolist() == [0 <= each <= last for each in steps]
            column = getattr(recording.episodes[number], name.removeprefix("next_"))
            for place, each in enumerate(steps):
                expected = column[min(max(each, 0), last)]
                if pad == "zero" and not 0 <= each <= last:
                    expected = {key: 0 * one for key, one in expected.items()} if isinstance(expected, dict) else 0
                check_equal(values_at(values_at(batch[name], at), place), expected)
    assert found == valid


def test_dropped_samples_are_only_those_whose_window_leaves_the_episode(recording):
    def steps(window, columns=None, n_step=1):
        sampler = recording.sampler(1, window=window, pad="drop", columns=columns, n_step=n_step)
        return sorted({places(batch)[0] for batch in sampler})

    def within(first, last):
        return [(e, t) for e, n in enumerate(LENGTHS) for t in range(n) if first(t) and last(t, n)]

    assert steps(Window(observations=(-3, 1))) == within(lambda t: t >= 3, lambda t, n: True)
    assert steps(Window(actions=(0, 4))) == within(lambda t: True, lambda t, n: t + 3 < n)
    # An episode of n steps has n + 1 observations, and next_observations begin one later.
    assert steps(Window(observations=(0, 3))) == within(lambda t: True, lambda t, n: t + 3 <= n)
    alone = ["observations", "episodes", "steps"]
    assert steps(Window(observations=(0, 3)), alone) == within(lambda t: True, lambda t, n: t + 2 <= n)
    assert steps(Window(observations=(0, 2)), n_step=3) == within(lambda t: True, lambda t, n: t + 4 <= n)


@pytest.mark.parametrize("n_step", [2, 3, 5, 20])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_n_step_rewards_equal_a_direct_computation(recording, n_step, gamma):
    for batch, at in all_of(recording.sampler(4, n_step=n_step, gamma=gamma)):
        (number, step) = places(batch)[at]
        episode = recording.episodes[number]
        span = min(n_step, episode.length - step)
        rewards = [float(each) for each in episode.rewards[step : step + span]]
        expected = sum(gamma**k * each for k, each in enumerate(rewards))
        assert batch["rewards"][at] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        terminated, truncated = (bool(each[step + span - 1]) for each in (episode.terminations, episode.truncations))
        assert batch["discounts"][at] == (0 if terminated else gamma**span)
        assert (batch["terminations"][at], batch["truncations"][at]) == (terminated, truncated)
        assert batch["dones"][at] == (terminated or truncated)
        following = episode.observations[step + span]
        assert batch["next_observations"]["number"][at] == following["number"]
        assert (batch["next_observations"]["at"][at] == following["at"]).all()
        assert batch["actions"][at] == episode.actions[step]
        assert batch["observations"]["number"][at] == episode.observations[step]["number"]


def test_discounts_need_no_other_column(recording):
    batch = recording.sampler(4, n_step=3, columns=["rewards"]).batch(0)
    assert list(batch) == ["rewards", "discounts"]


def test_rewards_of_several_numbers_are_summed_one_by_one(tmp_path):
    rewards = np.arange(12, dtype=np.float64).reshape(6, 2)
    with h5r.Writer(tmp_path / "a.h5", observation_space=spaces.Discrete(3), action_space=spaces.Discrete(3)) as writer:
        writer.append_episode(
            observations=np.zeros(7, np.int64), actions=np.zeros(6, np.int64), rewards=rewards,
            terminations=None, truncations=None,
        )  # fmt: skip
    with h5r.Recording(tmp_path / "a.h5") as recording:
        for batch, at in all_of(recording.sampler(2, n_step=2, gamma=0.5)):
            step = batch["steps"][at]
            expected = rewards[step] + (0.5 * rewards[step + 1] if step < 5 else 0)
            assert (batch["rewards"][at] == expected).all()


def test_rewards_and_flags_have_the_dtypes_of_the_file(recording):
    batch = recording.sampler(4).batch(0)
    check_transitions(recording, batch)
    assert batch["rewards"].dtype == np.float64
    assert {batch[name].dtype for name in ("terminations", "truncations", "dones")} == {np.dtype(np.bool_)}
    assert batch["observations"]["at"].dtype == np.float32
    assert {batch[name].dtype for name in ("episodes", "steps")} == {np.dtype(np.int64)}


def test_the_bytes_of_a_sample_are_those_of_its_part_of_a_batch(recording):
    columns, counted = choose_columns(recording.schema, None)
    _, copied = Recipe(columns, counted, Window(observations=(-3, 1))).bytes_per_sample()
    batch = recording.sampler(4, window=Window(observations=(-3, 1))).batch(0)
    arrays = [*batch["observations"].values(), *batch["next_observations"].values()]
    arrays += [
        batch[name] for name in ("actions", "rewards", "terminations", "truncations", "dones", "episodes", "steps")
    ]
    assert 4 * copied == sum(each.nbytes for each in arrays)


# Whole episodes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pad", ["repeat", "zero"])
@pytest.mark.parametrize("cache", [None, "low_dim", "compressed", "all"])
def test_whole_episodes_are_those_of_the_recording_and_the_mask_says_what_is_padding(recording, pad, cache):
    names = ("observations", "actions", "rewards", "terminations", "truncations", "next_observations", "episodes")
    found = []
    sampler = recording.sampler(2, whole_episodes=True, pad=pad, cache=cache, columns=names)
    for batch in sampler:
        longest = batch["lengths"].max()
        for at, (number, length) in enumerate(zip(batch["episodes"], batch["lengths"], strict=True)):
            episode = recording.episodes[int(number)]
            found.append(int(number))
            assert episode.length == length
            for name in names[:-1]:
                values = values_at(batch[name], at)
                if name.endswith("observations"):
                    values = values["at"]
                    expected = episode.observations[name.startswith("next_") :]["at"]
                else:
                    expected = np.asarray(getattr(episode, name))
                assert len(values) == longest + (name == "observations")
                assert (values[: len(expected)] == expected).all()
                assert (values[len(expected) :] == (expected[-1] if pad == "repeat" else 0)).all()
                assert batch["mask"][name][at].tolist() == [step < len(expected) for step in range(len(values))]
    assert sorted(found) == [0, 1, 2, 4]  # the fourth one has no steps


def test_whole_episodes_have_the_usual_columns_but_next_observations(recording):
    batch = recording.sampler(3, whole_episodes=True).batch(0)
    assert list(batch) == [
        *("observations", "actions", "rewards", "terminations", "truncations", "dones", "episodes", "lengths", "mask")
    ]
    assert list(batch["mask"]) == list(batch)[:6]


def test_a_batch_of_whole_episodes_is_padded_to_its_own_longest_whatever_was_read_before(recording):
    sampler = recording.sampler(1, whole_episodes=True, columns=["rewards", "episodes"])
    iterated, numbered = [*sampler], [sampler.batch(number, epoch=0) for number in (3, 2, 1, 0)]
    for batch, other in zip(iterated, reversed(numbered), strict=True):
        assert batch["rewards"].shape == (1, LENGTHS[batch["episodes"][0]])
        check_equal(batch, other)
