"""The steps that can be sampled, and whether the file still has them."""

import pickle

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import SelectionError
from gym_h5record.training.step_source import StepSource, Transitions
from tests.properties.strategies import PROFILE
from tests.training.numbered import record_numbered


@given(st.lists(st.integers(0, 12)), st.integers(0, 4), st.integers(0, 4))
@PROFILE
def test_every_step_with_a_whole_window_is_a_sample(lengths, before, behind):
    transitions = Transitions(np.array(lengths, np.int64), before, behind)
    episodes, steps = transitions.places(np.arange(transitions.size))
    expected = [(e, t) for e, n in enumerate(lengths) for t in range(before, n - behind)]
    assert [*zip(episodes.tolist(), steps.tolist(), strict=True)] == expected


@given(st.lists(st.sampled_from([0, 1, 2, 30, 500]), min_size=1, max_size=40), st.integers(0, 2), st.booleans())
@PROFILE
def test_many_samples_are_found_as_few_are(lengths, before, is_uneven):
    lengths = [*lengths, 5000] if is_uneven else lengths  # then marks are far from the episodes of their samples
    transitions = Transitions(np.array(lengths, np.int64), before)
    if not transitions.size:
        return
    samples = np.random.default_rng(0).integers(0, transitions.size, 5000)
    places = [transitions.places(some) for some in np.split(samples, 50)]  # few at a time: a search
    for at_once, few in zip(transitions.places(samples), zip(*places, strict=True), strict=True):
        np.testing.assert_array_equal(at_once, np.concatenate(few))


def source_of(recording):
    return StepSource(recording._file, recording._index, recording.numbers)


def test_the_source_knows_the_episodes_of_a_selection(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3, 7])) as recording:
        source = source_of(recording.select([2, 0]))
        assert source.numbers.tolist() == [2, 0]
        assert source.starts.tolist() == [10, 0]
        assert source.lengths.tolist() == [7, 5]
        assert source.num_steps == 12


def test_a_pickled_source_refuses_another_file_of_the_same_name(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        pickled = pickle.dumps(source_of(recording))
    assert pickle.loads(pickled).lengths.tolist() == [5, 3]
    record_numbered(tmp_path / "a.h5", [5, 3], mode="w")
    with pytest.raises(SelectionError, match="has changed since the sampler was made"):
        pickle.loads(pickled)


def test_a_pickled_source_accepts_a_file_to_which_episodes_were_appended(tmp_path):
    with h5r.Recording(record_numbered(tmp_path / "a.h5", [5, 3])) as recording:
        pickled = pickle.dumps(source_of(recording))
    record_numbered(tmp_path / "a.h5", [4], mode="a")
    assert pickle.loads(pickled).lengths.tolist() == [5, 3]


def test_an_episode_that_was_discarded_meanwhile_is_found_when_the_recording_is_refreshed(tmp_path):
    space = spaces.Discrete(9)
    with h5r.Writer(tmp_path / "live.h5", observation_space=space, action_space=space) as writer:
        for episode in range(2):
            writer.begin_episode(episode)
            for step in range(4):
                writer.append(0, episode, 0.5, step == 3, False)
        writer.flush()
        with h5r.Recording(tmp_path / "live.h5", live=True) as recording:
            assert recording.num_episodes == 2
            sampler, older = recording.sampler(2), recording.select([0]).sampler(2)
            assert sampler.num_samples == 8
            writer.discard_episode()
            writer.begin_episode(2)
            writer.append(0, 2, 0.5, True, False)
            writer.flush()
            recording.refresh()
            with pytest.raises(SelectionError, match="has changed since the sampler was made"):
                sampler.batch(0)
            assert older.batch(0)["episodes"].tolist() == [0, 0]
