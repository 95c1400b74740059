"""Options that do not fit the recording are errors; weights, ranks and memory are planned from what it has."""

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError, SelectionError
from gym_h5record.training import Window
from tests.training.numbered import places, record_numbered

LENGTHS = (7, 1, 4, 0, 9)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with h5r.Recording(record_numbered(tmp_path_factory.mktemp("plan") / "a.h5", LENGTHS)) as recording:
        yield recording


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"window": Window(actions=(0, 10))},
            "window: that of actions has 10 steps, more than the longest episode.* 9",
        ),
        ({"window": Window(observations=(-10, 1))}, "window: that of observations has 11 steps, .* which has 10"),
        (
            {"window": Window(actions=(0, 9), observations=(-8, 1)), "pad": "drop"},
            "nothing to sample in .*a.h5: no epi",
        ),
        ({"window": Window(frames=(0, 2))}, "window: frames has a window, but is none of the columns"),
        ({"batch_size": 22}, "batch_size: 22 is more than there is to sample, 21 steps:"),
        ({"batch_size": 11, "world_size": 2}, "batch_size: 11 is more .* 10 steps for each of 2 ranks"),
        ({"weights": [1.0, 2.0]}, r"weights: expected one for each of 5 episodes, or for each of 21 steps.*\(2,\)"),
        ({"weights": [1, 1, 1, 1, -1]}, "weights: expected finite numbers from 0 on"),
        ({"weights": [1, 1, 1, 1, np.nan]}, "weights: expected finite numbers from 0 on"),
        ({"weights": [0, 0, 0, 1, 0]}, "weights: all of them are zero"),
        ({"whole_episodes": True, "batch_size": 5}, "batch_size: 5 is more than there is to sample, 4 episodes:"),
        ({"whole_episodes": True, "columns": ["steps"]}, 'columns: whole episodes have no "steps"'),
        ({"whole_episodes": True, "weights": [1] * 21}, r"weights: expected one for each of 5 episodes, got .*\(21,\)"),
        ({"whole_episodes": True, "memory_bytes": 900}, "memory_bytes: a batch takes .* and only 8.. are left"),
        ({"memory_bytes": 500, "batch_size": 4}, "memory_bytes: a batch takes .* and only 4.. are left"),
        ({"order": "chunk", "world_size": 2, "batch_size": 4}, 'order="chunk" deals out blocks'),
    ],
    ids=[
        "actions",
        "observations",
        "drop",
        "column",
        "size",
        "ranks",
        "count",
        "negative",
        "nan",
        "zero",
        "whole size",
        "whole steps",
        "whole weights",
        "whole memory",
        "memory",
        "chunk",
    ],
)
def test_an_option_that_does_not_fit_is_one_clear_error(recording, options, message):
    with pytest.raises(OptionError, match=message):
        recording.sampler(**{"batch_size": 2, **options})


def test_a_recording_without_steps_has_nothing_to_sample(recording):
    with pytest.raises(OptionError, match="there is nothing to sample in .*: no steps"):
        recording.select([3]).sampler(1)


def test_a_mask_that_does_not_exist_is_an_error(recording):
    with pytest.raises(SelectionError, match="has no mask 'train'"):
        recording.select("train").sampler(1)


def test_windows_that_fill_the_longest_episode_are_allowed(recording):
    sampler = recording.sampler(1, window=Window(observations=(0, 10)), pad="drop", columns=["observations", "steps"])
    assert len(sampler) == 1


def test_steps_of_an_episode_have_its_weight(recording):
    sampler = recording.sampler(1000, weights=[1, 0, 2, 5, 1])
    drawn = places(sampler.batch(0))
    counts = np.bincount([episode for episode, _ in drawn], minlength=5)
    expected = 1000 * np.array([7, 0, 8, 0, 9]) / 24
    assert (counts[expected == 0] == 0).all()
    assert (abs(counts - expected) < 5 * np.sqrt(expected + 1)).all()


@pytest.mark.parametrize("pad", ["repeat", "drop"])
def test_weights_of_steps_are_those_of_the_steps_of_all_episodes(recording, pad):
    weights = np.zeros(21)
    weights[[5, 19, 0, 20]] = [1, 2, 3, 4]
    window = Window(observations=(-2, 1), actions=(0, 2))
    drawn = places(recording.sampler(500, weights=weights, window=window, pad=pad).batch(0))
    # The first step of episode 0 and the last one of episode 4 have no whole window.
    assert set(drawn) == {(0, 5), (4, 7), *([(0, 0), (4, 8)] if pad == "repeat" else [])}
    assert 1.3 < drawn.count((4, 7)) / drawn.count((0, 5)) < 3


def test_a_small_budget_gives_the_same_batches(recording):
    expected = [places(each) for each in recording.sampler(4)]
    assert [places(each) for each in recording.sampler(4, memory_bytes=1500)] == expected


def test_episodes_of_a_running_recording_are_sampled_without_the_newest(tmp_path):
    path = tmp_path / "live.h5"
    with h5r.Writer(path, observation_space=spaces.Discrete(9), action_space=spaces.Discrete(2)) as writer:
        for episode in range(3):
            writer.begin_episode(episode)
            for step in range(4):
                writer.append(0, episode, float(step), False, step == 3 and episode < 2)
        writer.flush()
        with h5r.Recording(path, live=True) as recording:
            assert recording.num_steps == 12
            sampler = recording.sampler(2)
            assert sampler.num_samples == 8
            recording.refresh()
            assert sorted(place for batch in sampler for place in places(batch)) == [
                (episode, step) for episode in (0, 1) for step in range(4)
            ]
