"""The one-line form: seeded samples, with replacement unless told otherwise."""

import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingClosedError, RecordingNotFoundError
from gym_h5record.reading.row_batches import map_leaves
from tests.training.numbered import all_places, check_equal, check_transitions, places, record_numbered

LENGTHS = (7, 1, 4, 0, 9)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return record_numbered(tmp_path_factory.mktemp("buffer") / "a.h5", LENGTHS)


def test_samples_are_transitions_of_the_recording(path):
    with h5r.ReplayBuffer(path) as buffer, h5r.Recording(path) as recording:
        assert len(buffer) == 21
        batch = buffer.sample(100)
        assert len(set(places(batch))) > 15
        check_transitions(recording, batch)


def test_the_same_seed_gives_the_same_samples_however_many_at_a_time(path):
    with h5r.ReplayBuffer(path, seed=3) as one, h5r.ReplayBuffer(path, seed=3, cache="all") as other:
        expected = places(one.sample(30)) + places(one.sample(1)) + places(one.sample(40))
        assert places(other.sample(5)) + places(other.sample(60)) + places(other.sample(6)) == expected
    with h5r.ReplayBuffer(path, seed=4) as buffer:
        assert places(buffer.sample(30)) != expected[:30]


@pytest.mark.parametrize("options", [{"replace": False}, {"order": "chunk"}], ids=str)
def test_without_replacement_every_sample_comes_once_before_one_comes_again(path, options):
    with h5r.ReplayBuffer(path, **options) as buffer:
        found = [place for n in (5, 10, 21, 6, 20, 1) for place in places(buffer.sample(n))]
    for epoch in range(3):
        assert sorted(found[21 * epoch : 21 * epoch + 21]) == all_places(LENGTHS)
    assert found[:21] != found[21:42]


def test_a_batch_across_two_epochs_is_that_of_both(path):
    with (
        h5r.ReplayBuffer(path, replace=False, n_step=2) as one,
        h5r.ReplayBuffer(path, replace=False, n_step=2) as other,
    ):
        one.sample(20)
        found = one.sample(3)
        other.sample(21)
        expected = other.sample(2)
    check_equal(map_leaves(found, lambda leaf: leaf[1:]), expected)


def test_a_selection_that_is_open_stays_open(path):
    with h5r.Recording(path) as recording:
        with h5r.ReplayBuffer(recording.select([4])) as buffer:
            assert {episode for episode, _ in places(buffer.sample(50))} == {4}
        assert recording.episodes[4].actions[0] == 16


def test_closing_closes_the_file(path):
    buffer = h5r.ReplayBuffer(path)
    buffer.close()
    with pytest.raises(RecordingClosedError):
        buffer.sample(1)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None])
def test_a_number_of_samples_is_a_positive_integer(path, n):
    with h5r.ReplayBuffer(path) as buffer, pytest.raises(OptionError, match="a positive number of samples"):
        buffer.sample(n)


def test_more_samples_than_there_are_need_replacement(path):
    with h5r.ReplayBuffer(path, replace=False) as buffer:
        with pytest.raises(OptionError, match="a batch of 22 is more than there is to sample, 21"):
            buffer.sample(22)
        assert sorted(places(buffer.sample(21))) == all_places(LENGTHS)


@pytest.mark.parametrize("name", ["batch_size", "drop_last", "whole_episodes"])
def test_the_options_of_batches_are_refused(path, name):
    with pytest.raises(OptionError, match=f"{name} is no option of ReplayBuffer"):
        h5r.ReplayBuffer(path, **{name: 1})


def test_a_wrong_option_or_path_is_an_error(path, tmp_path):
    with pytest.raises(OptionError, match="pad"):
        h5r.ReplayBuffer(path, pad="edge")
    with pytest.raises(RecordingNotFoundError):
        h5r.ReplayBuffer(tmp_path / "none.h5")


def test_a_buffer_says_what_it_samples(path):
    with h5r.ReplayBuffer(path) as buffer:
        assert repr(buffer).endswith("a.h5': 21 steps>")


def test_replacement_is_checked_like_that_of_a_sampler(path):
    with pytest.raises(OptionError, match="replace: expected True, False or None, got 'yes'"):
        h5r.ReplayBuffer(path, replace="yes")
    with pytest.raises(OptionError, match='order="chunk" has every sample once'):
        h5r.ReplayBuffer(path, replace=True, order="chunk")
